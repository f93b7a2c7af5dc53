package desired

import (
	"maps"
	"path"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/schema"
)

// Tenants list their packages, hundreds of them, nearly all in the same words,
// and nearly all of the time that CUE takes for a tenant goes there. What a
// literal is worth does not depend on where it stands, so that each different
// one is evaluated once, and the tenant with one of its packages in place of all.
// Whatever is not as plain as that, or has a finding, is evaluated whole.

// A packageMemo is what was found right so far.
type packageMemo struct {
	ids    map[string]bool
	values map[string][]fleet.Assignment // by what is written
}

func newPackageMemo() packageMemo {
	return packageMemo{ids: map[string]bool{}, values: map[string][]fleet.Assignment{}}
}

// A thinned is a tenant's file with one package instead of all, and what the
// packages are worth.
type thinned struct {
	syntax   *ast.File
	packages map[fleet.PackageID][]fleet.Assignment
}

// thin takes the packages out of the tenant's file of a folder's chain, if all
// of them are right and nothing can see them. ok is false when they have to
// stay.
func (e *policyEval) thin(folder string) (file string, out thinned, ok bool) {
	var tenant *policyFile
	for _, f := range chain(folder) {
		for i, file := range e.folders[f] {
			if file.role == roleTenant {
				tenant = &e.folders[f][i]
			}
		}
	}
	if tenant == nil || tenant.syntax == nil || e.broken[path.Dir(tenant.Path)] {
		return "", thinned{}, false
	}
	for _, f := range chain(folder) {
		for _, file := range e.folders[f] {
			if file.syntax == nil || seesPackages(file.syntax) {
				return "", thinned{}, false
			}
		}
	}
	syntax, err := tenant.parse()
	if err != nil {
		return "", thinned{}, false
	}
	list := packagesOf(syntax)
	if list == nil || len(list.Elts) < 2 {
		return "", thinned{}, false
	}
	out = thinned{syntax: syntax, packages: make(map[fleet.PackageID][]fleet.Assignment, len(list.Elts))}
	for _, d := range list.Elts {
		if !e.worth(tenant.data, d, out.packages) {
			return "", thinned{}, false
		}
	}
	list.Elts = list.Elts[:1]
	return tenant.Path, out, true
}

// worth adds what one line of a tenant's packages is worth, and reports whether
// it is a literal that the schema takes.
func (e *policyEval) worth(data []byte, d ast.Decl, into map[fleet.PackageID][]fleet.Assignment) bool {
	f, ok := d.(*ast.Field)
	if !ok || f.Alias != nil || f.Constraint != token.ILLEGAL || len(f.Attrs) > 0 {
		return false
	}
	id, ok := label(f)
	if _, quoted := f.Label.(*ast.BasicLit); !ok || !quoted || into[fleet.PackageID(id)] != nil {
		return false
	}
	from, to := f.Value.Pos(), f.Value.End()
	if !from.IsValid() || !to.IsValid() || from.Offset() >= to.Offset() || to.Offset() > len(data) {
		return false
	}
	written := string(data[from.Offset():to.Offset()])
	known, ok := e.memo.values[written]
	if !ok || !e.memo.ids[id] {
		g := gate{}
		if g.value(f.Value, 1, nil); len(g.findings) > 0 {
			return false
		}
		if known, ok = e.c.assignments(id, f.Value); !ok {
			return false
		}
		e.memo.ids[id], e.memo.values[written] = true, known
	}
	into[fleet.PackageID(id)] = known
	return true
}

// assignments evaluates one package of a tenant against the schema.
func (c *checker) assignments(id string, value ast.Expr) ([]fleet.Assignment, bool) {
	one := ast.NewStruct(ast.NewString("packages"), ast.NewStruct(ast.NewString(id), value))
	v := c.def("#Tenant").Unify(c.ctx.BuildExpr(one)).LookupPath(cue.ParsePath("packages"))
	out := map[fleet.PackageID][]fleet.Assignment{}
	if !v.Exists() || v.Validate(cue.Concrete(true)) != nil || v.Decode(&out) != nil {
		return nil, false
	}
	return out[fleet.PackageID(id)], len(out) == 1 && len(out[fleet.PackageID(id)]) > 0
}

// seesPackages reports whether anything in a file may refer to a tenant's
// packages, or to the schema by another name than its own.
func seesPackages(f *ast.File) bool {
	sees := false
	ast.Walk(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Alias, *ast.LetClause:
			sees = true
		case *ast.Field:
			sees = sees || n.Alias != nil
			// Its label is no reference, its value is walked here.
			if _, ok := n.Label.(*ast.Ident); ok {
				sees = sees || seesPackages(&ast.File{Decls: []ast.Decl{&ast.EmbedDecl{Expr: n.Value}}})
				return false
			}
		case *ast.ImportSpec:
			sees = sees || n.Name != nil
		case *ast.SelectorExpr:
			// What is selected is a name of its own: schema.#Tenant.
			sees = sees || seesPackages(&ast.File{Decls: []ast.Decl{&ast.EmbedDecl{Expr: n.X}}})
			return false
		case *ast.Ident:
			sees = sees || n.Name == "tenant" || n.Name == "packages"
		}
		return !sees
	}, nil)
	return sees
}

// packagesOf is the one struct in which a tenant's file lists its packages, nil
// unless it says nothing but `tenant: schema.#Tenant & {…}`, in plain fields.
func packagesOf(f *ast.File) *ast.StructLit {
	var tenant *ast.Field
	for _, d := range f.Decls {
		field, ok := d.(*ast.Field)
		if !ok {
			continue
		}
		if name, _ := label(field); name == "tenant" {
			if tenant != nil {
				return nil
			}
			tenant = field
		}
	}
	if tenant == nil {
		return nil
	}
	and, ok := tenant.Value.(*ast.BinaryExpr)
	if !ok || and.Op != token.AND || !isDefinition(and.X, "#Tenant") {
		return nil
	}
	body, ok := and.Y.(*ast.StructLit)
	if !ok {
		return nil
	}
	var list *ast.StructLit
	for _, d := range body.Elts {
		switch d := d.(type) {
		case *ast.CommentGroup:
		case *ast.Field:
			name, ok := label(d)
			if !ok {
				return nil
			}
			if name != "packages" {
				continue
			}
			if list != nil || d.Constraint != token.ILLEGAL {
				return nil
			}
			if list, ok = d.Value.(*ast.StructLit); !ok {
				return nil
			}
		default:
			return nil
		}
	}
	return list
}

// isDefinition reports whether an expression is a definition of the schema.
func isDefinition(x ast.Expr, name string) bool {
	sel, ok := x.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	pkg, ok := sel.X.(*ast.Ident)
	found, _, err := ast.LabelName(sel.Sel)
	return ok && err == nil && found == name && pkg.Name == path.Base(schema.ImportPath)
}

// evaluateFolder evaluates a folder, first with the packages taken out.
func (e *policyEval) evaluateFolder(folder string, levels map[string]levelPolicy) error {
	findings, exceptions := len(e.findings), len(e.exceptions)
	thin, err := e.evaluateOnce(folder, levels, true)
	if err != nil || !thin || len(e.findings) == findings {
		return err
	}
	// What is wrong is told from what is written, not from less.
	e.findings, e.exceptions = e.findings[:findings], e.exceptions[:exceptions]
	delete(levels, folder)
	maps.DeleteFunc(e.repo.Tenants, func(id fleet.TenantID, _ fleet.Tenant) bool { return id.Dir() == folder })
	e.broken[folder], e.flawed[folder] = false, false
	_, err = e.evaluateOnce(folder, levels, false)
	return err
}
