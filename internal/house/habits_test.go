package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The sizes past which a file or a function is hard to hold in the head.
const (
	maxFileLines     = 400
	maxFunctionLines = 60
)

func TestPackageComments(t *testing.T) {
	for _, p := range list(t) {
		if len(p.GoFiles) == 0 {
			continue
		}
		want := "Package " + p.Name + " "
		if p.Name == "main" {
			want = "Command " + filepath.Base(p.ImportPath) + " "
		}
		if !strings.HasPrefix(p.Doc, want) {
			t.Errorf("%s has no package comment that starts with %q: %q", p.ImportPath, want, p.Doc)
		}
		if strings.HasSuffix(p.ImportPath, "/util") || strings.HasSuffix(p.ImportPath, "/common") {
			t.Errorf("%s: name it after what it holds", p.ImportPath)
		}
	}
}

func TestLicense(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "LICENSE"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Apache License", "Version 2.0, January 2004", "END OF TERMS AND CONDITIONS"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("LICENSE lacks %q", want)
		}
	}
}

// TestHabits reads every source file: sizes, and calls that belong to few rooms.
func TestHabits(t *testing.T) {
	files := 0
	for _, p := range list(t) {
		for _, name := range slices.Concat(p.GoFiles, p.CgoFiles, p.IgnoredGoFiles) {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			files++
			for _, finding := range habits(t, p.ImportPath, filepath.Join(p.Dir, name), nil) {
				t.Error(finding)
			}
		}
	}
	if files < 10 {
		t.Fatalf("%d files were read: the test looks at nothing", files)
	}
}

// TestHabitsFinds proves that each habit is really looked for.
func TestHabitsFinds(t *testing.T) {
	src := `package x
import ("fmt"; "os"; "time")
var a = time.Now()
func init() { fmt.Println("x"); os.Exit(1); fmt.Fprintln(os.Stderr, "x") }
func long() {` + strings.Repeat("\n", maxFileLines) + `}
`
	found := habits(t, module+"/internal/factory", "x.go", []byte(src))
	for _, want := range []string{"time.Now", "init", "fmt.Println", "os.Exit", "os.Stderr", "x.go has", "long has"} {
		if !slices.ContainsFunc(found, func(f string) bool { return strings.Contains(f, want) }) {
			t.Errorf("nothing found about %s in %q", want, found)
		}
	}
	if found := habits(t, module+"/cmd/packmill", "x.go", []byte("package x\nimport \"os\"\nfunc main() { os.Exit(0) }\n")); len(found) != 0 {
		t.Errorf("main may exit: %q", found)
	}
}

// habits are the findings about one file; src is read from path when nil.
func habits(t *testing.T, importPath, path string, src []byte) []string {
	t.Helper()
	var given any // ParseFile reads path when src is an untyped nil
	if src != nil {
		given = src
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, given, parser.SkipObjectResolution|parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	room, _ := roomOf(importPath)
	var found []string
	if n := fset.Position(file.FileEnd).Line; n > maxFileLines && !ast.IsGenerated(file) {
		found = append(found, path+" has more than 400 lines: split it")
	}
	ast.Inspect(file, func(n ast.Node) bool {
		at := func(what string) { found = append(found, fset.Position(n.Pos()).String()+": "+what) }
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Recv == nil && n.Name.Name == "init" {
				at("init runs unseen: use a constructor")
			}
			if fset.Position(n.End()).Line-fset.Position(n.Pos()).Line > maxFunctionLines {
				at(n.Name.Name + " has more than 60 lines: name its parts")
			}
		case *ast.SelectorExpr:
			pkg, ok := n.X.(*ast.Ident)
			if !ok {
				return true
			}
			if rooms, bound := onlyIn[pkg.Name+"."+n.Sel.Name]; bound && !slices.Contains(rooms, room) {
				at(pkg.Name + "." + n.Sel.Name + " belongs to " + strings.Join(rooms, " and "))
			}
		}
		return true
	})
	return found
}

// onlyIn lists calls that only some rooms make: the clock and the terminal are
// arguments everywhere else.
var onlyIn = map[string][]string{
	"time.Now":    {"fleet", "cli"},
	"time.Since":  {"cli"},
	"time.Sleep":  {},
	"os.Exit":     {"cmd"},
	"os.Stdin":    {"cmd", "cli"},
	"os.Stdout":   {"cmd", "cli"},
	"os.Stderr":   {"cmd", "cli"},
	"fmt.Print":   {},
	"fmt.Printf":  {},
	"fmt.Println": {},
}
