package cli

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/signing"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/record/gitrepo"
)

// A forger is someone who may push anything anywhere, but has no key: each
// forgery is made of valid git objects, audited, and taken back.
type forger struct {
	t    *testing.T
	app  *app
	repo *gitrepo.Repo
	mill *factory.Factory
	rand *rand.Rand

	main   string           // as it was
	ledger *evidence.Ledger // that main's: it knows what it has verified
}

// newForger has the repository of a finished week to itself.
func newForger(t *testing.T) *forger {
	t.Helper()
	dir := t.TempDir()
	if err := copyTree(repositoryOf(t, finishedWorld(t, afterCall)).Dir(), dir); err != nil {
		t.Fatal(err)
	}
	a := &app{stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}, repo: dir, now: "2026-11-24T13:05:00Z", getenv: func(string) string { return "" }}
	mill, err := a.reader()
	if err != nil {
		t.Fatal(err)
	}
	f := &forger{t: t, app: a, repo: mill.Git, mill: mill, rand: rand.New(rand.NewPCG(2026, 47))}
	f.main = f.head("main")
	if f.ledger, err = a.ledger(context.Background(), mill, f.main); err != nil {
		t.Fatal(err)
	}
	if audit := f.audit(); !audit.Passed() || len(audit.Rows) == 0 || audit.Batches == 0 {
		t.Fatalf("the audit fails before anything is altered: %v", audit.Findings)
	}
	return f
}

func (f *forger) audit() fleet.Audit {
	f.t.Helper()
	var audit fleet.Audit
	var err error
	if f.head("main") == f.main {
		audit, err = f.mill.Audit(context.Background(), f.ledger)
	} else {
		audit, err = f.app.audit(context.Background(), f.mill)
	}
	if err != nil {
		f.t.Fatalf("the audit gives an error and no finding: %v", err)
	}
	return audit
}

func (f *forger) head(branch string) string {
	f.t.Helper()
	head, err := f.repo.Ref("refs/heads/" + branch)
	if err != nil || head == "" {
		f.t.Fatalf("%s: %q, %v", branch, head, err)
	}
	return head
}

func (f *forger) move(branch, from, to string) {
	f.t.Helper()
	if err := f.repo.SetBranch(branch, from, to); err != nil {
		f.t.Fatal(err)
	}
}

// A forgery is another head for a branch, what it is, and words of which the
// audit must say one.
type forgery struct {
	branch, head, what string
	words              []string
}

// caught puts forged heads on branches, one on each, and audits: the audit must
// fail, and tell of every one of them.
func (f *forger) caught(forgeries ...forgery) {
	f.t.Helper()
	for _, x := range forgeries {
		head := f.head(x.branch)
		f.move(x.branch, head, x.head)
		defer f.move(x.branch, x.head, head)
	}
	audit := f.audit()
	said := saidBy(audit)
	for _, x := range forgeries {
		if audit.Passed() {
			f.t.Errorf("%s: the audit passes", x.what)
		} else if !slices.ContainsFunc(x.words, func(w string) bool { return strings.Contains(said, w) }) {
			f.t.Errorf("%s: the audit says none of %q:\n%s", x.what, x.words, said)
		}
	}
}

// saidBy is every finding with its place; one without either is a failure.
func saidBy(audit fleet.Audit) string {
	var b strings.Builder
	for _, x := range audit.Findings {
		if x.What == "" || x.Where == "" {
			b.WriteString("NEITHER WHAT NOR WHERE\n")
			continue
		}
		fmt.Fprintf(&b, "%s: %s (%s)\n", x.Object, x.What, x.Where)
	}
	for _, r := range audit.Rows {
		for _, c := range []fleet.AuditCheck{r.Merge, r.Approval, r.Tests, r.Signature, r.Receipt} {
			if !c.OK {
				fmt.Fprintf(&b, "%s %s %s: %s (%s)\n", r.Tenant, r.Package, r.Action, c.What, c.Where)
			}
		}
	}
	return b.String()
}

// flipped is data with one bit changed.
func (f *forger) flipped(data []byte) []byte {
	out := bytes.Clone(data)
	out[f.rand.IntN(len(out))] ^= 1 << f.rand.IntN(8)
	return out
}

// line is a branch's first-parent line, oldest first.
func (f *forger) line(branch string) []gitrepo.CommitInfo {
	f.t.Helper()
	line, err := f.repo.FirstParents(context.Background(), f.head(branch), "")
	if err != nil {
		f.t.Fatal(err)
	}
	slices.Reverse(line)
	return line
}

