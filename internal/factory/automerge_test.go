package factory_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/rules/rollout"
)

const everyoneBranch = "approve/2026-W47/everyone"

// TestAutoAdvance goes from a pass to a counted approval that no human gave, on
// a forge that asks everybody else for a review.
func TestAutoAdvance(t *testing.T) {
	w := newApprovalWorld(t, nil)
	if said := w.must(rollout.AutoMerge); !strings.Contains(said, "no pull request of "+everyoneBranch) {
		t.Errorf("before it is proposed: %q", said)
	}
	if branch := w.must(rollout.ProposeApproval); branch != everyoneBranch {
		t.Fatalf("proposed on %s", branch)
	}
	if said := w.must(rollout.AutoMerge); !strings.HasSuffix(said, "waits: check validate is not there yet") {
		t.Errorf("before its check: %q", said)
	}
	w.check(everyoneBranch, "")
	if said := w.must(rollout.AutoMerge); !strings.HasSuffix(said, "waits: check validate in_progress") {
		t.Errorf("while its check runs: %q", said)
	}
	before := w.facts().Repo.Commit
	w.check(everyoneBranch, "success")
	if said := w.must(rollout.AutoMerge); !strings.HasPrefix(said, "merged by itself, pull request 1") {
		t.Errorf("%q", said)
	}
	m := w.record()
	if m.Auto != rollout.AutoAdvance || m.Fault != "" || len(m.Approvers) != 0 || !m.Bot || m.MergedBy != millLogin || m.Base != before || m.Approves != "2026-W47/everyone" {
		t.Errorf("recorded as %+v", m)
	}
	wave := w.wave()
	if wave.Approval == nil || wave.Refusal != "" || wave.Merge.Commit != m.Commit {
		t.Errorf("the wave says %q", wave.Refusal)
	}
	if a, again := w.step(rollout.AutoMerge); again {
		t.Errorf("asks for %+v again", a)
	}
}

// TestAutoMergeLeavesToPeople: whatever is not exactly packmill's own proposal,
// or not in order, is not merged by it.
func TestAutoMergeLeavesToPeople(t *testing.T) {
	file := desired.ApprovalPath(theCycle, "everyone")
	for name, c := range map[string]struct {
		do   func(w *approvalWorld)
		want string
	}{
		"a failed check": {func(w *approvalWorld) { w.check(everyoneBranch, "failure") }, "check validate: failure"},
		"a second file": {func(w *approvalWorld) {
			w.commit(everyoneBranch, "mal", map[string][]byte{"tenants/operator.md": []byte("x")})
		}, "does something else than add one file"},
		"an answer of somebody":  {func(w *approvalWorld) { w.commit(everyoneBranch, "ann", map[string][]byte{file: rejection(w)}) }, "says something else than packmill proposes"},
		"an objection":           {func(w *approvalWorld) { w.object(everyoneBranch, "bob") }, "changes were requested by bob"},
		"nothing that is merged": {func(w *approvalWorld) { w.check(everyoneBranch, "success") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newApprovalWorld(t, nil)
			w.must(rollout.ProposeApproval)
			c.do(w)
			if c.want != "" && c.want != "check validate: failure" {
				w.check(everyoneBranch, "success")
			}
			main := w.facts().Repo.Commit
			said, err := w.act(rollout.AutoMerge)
			if c.want == "" {
				if err != nil || w.facts().Repo.Commit == main {
					t.Errorf("%q, %v", said, err)
				}
				return
			}
			if fleet.KindOf(err) != fleet.Stalled || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q, %v, want %q", said, err, c.want)
			}
			if w.facts().Repo.Commit != main {
				t.Error("main has moved")
			}
		})
	}
}

// rejection is the proposed approval turned into a refusal.
func rejection(w *approvalWorld) []byte {
	a := fleet.Approval{Cycle: theCycle, Gate: "everyone", Decision: "rejected", Because: "not this week", Plan: w.plans["everyone"].Digest, Summary: w.plans["everyone"].Summary, ValidUntil: approvalSoaked.Add(time.Hour)}
	return desired.ApprovalFile(a)
}

// TestAutoMergeOfOthers: a pull request that somebody else opened from
// packmill's branch is not packmill's, and a bot's button makes no approval.
func TestAutoMergeOfOthers(t *testing.T) {
	w := newApprovalWorld(t, nil)
	w.must(rollout.ProposeApproval)
	w.reopen(everyoneBranch, "mal")
	w.check(everyoneBranch, "success")
	if _, err := w.act(rollout.AutoMerge); err == nil || !strings.Contains(err.Error(), "was opened by mal, not by packmill's app") {
		t.Errorf("%v", err)
	}
	// The app can be made to press the button; the record tells.
	p := w.pull(everyoneBranch)
	if _, err := w.people[millLogin].Merge(t.Context(), p.Number, p.Head); err != nil {
		t.Fatal(err)
	}
	if m := w.record(); m.Auto != "" || !strings.Contains(m.Fault, "was approved by nobody") {
		t.Errorf("recorded as %+v", m)
	}
}

