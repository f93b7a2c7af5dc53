package cli

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/sim/world"
)

// TestRefusalIsAMerge lets people refuse the week's first wave on the forge: the
// mill proposes the cycle, Ines turns its approval into a refusal, Oskar reviews
// that, and it is merged. The wave stays closed and says why. Then the file is
// taken away by another merge, and a clone alone still tells who refused.
func TestRefusalIsAMerge(t *testing.T) {
	long(t, "runs a part of the week")
	ctx := t.Context()
	from, err := worlds.until(1, "open")
	dir := copied(t, got(t, from, err))
	d, err := openDemo(ctx, packmillProgram(t), dir, 1, neverKill)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	d.until = "approve-dogfood"
	if err := d.run(ctx); err != nil {
		t.Fatal(err)
	}
	file := fleet.ApprovalFile("2026-W47", "dogfood")
	at := time.Date(2026, 11, 18, 14, 30, 0, 0, time.UTC)
	d.decide(t, at, "cycle/", file, func(text string) []byte {
		return []byte(strings.Replace(text, `"approved"`, `"rejected"`+"\n\tbecause: \"=the scanner's drivers are not tested\"", 1))
	})
	if _, err := d.child(ctx, at.Add(time.Minute), false, "run", "--yes"); err != nil {
		t.Fatal(err)
	}
	status, err := d.child(ctx, at.Add(2*time.Minute), false, "cycle", "status")
	if err != nil || !strings.Contains(string(status), "rejected: =the scanner's drivers are not tested") {
		t.Errorf("%s, %v", status, err)
	}

	// Away with it: the history of main has it all the same.
	d.world.SetTime(at.Add(time.Hour))
	d.propose(t, at.Add(time.Hour), "people/again", file)
	d.decide(t, at.Add(time.Hour), "people/again", file, nil)
	if _, err := d.child(ctx, at.Add(61*time.Minute), false, "run", "--yes"); err != nil {
		t.Fatal(err)
	}
	clone := filepath.Join(t.TempDir(), "audited")
	if _, err := gitrepo.Clone(ctx, d.world.GitDir(), clone, gitrepo.Auth{}); err != nil {
		t.Fatal(err)
	}
	toldOfRefusal(t, clone)
}

// toldOfRefusal checks what the audit of a clone tells of the refusal, in every form.
func toldOfRefusal(t *testing.T, clone string) {
	t.Helper()
	const now = "2026-11-19T00:00:00Z"
	code, text, stderr := run(t, nil, "-C", clone, "--now", now, "audit")
	for _, want := range []string{"Refusals", "2026-11-18 14:30Z  2026-W47  dogfood  –       oskar-ek", "removed 2026-11-18 15:30Z", "the audit passes"} {
		if code != exitDone || !strings.Contains(text, want) {
			t.Errorf("code %d: %q is not told:\n%s%s", code, want, text, stderr)
		}
	}
	code, csv, stderr := run(t, nil, "-C", clone, "--now", now, "audit", "--list", "refusals", "--format", "csv")
	if code != exitDone || !strings.HasPrefix(csv, "when,cycle,gate,tenant,refused_by,because,plan,merge,proven,since\n") || !strings.Contains(csv, ",dogfood,,oskar-ek,'=the scanner's drivers are not tested,sha256:") {
		t.Errorf("code %d: %s%s", code, csv, stderr)
	}
	code, out, stderr := run(t, nil, "-C", clone, "--now", now, "audit", "--format", "json")
	if code != exitDone {
		t.Fatalf("code %d: %s", code, stderr)
	}
	checkDocument(t, "audit", out)
	var audit fleet.Audit
	if err := json.Unmarshal([]byte(out), &audit); err != nil {
		t.Fatal(err)
	}
	if len(audit.Refusals) != 1 {
		t.Fatalf("%+v", audit.Refusals)
	}
	r := audit.Refusals[0]
	if r.Gate != "dogfood" || !slices.Equal(r.By, []string{world.Oskar}) || r.MergedBy != world.Ines || !r.Proven || r.PR != 7 || !r.Plan.Valid() || r.Since.How != "removed" || r.Since.PR <= r.PR {
		t.Errorf("%+v", r)
	}
	if code, out, _ = run(t, nil, "-C", clone, "--now", now, "audit", "--list", "objections"); code != exitDone || !strings.Contains(out, "no review asked for changes") {
		t.Errorf("code %d: %s", code, out)
	}
	if code, _, stderr = run(t, nil, "-C", clone, "audit", "--list", "nothing"); code != exitInvalid || !strings.Contains(stderr, "none of effects, refusals, objections") {
		t.Errorf("code %d: %s", code, stderr)
	}
}

// decide lets people change a file on the branch of an open pull request, and
// review and merge that.
func (d *demo) decide(t *testing.T, at time.Time, branch, file string, change func(text string) []byte) {
	t.Helper()
	ctx := t.Context()
	repo, err := d.clone(ctx)
	if err != nil {
		t.Fatal(err)
	}
	bot, err := d.account(world.Bot)
	if err != nil {
		t.Fatal(err)
	}
	d.world.SetTime(at)
	pulls, err := bot.Pulls(ctx, "open")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(pulls, func(p fleet.Pull) bool { return strings.HasPrefix(p.Branch, branch) })
	if i < 0 {
		t.Fatalf("no pull request of %s is open among %+v", branch, pulls)
	}
	p := pulls[i]
	if change != nil {
		text, err := readAt(repo, p.Head, file)
		if err != nil {
			t.Fatal(err)
		}
		p.Head = d.push(t, repo, at, p.Branch, p.Head, map[string][]byte{file: change(text)})
	}
	if repo, err = d.clone(ctx); err != nil {
		t.Fatal(err)
	}
	if err := d.reviewAndMerge(ctx, demoStep{at: at}, repo, p); err != nil {
		t.Fatal(err)
	}
}

func readAt(repo *gitrepo.Repo, commit, file string) (string, error) {
	tree, err := repo.Tree(commit)
	if err != nil {
		return "", err
	}
	data, err := tree.Read(file)
	return string(data), err
}

// push puts a commit on a branch of the forge.
func (d *demo) push(t *testing.T, repo *gitrepo.Repo, at time.Time, branch, parent string, files map[string][]byte) string {
	t.Helper()
	commit, err := repo.Commit(t.Context(), gitrepo.CommitSpec{Parents: []string{parent}, Files: files, Message: "Decide", When: at, Author: fleet.Identity{Name: "Ines Lind", Email: "ines@example-msp.example"}})
	if err != nil {
		t.Fatal(err)
	}
	repo = repo.WithAuth(gitrepo.Auth{User: "x-access-token", Token: world.Token(world.Ines)})
	if err := repo.Push(t.Context(), []string{commit + ":refs/heads/" + branch}, false); err != nil {
		t.Fatal(err)
	}
	return commit
}

// propose opens a pull request that takes a file away.
func (d *demo) propose(t *testing.T, at time.Time, branch, file string) {
	t.Helper()
	repo, err := d.clone(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	main, err := repo.Main()
	if err != nil {
		t.Fatal(err)
	}
	d.push(t, repo, at, branch, main, map[string][]byte{file: nil})
	ines, err := d.account(world.Ines)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := ines.EnsurePull(context.WithoutCancel(t.Context()), fleet.PullSpec{Branch: branch, Base: "main", Title: "Think again", Body: "The drivers are tested now."}); err != nil {
		t.Fatal(err)
	}
}
