package desired

import "testing"

func TestWhere(t *testing.T) {
	tree := MapTree{
		"tenants/a/b/tenant.cue": []byte(`package tenants

import "github.com/packmill/packmill/schema"

tenant: schema.#Tenant & {
	windows: nights: {on: ["Mon"]}
	packages: {
		"x/y": [{}, {intent: "available"}]
	}
}
policy: pins: "x/y": version: "1.*"
`),
		"tenants/broken.cue": []byte("package tenants\n\npolicy: {"),
	}
	for _, c := range []struct {
		keys  []string
		want  string
		found bool
	}{
		{[]string{"tenant", "windows", "nights"}, "tenants/a/b/tenant.cue:6:11", true},
		{[]string{"tenant", "packages", "x/y"}, "tenants/a/b/tenant.cue:8:3", true},
		{[]string{"tenant", "packages", "x/y", "[1]"}, "tenants/a/b/tenant.cue:8:15", true},
		{[]string{"policy", "pins", "x/y"}, "tenants/a/b/tenant.cue:11:15", true},
		{[]string{"policy", "optOuts", "x/y"}, "tenants/a/b/tenant.cue:11:1", false},
		{[]string{"nothing"}, "tenants/a/b/tenant.cue", false},
	} {
		if pos, found := Where(tree, "tenants/a/b/tenant.cue", c.keys...); pos.String() != c.want || found != c.found {
			t.Errorf("%v is at %s (%v), want %s", c.keys, pos, found, c.want)
		}
	}
	for _, file := range []string{"tenants/none.cue", "tenants/broken.cue"} {
		if pos, found := Where(tree, file, "policy", "pins"); found || pos.File != file {
			t.Errorf("%s: %s, %v", file, pos, found)
		}
	}
}

func TestSuggest(t *testing.T) {
	if got := Suggest("nordic/aaltoo", []string{"nordic/aalto", "us/own"}); got != "; did you mean nordic/aalto?" {
		t.Errorf("%q", got)
	}
}
