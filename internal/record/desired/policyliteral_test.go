package desired

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// bothWays evaluates the policy lane of a tree as it is, and with a
// tenant's packages in sight of another field, which keeps them where they are.
func bothWays(t *testing.T, tree MapTree) (taken, whole string) {
	t.Helper()
	tell := func(see string) string {
		var files []childFile
		listed, err := tree.Files("tenants")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range listed {
			data := string(tree[f.Path])
			if strings.HasSuffix(f.Path, "/tenant.cue") {
				data += see
			}
			files = append(files, childFile{f.Path, []byte(data)})
		}
		result, err := evaluateFiles(files, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.MarshalIndent(result, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	return tell("\n"), tell("\n_seen: tenant.id\n")
}

// TestTakenOut shows that taking the packages out of a tenant's file changes
// nothing that is said of it: neither what is right nor what is wrong.
func TestTakenOut(t *testing.T) {
	const lines = `		"igor-pavlov/7-zip": [{}] // required on all devices`
	for name, edits := range map[string][]edit{
		"as it is":         nil,
		"same words":       {{tenant, lines, `"a/b": [{}]` + "\n" + `"a/c": [{}]` + "\n" + `"a/d": [{intent: "available"}]`}},
		"no such word":     {{tenant, lines, `"a/b": [{}]` + "\n" + `"a/c": [{intent: "never"}]`}},
		"no such field":    {{tenant, lines, `"a/b": [{colour: 1}]`}},
		"no list":          {{tenant, lines, `"a/b": {}`}},
		"empty list":       {{tenant, lines, `"a/b": []`}},
		"no id":            {{tenant, lines, `"A B": [{}]`}},
		"said twice":       {{tenant, lines, `"a/b": [{}]` + "\n" + `"a/b": [{intent: "available"}]`}},
		"agreed twice":     {{tenant, lines, `"a/b": [{}]` + "\n" + `"a/b": [{}]`}},
		"referred to":      {{tenant, lines, `"a/b": [{}]` + "\n" + `"a/c": packages."a/b"`}},
		"an expression":    {{tenant, lines, `"a/b": [{intent: "avail" + "able"}]`}},
		"a comprehension":  {{tenant, lines, `for x in ["a/b", "a/c"] {(x): [{}]}`}},
		"optional":         {{tenant, lines, `"a/b"?: [{}]`}},
		"a default":        {{tenant, lines, `"a/b": *[{}] | [{intent: "available"}]`}},
		"null":             {{tenant, lines, `"a/b": null`}},
		"another fault":    {{tenant, `zone: "Europe/Stockholm"`, `zone: 7`}},
		"missing zone":     {{tenant, `zone: "Europe/Stockholm"`, ``}},
		"looser policy":    {{tenant, `policy: pins:`, "policy: maxFailuresPercent: 50\npolicy: pins:"}},
		"counts them":      {{tenant, `zone: "Europe/Stockholm"`, `zone: "Europe/Stockholm"` + "\n" + `name: "\(len(packages)) packages"`}},
		"group counts":     {{"tenants/nordic/acme/groups/finance/group.cue", `group: schema.#Group & {name: "Finance"}`, `group: schema.#Group & {name: "Finance \(len(tenant.packages))"}`}},
		"group is wrong":   {{"tenants/nordic/acme/groups/finance/group.cue", `{name: "Finance"}`, `{name: 5}`}},
		"no such import":   {{tenant, `import "github.com/packmill/packmill/schema"`, ``}},
		"a let":            {{tenant, `tenant: schema`, "let schemas = schema\ntenant: schemas"}},
		"set in two parts": {{tenant, `policy: pins:`, "tenant: packages: \"a/b\": [{}]\npolicy: pins:"}},
		"an alias":         {{tenant, lines, `X="a/b": [{}]` + "\n" + `"a/c": X`}},
		"partner is wrong": {{partner, `maxFailuresPercent: <=1`, `maxFailuresPercent: "one"`}},
	} {
		t.Run(name, func(t *testing.T) {
			taken, whole := bothWays(t, edited(t, edits...))
			if taken != whole {
				t.Errorf("with packages taken out:\n%s\nwhole:\n%s", taken, whole)
			}
		})
	}
}

// TestTakenOutIsUsed shows that a tenant in plain words is evaluated without
// its packages: otherwise TestTakenOut compares a thing with itself.
func TestTakenOutIsUsed(t *testing.T) {
	tree := msp(t)
	var files []policyFile
	listed, _ := tree.Files("tenants")
	for _, f := range listed {
		p, err := locate(f)
		if err != nil {
			t.Fatal(err)
		}
		file, found := parsePolicy(p, tree[f.Path])
		if len(found) > 0 {
			t.Fatal(found)
		}
		files = append(files, file)
	}
	e, err := evaluatePolicy(files, nil, func(string) {})
	if err != nil || len(e.findings) > 0 {
		t.Fatal(err, e.findings)
	}
	file, thin, ok := e.thin("tenants/nordic/acme/groups/finance")
	if !ok || file != tenant || len(thin.packages) != 2 || len(e.memo.values) < 2 {
		t.Errorf("%v: %s, %v", ok, file, thin.packages)
	}
	if list := packagesOf(thin.syntax); list == nil || len(list.Elts) != 1 {
		t.Errorf("left: %v", list)
	}
}

// TestPackagesAreApart guards what taking them out rests on: that the schema
// says nothing of a tenant's packages together, only of each.
func TestPackagesAreApart(t *testing.T) {
	c, err := newChecker()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 2, 50, 1000} {
		lines := make([]string, n)
		for i := range lines {
			lines[i] = fmt.Sprintf("%q: [{}]", fmt.Sprintf("a/b-%d", i))
		}
		v := c.ctx.CompileString("{packages: {" + strings.Join(lines, "\n") + "}}")
		if err := c.def("#Tenant").Unify(v).LookupPath(cuePath([]string{"packages"})).Validate(); err != nil {
			t.Errorf("%d packages: %v", n, err)
		}
	}
}

// counting counts how often it is asked, and about how many files.
type counting struct {
	InProcess
	asked *[]int
}

func (c counting) evaluate(ctx context.Context, files []childFile) (*childResult, error) {
	*c.asked = append(*c.asked, len(files))
	return c.InProcess.evaluate(ctx, files)
}

// TestRemember reads three commits of which the last two change one part each.
func TestRemember(t *testing.T) {
	var asked []int
	options := Options{Evaluator: Remember(counting{asked: &asked}), Now: now}
	for i, edits := range [][]edit{nil, nil, {{"schedules/week.cue", `at: "06:00"`, `at: "07:00"`}}, {{tenant, `zone: "Europe/Stockholm"`, `zone: "Europe/Oslo"`}}, {{tenant, `zone: "Europe/Stockholm"`, `zone: "x"`}}} {
		tree := edited(t, edits...)
		got, err1 := Load(t.Context(), tree, options)
		want, err2 := load(t, tree)
		if fmt.Sprint(err1) != fmt.Sprint(err2) || !reflect.DeepEqual(got, want) {
			t.Errorf("commit %d: %v, %v; want %v, %v", i, got, err1, want, err2)
		}
	}
	if len(asked) != 2+1+1+1 {
		t.Errorf("evaluated parts of %v files", asked)
	}
}
