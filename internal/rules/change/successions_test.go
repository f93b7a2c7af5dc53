package change

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// TestSuccessions points out what devices lose by a package from now on, for a
// person to decide.
func TestSuccessions(t *testing.T) {
	says := func(how string) *fleet.Repository {
		r := world()
		if how != "" {
			setPackage(r, zip, func(p *fleet.Package) { p.Supersedes = map[fleet.PackageID]string{"acme/zip": how} })
		}
		return r
	}
	without := says("replace")
	delete(without.Packages, zip)
	for name, c := range map[string]struct {
		base, head *fleet.Repository
		want       string
	}{
		"a successor":            {says(""), says("replace"), "decide igor-pavlov/7-zip: Windows devices that get it lose acme/zip, and do not get the old one again"},
		"a new one":              {without, says("replace"), "decide igor-pavlov/7-zip: Windows devices that get it lose acme/zip, and do not get the old one again"},
		"in another way":         {says("replace"), says("update"), "decide igor-pavlov/7-zip: Windows devices that get it are brought from acme/zip to it by its installer, and do not get the old one again"},
		"the same":               {says("update"), says("update"), ""},
		"not any longer":         {says("update"), says(""), ""},
		"a package that is gone": {says("replace"), without, ""},
	} {
		out := compare(t, c.base, c.head)
		var got []string
		for _, f := range out.Findings {
			if strings.Contains(f.Text, "acme/zip") {
				got = append(got, fmt.Sprintf("%s %s: %s", f.Level, f.Object, f.Text))
			}
		}
		if strings.Join(got, "\n") != c.want {
			t.Errorf("%s: %v, want %s", name, got, c.want)
		}
		if edits := out.Packages; c.want != "" && name != "a new one" && !slices.ContainsFunc(edits[0].Edits, func(e Edit) bool { return strings.Contains(e.Field, "supersedes") }) {
			t.Errorf("%s: edits %+v", name, edits)
		}
	}
}
