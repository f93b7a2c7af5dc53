package desired

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/schema"
)

// The bounds of a catalog file. Within them no literal was found that takes CUE
// more than a second or two to evaluate.
const (
	MaxCatalogFile  = 16 << 10 // bytes
	MaxCatalogDepth = 16       // nested structs and lists
)

// A literalFile is a catalog file that passed the gate: fields whose values are
// literals, the binding to the schema recognised and taken off.
type literalFile struct {
	place
	fields []*ast.Field // top-level fields, values without binding
}

// A gate walks one file and collects what is not allowed in it.
type gate struct {
	file     string
	findings fleet.Errors
	schema   string // local name of the schema's import, "" when not imported
	used     bool
}

// parseLiteral parses a catalog file and refuses everything that is not a
// literal: references, expressions, comprehensions, interpolations, attributes,
// aliases, optional and hidden fields, imports other than the schema.
func parseLiteral(p place, data []byte) (literalFile, fleet.Errors) {
	g := &gate{file: p.Path}
	if len(data) > MaxCatalogFile {
		g.refuse(fleet.Pos{File: p.Path}, "file has %d bytes; a catalog file may have %d", len(data), MaxCatalogFile)
		return literalFile{}, g.findings
	}
	f, err := parser.ParseFile(p.Path, data, parser.ParseComments)
	if err != nil {
		return literalFile{}, syntaxErrors(p.Path, err)
	}
	out := literalFile{place: p}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.CommentGroup:
		case *ast.Package:
			if d.Name.Name != "catalog" {
				g.refuse(position(p.Path, d.Name.Pos()), "the package is called %q; files below catalog/ are package catalog", d.Name.Name)
			}
		case *ast.ImportDecl:
			g.imports(d)
		case *ast.Field:
			out.fields = append(out.fields, d)
		default:
			g.refuse(position(p.Path, d.Pos()), "only fields may stand here: %s", notLiteral(d))
		}
	}
	if f.PackageName() == "" {
		g.refuse(fleet.Pos{File: p.Path, Line: 1, Col: 1}, "the file must begin with: package catalog")
	}
	for _, field := range out.fields {
		g.field(field, 1, bindings[p.role])
	}
	if g.schema != "" && !g.used {
		g.refuse(fleet.Pos{File: p.Path}, "the schema is imported and not used")
	}
	return out, g.findings
}

// bindings are the places where a value may be bound to its definition, by the
// labels that lead there; * is any label.
var bindings = map[role]map[string]string{
	rolePublisher: {"publisher": "#Publisher"},
	rolePackage:   {"pkg": "#Package"},
	roleRelease:   {"pkg/releases/*": "#Release"},
	roleMatrices:  {"matrices/*": "#Environment"},
	roleSources:   {"advisories": "#AdvisorySources"},
}

func (g *gate) refuse(pos fleet.Pos, format string, args ...any) {
	g.findings = append(g.findings, &fleet.Error{Op: "desired.load", Pos: pos, Kind: fleet.Invalid, Err: fmt.Errorf(format, args...)})
}

func (g *gate) imports(d *ast.ImportDecl) {
	for _, spec := range d.Specs {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil || path != schema.ImportPath {
			g.refuse(position(g.file, spec.Pos()), "import %s: a catalog file may import only %q", spec.Path.Value, schema.ImportPath)
			continue
		}
		g.schema = "schema"
		if spec.Name != nil {
			g.schema = spec.Name.Name
		}
	}
}

// field checks a field at the given depth. bind holds the bindings that may
// still come, relative to the field.
func (g *gate) field(f *ast.Field, depth int, bind map[string]string) {
	pos := position(g.file, f.Pos())
	if depth > MaxCatalogDepth {
		g.refuse(pos, "nested deeper than %d", MaxCatalogDepth)
		return
	}
	name, ok := label(f)
	switch {
	case !ok:
		g.refuse(pos, "a field's name must be a plain word or a string")
		return
	case strings.HasPrefix(name, "_") || strings.HasPrefix(name, "#"):
		if _, quoted := f.Label.(*ast.BasicLit); !quoted {
			g.refuse(pos, "hidden fields and definitions are not allowed here")
			return
		}
	case f.Constraint != token.ILLEGAL:
		g.refuse(pos, "%q: fields are given, not optional or required, in a catalog file", name)
	case f.Alias != nil:
		g.refuse(pos, "aliases are not allowed in a catalog file")
	}
	for _, a := range f.Attrs {
		g.refuse(position(g.file, a.Pos()), "attributes are not allowed: %s", a.Text)
	}
	below := map[string]string{}
	for path, def := range bind {
		first, rest, deeper := strings.Cut(path, "/")
		switch {
		case first != name && first != "*":
		case deeper:
			below[rest] = def
		default:
			f.Value = g.unbind(f.Value, def)
		}
	}
	g.value(f.Value, depth, below)
}

