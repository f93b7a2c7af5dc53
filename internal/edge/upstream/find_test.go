package upstream

import (
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// TestNewest picks among what a feed lists: what the package does not want must
// not hide what it wants.
func TestNewest(t *testing.T) {
	list := []string{"1.1.0", "nightly", "1.3.0", "2.0.0-rc.1", "1.2.0", "Latest", "1.10.0"}
	for _, tt := range []struct {
		name string
		u    fleet.Upstream
		list []string
		want string
		hold string
		why  string
	}{
		{"all", fleet.Upstream{}, list, "1.10.0", "", ""},
		{"pre-releases too", fleet.Upstream{Prerelease: true}, list, "2.0.0-rc.1", "", ""},
		{"the newest is ignored", fleet.Upstream{Ignore: []string{"1.10.0"}}, list, "1.3.0", "", ""},
		{"the newest ones are ignored", fleet.Upstream{Ignore: []string{"1.10.*", "1.3.*"}}, list, "1.2.0", "", ""},
		{"ignored among the allowed", fleet.Upstream{Allowed: "1.?.0", Ignore: []string{"1.3.0"}}, list, "1.2.0", "", ""},
		{"ignored and not allowed", fleet.Upstream{Allowed: "1.3.0", Ignore: []string{"1.3.0"}}, list, "", fleet.HoldNotAllowed, "1.1.0 is not among the allowed"},
		{"all ignored", fleet.Upstream{Ignore: []string{"*"}}, list, "", fleet.HoldNotAllowed, "ignore"},
		{"malformed pattern", fleet.Upstream{Ignore: []string{"["}}, list, "", fleet.HoldNotAllowed, "malformed"},
		{"nothing to read", fleet.Upstream{}, []string{"nightly"}, "", fleet.HoldUnparsable, "nightly"},
		{"nothing", fleet.Upstream{}, nil, "", fleet.HoldUnparsable, "lists no version"},
		{"by a pattern", fleet.Upstream{Scheme: "regex", Pattern: `r([0-9]+)`}, []string{"r9", "r10", "1.0.0"}, "r10", "", ""},
	} {
		if tt.u.Scheme == "" {
			tt.u.Scheme = "semver"
		}
		got, err := newest(tt.u, tt.list)
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		hold, _ := HoldOf(err)
		if tt.hold == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
		} else if hold == nil || hold.Name != tt.hold || !strings.Contains(err.Error(), tt.why) {
			t.Errorf("%s: %v, want the hold %s with %q", tt.name, err, tt.hold, tt.why)
		}
	}
}
