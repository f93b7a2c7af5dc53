package factory_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/signing"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
)

// A refusalWorld is a repository of real merges with a real ledger. The text of
// an approval file is its decision and, behind a colon, why.
type refusalWorld struct {
	*mergeWorld
	evidence *evidence.Ledger
}

func newRefusalWorld(t *testing.T) *refusalWorld {
	t.Helper()
	w := &refusalWorld{mergeWorld: newMergeWorld(t)}
	key := signer(t)
	trust := fleet.Trust{Approvals: 1, Keys: map[string]fleet.TrustedKey{"mill": {PEM: key.PublicPEM(), Uses: []string{"evidence"}, From: "2026-01-01"}}}
	verifier, err := signing.NewVerifier(trust, signing.UseEvidence)
	if err != nil {
		t.Fatal(err)
	}
	w.evidence = evidence.Open(w.Git, key, verifier, fleet.NewManualClock(mergeTime.Add(time.Hour)), fleet.Identity{Name: "packmill", Email: "packmill@operator.example"})
	w.Ledger = w.evidence
	read := w.Desired
	w.Desired = func(ctx context.Context, rev string) (*fleet.Repository, error) {
		repo, err := read(ctx, rev)
		if err != nil {
			return nil, err
		}
		repo.Operator.Trust = trust
		repo.Partners = map[string]fleet.Partner{"nordic": {Approvers: []fleet.Person{{Login: "nora", From: "2026-01-01"}}}}
		repo.Tenants = map[fleet.TenantID]fleet.Tenant{"nordic/aalto": {ID: "nordic/aalto", Policy: fleet.Policy{Approval: fleet.ByPartner}}}
		repo.TenantApprovals = map[fleet.TenantID]map[fleet.CycleID]fleet.TenantApproval{}
		if said, err := w.read(ctx, rev, aaltoApproval); err == nil {
			decision, because, _ := strings.Cut(said, ": ")
			repo.TenantApprovals["nordic/aalto"] = map[fleet.CycleID]fleet.TenantApproval{"2026-W47": {Cycle: "2026-W47", Decision: decision, Because: because}}
		}
		for _, gates := range repo.Approvals {
			for gate, a := range gates {
				a.Decision, a.Because, _ = strings.Cut(a.Decision, ": ")
				gates[gate] = a
			}
		}
		return repo, nil
	}
	return w
}

const aaltoApproval = "tenants/nordic/aalto/approvals/2026-W47.cue"

func (w *refusalWorld) read(_ context.Context, rev, file string) (string, error) {
	tree, err := w.Git.Tree(rev)
	if err != nil {
		return "", err
	}
	data, err := tree.Read(file)
	return string(data), err
}

