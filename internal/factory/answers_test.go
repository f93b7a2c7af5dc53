package factory_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/rules/rollout"
)

const (
	answerBranch = "answer/2026-W47/nordic"
	aaltoAnswer  = "tenants/nordic/aalto/approvals/2026-W47.cue"
	bergAnswer   = "tenants/nordic/berg/approvals/2026-W47.cue"
)

// TestPartnerAnswers: one pull request for all tenants of a partner, whose own
// people's word makes it count, with no word of the operator's.
func TestPartnerAnswers(t *testing.T) {
	w := newApprovalWorld(t, nil)
	if branch := w.must(rollout.ProposeTenantApprovals); branch != answerBranch {
		t.Fatalf("proposed on %s", branch)
	}
	p := w.pull(answerBranch)
	for _, words := range []string{"2026-W47 asks for the word of Nordic on 2 tenants", "nordic/aalto | everyone | 40 | acme/app-0000 1.0", "`pia` for nordic/aalto; from `sol` for nordic/berg"} {
		if !strings.Contains(p.Body, words) {
			t.Errorf("the pull request does not say %q:\n%s", words, p.Body)
		}
	}
	if _, changed, err := w.ProposeTenantApprovals(t.Context(), w.facts(), theCycle, "nordic"); err != nil || changed {
		t.Errorf("a second run changes it: %v", err)
	}
	w.review(answerBranch, "pia", "sol")
	m := w.record()
	want := map[string][]string{aaltoAnswer: {"pia"}, bergAnswer: {"sol"}}
	if m.Fault != "" || len(m.Approvers) != 0 || m.Approves != "" || !maps.EqualFunc(m.Counted, want, slices.Equal) || len(m.ApprovalBlobs) != 2 || m.Auto != "" {
		t.Errorf("recorded as %+v", m)
	}
	if a, asks := w.step(rollout.ProposeTenantApprovals); asks {
		t.Errorf("Step asks again: %+v", a)
	}
	given := w.facts().Repo.TenantApprovals["nordic/aalto"][theCycle]
	if given.Decision != "approved" || given.Plans["everyone"] != w.plans["everyone"].Digest || len(given.Plans) != 1 || !given.ValidUntil.Equal(time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)) {
		t.Errorf("main says %+v", given)
	}
}

// TestPartnerRefusesForOne: an answer on the branch is left alone, merged, and
// on record.
func TestPartnerRefusesForOne(t *testing.T) {
	w := newApprovalWorld(t, nil)
	w.must(rollout.ProposeTenantApprovals)
	refusal := desired.TenantApprovalFile(fleet.TenantApproval{
		Cycle: theCycle, Decision: "rejected", Because: "inventory count", ValidUntil: approvalSoaked, Plans: map[string]fleet.Digest{"everyone": w.plans["everyone"].Digest},
	})
	w.commit(answerBranch, "sol", map[string][]byte{bergAnswer: refusal})
	w.must(rollout.ProposeTenantApprovals)
	if !slices.Equal(w.read(w.pull(answerBranch).Head, bergAnswer), refusal) {
		t.Fatal("the answer was overwritten")
	}
	w.review(answerBranch, "pia", "sol")
	m := w.record()
	if m.Fault != "" || !slices.Equal(m.Rejects, []fleet.Rejection{{Cycle: theCycle, Tenant: "nordic/berg", Because: "inventory count"}}) {
		t.Errorf("recorded as %+v", m)
	}
}

// TestPartnerSpeaksForItsOwn: what the policy before a merge does not let
// somebody say counts for nobody, and is no review of main.
func TestPartnerSpeaksForItsOwn(t *testing.T) {
	const partner = "tenants/nordic/partner.cue"
	for name, c := range map[string]struct {
		do      func(w *approvalWorld)
		by      []string
		fault   bool
		counted map[string][]string
	}{
		"the partner for a tenant that asks its site": {nil, []string{"pia"}, true, map[string][]string{aaltoAnswer: {"pia"}, bergAnswer: {}}},
		"a stranger":                      {nil, []string{"mal"}, true, map[string][]string{aaltoAnswer: {}, bergAnswer: {}}},
		"the operator alone, who reviews": {nil, []string{"ann"}, false, map[string][]string{aaltoAnswer: {}, bergAnswer: {}}},
		"somebody the same change names": {func(w *approvalWorld) {
			w.commit(answerBranch, "mal", map[string][]byte{partner: []byte(strings.ReplaceAll(string(approvalFiles()[partner]), `"pia"`, `"mal"`))})
		}, []string{"mal", "sol"}, true, map[string][]string{aaltoAnswer: {}, bergAnswer: {"sol"}}},
		"a partner who changes more": {func(w *approvalWorld) {
			w.commit(answerBranch, "pia", map[string][]byte{"tenants/nordic/notes.txt": []byte("x")})
		}, []string{"pia", "sol"}, true, map[string][]string{aaltoAnswer: {"pia"}, bergAnswer: {"sol"}}},
		"and the operator who lets it": {func(w *approvalWorld) {
			w.commit(answerBranch, "pia", map[string][]byte{"tenants/nordic/notes.txt": []byte("x")})
		}, []string{"ann", "pia", "sol"}, false, map[string][]string{aaltoAnswer: {"pia"}, bergAnswer: {"sol"}}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newApprovalWorld(t, nil)
			w.must(rollout.ProposeTenantApprovals)
			if c.do != nil {
				c.do(w)
			}
			w.review(answerBranch, c.by...)
			m := w.record()
			if (m.Fault != "") != c.fault || !maps.EqualFunc(m.Counted, c.counted, slices.Equal) {
				t.Errorf("recorded as %+v", m)
			}
		})
	}
}

// TestPartnerWhoOpens: who opens a pull request does not approve it, and what
// was pushed after a review was not reviewed.
func TestPartnerWhoOpens(t *testing.T) {
	w := newApprovalWorld(t, nil)
	w.must(rollout.ProposeTenantApprovals)
	w.reopen(answerBranch, "pia")
	p := w.pull(answerBranch)
	for _, login := range []string{"sol", "bob"} {
		if err := w.people[login].Approve(t.Context(), p.Number, p.Head); err != nil {
			t.Fatal(err)
		}
	}
	w.commit(answerBranch, "pia", map[string][]byte{bergAnswer: w.read(p.Head, bergAnswer), "x.txt": []byte("x")})
	w.review(answerBranch, "bob")
	if m := w.record(); len(m.Counted[aaltoAnswer]) != 0 || len(m.Counted[bergAnswer]) != 0 || !slices.Equal(m.Approvers, []string{"bob"}) {
		t.Errorf("recorded as %+v", m)
	}
}
