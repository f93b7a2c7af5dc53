package change

import (
	"fmt"
	"maps"
	"slices"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"
)

// A Proof says which fields of a set of bounds allow more than before, and
// which allow less. A field in neither list allows exactly the same.
type Proof struct {
	Looser  []string
	Tighter []string
}

// Tightens reports whether the new bounds allow nothing that the old did not.
func (p Proof) Tightens() bool { return len(p.Looser) == 0 }

// Prove compares two sets of declared bounds, field → CUE expression, by
// subsumption: what the new bound allows must be an instance of the old. It
// looks at the bounds as they are declared, defaults included (cue.Raw):
// another default alone is another policy.
//
// A bound that is gone allows everything, a new one allows less than nothing
// said. What is no bound, a call or a reference for example, is an error: such
// an expression could take for ever to evaluate, and a bound has none.
func Prove(was, is map[string]string) (Proof, error) {
	ctx := cuecontext.New()
	before, err := compile(ctx, was)
	if err != nil {
		return Proof{}, err
	}
	after, err := compile(ctx, is)
	if err != nil {
		return Proof{}, err
	}
	var p Proof
	for _, field := range both(was, is) {
		old, had := before[field]
		now, has := after[field]
		switch {
		case !has || had && !subsumes(old, now):
			p.Looser = append(p.Looser, field)
		case !had || !subsumes(now, old):
			p.Tighter = append(p.Tighter, field)
		}
	}
	return p, nil
}

// subsumes reports whether b is proven to be an instance of a. CUE may say no
// where the answer is yes, never the other way round. One such case matters
// here, a single word out of several: it is asked of each word by itself.
func subsumes(a, b cue.Value) bool {
	if a.Subsume(b, cue.Raw()) == nil {
		return true
	}
	op, words := a.Expr()
	if _, preset := a.Default(); op != cue.OrOp || preset || !b.IsConcrete() {
		return false
	}
	return slices.ContainsFunc(words, func(w cue.Value) bool { return w.Subsume(b, cue.Raw()) == nil })
}

// provenDirection is the direction from one bound to another, "" where both
// allow the same.
func provenDirection(was, is string) string {
	p, err := Prove(map[string]string{"": was}, map[string]string{"": is})
	switch {
	case err != nil || len(p.Looser) > 0: // what is not proven counts as looser
		return Looser
	case len(p.Tighter) > 0:
		return Tighter
	default:
		return ""
	}
}

// maxBound is the length of a bound in bytes, far above what one needs.
const maxBound = 4096

func compile(ctx *cue.Context, bounds map[string]string) (map[string]cue.Value, error) {
	out := make(map[string]cue.Value, len(bounds))
	for _, field := range slices.Sorted(maps.Keys(bounds)) {
		text := bounds[field]
		if len(text) > maxBound {
			return nil, fmt.Errorf("bound of %s: %d bytes, more than %d", field, len(text), maxBound)
		}
		expr, err := parser.ParseExpr("bound", text)
		if err != nil {
			return nil, fmt.Errorf("bound of %s: %w", field, err)
		}
		if what := unbounded(expr); what != "" {
			return nil, fmt.Errorf("bound of %s: %s is no bound", field, what)
		}
		// As in the schema, a struct is closed: a definition is.
		value := ctx.BuildExpr(ast.NewStruct(ast.NewIdent("#Bound"), expr))
		if err := value.Err(); err != nil {
			return nil, fmt.Errorf("bound of %s: %w", field, err)
		}
		out[field] = value.LookupPath(cue.MakePath(cue.Def("#Bound")))
	}
	return out, nil
}

// unbounded is what in an expression is not made of literals, comparisons,
// types, alternatives and structs of these, "" for nothing.
func unbounded(expr ast.Expr) (what string) {
	ast.Walk(expr, func(n ast.Node) bool {
		ok := true
		switch n := n.(type) {
		case *ast.BasicLit, *ast.ParenExpr, *ast.StructLit, *ast.Field, *ast.BottomLit, *ast.Ellipsis:
		case *ast.BinaryExpr:
			ok = n.Op == token.AND || n.Op == token.OR
		case *ast.UnaryExpr: // signs, comparisons and the mark of a default
		case *ast.Ident:
			ok = slices.Contains([]string{"number", "int", "float", "string", "bool", "_"}, n.Name) || isLabel(expr, n)
		default:
			ok = false
		}
		if !ok && what == "" {
			what = fmt.Sprintf("%T", n)
		}
		return ok
	}, nil)
	return what
}

// isLabel reports whether an identifier names a field, and refers to nothing.
func isLabel(expr ast.Expr, ident *ast.Ident) bool {
	found := false
	ast.Walk(expr, func(n ast.Node) bool {
		if f, ok := n.(*ast.Field); ok && f.Label == ast.Label(ident) {
			found = true
		}
		return !found
	}, nil)
	return found
}
