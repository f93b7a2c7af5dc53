package rollout_test

import (
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// lastMerge changes the newest merge record.
func lastMerge(change func(m *fleet.Merge)) fact {
	return func(w *world) { change(&w.rec.Merges[len(w.rec.Merges)-1]) }
}

func TestStepOpensAnApprovedWave(t *testing.T) {
	arm := dogfoodAt.Add(-3 * time.Hour)
	begin := []string{"start dogfood"}
	closing := []string{"propose-close"}
	ending := func(why string) []string { return []string{"dogfood " + why, "closing it waits for a merge"} }
	refused := func(why string) []string { return []string{"dogfood its approval does not count: " + why} }
	try(t, []situation{
		{"not before it is armed", opened, arm.Add(-time.Second), nil, []string{"dogfood approved"}},
		{"when it is armed", opened, arm, begin, nil},
		{"late, while the approval is valid, if late is let go", all(opened, missing("runIfWithin", 24*time.Hour)), dogfoodAt.Add(24 * time.Hour), begin, nil},
		{"not once the approval has expired", opened, dogfoodAt.Add(24*time.Hour + time.Second), closing, ending("missed: nobody had approved it")},
		{"not without an approval", all(opened, func(w *world) { delete(w.repo.Approvals, w47) }), arm, nil, []string{"dogfood its approval waits for a merge"}},
		{"not when it is rejected", all(opened, amend("dogfood", func(a *fleet.Approval) { a.Decision, a.Because = "rejected", "too early" })), arm, closing, ending("refused: too early")},
		{"not when the decision is no word we know", all(opened, amend("dogfood", func(a *fleet.Approval) { a.Decision = "yes" })), arm, nil, refused("rejected")},
		{"not without a recorded merge", all(opened, lastMerge(func(m *fleet.Merge) { m.Approves = "" })), arm, nil, refused("no merge of this approval is recorded")},
		{"not by the merge of another plan", all(opened, lastMerge(func(m *fleet.Merge) { m.Plan = artifact(tool, "x") })), arm, nil, refused("no merge of this approval is recorded")},
		{"not by the merge of another cycle", all(opened, lastMerge(func(m *fleet.Merge) { m.Approves = "2026-W46/dogfood" })), arm, nil, refused("no merge of this approval is recorded")},
		{"not with nobody's word", all(opened, lastMerge(func(m *fleet.Merge) { m.Approvers = nil })), arm, nil, refused("its pull request was not approved")},
		{"not with nobody's word, whatever the policy says", all(opened, lastMerge(func(m *fleet.Merge) { m.Approvers = nil }), func(w *world) { w.repo.Operator.Trust.Approvals = 0 }), arm, nil,
			refused("its pull request was not approved")},
		{"not with one's word where two are needed", all(opened, func(w *world) { w.repo.Operator.Trust.Approvals = 2 }), arm, nil, refused("its pull request was not approved")},
		{"with a second merge that has both", all(opened, func(w *world) { w.repo.Operator.Trust.Approvals = 2 }, approve("dogfood", arm), lastMerge(func(m *fleet.Merge) { m.Approvers = []string{"ines", "oskar"} })), arm, begin, nil},
		{"not once a merge changed it without anyone's word", all(opened, approve("dogfood", arm), lastMerge(func(m *fleet.Merge) { m.Approvers = nil })), arm, nil, refused("its pull request was not approved")},
		{"not when a tenant's file has changed", all(opened, func(w *world) { w.repo.Blobs["tenants/nordic/berg/tenant.cue"] = "b7" }), arm, nil, refused("the plan is another one now")},
		{"whatever else has changed", all(opened, func(w *world) {
			w.repo.Blobs["catalog/acme/other/package.cue"], w.repo.Blobs["tenants/operator.cue"] = "b8", "b9"
		}), arm, begin, nil},
		{"not when the plan cannot be recomputed", all(opened, func(w *world) { w.unplanned = true }), arm, nil, refused("its plan cannot be recomputed")},
		{"not before an unrecorded merge is recorded", all(opened, func(w *world) { w.unrecorded = []string{"c9"} }), arm, []string{"record-merge c9"}, nil},
	})
}

func TestStepFreeze(t *testing.T) {
	arm := dogfoodAt.Add(-3 * time.Hour)
	frozen := []string{"dogfood frozen by winter"}
	begin := []string{"start dogfood"}
	started := all(opened, start("dogfood", arm))
	deploys := []string{"deploy dogfood us/own pad tool"}
	fixes := all(security(tool), security(pad))
	try(t, []situation{
		{"stops a wave", all(opened, freeze("all", arm, on(25, 0, 0))), arm, nil, frozen},
		{"stops one that would open in it", all(opened, freeze("all", dogfoodAt, on(25, 0, 0))), arm, nil, frozen},
		{"no longer stops it at its end", all(opened, freeze("all", on(1, 0, 0), arm)), arm, begin, nil},
		{"does not stop one before it", all(opened, freeze("all", dogfoodAt.Add(time.Second), on(25, 0, 0))), arm, begin, nil},
		{"lets a cycle of fixes through", all(fixes, opened, freeze("nonSecurity", on(1, 0, 0), on(25, 0, 0))), arm, begin, nil},
		{"stops fixes too when it says all", all(fixes, opened, freeze("all", on(1, 0, 0), on(25, 0, 0))), arm, nil, frozen},
		{"stops a cycle that is not fixes alone", all(security(tool), opened, freeze("nonSecurity", on(1, 0, 0), on(25, 0, 0))), arm, nil, frozen},
		{"looks at what still goes", all(security(tool), opened, hold("pad", "hold", pad), freeze("nonSecurity", on(1, 0, 0), on(25, 0, 0))), arm, begin, nil},
		{"stops a wave's assignments while it runs", all(started, freeze("all", on(1, 0, 0), on(25, 0, 0))), arm, nil, append(frozen, "dogfood armed")},
		{"is over", all(started, freeze("all", on(1, 0, 0), arm)), arm, deploys, []string{"dogfood armed"}},
		{"never keeps a halt or a way back", all(dogfooding, revoke(tool), freeze("all", on(1, 0, 0), on(25, 0, 0))), dogfoodAt, []string{"withdraw us/own tool 2.0", "roll-back us/own tool 2.0"},
			[]string{"dogfood the gate looks next"}},
	})
}

func TestStepProposesTheNextGate(t *testing.T) {
	pass := dogfoodAt.Add(6 * time.Hour)
	soaked := dogfoodAt.Add(24 * time.Hour)
	late := dogfoodAt.Add(28 * time.Hour)
	next := []string{"propose-approval everyone"}
	asks := []string{"everyone its approval waits for a merge"}
	undecided := all(dogfooding, verdict("dogfood", pad, 6, "pass", pass), verdict("dogfood", tool, 6, "inconclusive", pass))
	try(t, []situation{
		{"not while one entry has no word", all(dogfooding, verdict("dogfood", pad, 6, "pass", pass), verdict("dogfood", tool, 6, "inconclusive", pass)), soaked, nil,
			[]string{"dogfood the gate looks next at 2026-11-20 11:00Z"}},
		{"not before it has soaked", dogfooded, soaked.Add(-time.Second), nil, []string{"dogfood soaking"}},
		{"when it is judged and has soaked", dogfooded, soaked, next, asks},
		{"a late start soaks as long", all(opened, start("dogfood", dogfoodAt.Add(7*time.Hour)), did("assign", "dogfood", own, pad, pass.Add(time.Hour)), did("assign", "dogfood", own, tool, pass.Add(time.Hour)),
			verdict("dogfood", pad, 6, "pass", on(20, 0, 0)), verdict("dogfood", tool, 6, "pass", on(20, 0, 0))), soaked, nil, []string{"dogfood soaking"}},
		{"when the last look leaves an entry undecided", all(undecided, verdict("dogfood", tool, 28, "inconclusive", late)), late, next, asks},
		{"when what is not judged is stopped", all(undecided, hold("tool", "hold", tool), did("withdraw", "dogfood", own, tool, soaked)), soaked, next, asks},
		{"not when people refused", all(dogfooded, approve("everyone", soaked), amend("everyone", func(a *fleet.Approval) { a.Decision, a.Because = "rejected", "not this week" })), soaked, []string{"propose-close"},
			[]string{"everyone refused: not this week", "closing it waits for a merge"}},
		{"nor when its time went by", dogfooded, deployAt.Add(rollout.ApprovalLasts + time.Second), []string{"propose-close"},
			[]string{"everyone missed: nobody had approved it", "closing it waits for a merge"}},
		{"not over an approval that does not count", all(dogfooded, approve("everyone", soaked), lastMerge(func(m *fleet.Merge) { m.Approvers = nil })), soaked, nil,
			[]string{"everyone its approval does not count: its pull request"}},
		{"an approval that came early opens nothing early", all(dogfooding, approve("everyone", cutOffAt)), dogfoodAt, nil, []string{"dogfood the gate looks next"}},
	})
}

func TestStepAnnouncesFirst(t *testing.T) {
	ready := all(dogfooded, approve("everyone", on(20, 12, 0)))
	told := all(ready, recounted, beat("announce 2026-W47", announceAt))
	try(t, []situation{
		{"not before its step", ready, announceAt.Add(-time.Second), nil, []string{"everyone announced first"}},
		{"at its step, and nothing starts before", ready, announceAt, []string{"announce everyone"}, []string{"everyone announced first"}},
		{"even when the wave is due", ready, deployAt, []string{"announce everyone"}, []string{"everyone announced first"}},
		{"once", told, announceAt, []string{"start everyone"}, nil},
		{"an earlier announcement is none", all(ready, beat("announce 2026-W47", announceAt.Add(-time.Second))), announceAt, []string{"announce everyone"}, []string{"everyone announced first"}},
		{"another cycle's is none", all(ready, beat("announce 2026-W46", announceAt)), announceAt, []string{"announce everyone"}, []string{"everyone announced first"}},
		{"a week without the step announces nothing", all(func(w *world) { delete(w.repo.Week.Steps, "announce") }, ready, recounted), announceAt, []string{"start everyone"}, nil},
		{"not before the first wave", opened, dogfoodAt, []string{"start dogfood"}, nil},
		{"a cycle of one wave is not announced", all(func(w *world) { w.repo.Waves = w.repo.Waves[:1] }, milled, carrying(w47, tool)), dogfoodAt, []string{"start dogfood"}, nil},
	})
}

func TestStepClose(t *testing.T) {
	end := deployAt.Add(24 * time.Hour)
	promotes := []string{"promote everyone nordic/aalto pad 2.0", "promote everyone nordic/berg pad 2.0", "promote everyone us/own pad 2.0",
		"promote everyone nordic/aalto tool 2.0", "promote everyone nordic/berg tool 2.0", "promote everyone us/own tool 2.0"}
	promoted := rolled
	for _, p := range []fleet.PackageID{pad, tool} {
		for _, id := range []fleet.TenantID{own, aalt, berg} {
			promoted = all(promoted, did("promote", "everyone", id, p, end))
		}
	}
	undecided := all(rolling, verdict("everyone", pad, 24, "pass", end), verdict("everyone", tool, 24, "inconclusive", end))
	closed := approve(rollout.CloseGate, end)
	try(t, []situation{
		{"nothing is promoted before the last wave has soaked", rolled, end.Add(-time.Second), nil, []string{"everyone soaking"}},
		{"what passed the last wave is promoted wherever it went", rolled, end, promotes, nil},
		{"not where an assignment could still be called", all(rolled, intent("assign", "everyone", berg, tool, end.Add(-time.Minute))), end,
			append(append([]string{}, promotes[:4]...), promotes[5]), []string{"everyone a call may still be under way on nordic/berg"}},
		{"again where one came behind the promotion", all(promoted, intent("assign", "everyone", berg, tool, end)), end.Add(time.Hour), promotes[4:5], nil},
		{"what one look left undecided is not", undecided, end, promotes[:3], nil},
		{"nor in a freeze", all(rolled, freeze("all", on(1, 0, 0), on(30, 0, 0))), end, nil, []string{"everyone frozen by winter", "everyone frozen by winter"}},
		{"a fix passes the freeze", all(security(tool), rolled, freeze("nonSecurity", on(1, 0, 0), on(30, 0, 0))), end, promotes[3:], []string{"everyone frozen by winter"}},
		{"a tenant that left is not", all(rolled, func(w *world) { delete(w.repo.Tenants, berg) }), end,
			[]string{promotes[0], promotes[2], promotes[3], promotes[5]}, nil},
		{"what is held is not", all(rolled, hold("tool", "hold", tool), did("withdraw", "everyone", own, tool, end), did("withdraw", "everyone", aalt, tool, end), did("withdraw", "everyone", berg, tool, end)), end,
			promotes[:3], nil},
		{"closing is proposed when nothing is left", promoted, end, []string{"propose-close"}, []string{"closing it waits for a merge"}},
		{"a closed cycle is quiet", all(promoted, closed), end, nil, nil},
		{"closing settles what the last look left undecided", all(undecided, closed), end, promotes, nil},
		{"but not what was never looked at for the last time", all(dogfooded, closed), end, nil, nil},
		{"a closing that does not count closes nothing", all(promoted, closed, lastMerge(func(m *fleet.Merge) { m.Approvers = nil })), end, nil, []string{"its closing does not count: its pull request"}},
		{"a rejected closing closes nothing", all(promoted, closed, amend(rollout.CloseGate, func(a *fleet.Approval) { a.Decision = "rejected" })), end, nil, []string{"its closing does not count: rejected"}},
		{"a revocation is carried out after the closing too", all(promoted, closed, revoke(tool)), end.Add(time.Hour),
			[]string{"roll-back nordic/aalto tool 2.0", "roll-back nordic/berg tool 2.0", "roll-back us/own tool 2.0"}, nil},
		{"a hold after the closing empties no slot again", all(promoted, closed, hold("tool", "hold", tool)), end.Add(time.Hour), nil, nil},
	})
}
