package desired

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"cuelang.org/go/cue"

	"github.com/packmill/packmill/internal/fleet"
)

// A direction is how one policy field gets stricter: "down", "up", or through
// words to the right.
type direction struct {
	field string
	way   string   // down, up, right
	words []string // for right, loosest first
	// optional bounds need not be stated. Where no level states one, unstated is
	// what holds: the level that first does may only be stricter.
	optional bool
	unstated float64
}

// directions reads the schema's #Tightening table, sorted by field.
func (c *checker) directions() ([]direction, error) {
	iter, err := c.def("#Tightening").Fields()
	if err != nil {
		return nil, fmt.Errorf("schema: #Tightening: %w", err)
	}
	var list []direction
	for iter.Next() {
		d := direction{field: iter.Selector().Unquoted(), way: "right"}
		d.optional = !c.def("#Policy").LookupPath(cue.ParsePath(d.field)).Exists()
		if d.field == "nonSecurity.withinDays" {
			d.unstated = math.Inf(1) // no limit
		}
		if d.way, err = iter.Value().String(); err != nil {
			d.way = "right"
			if err := iter.Value().Decode(&d.words); err != nil {
				return nil, fmt.Errorf("schema: #Tightening.%s: %w", d.field, err)
			}
		}
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b direction) int { return strings.Compare(a.field, b.field) })
	return list, nil
}

// A bound is the value of a policy field: the loosest that is still allowed,
// and the place that decided it.
type bound struct {
	number float64
	word   string
	rank   int // of word
	pos    fleet.Pos
	expr   string // the bound itself, as CUE
}

// tighter reports whether b allows less than a.
func (d direction) tighter(a, b bound) bool {
	switch d.way {
	case "down":
		return b.number < a.number
	case "up":
		return b.number > a.number
	default:
		return b.rank > a.rank
	}
}

// String is the bound as people read it.
func (d direction) String(b bound) string {
	if d.way == "right" {
		return fmt.Sprintf("%q", b.word)
	}
	return fmt.Sprintf("%g", b.number)
}

// bound takes the value of a field that is the meet of several bounds.
func (d direction) bound(v cue.Value) (bound, error) {
	if d.way == "right" {
		return d.wordBound(v)
	}
	want := map[string]cue.Op{"down": cue.LessThanEqualOp, "up": cue.GreaterThanEqualOp}[d.way]
	var found *bound
	for _, part := range conjuncts(v.Eval()) {
		op, operands := part.Expr()
		number, at := part, part.Pos()
		switch op {
		case want:
			number = operands[0]
		case cue.NoOp:
			if !part.IsConcrete() {
				continue
			}
		case cue.LessThanOp, cue.GreaterThanOp:
			// `>0` of the schema is no value; `<3` of an author has no largest one.
			if (op == cue.LessThanOp) == (d.way == "down") {
				return bound{}, fmt.Errorf("%v has no loosest value: write %s", part, map[string]string{"down": "<=", "up": ">="}[d.way])
			}
			continue
		default:
			continue
		}
		f, err := number.Float64()
		if err != nil {
			return bound{}, fmt.Errorf("%v is no number", number)
		}
		b := bound{number: f, pos: position(at.Filename(), at)}
		if found == nil || d.tighter(*found, b) {
			found = &b
		}
	}
	if found == nil {
		return bound{}, fmt.Errorf("must be a number or a bound such as %s2", map[string]string{"down": "<=", "up": ">="}[d.way])
	}
	return *found, nil
}

func (d direction) wordBound(v cue.Value) (bound, error) {
	loosest := func(v cue.Value) (bound, bool) {
		best := bound{rank: len(d.words)}
		for _, part := range disjuncts(v.Eval()) {
			word, err := part.String()
			rank := slices.Index(d.words, word)
			if err != nil || rank < 0 {
				return bound{}, false
			}
			if rank < best.rank {
				at := v.Pos()
				best = bound{word: word, rank: rank, pos: position(at.Filename(), at)}
			}
		}
		return best, best.rank < len(d.words)
	}
	whole, ok := loosest(v)
	if !ok {
		return bound{}, fmt.Errorf("must be one or several of %s", strings.Join(d.words, ", "))
	}
	for _, part := range conjuncts(v) { // the author whose words left this one
		if b, ok := loosest(part); ok && b.rank == whole.rank && !isSchema(b.pos.File) {
			return b, nil
		}
	}
	return whole, nil
}

// conjuncts are the parts that were unified into v, one level of nesting or
// more taken apart.
func conjuncts(v cue.Value) []cue.Value {
	op, parts := v.Expr()
	if op != cue.AndOp {
		return []cue.Value{v}
	}
	var list []cue.Value
	for _, p := range parts {
		list = append(list, conjuncts(p)...)
	}
	return list
}

func disjuncts(v cue.Value) []cue.Value {
	op, parts := v.Expr()
	if op != cue.OrOp {
		return []cue.Value{v}
	}
	return parts
}

// isSchema reports whether a file is one of the schema's.
func isSchema(file string) bool { return strings.HasPrefix(file, "cue.mod/") }

// policy takes the values of all bounds of a policy value that has met those
// of the levels above.
func (c *checker) policy(v cue.Value) (map[string]bound, map[string]error) {
	bounds, faults := map[string]bound{}, map[string]error{}
	list, err := c.directions()
	if err != nil {
		return nil, map[string]error{"": err}
	}
	for _, d := range list {
		field := v.LookupPath(cue.ParsePath(d.field))
		if d.optional && !field.Exists() {
			bounds[d.field] = bound{number: d.unstated, expr: d.unstatedExpression()}
			continue
		}
		b, err := d.bound(field)
		if err != nil {
			faults[d.field] = err
			continue
		}
		b.expr = d.expression(field, c.declared(d))
		bounds[d.field] = b
	}
	return bounds, faults
}

// fill puts bounds into the fields they are for.
func fill(p *fleet.Policy, bounds map[string]bound) {
	p.CriticalWithinHours = bounds["critical.withinHours"].number
	p.CriticalGraceHours = bounds["critical.graceHours"].number
	p.NonSecurityDeferDays = int(bounds["nonSecurity.deferDays"].number)
	if days := bounds["nonSecurity.withinDays"].number; !math.IsInf(days, 1) {
		p.NonSecurityWithinDays = days
	}
	p.NonSecurityGraceHours = bounds["nonSecurity.graceHours"].number
	p.Reboot = bounds["reboot"].word
	p.MaxFailuresPercent = bounds["maxFailuresPercent"].number
	p.Approval = bounds["approval"].word
	p.MaxExceptionDays = int(bounds["maxExceptionDays"].number)
	p.Origins, p.Bounds = map[string]fleet.Pos{}, map[string]string{}
	for field, b := range bounds {
		if b.pos.File != "" {
			p.Origins[field] = b.pos
		}
		if b.expr != "" {
			p.Bounds[field] = b.expr
		}
	}
}
