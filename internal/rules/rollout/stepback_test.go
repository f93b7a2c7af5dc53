package rollout_test

import (
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

func TestStepHalts(t *testing.T) {
	look := dogfoodAt.Add(6 * time.Hour)
	failed := all(dogfooding, verdict("dogfood", pad, 6, "pass", look), verdict("dogfood", tool, 6, "fail", look))
	withdrawn := all(failed, did("withdraw", "dogfood", own, tool, look))
	ask := []string{"the revocation of acme/tool 2.0 waits for its merge"}
	wait := append(ask, "dogfood soaking")
	propose := "propose-revoke dogfood tool 2.0"
	// Dogfood is judged late, so that the lease of an assignment is still open.
	late := look.Add(-time.Minute)
	racing := all(opened, start("dogfood", dogfoodAt), did("assign", "dogfood", own, pad, dogfoodAt), intent("assign", "dogfood", own, tool, late),
		verdict("dogfood", pad, 6, "pass", look), verdict("dogfood", tool, 6, "fail", look))
	over := late.Add(rollout.Lease)
	try(t, []situation{
		{"a fail is withdrawn at once and its revocation proposed", failed, look, []string{"withdraw us/own tool 2.0", propose}, wait},
		{"once", withdrawn, look, []string{propose}, wait},
		{"a fail counts though a later look passes", all(withdrawn, verdict("dogfood", tool, 28, "pass", on(20, 11, 0))), look, []string{propose}, wait},
		{"a withdrawal that failed is tried again", all(failed, intent("withdraw", "dogfood", own, tool, look), receipt("failed", look)), look, []string{"withdraw us/own tool 2.0", propose}, wait},
		{"also where nobody knows whether it was assigned", racing, look, []string{"withdraw us/own tool 2.0", propose}, wait},
		{"and once more when no stalled call can begin any longer", all(racing, did("withdraw", "dogfood", own, tool, look)), look, []string{propose},
			append([]string{"withdrawn on us/own, and once more"}, wait...)},
		{"not at the end of the lease", all(racing, did("withdraw", "dogfood", own, tool, look)), over, []string{propose}, append([]string{"withdrawn on us/own, and once more"}, wait...)},
		{"but after it", all(racing, did("withdraw", "dogfood", own, tool, look)), over.Add(time.Second), []string{"withdraw us/own tool 2.0", propose}, wait},
		{"and that is all", all(racing, did("withdraw", "dogfood", own, tool, look), did("withdraw", "dogfood", own, tool, over.Add(time.Second))), over.Add(time.Hour), []string{propose}, wait},
		{"no wave takes it after that", all(withdrawn, approve("everyone", on(20, 12, 0)), beat("announce 2026-W47", announceAt), start("everyone", announceAt)), announceAt,
			[]string{propose, "deploy everyone nordic/aalto pad", "deploy everyone nordic/berg pad"}, append(ask, "everyone armed")},
		{"people may hold it in place of taking it back", all(withdrawn, hold("tool", "hold", tool)), look, nil, []string{"dogfood soaking"}},
		{"a fail of a closed cycle is withdrawn, no more", all(failed, approve(rollout.CloseGate, look)), look, []string{"withdraw us/own tool 2.0"}, nil},
		{"a fail on an older artifact halts nothing", all(dogfooding, verdict("dogfood", tool, 6, "fail", look), func(w *world) { w.rec.Verdicts[0].Artifact = artifact(tool, "1.9") }), look,
			[]string{"judge dogfood pad tool 6h"}, []string{"dogfood the gate looks next"}},
		{"a fail from before the wave opened halts nothing", all(dogfooding, verdict("dogfood", tool, 6, "fail", dogfoodAt.Add(-time.Hour))), look,
			[]string{"judge dogfood pad tool 6h"}, []string{"dogfood the gate looks next"}},
	})
}

func TestStepRollsBack(t *testing.T) {
	now := deployAt.Add(2 * time.Hour)
	looks := "everyone the gate looks next"
	back := []string{"roll-back nordic/aalto tool 2.0", "roll-back nordic/berg tool 2.0", "roll-back us/own tool 2.0"}
	takeBack := []string{"withdraw nordic/aalto tool 2.0", "withdraw nordic/berg tool 2.0", "withdraw us/own tool 2.0"}
	both := append(append([]string{}, takeBack...), back...)
	// Where the last wave is under way, one tenant has an intent and no receipt.
	half := all(dogfooded, approve("everyone", on(20, 12, 0)), beat("announce 2026-W47", announceAt), start("everyone", announceAt),
		did("assign", "everyone", aalt, tool, announceAt), did("assign", "everyone", aalt, pad, announceAt), did("assign", "everyone", berg, pad, announceAt),
		intent("assign", "everyone", berg, tool, now.Add(-10*time.Minute)))
	over := now.Add(20 * time.Minute)
	way := func(rollback string) fact { return edit(tool, func(p *fleet.Package) { p.Rollback = rollback }) }
	done := all(rolling, revoke(tool))
	for _, id := range []fleet.TenantID{own, aalt, berg} {
		done = all(done, did("rollback", "everyone", id, tool, now))
	}
	taken := all(half, revoke(tool), receipt("done", now.Add(-9*time.Minute))) // another runner took the intent up
	promoting := all(rolled, intent("promote", "everyone", berg, tool, on(24, 12, 0)), revoke(tool))
	try(t, []situation{
		{"a revocation covers every tenant with an intent", all(rolling, revoke(tool)), now, both, []string{looks}},
		{"also one without a receipt, once its lease is over", all(half, revoke(tool)), over.Add(time.Second), both, []string{looks}},
		{"not before", all(half, revoke(tool)), over, append(append([]string{}, takeBack...), back[0], back[2]), []string{"a call may still be under way on nordic/berg", looks}},
		{"a receipt ends no lease: who wrote it may not be who stalled", taken, now, append(append([]string{}, takeBack...), back[0], back[2]), []string{"a call may still be under way on nordic/berg", looks}},
		{"nor is a promotion's lease shorter", promoting, on(24, 12, 30), append(append([]string{}, takeBack...), back[0], back[2],
			"promote everyone nordic/aalto pad 2.0", "promote everyone nordic/berg pad 2.0", "promote everyone us/own pad 2.0"), []string{"a call may still be under way on nordic/berg"}},
		{"uninstalling is a way back", all(way("uninstall"), rolling, revoke(tool)), now, both, []string{looks}},
		{"what only goes forward is stopped by it", all(way("forwardOnly"), rolling, revoke(tool)), now, both, []string{looks}},
		{"once", done, now.Add(time.Hour), nil, []string{looks}},
		{"again where the call failed", all(done, func(w *world) { w.rec.Receipts[len(w.rec.Receipts)-1].Outcome = "failed" }), now.Add(time.Hour), []string{takeBack[1], back[1]}, []string{looks}},
		{"nowhere if it went nowhere", all(opened, revoke(tool)), dogfoodAt, []string{"start dogfood"}, nil},
		{"not where a tenant has left", all(rolling, revoke(tool), func(w *world) { delete(w.repo.Tenants, berg) }), now, []string{takeBack[0], takeBack[2], back[0], back[2]}, []string{looks}},
		{"a hold is not a revocation", all(rolling, hold("tool", "hold", tool)), now, takeBack, []string{looks}},
		{"no hold stands before a revocation", all(rolling, revoke(tool), hold("a-hold", "hold", tool)), now, both, []string{looks}},
		{"a revocation does not end", all(rolling, hold("tool", "revocation", tool, deployAt)), now, both, []string{looks}},
		{"a hold does", all(rolling, hold("tool", "hold", tool, deployAt)), now, nil, []string{looks}},
		{"a revocation of another artifact of the release is another's", all(rolling, revoke(tool), func(w *world) {
			h := w.repo.Holds["revoke-acme-tool"]
			h.Artifact = artifact(tool, "rebuilt")
			w.repo.Holds["revoke-acme-tool"] = h
		}), now, nil, []string{looks}},
		{"a later release for all devices leaves nothing to go back from", all(rolling, did("promote", "everyone", berg, tool, now), func(w *world) {
			last := len(w.rec.Receipts) - 1
			w.rec.Intents[last].Artifact, w.rec.Receipts[last].Artifact = artifact(tool, "3.0"), artifact(tool, "3.0")
			w.rec.Intents[last].Cycle, w.rec.Receipts[last].Cycle = "2026-W48", "2026-W48"
		}, revoke(tool)), now, []string{"withdraw nordic/aalto tool 2.0", "withdraw us/own tool 2.0", back[0], back[2]}, []string{looks}},
	})
}

func TestEntriesThatMayTravel(t *testing.T) {
	carried := all(milled, carrying(w47, tool, pad))
	for _, c := range []struct {
		name  string
		facts fact
		want  []fleet.PackageID
	}{
		{"what is merged, built and tested", milled, []fleet.PackageID{pad, tool}},
		{"no baseline", all(milled, release(pad, "3.0", fleet.Release{Counter: 3, Baseline: true})), []fleet.PackageID{tool}},
		{"only the newest", all(milled, release(pad, "3.0", fleet.Release{Counter: 3})), []fleet.PackageID{tool}},
		{"nothing merged after the cut-off", all(milled, merged(cutOffAt.Add(time.Second), "acme/pad@2.0")), []fleet.PackageID{tool}},
		{"what was merged at the cut-off", all(milled, merged(cutOffAt, "acme/pad@2.0")), []fleet.PackageID{pad, tool}},
		{"nothing with a failed cell", all(milled, tested(pad, "2.0", "failed")), []fleet.PackageID{tool}},
		{"nothing revoked", all(milled, revoke(pad)), []fleet.PackageID{tool}},
		{"nothing held", all(milled, hold("pad", "safeguardHold", pad)), []fleet.PackageID{tool}},
		{"nothing twice", carried, nil},
		{"what a closed cycle never sent", all(carried, approve(rollout.CloseGate, dogfoodAt)), []fleet.PackageID{pad, tool}},
		{"but not what everybody has", all(carried, everywhere(pad), approve(rollout.CloseGate, dogfoodAt)), []fleet.PackageID{tool}},
		{"nor what a closing that does not count left", all(carried, approve(rollout.CloseGate, dogfoodAt), lastMerge(func(m *fleet.Merge) { m.Approvers = nil })), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(c.facts)
			got := rollout.Entries(w.repo, w.rec, cutOffAt)
			if len(got) != len(c.want) {
				t.Errorf("%d entries, want %v", len(got), c.want)
			}
			for _, id := range c.want {
				if got[id] != (fleet.Entry{Release: "2.0", Artifact: artifact(id, "2.0")}) {
					t.Errorf("%s: %+v", id, got[id])
				}
			}
		})
	}
}
