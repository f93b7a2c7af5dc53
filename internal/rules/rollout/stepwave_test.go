package rollout_test

import (
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

func TestStepDeploys(t *testing.T) {
	arm := dogfoodAt.Add(-3 * time.Hour)
	started := all(opened, start("dogfood", arm))
	both := []string{"deploy dogfood us/own pad tool"}
	onlyTool := []string{"deploy dogfood us/own tool"}
	armed := []string{"dogfood armed"}
	padDone := all(started, did("assign", "dogfood", own, pad, arm))
	policy := func(change func(p *fleet.Policy)) fact {
		return tenant(own, func(t *fleet.Tenant) { change(&t.Policy) })
	}
	try(t, []situation{
		{"what the plan names", started, arm, both, armed},
		{"what has no receipt", padDone, arm, onlyTool, armed},
		{"an intent alone is no receipt", all(padDone, intent("assign", "dogfood", own, tool, arm)), arm, onlyTool, armed},
		{"a failed call is none", all(padDone, intent("assign", "dogfood", own, tool, arm), receipt("failed", arm)), arm, onlyTool, armed},
		{"an expired intent is none", all(padDone, intent("assign", "dogfood", own, tool, arm), receipt("expired", arm)), arm, onlyTool, armed},
		{"a receipt older than the start is none", all(padDone, did("assign", "dogfood", own, tool, arm.Add(-time.Second))), arm, onlyTool, armed},
		{"a receipt of another wave is none", all(padDone, did("assign", "everyone", own, tool, arm)), arm, onlyTool, armed},
		{"a receipt of another artifact is none", all(padDone, did("assign", "dogfood", own, tool, arm), func(w *world) {
			w.rec.Intents[1].Artifact, w.rec.Receipts[1].Artifact = artifact(tool, "1.9"), artifact(tool, "1.9")
		}), arm, onlyTool, armed},
		{"a receipt that says another artifact than its intent is none", all(padDone, did("assign", "dogfood", own, tool, arm), func(w *world) { w.rec.Receipts[1].Artifact = artifact(tool, "1.9") }), arm, onlyTool, armed},
		{"a receipt without an intent is none", all(padDone, did("assign", "dogfood", own, tool, arm), func(w *world) { w.rec.Intents = w.rec.Intents[:1] }), arm, onlyTool, armed},
		{"after it opened too", padDone, dogfoodAt, onlyTool, []string{"dogfood the gate looks next"}},
		{"not what is held", all(started, hold("tool", "hold", tool)), arm, []string{"deploy dogfood us/own pad"}, armed},
		{"again what a hold took back, once it is over", all(padDone, did("assign", "dogfood", own, tool, arm), did("withdraw", "dogfood", own, tool, arm.Add(time.Hour)), hold("tool", "hold", tool, arm.Add(2*time.Hour))),
			arm.Add(2 * time.Hour), onlyTool, armed},
		{"and not while a call could still take it back", all(padDone, did("assign", "dogfood", own, tool, arm), intent("withdraw", "dogfood", own, tool, arm.Add(2*time.Hour)), hold("tool", "hold", tool, arm.Add(2*time.Hour))),
			arm.Add(2 * time.Hour), nil, []string{"dogfood a call may still be under way on us/own", "dogfood armed"}},
		{"not to a tenant that opted out since", all(started, policy(func(p *fleet.Policy) {
			p.OptOuts = map[fleet.PackageID]fleet.Because{tool: {Reason: "migration", Expires: on(30, 0, 0)}}
		})), arm, []string{"deploy dogfood us/own pad"}, []string{"dogfood us/own does not take acme/tool: opted out until 2026-11-30: migration", "dogfood armed"}},
		{"not to a tenant that pinned another version since", all(started, policy(func(p *fleet.Policy) {
			p.Pins = map[fleet.PackageID]fleet.PinnedTo{tool: {Version: "1.*", Reason: "laboratory", Expires: on(30, 0, 0)}}
		})), arm, []string{"deploy dogfood us/own pad"}, []string{"dogfood us/own does not take acme/tool: pinned to 1.*", "dogfood armed"}},
		{"to one whose opt-out ends before the wave opens", all(started, policy(func(p *fleet.Policy) {
			p.OptOuts = map[fleet.PackageID]fleet.Because{tool: {Reason: "migration", Expires: dogfoodAt}}
		})), arm, both, armed},
		{"not to a tenant that has left", all(started, func(w *world) { delete(w.repo.Tenants, own) }), arm, nil, armed},
		{"each package once, if the plan was recorded twice", all(started, func(w *world) {
			plan := w.repo.Plans[w47]["dogfood"].Digest
			w.rec.PlanRows[plan] = append(w.rec.PlanRows[plan], w.rec.PlanRows[plan]...)
		}), arm, both, armed},
		{"nothing without the plan's rows", all(started, func(w *world) { w.rec.PlanRows = nil }), arm, nil, armed},
	})
}

func TestStepDeploysTheNextWave(t *testing.T) {
	look := dogfoodAt.Add(28 * time.Hour)
	next := func(at time.Time) fact {
		return all(approve("everyone", at), beat("announce 2026-W47", announceAt), start("everyone", announceAt))
	}
	padOnly := []string{"deploy everyone nordic/aalto pad", "deploy everyone nordic/berg pad"}
	both := []string{"deploy everyone nordic/aalto pad tool", "deploy everyone nordic/berg pad tool"}
	undecided := all(dogfooding, verdict("dogfood", pad, 6, "pass", dogfoodAt.Add(6*time.Hour)), verdict("dogfood", tool, 28, "inconclusive", look))
	try(t, []situation{
		{"with what passed the first", all(dogfooded, next(look)), announceAt, both, []string{"everyone armed"}},
		{"with what people let in, knowing that it is undecided", all(undecided, next(look)), announceAt, both, []string{"everyone armed"}},
		{"not with what was undecided when nobody knew", all(undecided, next(look.Add(-time.Second))), announceAt, padOnly,
			[]string{"everyone acme/tool stays out: wave dogfood left it undecided, and the approval was merged before that", "everyone armed"}},
		{"with what they let in when they merged it again", all(undecided, next(look.Add(-time.Second)), approve("everyone", look)), announceAt, both, []string{"everyone armed"}},
		{"not with what failed the first", all(dogfooded, next(look), verdict("dogfood", tool, 28, "fail", look), did("withdraw", "dogfood", own, tool, look)), announceAt, append([]string{"propose-revoke dogfood tool 2.0"}, padOnly...),
			[]string{"the revocation of acme/tool 2.0", "everyone armed"}},
	})
	// While its hold is in force an entry is not waited for; when it ends, it
	// has to pass the first wave before it enters the second.
	held := all(opened, start("dogfood", dogfoodAt), did("assign", "dogfood", own, pad, dogfoodAt), verdict("dogfood", pad, 28, "pass", look), next(look), hold("tool", "hold", tool, deployAt.Add(time.Hour)))
	try(t, []situation{
		{"without what was held in the first", held, deployAt, padOnly, []string{"everyone the gate looks next"}},
		{"the first wave comes first for what is held no more, but not late", held, deployAt.Add(time.Hour), []string{"judge dogfood tool 28h last", "deploy everyone nordic/aalto pad", "deploy everyone nordic/berg pad"},
			[]string{"dogfood us/own: missed, and left to the next cycle: its start was at 2026-11-19 07:00Z; its next time is 2026-11-26 07:00Z, after what was approved", "everyone acme/tool stays out: wave dogfood has no verdict on it", "everyone the gate looks next"}},
		{"unless people approve a later time", all(held, amend("dogfood", func(a *fleet.Approval) { a.ValidUntil = on(27, 0, 0) }), inventory(on(25, 4, 0), own, aalt, berg), beat("detect", on(25, 4, 0))), on(26, 4, 0), []string{"deploy dogfood us/own tool", "judge dogfood tool 28h last", "judge everyone pad tool 24h last"},
			[]string{"everyone acme/tool stays out: wave dogfood has no verdict on it", "everyone nordic/aalto, nordic/berg: missed"}},
	})
}

func TestStepLooks(t *testing.T) {
	first, second := dogfoodAt.Add(6*time.Hour), dogfoodAt.Add(28*time.Hour)
	late := dogfoodAt.Add(7 * time.Hour)
	lateStart := all(opened, start("dogfood", late), did("assign", "dogfood", own, pad, late), did("assign", "dogfood", own, tool, late))
	one := all(dogfooding, verdict("dogfood", pad, 6, "pass", first), verdict("dogfood", tool, 6, "inconclusive", first))
	next := []string{"dogfood the gate looks next at 2026-11-20 11:00Z"}
	try(t, []situation{
		{"not before it opened", dogfooding, dogfoodAt.Add(-time.Second), nil, []string{"dogfood armed"}},
		{"not before the first look", dogfooding, first.Add(-time.Second), nil, []string{"dogfood the gate looks next at 2026-11-19 13:00Z"}},
		{"at the first look", dogfooding, first, []string{"judge dogfood pad tool 6h"}, next},
		{"once", one, first.Add(time.Hour), nil, next},
		{"at the last look, at what is undecided", one, second, []string{"judge dogfood tool 28h last"}, nil},
		{"a late runner looks once, at the newest look", dogfooding, second.Add(time.Hour), []string{"judge dogfood pad tool 28h last"}, nil},
		{"a late start gives devices as long", lateStart, first.Add(2 * time.Hour), nil, []string{"dogfood the gate looks next at 2026-11-19 20:00Z"}},
		{"and then looks", lateStart, late.Add(6 * time.Hour), []string{"judge dogfood pad tool 6h"}, []string{"dogfood the gate looks next at 2026-11-20 18:00Z"}},
		{"the wave's own instants hold when the week is changed", all(dogfooding, func(w *world) { w.repo.Week.Steps["dogfood"] = fleet.WeekStep{On: "Thu", At: "12:00"} }), first,
			[]string{"judge dogfood pad tool 6h"}, next},
		{"a verdict before it opened is none", all(dogfooding, verdict("dogfood", tool, 6, "pass", dogfoodAt.Add(-time.Second))), first, []string{"judge dogfood pad tool 6h"}, next},
		{"a verdict on another artifact is none", all(dogfooding, verdict("dogfood", tool, 6, "pass", first), func(w *world) { w.rec.Verdicts[0].Artifact = artifact(tool, "1.9") }), first,
			[]string{"judge dogfood pad tool 6h"}, next},
		{"a verdict of another cycle is none", all(dogfooding, verdict("dogfood", tool, 6, "pass", first), func(w *world) { w.rec.Verdicts[0].Cycle = "2026-W46" }), first,
			[]string{"judge dogfood pad tool 6h"}, next},
		{"a verdict on another wave is none", all(dogfooding, verdict("everyone", tool, 6, "pass", first)), first, []string{"judge dogfood pad tool 6h"}, next},
	})
}
