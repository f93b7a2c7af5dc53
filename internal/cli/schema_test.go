package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// compiled is a document's schema as a validator; strict refuses fields the
// schema does not name.
func compiled(d document, strict bool) (*jsonschema.Schema, error) {
	data, err := json.Marshal(d.jsonSchema(strict))
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("https://"+d.schema(), doc); err != nil {
		return nil, err
	}
	return c.Compile("https://" + d.schema())
}

// validDocument says why what was printed is not the named document, with
// nothing its schema does not tell.
func validDocument(name, printed string) error {
	d, ok := documentNamed(name)
	if !ok {
		return fmt.Errorf("there is no document %q", name)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(printed))
	if err != nil {
		return fmt.Errorf("%w in %q", err, printed)
	}
	schema, err := compiled(d, true)
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// checkDocument is for tests of any command: what it printed with --format json
// must be the named document.
func checkDocument(t *testing.T, name, printed string) {
	t.Helper()
	if err := validDocument(name, printed); err != nil {
		t.Errorf("%s does not have its schema's form: %v", name, err)
	}
}

// openSchema is a document's schema as readers use it.
func openSchema(t *testing.T, d document) *jsonschema.Schema {
	t.Helper()
	s, err := compiled(d, false)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestEveryDocument prints the empty value of every document and validates it.
func TestEveryDocument(t *testing.T) {
	names := map[string]bool{}
	for _, d := range documents() {
		if names[d.name] || d.about == "" || !strings.HasSuffix(d.about, ".") || d.version < 1 {
			t.Errorf("document %q is there twice or says nothing", d.name)
		}
		names[d.name] = true
		var b bytes.Buffer
		if err := writeDocument(&b, d.name, d.value); err != nil {
			t.Errorf("%s: %v", d.name, err)
			continue
		}
		checkDocument(t, d.name, b.String())
		openSchema(t, d)
	}
}

// TestSchemaRefuses makes sure that the schemas can say no.
func TestSchemaRefuses(t *testing.T) {
	d, _ := documentNamed("schemas")
	for _, bad := range []string{`{}`, `{"schema":"packmill.dev/schemas/v2","documents":[]}`, `{"schema":"packmill.dev/schemas/v1","documents":null}`} {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(bad))
		if err != nil {
			t.Fatal(err)
		}
		if openSchema(t, d).Validate(value) == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
	more := `{"schema":"packmill.dev/schemas/v1","documents":[],"later":1}`
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(more))
	if err != nil {
		t.Fatal(err)
	}
	if err := openSchema(t, d).Validate(value); err != nil {
		t.Errorf("a field added later breaks readers: %v", err)
	}
}

func TestSchemaCommand(t *testing.T) {
	code, stdout, stderr := run(t, nil, "schema", "--format", "json")
	if code != 0 {
		t.Fatalf("code %d: %s", code, stderr)
	}
	checkDocument(t, "schemas", stdout)
	code, stdout, _ = run(t, nil, "schema", "diff")
	if code != 0 || !strings.Contains(stdout, `"$id": "https://packmill.dev/diff/v1"`) {
		t.Errorf("code %d: %s", code, stdout)
	}
	code, _, stderr = run(t, nil, "schema", "nothing")
	if code != exitInvalid || !strings.Contains(stderr, "packmill schema lists the names") {
		t.Errorf("code %d: %s", code, stderr)
	}
}

// TestJSONGoesOneWay reads this package: JSON reaches standard output through
// writeDocument alone, and every result that offers JSON names its document.
func TestJSONGoesOneWay(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`result\{name: "([a-z-]+)"`)
	results := 0
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		src, err := os.ReadFile(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range names.FindAllStringSubmatch(string(src), -1) {
			results++
			if _, ok := documentNamed(m[1]); !ok {
				t.Errorf("%s: the result %q has no document", e.Name(), m[1])
			}
		}
		for _, at := range stdoutEncoders(t, e.Name(), src) {
			if e.Name() != "schema.go" && e.Name() != "documents.go" {
				t.Errorf("%s:%d: JSON leaves past writeDocument", e.Name(), at)
			}
		}
	}
	if results < 2 {
		t.Fatalf("%d results were found: the test looks at nothing", results)
	}
}

// stdoutEncoders are the lines that make a JSON encoder on standard output.
func stdoutEncoders(t *testing.T, name string, src []byte) []int {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, src, 0)
	if err != nil {
		t.Fatal(err)
	}
	var lines []int
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) != 1 {
			return true
		}
		f, isSelector := call.Fun.(*ast.SelectorExpr)
		arg, isField := call.Args[0].(*ast.SelectorExpr)
		if isSelector && isField && f.Sel.Name == "NewEncoder" && arg.Sel.Name == "stdout" {
			lines = append(lines, fset.Position(n.Pos()).Line)
		}
		return true
	})
	return lines
}

func TestStdoutEncoders(t *testing.T) {
	src := "package x\nfunc f(a *app) {\n\tjson.NewEncoder(a.stdout).Encode(1)\n}\n"
	if lines := stdoutEncoders(t, "x.go", []byte(src)); len(lines) != 1 || strconv.Itoa(lines[0]) != "3" {
		t.Errorf("found %v", lines)
	}
}
