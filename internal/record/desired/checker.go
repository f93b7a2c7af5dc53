package desired

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/parser"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/schema"
)

// A checker evaluates values against the embedded schema. It has a CUE context
// of its own and is used by one goroutine.
type checker struct {
	ctx    *cue.Context
	inst   *build.Instance
	schema cue.Value
	// loose is the schema without its matchN checks, nil until something is to
	// be explained: a definition that fails its own check lists no fields.
	loose *cue.Value
	// oneOf lists, for each definition that asks for exactly one of several
	// fields, those fields; its key is the definition's whole field list.
	oneOf map[string][]string
}

func newChecker() (*checker, error) {
	c := &checker{ctx: cuecontext.New(), oneOf: map[string][]string{}}
	var err error
	c.inst, c.schema, err = c.build(c.collectOneOf)
	return c, err
}

// build builds the embedded schema. Each file is shown to look first.
func (c *checker) build(look func(*ast.File)) (*build.Instance, cue.Value, error) {
	inst := build.NewContext().NewInstance("", nil)
	inst.ImportPath, inst.PkgName = schema.ImportPath, "schema"
	files := schema.Files()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f, err := parser.ParseFile(path.Join(schema.VendorDir, name), files[name], parser.ParseComments)
		if err != nil {
			return nil, cue.Value{}, fmt.Errorf("parse embedded schema: %w", err)
		}
		look(f)
		if err := inst.AddSyntax(f); err != nil {
			return nil, cue.Value{}, fmt.Errorf("add embedded schema: %w", err)
		}
	}
	if err := inst.Complete(); err != nil {
		return nil, cue.Value{}, fmt.Errorf("complete embedded schema: %w", err)
	}
	value := c.ctx.BuildInstance(inst)
	if err := value.Err(); err != nil {
		return nil, cue.Value{}, fmt.Errorf("build embedded schema: %w", err)
	}
	return inst, value, nil
}

// looseDef is a definition without its matchN checks.
func (c *checker) looseDef(name string) cue.Value {
	if c.loose == nil {
		_, value, err := c.build(dropMatchN)
		if err != nil {
			panic("desired: the schema that was built before: " + err.Error())
		}
		c.loose = &value
	}
	return c.loose.LookupPath(cue.MakePath(cue.Def(name)))
}

// dropMatchN takes `matchN(…)` out of every struct of a file.
func dropMatchN(f *ast.File) {
	ast.Walk(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.StructLit); ok {
			s.Elts = slices.DeleteFunc(s.Elts, func(d ast.Decl) bool {
				embed, ok := d.(*ast.EmbedDecl)
				return ok && len(matchNChoices(embed.Expr)) > 0
			})
		}
		return true
	}, nil)
}

// collectOneOf notes every struct of the schema that holds `matchN(1, […])`.
func (c *checker) collectOneOf(f *ast.File) {
	ast.Walk(f, func(n ast.Node) bool {
		s, ok := n.(*ast.StructLit)
		if !ok {
			return true
		}
		var names, choices []string
		for _, e := range s.Elts {
			switch e := e.(type) {
			case *ast.Field:
				if name, ok := label(e); ok {
					names = append(names, name)
				}
			case *ast.EmbedDecl:
				choices = append(choices, matchNChoices(e.Expr)...)
			}
		}
		if len(choices) > 0 {
			slices.Sort(names)
			c.oneOf[strings.Join(names, " ")] = choices
		}
		return true
	}, nil)
}

// matchNChoices are the field names in `matchN(1, [{a!: _}, {b!: _}])`.
func matchNChoices(x ast.Expr) []string {
	call, ok := x.(*ast.CallExpr)
	if !ok || len(call.Args) != 2 {
		return nil
	}
	list, ok := call.Args[1].(*ast.ListLit)
	if fun, isIdent := call.Fun.(*ast.Ident); !ok || !isIdent || fun.Name != "matchN" {
		return nil
	}
	var names []string
	for _, e := range list.Elts {
		if s, ok := e.(*ast.StructLit); ok && len(s.Elts) == 1 {
			if f, ok := s.Elts[0].(*ast.Field); ok {
				name, _ := label(f)
				names = append(names, name)
			}
		}
	}
	return names
}

// def is a definition of the schema, "#Package" for example.
func (c *checker) def(name string) cue.Value {
	return c.schema.LookupPath(cue.MakePath(cue.Def(name)))
}

// A source is one expression that contributes to a value: where it stands and
// the label in front of it, which is where missing fields are reported.
type source struct {
	file string
	at   fleet.Pos
	expr ast.Expr
}

// decode unifies the structs in sources with a definition, checks the result
// concretely and decodes it. Findings name paths below prefix.
func (c *checker) decode(def, prefix string, sources []source, into any) fleet.Errors {
	merged := &ast.StructLit{}
	for _, s := range sources {
		lit, ok := s.expr.(*ast.StructLit)
		if !ok {
			return fleet.Errors{invalid(s.at, prefix, "must be a struct: { … }")}
		}
		merged.Elts = append(merged.Elts, lit.Elts...)
	}
	value := c.def(def).Unify(c.ctx.BuildExpr(merged))
	err := value.Validate(cue.Concrete(true))
	if err == nil {
		if err = value.Decode(into); err == nil {
			return nil
		}
	}
	return c.explain(def, prefix, sources, err)
}

// invalid is a finding at a place about an object.
func invalid(pos fleet.Pos, object, format string, args ...any) *fleet.Error {
	return &fleet.Error{Op: "desired.load", Object: object, Pos: pos, Kind: fleet.Invalid, Err: fmt.Errorf(format, args...)}
}

// syntaxErrors are the findings of a file that does not parse.
func syntaxErrors(file string, err error) fleet.Errors {
	var list fleet.Errors
	for _, e := range errors.Errors(err) {
		format, args := e.Msg()
		list = append(list, invalid(position(file, e.Position()), "", format, args...))
	}
	return list
}
