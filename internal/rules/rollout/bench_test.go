package rollout_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// BenchmarkStep asks what is due in the middle of a week, of three tenants and
// of 500 with 100 packages each, all assigned and half of them receipted.
func BenchmarkStep(b *testing.B) {
	for _, size := range []struct{ tenants, packages int }{{2, 2}, {500, 100}} {
		w := newWorld(rolling)
		if size.tenants > 2 {
			w = large(size.tenants, size.packages)
		}
		f := rollout.Facts{Repo: w.repo, Record: w.rec}
		b.Run(fmt.Sprintf("tenants=%d/packages=%d", size.tenants, size.packages), func(b *testing.B) {
			for b.Loop() {
				if _, _, err := rollout.Step(f, deployAt); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// large is a world in which a wave reaches many tenants with many packages.
func large(tenants, packages int) *world {
	w := newWorld()
	cycle := fleet.Cycle{CutOff: cutOffAt, Waves: []string{"dogfood"}, Entries: map[fleet.PackageID]fleet.Entry{}}
	plan := fleet.DigestOf(nil)
	var rows []fleet.PlanRow
	for p := range packages {
		id := fleet.PackageID(fmt.Sprintf("acme/app%03d", p))
		pkg := w.repo.Packages[tool]
		pkg.ID = id
		w.repo.Packages[id] = pkg
		cycle.Entries[id] = fleet.Entry{Release: "2.0", Artifact: artifact(id, "2.0")}
		built(id, "1.0")(w)
		built(id, "2.0")(w)
		tested(id, "2.0", "passed")(w)
	}
	for n := range tenants {
		t := w.repo.Tenants[own]
		t.ID, t.Packages = fleet.TenantID(fmt.Sprintf("p/t%03d", n)), map[fleet.PackageID][]fleet.Assignment{}
		inventory(detectAt, t.ID)(w)
		for id, e := range cycle.Entries {
			t.Packages[id] = []fleet.Assignment{{Intent: "required", Group: "all devices"}}
			rows = append(rows, fleet.PlanRow{Tenant: t.ID, Package: id, To: e.Release, Artifact: e.Artifact, Wave: "dogfood", NotBefore: deployAt, Deadline: deployAt.Add(24 * time.Hour)})
			i := fleet.Intent{
				ID: fmt.Sprint("i", len(rows)), Cycle: w47, Wave: "dogfood", Tenant: t.ID, Package: id, Release: "2.0", Artifact: e.Artifact, Action: "assign",
				Generation: 1, At: dogfoodAt, NotAfter: dogfoodAt.Add(rollout.Lease),
			}
			w.rec.Intents = append(w.rec.Intents, i)
			if len(rows)%2 == 0 {
				w.rec.Receipts = append(w.rec.Receipts, fleet.Receipt{
					Intent: i.ID, Cycle: i.Cycle, Wave: i.Wave, Tenant: i.Tenant, Package: i.Package, Artifact: i.Artifact, Action: i.Action, Outcome: "done", At: dogfoodAt,
				})
			}
		}
		w.repo.Tenants[t.ID] = t
	}
	beat("detect", detectAt)(w)
	w.repo.Cycles[w47] = cycle
	w.rec.PlanRows[plan] = rows
	w.rec.Starts = []fleet.WaveStart{{Cycle: w47, Wave: "dogfood", Opens: dogfoodAt, Plan: plan, At: dogfoodAt}}
	return w
}
