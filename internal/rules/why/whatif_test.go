package why_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/rules/why"
)

func row(t fleet.TenantID, id fleet.PackageID, wave string, change ...func(r *fleet.PlanRow)) fleet.PlanRow {
	r := fleet.PlanRow{Tenant: t, Package: id, From: "1.0", To: "2.0", Wave: wave, Devices: 10, NotBefore: on(23, 12, 0), Deadline: on(24, 12, 0), Why: "required on all devices"}
	for _, f := range change {
		f(&r)
	}
	return r
}

func plan(rows ...fleet.PlanRow) fleet.Plan { return fleet.Plan{Cycle: w47, Rows: rows} }

func skipping(p fleet.Plan, t fleet.TenantID, id fleet.PackageID, reason string) fleet.Plan {
	p.Skipped = append(p.Skipped, fleet.PlanSkip{Tenant: t, Package: id, Why: reason})
	return p
}

// told is a difference in one line.
func told(list []why.RowDiff) string {
	var out []string
	for _, d := range list {
		out = append(out, strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s>%s %s was:%s is:%s", d.What, d.Tenant, d.Package, d.Before.Wave, d.After.Wave, strings.Join(d.Differs, ","), d.Was, d.Is)), " "))
	}
	return strings.Join(out, "\n")
}

func TestCompare(t *testing.T) {
	later := func(r *fleet.PlanRow) { r.NotBefore, r.Deadline = on(23, 18, 0), on(23, 21, 0) }
	for _, c := range []struct {
		name          string
		before, after []fleet.Plan
		want          string
	}{
		{"the same", []fleet.Plan{plan(row(aalt, tool, "everyone"))}, []fleet.Plan{plan(row(aalt, tool, "everyone"))}, ""},
		{"nothing", nil, nil, ""},
		{"the same instants in another zone", []fleet.Plan{plan(row(aalt, tool, "everyone"))},
			[]fleet.Plan{plan(row(aalt, tool, "everyone", func(r *fleet.PlanRow) { r.NotBefore = r.NotBefore.In(time.FixedZone("", 7200)) }))}, ""},
		{"added", nil, []fleet.Plan{plan(row(aalt, tool, "everyone"))}, "added nordic/aalto acme/tool >everyone was: is:"},
		{"added, and why it was not there", []fleet.Plan{skipping(plan(), aalt, tool, "pinned")}, []fleet.Plan{plan(row(aalt, tool, "everyone"))}, "added nordic/aalto acme/tool >everyone was:pinned is:"},
		{"removed, and why", []fleet.Plan{plan(row(aalt, tool, "everyone"))}, []fleet.Plan{skipping(plan(), aalt, tool, "pinned")}, "removed nordic/aalto acme/tool everyone> was: is:pinned"},
		{"moved to another wave", []fleet.Plan{plan(row(aalt, tool, "everyone")), plan()}, []fleet.Plan{plan(), plan(row(aalt, tool, "dogfood", later))},
			"moved nordic/aalto acme/tool everyone>dogfood wave,notBefore,deadline was: is:"},
		{"split into two waves", []fleet.Plan{plan(row(aalt, tool, "everyone"))}, []fleet.Plan{plan(row(aalt, tool, "everyone", func(r *fleet.PlanRow) { r.Devices = 9 })), plan(row(aalt, tool, "pilot", func(r *fleet.PlanRow) { r.Devices = 1 }))},
			"changed nordic/aalto acme/tool everyone>everyone devices was: is:\nadded nordic/aalto acme/tool >pilot was: is:"},
		{"other dates", []fleet.Plan{plan(row(aalt, tool, "everyone"))}, []fleet.Plan{plan(row(aalt, tool, "everyone", later))}, "changed nordic/aalto acme/tool everyone>everyone notBefore,deadline was: is:"},
		{"the tenant's own time", []fleet.Plan{plan(row(aalt, tool, "everyone"))}, []fleet.Plan{plan(row(aalt, tool, "everyone", func(r *fleet.PlanRow) { r.LocalTime = true }))},
			"changed nordic/aalto acme/tool everyone>everyone notBefore,deadline was: is:"},
		{"another release", []fleet.Plan{plan(row(aalt, tool, "everyone"))}, []fleet.Plan{plan(row(aalt, tool, "everyone", func(r *fleet.PlanRow) { r.To, r.Artifact = "3.0", "sha256:x" }))},
			"changed nordic/aalto acme/tool everyone>everyone release was: is:"},
		{"another build of it", []fleet.Plan{plan(row(aalt, tool, "everyone"))}, []fleet.Plan{plan(row(aalt, tool, "everyone", func(r *fleet.PlanRow) { r.Artifact = "sha256:x" }))},
			"changed nordic/aalto acme/tool everyone>everyone artifact was: is:"},
		{"left out for another reason", []fleet.Plan{skipping(plan(), aalt, tool, "pinned")}, []fleet.Plan{skipping(plan(), aalt, tool, "opted out")}, "skipped nordic/aalto acme/tool > was:pinned is:opted out"},
		{"a tenant that comes, in order", []fleet.Plan{plan(row(berg, tool, "everyone"))}, []fleet.Plan{plan(row(berg, pad, "everyone"), row(aalt, tool, "everyone"), row(berg, tool, "everyone"))},
			"added nordic/aalto acme/tool >everyone was: is:\nadded nordic/berg acme/pad >everyone was: is:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := why.Compare(w47, c.before, c.after)
			if told(got) != c.want {
				t.Errorf("\n%s\nwant\n%s", told(got), c.want)
			}
			// The other way round, what came goes.
			swap := map[string]string{why.Added: why.Removed, why.Removed: why.Added}
			back := why.Compare(w47, c.after, c.before)
			if len(back) != len(got) {
				t.Fatalf("backwards\n%s", told(back))
			}
			for i, d := range got {
				if want := swap[d.What]; want != "" && !slices.ContainsFunc(back, func(o why.RowDiff) bool { return o.What == want && o.Tenant == d.Tenant && o.Package == d.Package }) {
					t.Errorf("%d: backwards it is not %s:\n%s", i, want, told(back))
				}
			}
		})
	}
}