// again makes a commit anew on other parents, with some files as given.
func (f *forger) again(c gitrepo.CommitInfo, parents []string, files map[string][]byte) string {
	f.t.Helper()
	id, err := f.repo.Commit(context.Background(), gitrepo.CommitSpec{
		Parents: parents, Base: c.ID, Files: files, Message: c.Message, Author: c.Author, When: c.When,
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return id
}

// rewrite alters files in the commit that stands at a place of the line, and
// makes all later ones anew on top of it.
func (f *forger) rewrite(line []gitrepo.CommitInfo, at int, files map[string][]byte) string {
	f.t.Helper()
	head := ""
	for i, c := range line[at:] {
		parents := slices.Clone(c.Parents)
		if i > 0 {
			parents[0] = head
		}
		head = f.again(c, parents, files)
	}
	return head
}

func (f *forger) files(commit string) map[string][]byte {
	f.t.Helper()
	tree, err := f.repo.Tree(commit)
	if err != nil {
		f.t.Fatal(err)
	}
	list, err := tree.Files(context.Background(), "")
	if err != nil {
		f.t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, file := range list {
		if out[file.Path], err = f.repo.ReadBlob(file.Blob); err != nil {
			f.t.Fatal(err)
		}
	}
	return out
}

// born is for each file the place on the line of the commit that brought it.
func (f *forger) born(line []gitrepo.CommitInfo) map[string]int {
	f.t.Helper()
	out := map[string]int{}
	for i, c := range line {
		before := ""
		if i > 0 {
			before = line[i-1].ID
		}
		changes, err := f.repo.Changed(context.Background(), before, c.ID)
		if err != nil {
			f.t.Fatal(err)
		}
		for _, change := range changes {
			if _, known := out[change.Path]; !known {
				out[change.Path] = i
			}
		}
	}
	return out
}

// branches are the evidence branches that exist.
func (f *forger) branches() []string {
	f.t.Helper()
	refs, err := f.repo.Refs("refs/heads/evidence/")
	if err != nil {
		f.t.Fatal(err)
	}
	var out []string
	for _, ref := range slices.Sorted(maps.Keys(refs)) {
		out = append(out, strings.TrimPrefix(ref, "refs/heads/"))
	}
	return out
}

// TestTamper forges evidence and main in every way that leaves valid git
// objects. The audit finds each forgery, and says what is wrong where.
func TestTamper(t *testing.T) {
	long(t, "needs a whole week")
	f := newForger(t)
	for _, attack := range []struct {
		name string
		do   func(*testing.T)
	}{
		{"evidence", f.evidenceFlips}, {"ledger", f.ledgerForgeries}, {"main", f.mainFlips}, {"merges", f.mergeForgeries}, {"command", f.command},
	} {
		t.Run(attack.name, func(t *testing.T) {
			f.t = t
			attack.do(t)
		})
	}
}

// evidenceFlips flips a bit in every file of evidence: in the commit that
// brought it, with all of history after it made anew, or in a commit on top.
// One audit looks at a file of each branch.
func (f *forger) evidenceFlips(t *testing.T) {
	rounds := [][]forgery{}
	flips := 0
	for _, branch := range f.branches() {
		line := f.line(branch)
		born, files := f.born(line), f.files(f.head(branch))
		for round, name := range slices.Sorted(maps.Keys(files)) {
			flips++
			x := forgery{branch: branch, what: branch + ":" + name, words: []string{branch + ":" + name}}
			altered := map[string][]byte{name: f.flipped(files[name])}
			if round%8 == 7 {
				tip := line[len(line)-1]
				x.head = f.again(tip, []string{tip.ID}, altered)
				x.what += " changed on top"
			} else {
				x.head = f.rewrite(line, born[name], altered)
			}
			if round == len(rounds) {
				rounds = append(rounds, nil)
			}
			rounds[round] = append(rounds[round], x)
		}
	}
	for _, round := range rounds {
		f.caught(round...)
	}
	if flips < 100 {
		t.Errorf("%d flips", flips)
	}
}

// ledgerForgeries takes things away from evidence, adds to it and swaps, on
// all branches at once.
func (f *forger) ledgerForgeries(t *testing.T) {
	kinds := map[string][]forgery{}
	for _, branch := range f.branches() {
		line := f.line(branch)
		newest := line[len(line)-1]
		born := f.born(line)
		forge := func(kind, head string) {
			kinds[kind] = append(kinds[kind], forgery{branch, head, branch + ": " + kind, []string{branch}})
		}
		if branch != evidence.Control {
			forge("the newest batch missing", line[len(line)-2].ID)
			forge("the first batch alone", line[0].ID)
		}
		gone := map[string][]byte{}
		for name, at := range born {
			if at == len(line)/2 {
				gone[name] = nil
			}
		}
		forge("a batch removed on top", f.again(newest, []string{newest.ID}, gone))
		forge("a batch left out of history", f.rewrite(line, len(line)/2, gone))
		forge("a file without a signature", f.again(newest, []string{newest.ID}, map[string][]byte{"more.jsonl": []byte("{}\n")}))
		later := newest
		later.When = later.When.Add(time.Hour)
		forge("a commit dated anew", f.again(later, newest.Parents, nil))
		later = newest
		later.Message = "Nothing to see\n"
		forge("a commit with another message", f.again(later, newest.Parents, nil))
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		f.caught(kinds[kind]...)
	}
	for _, branch := range f.branches() {
		head := f.head(branch)
		f.move(branch, head, "")
		if audit := f.audit(); audit.Passed() || !strings.Contains(saidBy(audit), branch) {
			t.Errorf("%s is gone: %s", branch, saidBy(audit))
		}
		f.move(branch, "", head)
	}
	two := f.branches()[:2]
	f.caught(forgery{two[0], f.head(two[1]), "evidence of another shard", two})
}

// mainFiles are what an approval rests on: the cycle, its plans and approvals,
// releases, revocations, the policy.
func mainFiles(files map[string][]byte) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		dir, file := filepath.ToSlash(filepath.Dir(name)), filepath.Base(name)
		release := strings.HasPrefix(dir, "catalog/") && strings.Count(dir, "/") == 2 && file != "package.cue"
		if release || strings.HasPrefix(name, "schedules/cycles/") || strings.HasPrefix(name, "schedules/holds/") || name == "tenants/operator.cue" {
			out = append(out, name)
		}
	}
	return out
}

// mainFlips alters every file on main that an approval rests on: by a
// commit on top, by a merge that nobody approved, and in rewritten history.
func (f *forger) mainFlips(t *testing.T) {
	line := f.line("main")
	main := line[len(line)-1]
	born, files := f.born(line), f.files(main.ID)
	names := mainFiles(files)
	if len(names) < 15 || !slices.Contains(names, "schedules/cycles/2026-W47/approvals/everyone.cue") {
		t.Fatalf("files: %v", names)
	}
	for i, name := range names {
		altered := map[string][]byte{name: f.flipped(files[name])}
		if i%2 == 0 {
			direct := f.again(main, []string{main.ID}, altered)
			f.caught(forgery{"main", direct, name + " changed by a direct commit", []string{direct}})
		} else {
			side := f.again(main, []string{main.ID}, map[string][]byte{name: append(bytes.Clone(files[name]), "// a word more\n"...)})
			merge := f.again(gitrepo.CommitInfo{ID: side, Message: "Merge", Author: main.Author, When: main.When}, []string{main.ID, side}, nil)
			f.caught(forgery{"main", merge, name + " changed by a merge", []string{merge}})
		}
		rewritten := f.rewrite(line, born[name], altered)
		f.caught(forgery{"main", rewritten, name + " changed in history", []string{rewritten, "is recorded as a merge but is not on main"}})
	}
}

// mergeForgeries attacks main where a careful eye is needed: what a merge
// slips in, an approval that is taken away, a week that is taken back, a key
// that vouches for itself.
func (f *forger) mergeForgeries(t *testing.T) {
	line := f.line("main")
	last := line[len(line)-1]
	operator := f.files(last.ID)["tenants/operator.cue"]

	on := func(what, head string, words ...string) { f.caught(forgery{"main", head, what, append(words, head)}) }
	approval := "schedules/cycles/2026-W47/approvals/everyone.cue"
	on("a merge with a file that nobody reviewed", f.again(last, last.Parents, map[string][]byte{"catalog/fabrikam/vpn-client/files/extra.ps1": []byte("exit 0\n")}))
	on("an approval removed", f.again(last, []string{last.ID}, map[string][]byte{approval: nil}), approval)
	on("the newest merge taken back", line[len(line)-2].ID, last.ID)
	on("the whole week taken back", line[0].ID, last.ID)
	on("a merge without its branch", f.again(last, last.Parents[:1], nil))
	on("a policy that is no CUE", f.again(last, []string{last.ID}, map[string][]byte{"tenants/operator.cue": operator[:len(operator)/2]}), "tenants/operator.cue:")

	f.ownKey(last, operator)
}

// ownKey is the attack of someone who has a key of their own: a merge adds it
// to the policy, and it signs the record that the merge was approved.
func (f *forger) ownKey(last gitrepo.CommitInfo, operator []byte) {
	f.t.Helper()
	ctx := context.Background()
	key := filepath.Join(f.t.TempDir(), "their.key")
	if code, _, told := run(f.t, nil, "keys", "generate", key); code != 0 {
		f.t.Fatal(told)
	}
	public := keyText(f.t, key)
	policy := bytes.Replace(operator, []byte("trust: keys: mill: {"), fmt.Appendf(nil, "trust: keys: more: {\n\t\tuses: [\"build\", \"test\", \"evidence\"]\n\t\tfrom: \"2026-11-01\"\n\t\tpem: \"\"\"\n\t\t\t%s\n\t\t\t\"\"\"\n\t}\n\ttrust: keys: mill: {", strings.ReplaceAll(public, "\n", "\n\t\t\t")), 1)
	side := f.again(last, []string{last.ID}, map[string][]byte{"tenants/operator.cue": policy})
	merge := f.again(gitrepo.CommitInfo{ID: side, Message: "Rotate keys (#10)\n", Author: last.Author, When: last.When}, []string{last.ID, side}, nil)
	repo, err := f.mill.Desired(ctx, merge)
	if err != nil {
		f.t.Fatal(err)
	}
	info, err := f.repo.CommitInfo(merge)
	if err != nil {
		f.t.Fatal(err)
	}

	f.move("main", last.ID, merge)
	defer f.move("main", merge, last.ID)
	if audit := f.audit(); audit.Passed() {
		f.t.Error("a key was added to the policy without a record, and the audit passes")
	}
	head := f.head(evidence.Control)
	theirs := &app{stdout: f.app.stdout, stderr: f.app.stderr, now: f.app.now, repo: f.app.repo, getenv: func(name string) string {
		return map[string]string{"PACKMILL_KEY": key}[name]
	}}
	mill := *f.mill
	mill.Author = last.Author
	ledger, err := theirs.ledger(ctx, &mill, merge)
	if err != nil {
		f.t.Fatal(err)
	}
	record := fleet.Merge{
		PR: 10, Title: "Rotate keys", Author: "packmill", MergedBy: "ines-lind", Base: last.ID, Head: side, Commit: merge, Tree: info.Tree,
		Reviews:   []fleet.Review{{Login: "oskar-ek", ID: 2002, State: "APPROVED", Commit: side, At: info.When}},
		Checks:    []fleet.Check{{Name: "validate", Conclusion: "success"}},
		Approvers: factory.Approvers(repo, fleet.Merge{Head: side, At: info.When, Reviews: []fleet.Review{{Login: "oskar-ek", State: "APPROVED", Commit: side, At: info.When}}}),
		Previous:  last.ID, At: info.When,
	}
	if err := ledger.Append(ctx, evidence.Control, evidence.MergesDir, []fleet.Merge{record}); err != nil {
		f.t.Fatal(err)
	}
	audit := f.audit()
	f.move(evidence.Control, f.head(evidence.Control), head)
	if said := saidBy(audit); audit.Passed() || !strings.Contains(said, "which the policy before it does not trust") {
		f.t.Errorf("a key signed the record of the merge that brought it:\n%s", said)
	}
}

// command sees a forgery through the command: it fails with exit
// code 3 and says what is wrong where, in every form.
func (f *forger) command(t *testing.T) {
	clone := func() string {
		dir := filepath.Join(t.TempDir(), "clone")
		if _, err := gitrepo.Clone(context.Background(), f.repo.Dir(), dir, gitrepo.Auth{}); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	whole := clone()
	if code, out, told := run(t, nil, "audit", "-C", whole); code != 0 || !strings.Contains(out, "the audit passes") {
		t.Errorf("exit %d: %s%s", code, out, told)
	}
	code, out, told := run(t, nil, "audit", "-C", whole, "--format", "json")
	if code != 0 {
		t.Errorf("exit %d: %s", code, told)
	}
	checkDocument(t, "audit", out)

	line := f.line("evidence/control")
	name := ""
	for path := range f.files(line[0].ID) {
		if strings.HasSuffix(path, ".jsonl") {
			name = path
		}
	}
	tip, flipped := line[len(line)-1].ID, f.rewrite(line, 0, map[string][]byte{name: f.flipped(f.files(line[0].ID)[name])})
	f.move("evidence/control", tip, flipped)
	defer f.move("evidence/control", flipped, tip)
	forged := clone()
	for _, format := range []string{"table", "text", "json", "csv"} {
		code, out, told := run(t, nil, "audit", "-C", forged, "--format", format)
		if code != exitRefused || !strings.Contains(told, "the audit failed") {
			t.Errorf("%s: exit %d: %s", format, code, told)
		}
		if format == "json" {
			checkDocument(t, "audit", out)
		}
		if !strings.Contains(out+told, name) {
			t.Errorf("%s does not name %s:\n%s%s", format, name, out, told)
		}
	}
	if code, _, told := run(t, nil, "audit", "-C", t.TempDir()); code != exitInvalid {
		t.Errorf("no repository: exit %d: %s", code, told)
	}
}

// keyText is the public half of a key file, PEM.
func keyText(t *testing.T, key string) string {
	t.Helper()
	public, err := os.ReadFile(signing.PublicPath(key))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(public))
}