// TestAutoMergeIsJudgedByTheParent: the app merges the very file, and it counts
// for nothing where the policy before, or evidence, does not let it.
func TestAutoMergeIsJudgedByTheParent(t *testing.T) {
	const waves, operator = "schedules/waves.cue", "tenants/operator.cue"
	without := func(text string) func(string) string {
		return func(s string) string { return strings.Replace(s, text, "", 1) }
	}
	for name, c := range map[string]struct {
		edits  map[string]func(string) string
		change func(w *approvalWorld)
	}{
		"the wave asks people":       {map[string]func(string) string{waves: without(`advance: "autoMerge"`)}, func(*approvalWorld) {}},
		"no app is named":            {map[string]func(string) string{operator: without(`app: "mill[bot]", `)}, func(*approvalWorld) {}},
		"a stale verdict":            {nil, func(w *approvalWorld) { w.rec.Verdicts[0].At = w.rec.Starts[0].At.Add(-time.Second) }},
		"another artifact's verdict": {nil, func(w *approvalWorld) { w.rec.Verdicts[0].Artifact = fleet.DigestOf([]byte("other")) }},
		"a later word":               {nil, func(w *approvalWorld) { w.verdict("inconclusive", approvalSoaked.Add(-time.Hour)) }},
		"a fail":                     {nil, func(w *approvalWorld) { w.verdict("fail", approvalSoaked.Add(-time.Hour)) }},
		"before it has soaked":       {nil, func(w *approvalWorld) { w.clock.Set(approvalSoaked.Add(-2 * time.Hour)) }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newApprovalWorld(t, c.edits)
			pull, _, err := w.ProposeApproval(t.Context(), w.facts(), theCycle, "everyone")
			if err != nil {
				t.Fatal(err)
			}
			c.change(w)
			w.check(pull.Branch, "success")
			if a, asked := w.step(rollout.AutoMerge); asked && a.Wave == "everyone" {
				t.Error("Step asks for it")
			}
			if _, err := w.people[millLogin].Merge(t.Context(), pull.Number, pull.Head); err != nil {
				t.Fatal(err)
			}
			if m := w.record(); m.Auto != "" || !strings.Contains(m.Fault, "was approved by nobody") {
				t.Errorf("recorded as %+v", m)
			}
			if wave := w.wave(); wave.Approval != nil || wave.Refusal == "" {
				t.Error("the approval counts")
			}
		})
	}
}

// TestAutoMergeBringsOneFile: one that brings two is nobody's word.
func TestAutoMergeBringsOneFile(t *testing.T) {
	w := newApprovalWorld(t, nil)
	w.must(rollout.ProposeApproval)
	w.commit(everyoneBranch, "mill", map[string][]byte{"notes/two.txt": []byte("x")})
	w.check(everyoneBranch, "success")
	p := w.pull(everyoneBranch)
	if _, err := w.people[millLogin].Merge(t.Context(), p.Number, p.Head); err != nil {
		t.Fatal(err)
	}
	if m := w.record(); m.Auto != "" || m.Fault == "" {
		t.Errorf("recorded as %+v", m)
	}
}

// TestAutoRevoke: a failed gate's revocation is merged by packmill where the
// operator lets it.
func TestAutoRevoke(t *testing.T) {
	w := newApprovalWorld(t, nil)
	w.verdict("fail", approvalSoaked.Add(-time.Hour))
	branch := w.must(rollout.ProposeRevoke)
	w.check(branch, "success")
	if said := w.must(rollout.AutoMerge); !strings.HasPrefix(said, "merged by itself") {
		t.Errorf("%q", said)
	}
	m := w.record()
	if m.Auto != rollout.AutoRevoke || m.Fault != "" || len(m.Approvers) != 0 || len(m.Revokes) != 1 || m.Revokes[0].Package != approvalPkg {
		t.Errorf("recorded as %+v", m)
	}
	if _, ok := w.facts().Repo.Revoked(approvalPkg, w.facts().Repo.Cycles[theCycle].Entries[approvalPkg]); !ok {
		t.Error("main does not revoke it")
	}
}

// TestRejectionIsRecorded: a refusal is a merge too, and stays on record when
// its file is replaced.
func TestRejectionIsRecorded(t *testing.T) {
	w := newApprovalWorld(t, nil)
	file := desired.ApprovalPath(theCycle, "everyone")
	w.must(rollout.ProposeApproval)
	w.commit(everyoneBranch, "ann", map[string][]byte{file: rejection(w)})
	if branch := w.must(rollout.ProposeApproval); branch != everyoneBranch || !slices.Equal(w.read(w.pull(branch).Head, file), rejection(w)) {
		t.Error("the answer was overwritten")
	}
	w.review(everyoneBranch, "bob")
	m := w.record()
	want := fleet.Rejection{Cycle: theCycle, Gate: "everyone", Because: "not this week"}
	if m.Fault != "" || !slices.Equal(m.Rejects, []fleet.Rejection{want}) || !slices.Equal(m.Approvers, []string{"bob"}) {
		t.Errorf("recorded as %+v", m)
	}
	if refusal := w.wave().Refusal; refusal != "rejected: not this week" {
		t.Errorf("the wave says %q", refusal)
	}
	for _, kind := range []string{rollout.ProposeApproval, rollout.AutoMerge, rollout.ProposeTenantApprovals} {
		if _, asks := w.step(kind); asks {
			t.Errorf("Step still asks for %s", kind)
		}
	}
}
