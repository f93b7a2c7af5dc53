package graph

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/rules/version"
)

// maxRule is how long the rule of an assignment filter may be, in characters,
// and maxNested how deep its parentheses may go: the first is Microsoft's limit,
// the second this simulator's.
const (
	maxRule   = 3072
	maxNested = 32
)

// A deviceRule is the rule of an assignment filter, ready to be asked.
type deviceRule func(d *device) bool

// parseRule reads a rule of the form
//
//	(device.manufacturer -eq "Contoso") and (device.model -startsWith "L" or device.deviceCategory -in ["Kiosk","Till"])
//
// with "and" binding closer than "or". Properties, operators and texts are
// compared without regard to case, as the service does.
func parseRule(text string) (deviceRule, error) {
	if len(text) > maxRule {
		return nil, fmt.Errorf("the rule has more than %d characters", maxRule)
	}
	tokens, err := ruleTokens(text)
	if err != nil {
		return nil, err
	}
	p := &ruleParser{tokens: tokens}
	rule, err := p.either(0)
	if err == nil && len(p.tokens) > 0 {
		err = fmt.Errorf("%s is one too many", p.tokens[0])
	}
	return rule, err
}

// ruleTokens cuts a rule into brackets, commas, words, and texts, which keep
// their first quotation mark.
func ruleTokens(text string) ([]string, error) {
	var out []string
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		n := strings.IndexAny(text, " \t\r\n()[],\"'")
		switch {
		case n < 0:
			n = len(text)
		case n > 0:
		case text[0] == '"' || text[0] == '\'':
			end := strings.IndexByte(text[1:], text[0])
			if end < 0 {
				return nil, errors.New("a text has no end")
			}
			out = append(out, `"`+text[1:1+end])
			text = text[end+2:]
			continue
		default:
			n = 1
		}
		out = append(out, text[:n])
		text = text[n:]
	}
	return out, nil
}

type ruleParser struct{ tokens []string }

// next takes the next token, "" at the end.
func (p *ruleParser) next() string {
	if len(p.tokens) == 0 {
		return ""
	}
	t := p.tokens[0]
	p.tokens = p.tokens[1:]
	return t
}

// is takes the next token if it is the given word.
func (p *ruleParser) is(word string) bool {
	if len(p.tokens) > 0 && strings.EqualFold(p.tokens[0], word) {
		p.tokens = p.tokens[1:]
		return true
	}
	return false
}

func (p *ruleParser) either(depth int) (deviceRule, error) {
	left, err := p.both(depth)
	for err == nil && p.is("or") {
		var right deviceRule
		one := left
		if right, err = p.both(depth); err == nil {
			left = func(d *device) bool { return one(d) || right(d) }
		}
	}
	return left, err
}

func (p *ruleParser) both(depth int) (deviceRule, error) {
	left, err := p.term(depth)
	for err == nil && p.is("and") {
		var right deviceRule
		one := left
		if right, err = p.term(depth); err == nil {
			left = func(d *device) bool { return one(d) && right(d) }
		}
	}
	return left, err
}

func (p *ruleParser) term(depth int) (deviceRule, error) {
	if !p.is("(") {
		return p.comparison()
	}
	if depth == maxNested {
		return nil, errors.New("the parentheses are nested too deep")
	}
	inner, err := p.either(depth + 1)
	if err == nil && !p.is(")") {
		err = errors.New("a parenthesis is not closed")
	}
	return inner, err
}

// comparison is device.<property> -<operator> <text or list>.
func (p *ruleParser) comparison() (deviceRule, error) {
	name, operator := p.next(), strings.ToLower(p.next())
	property, ok := filterProperty(name)
	if !ok {
		return nil, fmt.Errorf("%q is no property of a device that rules know", name)
	}
	values, err := p.values()
	if err != nil {
		return nil, err
	}
	bare, negative := strings.CutPrefix(operator, "-not")
	switch {
	case negative:
		operator = "-" + bare
	case operator == "-ne":
		operator, negative = "-eq", true
	}
	if operator == "-in" == (len(values) == 1 && values[0].alone) || len(values) == 0 {
		return nil, fmt.Errorf("%s takes a list with -in, one text with all others", name)
	}
	compare, ok := comparisons()[operator]
	if !ok {
		return nil, fmt.Errorf("%q is no operator that rules know", operator)
	}
	return func(d *device) bool {
		have := property(d)
		holds := slices.ContainsFunc(values, func(v ruleValue) bool { return compare(strings.ToLower(have), strings.ToLower(v.text)) })
		return holds != negative
	}, nil
}

// A ruleValue is a text in a rule, alone or in a list.
type ruleValue struct {
	text  string
	alone bool
}

func (p *ruleParser) values() ([]ruleValue, error) {
	quoted := func() (string, error) {
		text, ok := strings.CutPrefix(p.next(), `"`)
		if !ok {
			return "", errors.New("a text in quotation marks is missing")
		}
		return text, nil
	}
	if !p.is("[") {
		text, err := quoted()
		return []ruleValue{{text, true}}, err
	}
	var out []ruleValue
	for {
		text, err := quoted()
		if err != nil {
			return nil, err
		}
		out = append(out, ruleValue{text: text})
		if p.is("]") {
			return out, nil
		}
		if !p.is(",") {
			return nil, errors.New("a list is not closed")
		}
	}
}

// filterProperty is a property of a device by its name in rules.
func filterProperty(name string) (func(*device) string, bool) {
	f, ok := map[string]func(*device) string{
		"device.devicename":             func(d *device) string { return d.Name },
		"device.manufacturer":           func(d *device) string { return d.Manufacturer },
		"device.model":                  func(d *device) string { return d.Model },
		"device.devicecategory":         func(d *device) string { return d.Department },
		"device.osversion":              func(d *device) string { return d.OSVersion },
		"device.operatingsystemversion": func(d *device) string { return d.OSVersion },
		"device.operatingsystemsku":     func(d *device) string { return d.SKU },
		"device.deviceownership":        func(*device) string { return "Corporate" },
	}[strings.ToLower(name)]
	return f, ok
}

// comparisons are the operators, over lower-case texts.
func comparisons() map[string]func(have, want string) bool {
	ordered := func(ok func(c int) bool) func(have, want string) bool {
		return func(have, want string) bool {
			h, err := version.Parse(version.Windows, have)
			w, also := version.Parse(version.Windows, want)
			return err == nil && also == nil && ok(version.Compare(h, w))
		}
	}
	same := func(have, want string) bool { return have == want }
	return map[string]func(have, want string) bool{
		"-eq": same, "-in": same, "-startswith": strings.HasPrefix, "-contains": strings.Contains,
		"-gt": ordered(func(c int) bool { return c > 0 }), "-ge": ordered(func(c int) bool { return c >= 0 }),
		"-lt": ordered(func(c int) bool { return c < 0 }), "-le": ordered(func(c int) bool { return c <= 0 }),
	}
}
