package desired

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
)

// declared is the definition of a policy field in the schema.
func (c *checker) declared(d direction) cue.Value {
	v := c.def("#Policy")
	for _, name := range strings.Split(d.field, ".") {
		next := v.LookupPath(cue.MakePath(cue.Str(name)))
		if !next.Exists() {
			next = v.LookupPath(cue.MakePath(cue.Str(name).Optional()))
		}
		v = next
	}
	return v
}

// unstatedExpression is the bound that holds where no level states an optional
// one: none, where that is no limit.
func (d direction) unstatedExpression() string {
	if math.IsInf(d.unstated, 0) {
		return ""
	}
	return "number & >=0 & <=" + strconv.FormatFloat(d.unstated, 'g', -1, 64)
}

// expression is a bound that was read (see bound) as CUE made of literals:
// what all levels declared, met, for a proof that compares two commits. A value
// that stands alone is the bound it acts as, by the field's direction: 90 days
// of a field that only goes down is <=90. schema is the field's definition.
func (d direction) expression(v, schema cue.Value) string {
	if d.way == "right" {
		return d.wordExpression(v)
	}
	kind, declared := v, conjuncts(v.Eval())
	if v.IsConcrete() {
		// Evaluating left nothing but the number: what the schema says, and each
		// level, is taken from before.
		kind, declared = schema, conjuncts(schema.Eval())
		for _, part := range conjuncts(v) {
			declared = append(declared, conjuncts(part.Eval())...)
		}
	}
	parts := []string{"number"}
	if kind.IncompleteKind() == cue.IntKind {
		parts[0] = "int"
	}
	alone := map[string]string{"down": "<=", "up": ">="}[d.way]
	for _, part := range declared {
		op, operands := part.Expr()
		side, number := alone, part
		switch op {
		case cue.LessThanOp, cue.LessThanEqualOp, cue.GreaterThanOp, cue.GreaterThanEqualOp, cue.NotEqualOp:
			side, number = op.String(), operands[0]
		}
		if f, err := number.Float64(); err == nil {
			if part := side + strconv.FormatFloat(f, 'g', -1, 64); !slices.Contains(parts, part) {
				parts = append(parts, part)
			}
		}
	}
	return strings.Join(parts, " & ")
}

func (d direction) wordExpression(v cue.Value) string {
	var words []string
	for _, part := range disjuncts(v.Eval()) {
		if word, err := part.String(); err == nil {
			words = append(words, word)
		}
	}
	if len(words) == 1 {
		for i, w := range d.words {
			if w == words[0] {
				words = d.words[i:]
				break
			}
		}
	}
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = strconv.Quote(w)
	}
	return strings.Join(quoted, " | ")
}