// unbind takes `schema.#Def & ` off a value.
func (g *gate) unbind(x ast.Expr, def string) ast.Expr {
	and, ok := x.(*ast.BinaryExpr)
	if !ok || and.Op != token.AND {
		return x
	}
	sel, ok := and.X.(*ast.SelectorExpr)
	if !ok {
		return x
	}
	pkg, ok := sel.X.(*ast.Ident)
	if !ok || g.schema == "" || pkg.Name != g.schema {
		return x
	}
	g.used = true
	if name, _, _ := ast.LabelName(sel.Sel); name != def {
		g.refuse(position(g.file, sel.Pos()), "bound to %s.%s; here it is %s.%s", g.schema, name, g.schema, def)
	}
	return and.Y
}

func (g *gate) value(x ast.Expr, depth int, bind map[string]string) {
	pos := position(g.file, x.Pos())
	if depth > MaxCatalogDepth {
		g.refuse(pos, "nested deeper than %d", MaxCatalogDepth)
		return
	}
	switch x := x.(type) {
	case *ast.BasicLit:
	case *ast.UnaryExpr:
		lit, ok := x.X.(*ast.BasicLit)
		number := ok && (lit.Kind == token.INT || lit.Kind == token.FLOAT)
		if !number || x.Op != token.SUB && x.Op != token.ADD {
			g.refuse(pos, "only literals are allowed in a catalog file: %s", notLiteral(x))
		}
	case *ast.ListLit:
		for _, e := range x.Elts {
			g.value(e, depth+1, nil)
		}
	case *ast.StructLit:
		for _, e := range x.Elts {
			switch e := e.(type) {
			case *ast.CommentGroup:
			case *ast.Field:
				g.field(e, depth+1, bind)
			default:
				g.refuse(position(g.file, e.Pos()), "only fields may stand here: %s", notLiteral(e))
			}
		}
	default:
		g.refuse(pos, "only literals are allowed in a catalog file: %s", notLiteral(x))
	}
}

// notLiteral names what a node is, for people.
func notLiteral(n ast.Node) string {
	switch n.(type) {
	case *ast.Attribute:
		return "this is an attribute"
	case *ast.Ident, *ast.SelectorExpr, *ast.IndexExpr, *ast.SliceExpr:
		return "this is a reference"
	case *ast.Interpolation:
		return "this is an interpolation"
	case *ast.Comprehension:
		return "this is a comprehension"
	case *ast.Ellipsis:
		return "this is an ellipsis"
	case *ast.LetClause, *ast.Alias:
		return "this is an alias"
	case *ast.EmbedDecl:
		return "this is an embedding"
	case *ast.CallExpr:
		return "this is a call"
	default:
		return "this is an expression"
	}
}

// label is the name of a field whose label is a word or a string.
func label(f *ast.Field) (string, bool) {
	switch l := f.Label.(type) {
	case *ast.Ident:
		return l.Name, true
	case *ast.BasicLit:
		name, _, err := ast.LabelName(l)
		return name, err == nil && l.Kind == token.STRING
	default:
		return "", false
	}
}

// position is a place in a file as fleet states it.
func position(file string, p token.Pos) fleet.Pos {
	if !p.IsValid() {
		return fleet.Pos{File: file}
	}
	at := p.Position()
	return fleet.Pos{File: file, Line: at.Line, Col: at.Column}
}

// sortFindings puts findings in file order and drops those said twice.
func sortFindings(list fleet.Errors) fleet.Errors {
	slices.SortStableFunc(list, func(a, b *fleet.Error) int { return comparePos(a.Pos, b.Pos) })
	return slices.CompactFunc(list, func(a, b *fleet.Error) bool {
		return a.Pos == b.Pos && a.Error() == b.Error()
	})
}

func comparePos(a, b fleet.Pos) int {
	if c := strings.Compare(a.File, b.File); c != 0 {
		return c
	}
	if a.Line != b.Line {
		return a.Line - b.Line
	}
	return a.Col - b.Col
}
