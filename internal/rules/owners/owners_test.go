package owners

import (
	"strings"
	"testing"
)

func TestOf(t *testing.T) {
	for _, tt := range []struct{ file, path, want string }{
		{"* @all", "catalog/acme/tool/1.0.0.cue", "@all"},
		{"* @all\n/catalog/acme/ @ann @org/acme", "catalog/acme/tool/1.0.0.cue", "@ann @org/acme"},
		{"/catalog/acme/ @ann\n* @all", "catalog/acme/tool/1.0.0.cue", "@all"},
		{"* @all\n/catalog/acme/tool/", "catalog/acme/tool/1.0.0.cue", ""},
		{"acme/ @ann", "catalog/acme/tool/1.0.0.cue", "@ann"},
		{"/acme/ @ann", "catalog/acme/tool/1.0.0.cue", ""},
		{"*.cue @ann", "catalog/acme/tool/1.0.0.cue", "@ann"},
		{"catalog/* @ann", "catalog/matrices.cue", "@ann"},
		{"catalog/* @ann", "catalog/acme/publisher.cue", ""},
		{"catalog/**/tool @ann", "catalog/acme/tool/1.0.0.cue", "@ann"},
		{"**/tool @ann", "catalog/acme/tool/1.0.0.cue", "@ann"},
		{"/catalog/** @ann", "catalog/acme/tool/1.0.0.cue", "@ann"},
		{"/catalog/acme @ann # the vendor's own", "catalog/acme/tool/1.0.0.cue", "@ann"},
		{"# * @all", "catalog/x", ""},
		{"!catalog @ann", "catalog/x", ""},
		{"catalog/[a-z] @ann", "catalog/x", ""},
		{`/a\ b/ @ann`, "a b/c", "@ann"},
		{"/catalog/a.c @ann", "catalog/abc", ""},
		{"tool @ann", "catalog/acme/tools/1.cue", ""},
		{"", "catalog/x", ""},
	} {
		if got := strings.Join(Parse([]byte(tt.file)).Of(tt.path), " "); got != tt.want {
			t.Errorf("%q names %q for %s, want %q", tt.file, got, tt.path, tt.want)
		}
	}
}

func TestReviewers(t *testing.T) {
	logins, teams := Reviewers([]string{"@ann", "@org/team", "ann@example.com", "@"})
	if strings.Join(logins, " ") != "ann" || strings.Join(teams, " ") != "team" {
		t.Errorf("logins %q, teams %q", logins, teams)
	}
}

// FuzzParse: any file is read, and asked about any path.
func FuzzParse(f *testing.F) {
	f.Add("* @all\n/a/**/b\\ c/ @x", "a/b")
	f.Fuzz(func(t *testing.T, file, path string) {
		for _, o := range Parse([]byte(file)).Of(path) {
			if !strings.Contains(file, o) {
				t.Errorf("%q is no owner of %q", o, file)
			}
		}
	})
}
