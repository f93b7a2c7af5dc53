package rollout_test

import (
	"slices"
	"strings"
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

// TestStepGivesAWayBackUp: what a tenant refuses three times is a person's, and
// tried again when people change the revocation. Stopping is never given up.
func TestStepGivesAWayBackUp(t *testing.T) {
	now := deployAt.Add(2 * time.Hour)
	looks := "everyone the gate looks next"
	tries := func(action string, n int, from time.Time) fact {
		return func(w *world) {
			for i := range n {
				at := from.Add(time.Duration(i) * time.Minute)
				all(intent(action, "everyone", berg, tool, at), receipt("failed", at), func(w *world) { w.rec.Receipts[len(w.rec.Receipts)-1].Detail = "refused" })(w)
			}
		}
	}
	edited := func(at time.Time) fact {
		return func(w *world) {
			w.rec.Merges = append(w.rec.Merges, fleet.Merge{Commit: "m-edit", Approvers: []string{"ines"}, Revokes: []fleet.Hold{w.repo.Holds["revoke-acme-tool"]}, At: at})
		}
	}
	stopped := all(rolling, revoke(tool))
	for _, id := range []fleet.TenantID{own, aalt} {
		stopped = all(stopped, did("rollback", "everyone", id, tool, now))
	}
	halt, back := "withdraw nordic/berg tool 2.0", "roll-back nordic/berg tool 2.0"
	failed := func(n string) string {
		return "acme/tool 2.0: going back failed " + n + " times on nordic/berg: refused; a person must act"
	}
	after := now.Add(time.Hour)
	try(t, []situation{
		{"one failure is nobody's business", all(stopped, tries("rollback", 1, now)), after, []string{halt, back}, []string{looks}},
		{"of the second people hear", all(stopped, tries("rollback", 2, now)), after, []string{halt, back}, []string{failed("2"), looks}},
		{"after the third it is theirs", all(stopped, tries("rollback", 3, now)), after, []string{halt}, []string{failed("3") + ", and change the revocation", looks}},
		{"and stays theirs", all(stopped, tries("rollback", 7, now)), now.Add(12 * time.Hour), []string{halt}, []string{failed("7"), looks}},
		{"failures of stopping do not count", all(stopped, tries("withdraw", 9, now)), after, []string{halt, back}, []string{looks}},
		{"nor do those from before the revocation was changed", all(stopped, tries("rollback", 3, now), edited(now.Add(30*time.Minute))), after, []string{halt, back}, []string{looks}},
		{"those after do", all(stopped, tries("rollback", 3, now), edited(now.Add(30*time.Minute)), tries("rollback", 3, now.Add(40*time.Minute))), after, []string{halt}, []string{failed("3"), looks}},
		{"once it worked it is over", all(stopped, tries("rollback", 2, now), did("rollback", "everyone", berg, tool, now.Add(5*time.Minute))), after, nil, []string{looks}},
	})
}

// TestSecondRevocationDoesNotBounce: a tenant that went back to a release goes
// further back when that one is revoked, once, and never forward again.
func TestSecondRevocationDoesNotBounce(t *testing.T) {
	for _, promoted := range []bool{false, true} {
		w := newWorld(all(rolled, did("promote", "everyone", own, tool, on(24, 13, 0)), did("promote", "everyone", aalt, tool, on(24, 13, 0)), did("promote", "everyone", berg, tool, on(24, 13, 0)),
			next("minor", on(26, 8, 0)), started48(on(26, 9, 0)), did48("assign", own, on(26, 9, 0))))
		if promoted {
			did48("promote", own, on(26, 10, 0))(w)
		}
		newer := fleet.Entry{Release: "3.0", Artifact: artifact(tool, "3.0")}
		older := fleet.Entry{Release: "2.0", Artifact: artifact(tool, "2.0")}
		w.repo.Holds["revoke-3"] = fleet.Hold{Kind: "revocation", Package: tool, Release: "3.0", Reason: "worse"}
		backs := func(now time.Time) []string {
			actions, _ := stepsOf(t, w, now)
			return slices.DeleteFunc(actions, func(a string) bool { return !strings.Contains(a, "roll-back") })
		}
		now := on(26, 12, 0)
		if got := backs(now); !slices.Equal(got, []string{"W48 roll-back us/own tool 3.0"}) {
			t.Fatalf("promoted %t: %q", promoted, got)
		}
		if to := rollout.WayBackOf(w.repo, w.rec, own, tool, newer).To; to != older {
			t.Fatalf("promoted %t: it goes back to %+v", promoted, to)
		}
		did48("rollback", own, now)(w)
		if got := backs(now.Add(time.Minute)); len(got) != 0 {
			t.Fatalf("promoted %t: and then %q", promoted, got)
		}

		w.repo.Holds["revoke-2"] = fleet.Hold{Kind: "revocation", Package: tool, Release: "2.0", Reason: "bad as well"}
		now = on(27, 12, 0)
		want := []string{"W47 roll-back nordic/aalto tool 2.0", "W47 roll-back nordic/berg tool 2.0", "W47 roll-back us/own tool 2.0"}
		if got := backs(now); !slices.Equal(got, want) {
			t.Fatalf("promoted %t: %q", promoted, got)
		}
		for _, e := range []fleet.Entry{older, newer} {
			if way := rollout.WayBackOf(w.repo, w.rec, own, tool, e); way.To.Release != "1.0" {
				t.Fatalf("promoted %t: from %s it goes to %+v", promoted, e.Release, way)
			}
		}
		for _, id := range []fleet.TenantID{aalt, berg, own} {
			did("rollback", "everyone", id, tool, now)(w)
		}
		for _, later := range []time.Duration{time.Minute, time.Hour, 30 * 24 * time.Hour} {
			if got := backs(now.Add(later)); len(got) != 0 {
				t.Errorf("promoted %t: %s later %q", promoted, later, got)
			}
		}
	}
}

// TestNameOfARevocation: no revocation takes another hold's file.
func TestNameOfARevocation(t *testing.T) {
	w := newWorld(dogfooding)
	name := func(version string, of fleet.Digest) string {
		p := rollout.Revoking(w.facts(t), rollout.Action{Cycle: w47, Packages: []fleet.PackageID{tool}, Version: version, Artifact: of, Why: "broken"})
		if _, again := w.repo.Holds[p.HoldName]; !again {
			w.repo.Holds[p.HoldName] = *p.Hold
		}
		return p.HoldName
	}
	for _, c := range []struct {
		version string
		of      fleet.Digest
		want    string
	}{
		{"2.0", artifact(tool, "2.0"), "revoke-acme-tool-2-0"},
		{"2.0", artifact(tool, "2.0"), "revoke-acme-tool-2-0"}, // proposed again, by another run
		{"2-0", artifact(tool, "2-0"), "revoke-acme-tool-2-0-2"},
		{"2.0", artifact(tool, "rebuilt"), "revoke-acme-tool-2-0-3"},
		{"2-0", artifact(tool, "2-0"), "revoke-acme-tool-2-0-2"},
		{"1:2.0 beta", "", "revoke-acme-tool-1-2-0-beta"},
	} {
		if got := name(c.version, c.of); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.version, c.of.Short(), got, c.want)
		}
	}
}