func TestPerTenantAndSummed(t *testing.T) {
	rows := why.Compare(w47, []fleet.Plan{plan(row(aalt, tool, "everyone"), row(berg, tool, "everyone"), row(berg, pad, "everyone"))}, []fleet.Plan{plan(row(aalt, pad, "everyone"))})
	got := why.PerTenant(rows)
	if len(got) != 2 || got[0] != (why.TenantDiff{Tenant: aalt, Added: 1, Removed: 1}) || got[1] != (why.TenantDiff{Tenant: berg, Removed: 2}) {
		t.Errorf("%+v", got)
	}
	s := why.Summed([]fleet.Plan{plan(row(aalt, tool, "pilot", func(r *fleet.PlanRow) { r.Devices = 1 }), row(aalt, pad, "pilot", func(r *fleet.PlanRow) { r.Devices = 1 })), plan(row(aalt, tool, "everyone", func(r *fleet.PlanRow) { r.Devices = 9 }))})
	if s.Devices != 10 || s.Packages != 2 || s.Tenants != 1 || !s.Deadline.Equal(on(24, 12, 0)) {
		t.Errorf("%+v", s)
	}
}

// TestAssume makes a release that nobody built ready for the next cycle, and
// nothing else.
func TestAssume(t *testing.T) {
	w := newWorld(func(w *world) {
		w.Record.Builds = slices.DeleteFunc(w.Record.Builds, func(b fleet.Built) bool { return b.Package == tool && b.Version == "2.0" })
		for i := range w.Record.Tests {
			if w.Record.Tests[i].Package == pad {
				w.Record.Tests[i].Result = "failed"
			}
		}
	})
	if got := rollout.Entries(w.Repo, w.Record, on(18, 14, 0)); len(got) != 0 {
		t.Fatalf("ready without an assumption: %v", got)
	}
	p := w.Repo.Packages[tool]
	p.Releases = map[string]fleet.Release{"1.0": {Counter: 1, Baseline: true}, "2.0": {Counter: 2, Change: "minor", Installers: map[string]fleet.Download{"x64": {}}}}
	w.Repo.Packages[tool] = p
	rec, assumed := why.Assume(w.Record, on(18, 9, 0), w.Repo, w.Repo)
	if !slices.Equal(assumed, []string{"acme/tool@2.0"}) {
		t.Errorf("assumed %v", assumed)
	}
	got := rollout.Entries(w.Repo, rec, on(18, 14, 0))
	if len(got) != 1 || got[tool].Release != "2.0" || !got[tool].Artifact.Valid() {
		t.Errorf("ready: %v; what failed its tests stays failed", got)
	}
	if rollout.BuiltOf(w.Record, tool, "2.0") != nil {
		t.Error("the evidence itself was changed")
	}
}
