package rollout_test

import (
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// commit is the record of a commit on main, sound or at fault.
func commit(id, before, tree, fault string) fact {
	return func(w *world) {
		w.rec.Merges = append(w.rec.Merges, fleet.Merge{Commit: id, BaseTree: before, Tree: tree, Fault: fault, Approvers: []string{"ines"}})
	}
}

func TestStepStallsOnAnUnreviewedMain(t *testing.T) {
	arm, look := dogfoodAt.Add(-3*time.Hour), dogfoodAt.Add(6*time.Hour)
	pushed := commit("c7", "t6", "t7", "is a commit on main that is no merge")
	stalled := "main is unreviewed since c7, which is a commit on main that is no merge"
	end := deployAt.Add(24 * time.Hour)
	try(t, []situation{
		{"no wave starts", all(opened, pushed), arm, nil, []string{stalled}},
		{"nothing is deployed", all(opened, start("dogfood", arm), pushed), arm, nil, []string{"dogfood armed", stalled}},
		{"nothing is promoted", all(rolled, pushed), end, nil, []string{stalled}},
		{"no cycle is proposed", all(milled, pushed), cutOffAt, nil, []string{stalled}},
		{"no gate is proposed", all(dogfooded, pushed), dogfoodAt.Add(24 * time.Hour), nil, []string{"everyone its approval waits", stalled}},
		{"the gate still looks", all(dogfooding, pushed), look, []string{"judge dogfood pad tool 6h"}, []string{"dogfood the gate looks next", stalled}},
		{"what fails is still withdrawn", all(dogfooding, verdict("dogfood", pad, 6, "pass", look), verdict("dogfood", tool, 6, "fail", look), pushed), look,
			[]string{"withdraw us/own tool 2.0", "propose-revoke dogfood tool 2.0"}, []string{"the revocation of acme/tool", "dogfood soaking", stalled}},
		{"what is revoked is withdrawn and stays where it is", all(dogfooding, revoke(tool), pushed), look,
			[]string{"withdraw us/own tool 2.0", "judge dogfood pad 6h"}, []string{"dogfood the gate looks next", stalled}},
		{"the first fault is the one that is named", all(opened, pushed, commit("c8", "t7", "t8", "is another")), arm, nil, []string{stalled}},
		{"a reviewed merge on top repairs nothing", all(opened, pushed, commit("c8", "t7", "t8", "")), arm, nil, []string{stalled}},
		{"nor does a push that takes it back", all(opened, pushed, commit("c8", "t7", "t6", "is a commit on main that is no merge")), arm, nil, []string{stalled}},
		{"a reviewed revert does", all(opened, pushed, commit("c8", "t7", "t6", "")), arm, []string{"start dogfood"}, nil},
		{"only to the files before the first fault", all(opened, pushed, commit("c8", "t7", "t8", "is another"), commit("c9", "t8", "t7", "")), arm, nil, []string{stalled}},
	})
}

func TestStepBindsApprovalsToBytes(t *testing.T) {
	arm := dogfoodAt.Add(-3 * time.Hour)
	file := fleet.ApprovalFile(w47, "dogfood")
	refused := []string{"dogfood its approval does not count: no merge of this approval is recorded"}
	touched := func(blob string) fact {
		return all(func(w *world) { w.repo.Blobs[file] = blob }, func(w *world) {
			w.rec.Merges = append(w.rec.Merges, fleet.Merge{Commit: "c9", ApprovalBlobs: map[string]string{file: blob}})
		})
	}
	rejected := all(opened, lastMerge(func(m *fleet.Merge) { m.ApprovalBlobs[file] = "a rejection" }))
	try(t, []situation{
		{"a file that was changed since is another approval", all(opened, func(w *world) { w.repo.Blobs[file] = "a later validUntil" }), arm, nil, refused},
		{"a rejection that was turned into an approval by a push is none", rejected, arm, nil, refused},
		{"the last commit that touched the file is the one that counts", all(opened, touched("changed")), arm, nil, refused},
		{"also when it brings back what was reviewed", all(opened, touched("changed"), touched("approval-1")), arm, nil, refused},
		{"a file that was removed by the last merge does not count", all(opened, touched("")), arm, nil, refused},
		{"a merge of other files changes nothing", all(opened, commit("c9", "t1", "t2", "")), arm, []string{"start dogfood"}, nil},
	})
}

func TestStepDeploysWhatWasApproved(t *testing.T) {
	arm := dogfoodAt.Add(-3 * time.Hour)
	swap := func(e fleet.Entry) fact {
		return func(w *world) { w.repo.Cycles[w47].Entries[tool] = e }
	}
	started := all(opened, start("dogfood", arm))
	stalled := []string{"acme/tool stays out", "dogfood acme/tool stays out: the cycle carries"}[1:]
	try(t, []situation{
		{"another artifact of the release", all(started, swap(fleet.Entry{Release: "2.0", Artifact: artifact(tool, "rebuilt")})), arm, []string{"deploy dogfood us/own pad"}, append(stalled, "dogfood armed")},
		{"another release", all(started, swap(fleet.Entry{Release: "1.0", Artifact: artifact(tool, "1.0")})), arm, []string{"deploy dogfood us/own pad"}, append(stalled, "dogfood armed")},
		{"an artifact is part of the plan", all(opened, swap(fleet.Entry{Release: "2.0", Artifact: artifact(tool, "rebuilt")})), arm, nil,
			[]string{"dogfood its approval does not count: the plan is another one now"}},
	})
}

func TestStepRemembersRevocations(t *testing.T) {
	now := deployAt.Add(2 * time.Hour)
	wasRevoked := func(w *world) {
		w.rec.Merges = append(w.rec.Merges, fleet.Merge{Commit: "c9", Revokes: []fleet.Hold{{Kind: "revocation", Package: tool, Release: "2.0", Reason: "bad"}}})
	}
	another := func(w *world) {
		w.rec.Merges = append(w.rec.Merges, fleet.Merge{Commit: "c9", Revokes: []fleet.Hold{{Kind: "revocation", Package: tool, Release: "2.0", Artifact: artifact(tool, "rebuilt")}}})
	}
	looks := []string{"dogfood the gate looks next"}
	started := all(opened, start("dogfood", dogfoodAt), did("assign", "dogfood", own, pad, dogfoodAt))
	try(t, []situation{
		{"one whose file is gone still stops", all(started, wasRevoked), dogfoodAt.Add(time.Hour), nil, looks},
		{"one of another artifact does not", all(started, another), dogfoodAt.Add(time.Hour), []string{"deploy dogfood us/own tool"}, looks},
		{"a way back that was begun stops too", all(started, did("assign", "dogfood", own, tool, dogfoodAt), intent("rollback", "dogfood", own, tool, dogfoodAt)), dogfoodAt.Add(time.Hour),
			[]string{"withdraw us/own tool 2.0", "roll-back us/own tool 2.0"}, looks},
		{"and goes back everywhere", all(rolling, wasRevoked), now,
			[]string{"withdraw nordic/aalto tool 2.0", "withdraw nordic/berg tool 2.0", "withdraw us/own tool 2.0", "roll-back nordic/aalto tool 2.0", "roll-back nordic/berg tool 2.0", "roll-back us/own tool 2.0"},
			[]string{"everyone the gate looks next"}},
	})
	w := newWorld(all(milled, wasRevoked))
	if got := rollout.Entries(w.repo, w.rec, cutOffAt); len(got) != 1 || got[pad].Release == "" {
		t.Errorf("entries %v", got)
	}
}

func TestFrozenMembershipsAreTheNewestOfThePlan(t *testing.T) {
	member := func(wave string, t fleet.TenantID, device string) fleet.Membership {
		return fleet.Membership{Cycle: w47, Wave: wave, Tenant: t, Devices: []string{device}}
	}
	rec := &fleet.Record{
		PlanRows: map[fleet.Digest][]fleet.PlanRow{"b": {{Tenant: own}, {Tenant: own}, {Tenant: aalt}}},
		Members: []fleet.Membership{
			member("dogfood", own, "old"), member("dogfood", berg, "of another plan"), member("dogfood", aalt, "kept"), member("everyone", own, "later"), member("dogfood", own, "new"),
		},
	}
	got := rollout.Frozen(rec, fleet.WaveStart{Cycle: w47, Wave: "dogfood", Plan: "b"})
	if len(got) != 2 || got[0].Devices[0] != "kept" || got[1].Devices[0] != "new" {
		t.Errorf("%+v", got)
	}
	if m := rollout.MembershipOf(rec, w47, "dogfood", own); m == nil || m.Devices[0] != "new" {
		t.Errorf("%+v", m)
	}
	if m := rollout.MembershipOf(rec, "2026-W46", "dogfood", own); m != nil {
		t.Errorf("%+v", m)
	}
}
