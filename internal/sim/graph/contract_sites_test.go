package graph_test

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A site is a place in the client's source from which a request is made.
type site struct {
	file     string // below the client's folder
	from, to int    // lines of the call
	call     string // what is called
}

func (s site) String() string { return fmt.Sprintf("%s:%d (%s)", s.file, s.from, s.call) }

// A client is what the contract test knows of the client's source.
type clientSource struct {
	sites []site
	paths map[string]*regexp.Regexp // by file and name: what the path functions and constants lead to
}

// A function that makes requests on behalf of its callers, by its parameter that
// holds the path, or -1: each of its calls is a site as well.
type requester struct {
	dir, name string
	parameter int
}

// requesters are the functions of package msgraph that everything goes through,
// and where their path is.
func requesters() map[string]int {
	return map[string]int{"Call": 3, "List": 3, "Batch": -1, "Do": -1}
}

// sourceTree is a parsed tree of Go files, by folder.
type sourceTree struct {
	set     *token.FileSet
	folders map[string]map[string]*ast.File
}

func parseTree(root string) (*sourceTree, error) {
	t := &sourceTree{token.NewFileSet(), map[string]map[string]*ast.File{}}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(t.set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		below, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		below = filepath.ToSlash(below)
		dir := path.Dir(below)
		if t.folders[dir] == nil {
			t.folders[dir] = map[string]*ast.File{}
		}
		t.folders[dir][below] = file
		return nil
	})
	return t, err
}

// readClient finds all sites below a folder: calls of the requesters, and of
// functions that hand them a path which they were given themselves.
func readClient(root string) (*clientSource, error) {
	tree, err := parseTree(root)
	if err != nil {
		return nil, err
	}
	known := map[requester]bool{}
	for {
		n := len(known)
		sites := tree.sites(known)
		if len(known) == n {
			return &clientSource{sites, tree.paths()}, nil
		}
	}
}

// sites are the calls of requesters and of those known so far; functions that
// turn out to be requesters are added.
func (t *sourceTree) sites(known map[requester]bool) []site {
	var out []site
	for dir, files := range t.folders {
		for name, file := range files {
			for _, decl := range file.Decls {
				f, ok := decl.(*ast.FuncDecl)
				if !ok || f.Body == nil {
					continue
				}
				ast.Inspect(f.Body, func(n ast.Node) bool {
					call, ok := n.(*ast.CallExpr)
					if !ok {
						return true
					}
					callee, at, is := called(call, dir, known)
					if !is {
						return true
					}
					out = append(out, site{name, t.set.Position(call.Pos()).Line, t.set.Position(call.End()).Line, callee})
					if i := parameterOf(f, call, at); i >= 0 {
						known[requester{dir, f.Name.Name, i}] = true
					} else if callee == "Do" && dir != "msgraph" {
						known[requester{dir, f.Name.Name, -1}] = true
					}
					return true
				})
			}
		}
	}
	slices.SortFunc(out, func(a, b site) int { return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.from, b.from)) })
	return slices.Compact(out)
}

// called tells whether a call is one of a requester, and which argument is its
// path.
func called(call *ast.CallExpr, dir string, known map[requester]bool) (string, int, bool) {
	fun := call.Fun
	switch generic := fun.(type) {
	case *ast.IndexExpr:
		fun = generic.X
	case *ast.IndexListExpr:
		fun = generic.X
	}
	name, foreign := "", false
	switch f := fun.(type) {
	case *ast.Ident:
		name = f.Name
	case *ast.SelectorExpr:
		name = f.Sel.Name
		_, foreign = f.X.(*ast.Ident)
	}
	if at, ok := requesters()[name]; ok && len(call.Args) > max(at, 1) {
		return name, at, true
	}
	for r := range known {
		if r.name == name && (r.dir == dir || foreign && ast.IsExported(name)) {
			return name, r.parameter, true
		}
	}
	return "", 0, false
}

