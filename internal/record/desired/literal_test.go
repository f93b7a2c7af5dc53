package desired

import (
	"fmt"
	"strings"
	"testing"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/token"
)

func packagePlace() place {
	return place{File{Path: "catalog/a/b/package.cue"}, rolePackage, []string{"a/b"}}
}

func TestLiteralGate(t *testing.T) {
	const head = "package catalog\n\nimport \"github.com/packmill/packmill/schema\"\n\npkg: schema.#Package & "
	for _, c := range []struct {
		name, src string
		want      string // part of the one finding; "" for none
	}{
		{"plain", head + `{id: "a/b", n: -1, f: +1.5, k: 10Ki, t: true, z: null, l: [1, [2]], "quoted": #"raw"#}`, ""},
		{"bytes and long strings", head + "{a: '\\x00', b: \"\"\"\n\tlong\n\t\"\"\"}", ""},
		{"unbound", "package catalog\n\npkg: {}", ""},
		{"renamed import", "package catalog\n\nimport s \"github.com/packmill/packmill/schema\"\n\npkg: s.#Package & {}", ""},
		{"nested to the limit", head + strings.Repeat("{a: ", 14) + "1" + strings.Repeat("}", 14), ""},
		{"nested deeper", head + strings.Repeat("{a: ", 16) + "1" + strings.Repeat("}", 16), "nested deeper than 16"},
		{"deep path", head + "{" + strings.Repeat("a: ", 3000) + "1}", "nested deeper than 16"},
		{"deep list", head + "{a: " + strings.Repeat("[", 3000) + strings.Repeat("]", 3000) + "}", "nested deeper than 16"},
		{"wrong definition", "package catalog\n\nimport \"github.com/packmill/packmill/schema\"\n\npkg: schema.#Publisher & {}", "here it is schema.#Package"},
		{"bound further down", head + `{tests: schema.#Tests & {}}`, "an expression"},
		{"reference", head + `{a: 1, b: a}`, "a reference"},
		{"selector", head + `{a: b: 1, c: a.b}`, "a reference"},
		{"expression", head + `{a: 1 + 1}`, "an expression"},
		{"bound", head + `{a: <=2}`, "an expression"},
		{"negated text", head + `{a: -"x"}`, "an expression"},
		{"disjunction", head + `{a: 1 | 2}`, "an expression"},
		{"interpolation", head + `{a: 1, b: "\(a)"}`, "an interpolation"},
		{"comprehension", head + `{if true {a: 1}}`, "a comprehension"},
		{"list comprehension", head + `{a: [for x in [1] {x}]}`, "a comprehension"},
		{"call", head + `{a: len("x")}`, "a call"},
		{"ellipsis", head + `{...}`, "an ellipsis"},
		{"list ellipsis", head + `{a: [...]}`, "an ellipsis"},
		{"embedding", head + `{{a: 1}}`, "an embedding"},
		{"let", head + `{let x = 1, a: x}`, "an alias"},
		{"top", head + `{a: _}`, "a reference"},
		{"attribute", head + `{a: 1 @go(A)}`, "attributes are not allowed"},
		{"struct attribute", head + `{@embed(file="x"), a: 1}`, "an attribute"},
		{"optional", head + `{a?: 1}`, "not optional or required"},
		{"required", head + `{a!: 1}`, "not optional or required"},
		{"hidden", head + `{_a: 1}`, "hidden fields"},
		{"definition", head + `{#a: 1}`, "hidden fields"},
		{"alias", head + `{X=a: 1}`, "plain word or a string"},
		{"pattern", head + `{[string]: 1}`, "plain word or a string"},
		{"computed", head + `{("a"): 1}`, "plain word or a string"},
		{"interpolated label", head + `{"\("a")": 1}`, "plain word or a string"},
		{"another import", "package catalog\n\nimport \"strings\"\n\npkg: {}", "may import only"},
		{"unused import", "package catalog\n\nimport \"github.com/packmill/packmill/schema\"\n\npkg: {}", "imported and not used"},
		{"no package clause", "pkg: {}", "must begin with: package catalog"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, findings := parseLiteral(packagePlace(), []byte(c.src))
			switch {
			case c.want == "" && len(findings) > 0:
				t.Errorf("refused: %v", findings)
			case c.want != "" && len(findings) == 0:
				t.Error("accepted")
			case c.want != "" && !strings.Contains(findings.Error(), c.want):
				t.Errorf("got %v, want %q", findings, c.want)
			}
			for _, f := range findings {
				if f.Pos.Line == 0 && c.name != "unused import" {
					t.Errorf("no line in %v", f)
				}
			}
		})
	}
}

// FuzzLiteralGate looks for a file that the gate lets through although it is
// not data alone: the tree that comes out must hold no node that computes, and
// CUE must build it without any scope around it.
func FuzzLiteralGate(f *testing.F) {
	for _, seed := range []string{
		`package catalog` + "\n" + `pkg: {a: 1, "b": [true, -1.5e3, 'x'], c: d: "e"}`,
		`package catalog` + "\n" + `import "github.com/packmill/packmill/schema"` + "\n" + `pkg: schema.#Package & {id: "a/b"}`,
		`package catalog` + "\n" + `pkg: {a: b, b: a}`, `package catalog` + "\n" + `pkg: {a: "\(x)"}`,
		`package catalog` + "\n" + `pkg: {(a): 1, [b]: 2, c?: 3, _d: 4, #e: 5, ...}`, `package catalog` + "\n" + `pkg: {@embed(file="x")}`,
		`package catalog` + "\n" + `pkg: [for x in y {x}] & {if z {}}`, `package catalog` + "\n" + `pkg: """` + "\n\t" + `x` + "\n\t" + `"""`,
		"package catalog\npkg: {a~(K,V): 1}", "package catalog\npkg: a: b: c: d: 1\npkg: a: b: c: d: 2",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, src string) {
		file, findings := parseLiteral(packagePlace(), []byte(src))
		if len(findings) > 0 {
			return
		}
		lit := &ast.StructLit{}
		for _, field := range file.fields {
			lit.Elts = append(lit.Elts, field)
			if what := computes(field); what != "" {
				t.Fatalf("the gate let %s through:\n%s", what, src)
			}
		}
		v := cuecontext.New().BuildExpr(lit)
		if err := v.Err(); err != nil && strings.Contains(err.Error(), "reference") {
			t.Fatalf("the gate let a reference through: %v\n%s", err, src)
		}
	})
}

// computes names the first node below n that is more than data.
func computes(n ast.Node) (found string) {
	labels := map[ast.Node]bool{}
	ast.Walk(n, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.Field:
			labels[x.Label] = true
		case *ast.Ident:
			if !labels[x] {
				found = "identifier " + x.Name
			}
		case *ast.UnaryExpr:
			if x.Op != token.SUB && x.Op != token.ADD {
				found = "operator " + x.Op.String()
			}
		case *ast.BasicLit, *ast.StructLit, *ast.ListLit, *ast.CommentGroup, *ast.Comment:
		default:
			found = fmt.Sprintf("%T", n)
		}
		return found == ""
	}, nil)
	return found
}

// The gate's own walk ends at its depth, whatever the parser went through.
func TestDeepOperators(t *testing.T) {
	for _, src := range []string{strings.Repeat("-", 9000) + "1", strings.Repeat("(", 9000) + "1" + strings.Repeat(")", 9000), strings.Repeat("1+", 7000) + "1"} {
		if _, findings := parseLiteral(packagePlace(), []byte("package catalog\npkg: {a: "+src+"}")); len(findings) == 0 {
			t.Errorf("accepted: %.20s…", src)
		}
	}
}
