package factory_test

import (
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/vendors"
)

func releaseOf(v string, days int) vendors.Release {
	return vendors.Release{Shown: shown(days), Tag: "v" + v, Assets: map[string]vendors.Content{"tool-" + v + ".exe": vendors.Installer("Tool", "Acme", v, 5000)}}
}

// TestUnheldStays has a person let a young version pass while an older one is
// nearly old enough: it is not closed for that one.
func TestUnheldStays(t *testing.T) {
	data := vendorData()
	data.GitHub[0].Releases = []vendors.Release{releaseOf("1.2.0", -2), releaseOf("1.3.0", -1)}
	m := newMill(t, data, nil)
	_, run := withRecord(t, m)
	run()
	m.say(t, "ann", packagesIssue(t, m), "packmill unhold acme/github 1.3.0: zero day")
	for _, days := range []int{0, 1, 2, 3, 9, 30} {
		m.clock.Set(detectTime.AddDate(0, 0, days).Add(time.Hour))
		if p := of(t, run(), "acme/github"); p.Pull.Branch != "bump/acme/github/1.3.0" || p.State != fleet.StateNew {
			t.Errorf("day %d: %s %s %s, pull request %d: %s", days, p.Detection.Found, p.State, p.Hold, p.Pull.Number, p.Note)
		}
	}
}

// TestRecalledComesBack has the vendor withdraw what superseded a proposal: the
// first is proposed again, since no person declined it.
func TestRecalledComesBack(t *testing.T) {
	m := newMill(t, vendorData(), nil)
	propose(t, m)
	if err := m.vendors.Change(func(d *vendors.Data) {
		r := releaseOf("1.2.0", 1)
		r.Until = shown(8).At
		d.GitHub[0].Releases = append(d.GitHub[0].Releases, r)
	}); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		days int
		want string
	}{{7, "1.2.0"}, {14, "1.1.0"}, {35, "1.1.0"}} {
		m.clock.Set(detectTime.AddDate(0, 0, step.days))
		propose(t, m)
		open := openPulls(t, m)
		for _, v := range []string{"1.1.0", "1.2.0"} {
			if _, is := open["bump/acme/github/"+v]; is != (v == step.want) {
				t.Errorf("day %d: %s is open: %t", step.days, v, is)
			}
		}
	}
}

// TestHeldIsStopped has what is open for merging held and ignored: its
// text says so, or it is closed, and is as before when the trouble is over.
func TestHeldIsStopped(t *testing.T) {
	m := newMill(t, vendorData(), nil)
	_, run := withRecord(t, m)
	run()
	before := openPulls(t, m)
	if err := m.vendors.Change(func(d *vendors.Data) {
		d.Faults = append(d.Faults, vendors.Fault{Shown: vendors.Shown{At: shown(0).At, Until: shown(1).At}, Path: "/github.com/acme/tool/releases/download/v1.1.0/", Kind: vendors.Changed})
	}); err != nil {
		t.Fatal(err)
	}
	m.say(t, "ann", packagesIssue(t, m), "packmill ignore acme/json 1.1.0: it breaks our add-in")
	run()
	open := openPulls(t, m)
	if _, is := open["bump/acme/json/1.1.0"]; is {
		t.Error("what is ignored is open")
	}
	const stop = "<!-- packmill:stopped -->\n> ⛔ **Do not merge: acme/github 1.1.0 is held as changed"
	if p := open["bump/acme/github/1.1.0"]; !strings.HasPrefix(p.Body, stop) || !strings.HasSuffix(p.Body, before[p.Branch].Body) {
		t.Errorf("the changed bytes: %q", p.Body)
	}
	run()
	if n := m.writes.Load(); n != 0 {
		t.Errorf("the same again sent %d writes", n)
	}
	m.clock.Set(detectTime.AddDate(0, 0, 2))
	run()
	if got := openPulls(t, m)["bump/acme/github/1.1.0"].Body; !strings.HasPrefix(got, "### Tool 1.1.0 (first release): ✅") {
		t.Errorf("after the trouble: %q", got)
	}
}

// TestHeldInAGroup has the bytes of one of a group's versions change: the group's
// text says so of that one, for as long as it is so, and the others stay.
func TestHeldInAGroup(t *testing.T) {
	m := groupMill(t, "")
	propose(t, m)
	before := openPulls(t, m)[deskBranch].Body
	if err := m.vendors.Change(func(d *vendors.Data) {
		d.Faults = append(d.Faults, vendors.Fault{Shown: vendors.Shown{At: shown(0).At, Until: shown(1).At}, Path: "/github.com/acme/tool/releases/download/v1.1.0/", Kind: vendors.Changed})
	}); err != nil {
		t.Fatal(err)
	}
	propose(t, m)
	if got := openPulls(t, m)[deskBranch].Body; strings.Count(got, "Do not merge") != 1 || !strings.Contains(got, "Do not merge: acme/github 1.1.0 is held as changed") || !strings.HasSuffix(got, before) {
		t.Errorf("%q", got)
	}
	m.quiet(t)
	look := m.run(t)
	look.Packages = []fleet.PackageID{"acme/npm"}
	if _, err := m.Propose(t.Context(), look); err != nil || !strings.Contains(openPulls(t, m)[deskBranch].Body, "Do not merge") {
		t.Errorf("a look at another package takes the word away: %v", err)
	}
	m.clock.Set(detectTime.AddDate(0, 0, 2))
	propose(t, m)
	if got := openPulls(t, m)[deskBranch].Body; strings.Contains(got, "Do not merge") {
		t.Errorf("after the trouble: %q", got)
	}
	m.quiet(t)
}