// parameterOf is which parameter of a function a call's path begins with, -1 for
// none.
func parameterOf(f *ast.FuncDecl, call *ast.CallExpr, at int) int {
	if at < 0 || at >= len(call.Args) {
		return -1
	}
	arg := call.Args[at]
	for {
		switch x := arg.(type) {
		case *ast.BinaryExpr:
			arg = x.X
			continue
		case *ast.CallExpr: // msgraph.Query(path, …)
			if sel, ok := x.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Query" && len(x.Args) > 0 {
				arg = x.Args[0]
				continue
			}
		}
		break
	}
	id, ok := arg.(*ast.Ident)
	if !ok {
		return -1
	}
	i := 0
	for _, field := range f.Type.Params.List {
		for _, name := range field.Names {
			if name.Name == id.Name {
				return i
			}
			i++
		}
	}
	return -1
}

// paths are what functions and constants named …Path lead to. What cannot be
// read from the source stands for anything.
func (t *sourceTree) paths() map[string]*regexp.Regexp {
	out := map[string]*regexp.Regexp{}
	for _, files := range t.folders {
		named := map[string]ast.Expr{}
		where := map[string]string{}
		for name, file := range files {
			for _, decl := range file.Decls {
				switch d := decl.(type) {
				case *ast.GenDecl:
					for _, spec := range d.Specs {
						v, ok := spec.(*ast.ValueSpec)
						if !ok || d.Tok != token.CONST {
							continue
						}
						for i, value := range v.Values {
							named[v.Names[i].Name], where[v.Names[i].Name] = value, name
						}
					}
				case *ast.FuncDecl:
					if r, ok := returned(d); ok && strings.HasSuffix(d.Name.Name, "Path") {
						named[d.Name.Name], where[d.Name.Name] = r, name
					}
				}
			}
		}
		for name, expr := range named {
			if strings.HasSuffix(name, "Path") {
				out[where[name]+": "+name] = regexp.MustCompile("^" + pattern(expr, named, 0) + "(/|$)")
			}
		}
	}
	return out
}

// returned is the only thing that a function does: return an expression.
func returned(f *ast.FuncDecl) (ast.Expr, bool) {
	if f.Body == nil || len(f.Body.List) != 1 {
		return nil, false
	}
	r, ok := f.Body.List[0].(*ast.ReturnStmt)
	if !ok || len(r.Results) != 1 {
		return nil, false
	}
	return r.Results[0], true
}

// pattern is a regular expression for what an expression may be.
func pattern(expr ast.Expr, named map[string]ast.Expr, depth int) string {
	const anything = ".+"
	if depth > 60 {
		return anything
	}
	switch x := expr.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(x.Value)
		if err != nil {
			return anything
		}
		return regexp.QuoteMeta(s)
	case *ast.BinaryExpr:
		return pattern(x.X, named, depth+1) + pattern(x.Y, named, depth+1)
	case *ast.ParenExpr:
		return pattern(x.X, named, depth+1)
	case *ast.Ident:
		if value := named[x.Name]; value != nil {
			return pattern(value, named, depth+1)
		}
	case *ast.CallExpr:
		switch f := x.Fun.(type) {
		case *ast.Ident:
			if value := named[f.Name]; value != nil {
				return pattern(value, named, depth+1)
			}
		case *ast.SelectorExpr:
			if f.Sel.Name == "PathEscape" {
				return "[^/]+"
			}
		}
	}
	return anything
}

// TestContractFindsSites proves that a new request in the client's source is
// seen, whatever way it is made.
func TestContractFindsSites(t *testing.T) {
	source := must[*clientSource](t)(readClient("testdata/client"))
	var got []string
	for _, s := range source.sites {
		got = append(got, s.String())
	}
	want := []string{
		"area.go:18 (List)", "area.go:22 (Call)", "area.go:26 (change)", "area.go:29 (change)", "area.go:34 (Batch)", "area.go:40 (Do)", "area.go:46 (storage)",
	}
	if !slices.Equal(got, want) {
		t.Errorf("sites\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for path, name := range map[string]string{"/beta/things": "area.go: thingsPath", "/beta/things/4/parts": "area.go: partsPath"} {
		if re := source.paths[name]; re == nil || !re.MatchString(path) || re.MatchString("/beta/thingsome") {
			t.Errorf("%s does not lead to %s: %v", name, path, re)
		}
	}
}
