package rehearsal

import (
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// TestWayBackOnBothSlots: tenants of a rehearsal end where consoles do: the
// revoked release is nowhere, and a newer one in the candidate slot stays.
func TestWayBackOnBothSlots(t *testing.T) {
	const tenant, pkg = fleet.TenantID("a/a"), fleet.PackageID("p/one")
	old, bad, newer := fleet.Entry{Release: "1.0", Artifact: "old"}, fleet.Entry{Release: "2.0", Artifact: "bad"}, fleet.Entry{Release: "3.0", Artifact: "newer"}
	for _, c := range []struct {
		name, way          string
		stable, candidate  fleet.Entry
		wantStable, wantIn string // releases; "" for none
		removed            bool
	}{
		{"uninstall after a promotion", rollout.BackUninstall, bad, fleet.Entry{}, "", "", true},
		{"uninstall before one", rollout.BackUninstall, old, bad, "1.0", "", true},
		{"uninstall what was withdrawn", rollout.BackUninstall, old, fleet.Entry{}, "1.0", "", true},
		{"uninstall under a newer one", rollout.BackUninstall, bad, newer, "", "3.0", true},
		{"uninstall where neither slot has it", rollout.BackUninstall, old, newer, "1.0", "3.0", false},
		{"no way after a promotion", rollout.BackNone, bad, fleet.Entry{}, "", "", false},
		{"no way before one", rollout.BackNone, old, bad, "1.0", "", false},
		{"no way under a newer one", rollout.BackNone, bad, newer, "", "3.0", false},
		{"to the one before after a promotion", rollout.BackPrevious, bad, fleet.Entry{}, "1.0", "", false},
		{"to the one before under a newer one", rollout.BackPrevious, bad, newer, "1.0", "3.0", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			repo := &fleet.Repository{Packages: map[fleet.PackageID]fleet.Package{pkg: {ID: pkg, Rollback: c.way, Releases: map[string]fleet.Release{"1.0": {Counter: 1}, "2.0": {Counter: 2}, "3.0": {Counter: 3}}}}}
			rec := &fleet.Record{Builds: []fleet.Built{{Package: pkg, Version: "1.0", Artifact: old.Artifact}}}
			s := NewState(Input{Facts: rollout.Facts{Repo: repo, Record: rec}})
			h := s.holder(rollout.Slot{Tenant: tenant, Package: pkg})
			h.Stable = c.stable
			if c.candidate.Release != "" {
				h.Candidate["everyone"] = Assigned{Entry: c.candidate}
			}
			observed := s.change(fleet.Intent{Tenant: tenant, Package: pkg, Release: bad.Release, Artifact: bad.Artifact, Action: "rollback"}, false, time.Time{})
			if h.Stable.Release != c.wantStable || h.Candidate["everyone"].Release != c.wantIn || h.Removed != c.removed {
				t.Errorf("it holds %+v", *h)
			}
			if goes := c.way == rollout.BackPrevious; goes != (observed == old.Artifact) || !goes && observed != "" {
				t.Errorf("observed %q", observed)
			}
		})
	}
}
