package factory_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// A readLedger gives evidence as a test has it.
type readLedger struct {
	factory.Ledger
	rec *fleet.Record
}

func (l readLedger) Read(context.Context) (*fleet.Record, error) { return l.rec, nil }

func (l readLedger) Verify(context.Context, ...map[string]string) ([]evidence.Finding, error) {
	return nil, nil
}

// newAuditWorld is an approval world whose records are signed with a key that
// its policy trusts, after some edits of that policy.
func newAuditWorld(t *testing.T, edits ...func(string) string) (*approvalWorld, string) {
	t.Helper()
	key := signer(t)
	pem := strings.ReplaceAll(strings.TrimSpace(key.PublicPEM()), "\n", "\\n") + "\\n"
	w := newApprovalWorld(t, map[string]func(string) string{"tenants/operator.cue": func(s string) string {
		for _, edit := range edits {
			s = edit(s)
		}
		return strings.Replace(s, "trust: {", "trust: {keys: mill: {uses: [\"evidence\"], from: \"2026-01-01\", pem: \""+pem+"\"}, ", 1)
	}})
	return w, key.KeyID()
}

// audit is what an audit finds about a commit.
func (w *approvalWorld) audit(key, commit string) ([]string, []fleet.AuditRow) {
	w.t.Helper()
	for i := range w.rec.Merges {
		w.rec.Merges[i].Key = key
	}
	out, err := w.Audit(w.t.Context(), readLedger{rec: w.rec})
	if err != nil {
		w.t.Fatal(err)
	}
	var found []string
	for _, f := range out.Findings {
		if f.Object == commit {
			found = append(found, f.What)
		}
	}
	return found, out.Rows
}

// TestAuditOfAnAutoMerge: the audit reads from commits and evidence that nobody
// approved and that nobody had to, and sees through a record that says otherwise.
func TestAuditOfAnAutoMerge(t *testing.T) {
	w, key := newAuditWorld(t)
	w.must(rollout.ProposeApproval)
	w.check(everyoneBranch, "success")
	w.must(rollout.AutoMerge)
	commit := w.record().Commit
	if found, _ := w.audit(key, commit); len(found) != 0 {
		t.Fatalf("found %q", found)
	}
	last := &w.rec.Merges[len(w.rec.Merges)-1]
	sound, verdicts := *last, slices.Clone(w.rec.Verdicts)
	for name, c := range map[string]struct {
		change func()
		want   string
	}{
		"it says that people approved":      {func() { last.Approvers = []string{"ann"} }, "its record counts ann as approvers, the policy before it nobody"},
		"it says less":                      {func() { last.Auto = "" }, `its record says that packmill merged it by itself to ""`},
		"a person pressed the button":       {func() { last.Bot = false }, "was approved by nobody"},
		"the verdict was on something else": {func() { w.rec.Verdicts[0].Artifact = "sha256:0" }, "was approved by nobody"},
		"the verdict came later":            {func() { w.rec.Verdicts[0].At = last.At.Add(time.Second) }, "was approved by nobody"},
	} {
		c.change()
		if found, _ := w.audit(key, commit); !slices.ContainsFunc(found, func(f string) bool { return strings.HasPrefix(f, c.want) }) {
			t.Errorf("%s: found %q, want %q", name, found, c.want)
		}
		*last, w.rec.Verdicts = sound, slices.Clone(verdicts)
	}
}

// TestAuditOfATenantsWord: what went to a tenant that has a say had its word.
func TestAuditOfATenantsWord(t *testing.T) {
	w, key := newAuditWorld(t)
	w.must(rollout.ProposeApproval)
	w.review(everyoneBranch, "ann")
	gate := w.record().Commit
	w.clock.Set(approvalSoaked.Add(time.Hour))
	w.must(rollout.ProposeTenantApprovals)
	w.review(answerBranch, "pia", "sol")
	commit := w.record().Commit
	at := approvalSoaked.Add(2 * time.Hour)
	w.rec.Intents = []fleet.Intent{{
		ID: "i", Cycle: theCycle, Wave: "everyone", Tenant: "nordic/aalto", Package: approvalPkg, Release: "1.0", Artifact: fleet.DigestOf([]byte("artifact")),
		Action: "assign", Generation: 1, Main: commit, Plan: w.plans["everyone"].Digest, At: at,
	}}
	check := func() fleet.AuditCheck {
		t.Helper()
		_, rows := w.audit(key, commit)
		return rows[0].Approval
	}
	if found, _ := w.audit(key, commit); len(found) != 0 {
		t.Fatalf("found %q", found)
	}
	if got := check(); !got.OK || got.What != "#1 by ann, for the tenant #2 by pia" || got.Where != gate {
		t.Errorf("%+v", got)
	}
	intent := &w.rec.Intents[0]
	last := &w.rec.Merges[len(w.rec.Merges)-1]
	sound, was := *last, *intent
	for name, c := range map[string]struct {
		change func()
		want   string
	}{
		"before it was given": {func() { intent.At = approvalSoaked.Add(30 * time.Minute) }, "the partner had not approved for the tenant"},
		"after it had ended":  {func() { intent.At = approvalSoaked.AddDate(0, 0, 9) }, "the tenant's word had expired"},
		"of a stranger":       {func() { last.Counted = map[string][]string{aaltoAnswer: {"mal"}, bergAnswer: {"sol"}} }, "the merge of the tenant's word does not hold"},
	} {
		c.change()
		if got := check(); got.OK || got.What != c.want {
			t.Errorf("%s: %+v, want %q", name, got, c.want)
		}
		*last, *intent = sound, was
	}
}

// TestBudgetTakenOutWithAnApproval: a pull request that takes the budget out
// which its approval is above does not count by one person's word. The audit
// sees through a record that does not tell.
func TestBudgetTakenOutWithAnApproval(t *testing.T) {
	const budget = "exposure: perMerge: {devices: 1, approvers: 2}, "
	w, key := newAuditWorld(t, func(operator string) string { return strings.Replace(operator, "trust: {", "trust: {"+budget, 1) })
	w.must(rollout.ProposeApproval)
	operator := w.read(w.facts().Repo.Commit, "tenants/operator.cue")
	without := strings.Replace(string(operator), budget, "", 1)
	if without == string(operator) {
		t.Fatal("there is no budget to take out")
	}
	w.commit(everyoneBranch, "mal", map[string][]byte{"tenants/operator.cue": []byte(without)})
	w.review(everyoneBranch, "ann")
	m := w.record()
	if !m.Policy || m.Fault != "" || w.facts().Repo.Operator.Trust.Exposure != nil {
		t.Fatalf("recorded as %+v", m)
	}
	if wave := w.wave(); wave.Approval != nil || !strings.HasPrefix(wave.Refusal, "its merge changes tenants/operator.cue too") {
		t.Errorf("the wave is approved, or says %q", wave.Refusal)
	}
	if found, _ := w.audit(key, m.Commit); len(found) != 0 {
		t.Errorf("found %q", found)
	}
	w.rec.Merges[len(w.rec.Merges)-1].Policy = false
	want := "its record does not tell as it is whether it changes the policy together with an approval"
	if found, _ := w.audit(key, m.Commit); !slices.Contains(found, want) {
		t.Errorf("found %q, want %q", found, want)
	}
}
