package factory_test

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/record/gitrepo"
)

var mergeTime = time.Date(2026, 11, 18, 14, 30, 0, 0, time.UTC)

func TestApproversThatCount(t *testing.T) {
	parent := policyOf("ines", "oskar")
	review := func(login, state, commit string, minutes int) fleet.Review {
		return fleet.Review{Login: login, State: state, Commit: commit, At: mergeTime.Add(time.Duration(minutes) * time.Minute)}
	}
	bot := review("ines", "APPROVED", "head", 0)
	bot.Bot = true
	for _, c := range []struct {
		name    string
		head    string
		reviews []fleet.Review
		want    []string
	}{
		{"an approver", "head", []fleet.Review{review("ines", "APPROVED", "head", 0)}, []string{"ines"}},
		{"two, sorted", "head", []fleet.Review{review("oskar", "APPROVED", "head", -5), review("ines", "APPROVED", "head", -1)}, []string{"ines", "oskar"}},
		{"not after the merge", "head", []fleet.Review{review("ines", "APPROVED", "head", 1)}, nil},
		{"what is said after the merge takes nothing back", "head", []fleet.Review{review("ines", "APPROVED", "head", -1), review("ines", "DISMISSED", "head", 1)}, []string{"ines"}},
		{"what is said before it does", "head", []fleet.Review{review("ines", "APPROVED", "head", -2), review("ines", "CHANGES_REQUESTED", "head", -1)}, nil},
		{"not of another commit", "head", []fleet.Review{review("ines", "APPROVED", "older", 0)}, nil},
		{"not of no commit", "", []fleet.Review{review("ines", "APPROVED", "", 0)}, nil},
		{"not who opened it, in whatever case", "head", []fleet.Review{review("Author", "APPROVED", "head", 0)}, nil},
		{"not a bot", "head", []fleet.Review{bot}, nil},
		{"not anyone else", "head", []fleet.Review{review("mallory", "APPROVED", "head", 0)}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := factory.Approvers(parent, fleet.Merge{Head: c.head, Author: "author", Reviews: c.reviews, At: mergeTime})
			if !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func policyOf(logins ...string) *fleet.Repository {
	persons := []fleet.Person{{Login: "author", From: "2026-01-01"}}
	for _, l := range logins {
		persons = append(persons, fleet.Person{Login: l, From: "2026-01-01"})
	}
	return &fleet.Repository{Operator: fleet.Operator{Approvers: map[string][]fleet.Person{"change": persons}, Trust: fleet.Trust{Approvals: 1}}}
}

// A mergeForge knows pull requests and their reviews.
type mergeForge struct {
	factory.Forge
	pulls   []fleet.Pull
	reviews map[int][]fleet.Review
}

func (f *mergeForge) Pulls(context.Context, string) ([]fleet.Pull, error) { return f.pulls, nil }

func (f *mergeForge) Pull(_ context.Context, n int) (fleet.Pull, error) {
	return f.pulls[slices.IndexFunc(f.pulls, func(p fleet.Pull) bool { return p.Number == n })], nil
}

func (f *mergeForge) Reviews(_ context.Context, n int) ([]fleet.Review, error) {
	return f.reviews[n], nil
}

func (f *mergeForge) Checks(context.Context, string) ([]fleet.Check, error) { return nil, nil }

// A mergeLedger keeps merge records.
type mergeLedger struct {
	factory.Ledger
	rows []fleet.Merge
}

func (l *mergeLedger) Append(_ context.Context, branch, dir string, rows any) error {
	if branch == evidence.Control && dir == evidence.MergesDir {
		l.rows = append(l.rows, rows.([]fleet.Merge)...)
	}
	return nil
}

// A mergeWorld is a repository whose files say what the test says of them: a
// hold's and an approval's text are the artifact and the decision.
type mergeWorld struct {
	*factory.Factory
	t      *testing.T
	forge  *mergeForge
	ledger *mergeLedger
	main   string
}

const dogfoodApproval = "schedules/cycles/2026-W47/approvals/dogfood.cue"

func newMergeWorld(t *testing.T) *mergeWorld {
	t.Helper()
	git, err := gitrepo.Init(filepath.Join(t.TempDir(), "repo"), true)
	if err != nil {
		t.Fatal(err)
	}
	w := &mergeWorld{t: t, forge: &mergeForge{reviews: map[int][]fleet.Review{}}, ledger: &mergeLedger{}}
	w.Factory = &factory.Factory{Git: git, Forge: w.forge, Ledger: w.ledger}
	w.Desired = func(ctx context.Context, rev string) (*fleet.Repository, error) {
		tree, err := git.Tree(rev)
		if err != nil {
			return nil, err
		}
		files, err := tree.Files(ctx, "")
		if err != nil {
			return nil, err
		}
		repo := policyOf("ines")
		repo.Approvals, repo.Holds = map[fleet.CycleID]map[string]fleet.Approval{}, map[string]fleet.Hold{}
		for _, f := range files {
			text, err := git.ReadBlob(f.Blob)
			if err != nil {
				return nil, err
			}
			name := strings.TrimSuffix(filepath.Base(f.Path), ".cue")
			switch {
			case f.Path == "broken.cue":
				return nil, fleet.Errorf(fleet.Invalid, "test", f.Path, "cannot be read")
			case strings.Contains(f.Path, "/approvals/"):
				if repo.Approvals["2026-W47"] == nil {
					repo.Approvals["2026-W47"] = map[string]fleet.Approval{}
				}
				repo.Approvals["2026-W47"][name] = fleet.Approval{Decision: string(text), Plan: "sha256:plan"}
			case strings.HasPrefix(f.Path, "schedules/holds/"):
				repo.Holds[name] = fleet.Hold{Kind: "revocation", Package: "acme/tool", Release: string(text)}
			}
		}
		return repo, nil
	}
	w.main = w.commit(nil, "", map[string]string{"a": "1"})
	return w
}

func (w *mergeWorld) commit(parents []string, base string, files map[string]string) string {
	w.t.Helper()
	spec := gitrepo.CommitSpec{Parents: parents, Base: base, Files: map[string][]byte{}, Message: "x", Author: fleet.Identity{Name: "a", Email: "a@example.com"}, When: mergeTime}
	for name, text := range files {
		spec.Files[name] = []byte(text)
		if text == "" {
			spec.Files[name] = nil
		}
	}
	id, err := w.Git.Commit(w.t.Context(), spec)
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// push puts a direct commit on main.
func (w *mergeWorld) push(files map[string]string) { w.main = w.commit([]string{w.main}, "", files) }

// merge merges a branch with files, adding some while merging, approved by
// some people.
func (w *mergeWorld) merge(files, slipped map[string]string, approvers ...string) {
	head := w.commit([]string{w.main}, "", files)
	w.main = w.commit([]string{w.main, head}, head, slipped)
	n := len(w.forge.pulls) + 1
	w.forge.pulls = append(w.forge.pulls, fleet.Pull{Number: n, Commit: w.main, Head: head, Author: "author", Title: "a pull request"})
	for _, a := range approvers {
		w.forge.reviews[n] = append(w.forge.reviews[n], fleet.Review{Login: a, State: "APPROVED", Commit: head, At: mergeTime})
	}
}

// record records the newest commit of main.
func (w *mergeWorld) record() fleet.Merge {
	w.t.Helper()
	if err := w.RecordMerges(w.t.Context(), []string{w.main}, &fleet.Record{Merges: w.ledger.rows}); err != nil {
		w.t.Fatal(err)
	}
	return w.ledger.rows[len(w.ledger.rows)-1]
}

func TestRecordJudgesEveryCommit(t *testing.T) {
	file := map[string]string{"b": "2"}
	for _, c := range []struct {
		name string
		do   func(w *mergeWorld)
		want string
	}{
		{"a reviewed merge", func(w *mergeWorld) { w.merge(file, nil, "ines") }, ""},
		{"a merge nobody approved", func(w *mergeWorld) { w.merge(file, nil) }, "was approved by nobody; the policy before it asks for 1"},
		{"a merge its author approved", func(w *mergeWorld) { w.merge(file, nil, "author") }, "was approved by nobody"},
		{"a merge that slips something in", func(w *mergeWorld) { w.merge(file, map[string]string{"c": "3"}, "ines") }, "holds something else"},
		{"a merge that leaves something out", func(w *mergeWorld) { w.merge(file, map[string]string{"b": ""}, "ines") }, "holds something else"},
		{"a direct commit", func(w *mergeWorld) { w.push(file) }, "is a commit on main that is no merge"},
		{"a merge without a pull request", func(w *mergeWorld) { w.merge(file, nil, "ines"); w.forge.pulls = nil }, "was approved by nobody"},
		{"what follows on a commit that cannot be read", func(w *mergeWorld) {
			w.push(map[string]string{"broken.cue": "?"})
			w.merge(map[string]string{"broken.cue": ""}, nil, "ines")
		}, "follows on a commit that cannot be read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newMergeWorld(t)
			c.do(w)
			if m := w.record(); !strings.HasPrefix(m.Fault, c.want) || c.want == "" && m.Fault != "" {
				t.Errorf("fault %q, want %q", m.Fault, c.want)
			} else if base, err := w.Git.CommitInfo(m.Base); err != nil || m.BaseTree != base.Tree {
				t.Errorf("tree before %q, want %q (%v)", m.BaseTree, base.Tree, err)
			}
		})
	}
}

func TestRecordTellsWhatAPushBrings(t *testing.T) {
	w := newMergeWorld(t)
	w.merge(map[string]string{dogfoodApproval: "rejected"}, nil, "ines")
	first := w.record()
	if first.Approves != "2026-W47/dogfood" || first.Plan != "sha256:plan" || first.ApprovalBlobs[dogfoodApproval] == "" {
		t.Errorf("%+v", first)
	}
	w.push(map[string]string{dogfoodApproval: "approved", "schedules/holds/bad.cue": "2.0", "catalog/acme/tool/3.0.cue": "x"})
	second := w.record()
	if second.Approves != "2026-W47/dogfood" || len(second.Approvers) != 0 || second.Fault == "" || second.ApprovalBlobs[dogfoodApproval] == first.ApprovalBlobs[dogfoodApproval] {
		t.Errorf("%+v", second)
	}
	if len(second.Revokes) != 1 || second.Revokes[0].Release != "2.0" || !slices.Equal(second.Releases, []string{"acme/tool@3.0"}) {
		t.Errorf("%+v", second)
	}
	if second.Previous != first.Commit {
		t.Errorf("follows on %s", second.Previous)
	}
	both := map[string]string{dogfoodApproval: "approved again", strings.Replace(dogfoodApproval, "dogfood", "everyone", 1): "approved"}
	w.merge(both, nil, "ines")
	if m := w.record(); m.Approves != "" || len(m.ApprovalBlobs) != 2 {
		t.Errorf("two approvals in one merge: %+v", m)
	}
	if second.Policy || len(second.CycleBlobs) > 0 {
		t.Errorf("no policy and no cycle: %+v", second)
	}
	w.merge(map[string]string{dogfoodApproval: ""}, nil, "ines")
	if m := w.record(); m.Approves != "" || !maps.Equal(m.ApprovalBlobs, map[string]string{dogfoodApproval: ""}) {
		t.Errorf("a removal: %+v", m)
	}
}

// TestRecordTellsOfSeveralReleases: a group's merge brings them all, whatever
// else it changes of their packages.
func TestRecordTellsOfSeveralReleases(t *testing.T) {
	w := newMergeWorld(t)
	w.merge(map[string]string{"catalog/acme/tool/1.0.cue": "x", "catalog/acme/tool/package.cue": "p"}, nil, "ines")
	w.record()
	w.merge(map[string]string{"catalog/acme/tool/2.0.cue": "x", "catalog/acme/tool/package.cue": "q", "catalog/beta/app/1.1.cue": "y", "catalog/beta/other/7.cue": "z"}, nil, "ines")
	if m := w.record(); !slices.Equal(m.Releases, []string{"acme/tool@2.0", "beta/app@1.1", "beta/other@7"}) || m.Fault != "" || !slices.Equal(m.Approvers, []string{"ines"}) {
		t.Errorf("%+v", m)
	}
}

// TestRecordTellsOfAPolicyWithAnApproval: an approval must not be judged by a
// policy that its own merge brings, changed, removed or for the first time.
func TestRecordTellsOfAPolicyWithAnApproval(t *testing.T) {
	const operator, cycle = "tenants/operator.cue", "schedules/cycles/2026-W47/cycle.cue"
	w := newMergeWorld(t)
	for i, c := range []struct {
		name   string
		files  map[string]string
		policy bool
	}{
		{"a policy alone", map[string]string{operator: "1"}, false},
		{"an approval alone", map[string]string{dogfoodApproval: "approved"}, false},
		{"both", map[string]string{operator: "2", dogfoodApproval: "approved again"}, true},
		{"a policy removed with an approval", map[string]string{operator: "", dogfoodApproval: "approved once more"}, true},
		{"a policy with two approvals", map[string]string{operator: "3", dogfoodApproval: "approved", "schedules/cycles/2026-W47/approvals/everyone.cue": "approved"}, true},
		{"a file of another name", map[string]string{"tenants/us/operator.cue": "1", dogfoodApproval: "approved a last time"}, false},
		{"a cycle with its approval", map[string]string{cycle: "1", dogfoodApproval: "approved the last time"}, false},
		{"a cycle removed", map[string]string{cycle: ""}, false},
	} {
		w.merge(c.files, nil, "ines")
		m := w.record()
		if m.Policy != c.policy || m.Fault != "" {
			t.Errorf("%d, %s: policy %t, fault %q", i, c.name, m.Policy, m.Fault)
		}
		text, touched := c.files[cycle]
		if blob, told := m.CycleBlobs[cycle]; told != touched || (blob == "") != (text == "") {
			t.Errorf("%s: tells of the cycles %v", c.name, m.CycleBlobs)
		}
	}
}