// recordAll records what is on main and not in evidence, as a run would.
func (w *refusalWorld) recordAll() {
	w.t.Helper()
	rec, err := w.evidence.Read(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	known := ""
	if n := len(rec.Merges); n > 0 {
		known = rec.Merges[n-1].Commit
	}
	line, err := w.Git.FirstParents(w.t.Context(), w.main, known)
	if err != nil {
		w.t.Fatal(err)
	}
	var commits []string
	for i := len(line) - 1; i >= 0; i-- {
		if len(line[i].Parents) > 0 {
			commits = append(commits, line[i].ID)
		}
	}
	if err := w.RecordMerges(w.t.Context(), commits, rec); err != nil {
		w.t.Fatal(err)
	}
}

// audited is the audit of main as it is.
func (w *refusalWorld) audited() fleet.Audit {
	w.t.Helper()
	old, err := w.Git.Ref("refs/heads/main")
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.Git.SetBranch("main", old, w.main); err != nil {
		w.t.Fatal(err)
	}
	a, err := w.Audit(w.t.Context(), w.evidence)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// refusals are the refused gates in one line each.
func refusals(a fleet.Audit) string {
	var out []string
	for _, r := range a.Refusals {
		out = append(out, strings.Join(strings.Fields(fmt.Sprintf("%s %s %q PR %d by %v proven %v plan %s since %s PR %d", r.Cycle, r.Gate+string(r.Tenant), r.Because, r.PR, r.By, r.Proven, r.Plan, r.Since.How, r.Since.PR)), " "))
	}
	return strings.Join(out, "\n")
}

func TestAuditFindsRefusals(t *testing.T) {
	everyone := strings.Replace(dogfoodApproval, "dogfood", "everyone", 1)
	says := func(text string) map[string]string { return map[string]string{dogfoodApproval: text} }
	no := says("rejected: it breaks the scanner")
	for _, c := range []struct {
		name string
		do   func(w *refusalWorld)
		want string
	}{
		{"none", func(w *refusalWorld) { w.merge(says("approved"), nil, "ines") }, ""},
		{"one that stands", func(w *refusalWorld) { w.merge(no, nil, "ines") }, `2026-W47 dogfood "it breaks the scanner" PR 1 by [ines] proven true plan sha256:plan since PR 0`},
		{"one that was replaced by an approval", func(w *refusalWorld) {
			w.merge(no, nil, "ines")
			w.merge(says("approved"), nil, "ines")
		}, `2026-W47 dogfood "it breaks the scanner" PR 1 by [ines] proven true plan sha256:plan since approved PR 2`},
		{"one whose file was deleted, and the gate approved anew", func(w *refusalWorld) {
			w.merge(no, nil, "ines")
			w.merge(says(""), nil, "ines")
			w.merge(says("approved"), nil, "ines")
		}, `2026-W47 dogfood "it breaks the scanner" PR 1 by [ines] proven true plan sha256:plan since removed PR 2`},
		{"one that was pushed over", func(w *refusalWorld) {
			w.merge(no, nil, "ines")
			w.push(says("approved"))
		}, `2026-W47 dogfood "it breaks the scanner" PR 1 by [ines] proven true plan sha256:plan since approved PR 0`},
		{"twice, for two reasons", func(w *refusalWorld) {
			w.merge(no, nil, "ines")
			w.merge(says("rejected: the week is too busy"), nil, "ines")
		}, `2026-W47 dogfood "it breaks the scanner" PR 1 by [ines] proven true plan sha256:plan since rejected PR 2` + "\n" +
			`2026-W47 dogfood "the week is too busy" PR 2 by [ines] proven true plan sha256:plan since PR 0`},
		{"two gates in one merge", func(w *refusalWorld) {
			w.merge(map[string]string{dogfoodApproval: "rejected: no", everyone: "rejected: nor this"}, nil, "ines")
		}, `2026-W47 dogfood "no" PR 1 by [ines] proven true plan sha256:plan since PR 0` + "\n" + `2026-W47 everyone "nor this" PR 1 by [ines] proven true plan sha256:plan since PR 0`},
		{"a tenant's, by its partner, who then agreed", func(w *refusalWorld) {
			w.merge(map[string]string{aaltoApproval: "rejected: we move house"}, nil, "ines", "nora")
			w.merge(map[string]string{aaltoApproval: "approved"}, nil, "ines", "nora")
		}, `2026-W47 nordic/aalto "we move house" PR 1 by [nora] proven true plan since approved PR 2`},
		{"one that nobody reviewed", func(w *refusalWorld) { w.push(no) }, `2026-W47 dogfood "it breaks the scanner" PR 0 by [] proven false plan sha256:plan since PR 0`},
		{"one of the first commit", func(w *refusalWorld) {
			w.main = w.commit(nil, "", no)
			if err := w.Git.SetBranch("main", "", w.main); err != nil {
				w.t.Fatal(err)
			}
		}, `2026-W47 dogfood "it breaks the scanner" PR 0 by [] proven false plan sha256:plan since PR 0`},
		{"one that main cannot be read after", func(w *refusalWorld) {
			w.merge(no, nil, "ines")
			w.push(map[string]string{"broken.cue": "?", dogfoodApproval: "approved"})
			w.merge(map[string]string{"broken.cue": ""}, nil, "ines")
		}, `2026-W47 dogfood "it breaks the scanner" PR 1 by [ines] proven true plan sha256:plan since replaced by what cannot be read PR 0`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newRefusalWorld(t)
			c.do(w)
			w.recordAll()
			if got := refusals(w.audited()); got != c.want {
				t.Errorf("\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// TestAuditFindsUnrecordedRefusals audits before any run has recorded the merge:
// main alone tells that somebody refused, and the audit that a record is
// missing.
func TestAuditFindsUnrecordedRefusals(t *testing.T) {
	w := newRefusalWorld(t)
	w.merge(map[string]string{dogfoodApproval: "rejected: no"}, nil, "ines")
	a := w.audited()
	if len(a.Refusals) != 1 || a.Refusals[0].Because != "no" || a.Refusals[0].Proven || a.Passed() {
		t.Errorf("%+v, %+v", a.Refusals, a.Findings)
	}
}

func TestAuditFindsObjections(t *testing.T) {
	w := newRefusalWorld(t)
	w.merge(map[string]string{dogfoodApproval: "approved"}, nil, "ines")
	head := w.forge.pulls[0].Head
	object := func(login, state string, minutes int) fleet.Review {
		return fleet.Review{Login: login, State: state, Commit: head, At: mergeTime.Add(time.Duration(minutes) * time.Minute)}
	}
	w.forge.reviews[1] = []fleet.Review{
		object("ines", "CHANGES_REQUESTED", -30), object("oskar", "CHANGES_REQUESTED", -20), object("oskar", "COMMENTED", -15), object("ines", "APPROVED", -10), object("late", "CHANGES_REQUESTED", 5),
	}
	w.recordAll()
	a := w.audited()
	if !a.Passed() {
		t.Errorf("an objection is no fault: %+v", a.Findings)
	}
	if len(a.Objections) != 2 {
		t.Fatalf("%+v", a.Objections)
	}
	ines, oskar := a.Objections[0], a.Objections[1]
	if ines.Login != "ines" || !ines.Withdrawn || !ines.Approver || ines.Approves != "2026-W47/dogfood" || ines.Saw != head || ines.PR != 1 {
		t.Errorf("%+v", ines)
	}
	if oskar.Login != "oskar" || oskar.Withdrawn || oskar.Approver {
		t.Errorf("%+v", oskar)
	}
}
