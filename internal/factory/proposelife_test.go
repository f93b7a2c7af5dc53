package factory_test

import (
	"slices"
	"strings"
	"testing"

	forgeedge "github.com/packmill/packmill/internal/edge/forge"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/sim/vendors"
)

func of(t *testing.T, list []factory.Proposed, id fleet.PackageID) factory.Proposed {
	t.Helper()
	i := slices.IndexFunc(list, func(p factory.Proposed) bool { return p.Package == id })
	if i < 0 {
		t.Fatalf("nothing was said about %s", id)
	}
	return list[i]
}

// commitAs adds a commit of somebody else to a branch of the remote.
func (m *mill) commitAs(t *testing.T, branch, name string, files map[string][]byte) string {
	t.Helper()
	head, err := m.Git.Resolve("origin/" + branch)
	if err != nil {
		t.Fatal(err)
	}
	commit, err := m.Git.Commit(t.Context(), gitrepo.CommitSpec{
		Parents: []string{head}, Base: head, Files: files, Message: "Look closer", Author: fleet.Identity{Name: name, Email: name + "@example.com"}, When: m.clock.Now(),
	})
	if err == nil {
		err = m.Git.Push(t.Context(), []string{commit + ":refs/heads/" + branch}, false)
	}
	if err != nil {
		t.Fatal(err)
	}
	return commit
}

// TestSomebodyElsesCommits has people work on a proposal: neither what they
// committed nor the text is touched any more, not even when the vendor goes on.
func TestSomebodyElsesCommits(t *testing.T) {
	m := newMill(t, vendorData(), nil)
	propose(t, m)
	const branch = "bump/acme/github/1.1.0"
	file := desired.ReleasePath("acme/github", "1.1.0")
	before := openPulls(t, m)[branch]
	tree, err := m.Git.Tree(before.Head)
	if err != nil {
		t.Fatal(err)
	}
	data, err := tree.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	head := m.commitAs(t, branch, "Ann", map[string][]byte{file: []byte(strings.Replace(string(data), `change: "new"`, `change: "security"`, 1))})
	p := of(t, propose(t, m), "acme/github")
	if !strings.Contains(p.Note, "Ann committed to "+branch) || p.Pull.Number != before.Number || p.Changed {
		t.Errorf("got %+v", p)
	}
	if after := openPulls(t, m)[branch]; m.writes.Load() != 0 || after.Head != head || after.Body != before.Body {
		t.Errorf("%d writes; the head is %s, not %s", m.writes.Load(), after.Head, head)
	}
	if err := m.vendors.Change(func(d *vendors.Data) {
		d.GitHub[0].Releases = append(d.GitHub[0].Releases, vendors.Release{
			Shown: shown(1), Tag: "v1.2.0", Assets: map[string]vendors.Content{"tool-1.2.0.exe": vendors.Installer("Tool", "Acme", "1.2.0", 5000)},
		})
	}); err != nil {
		t.Fatal(err)
	}
	m.clock.Set(detectTime.AddDate(0, 0, 7))
	propose(t, m)
	if err := m.Git.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := m.Git.Resolve("origin/" + branch); err != nil || got != head {
		t.Errorf("the branch stands at %s, %v: somebody's commit is gone", got, err)
	}
	if open := openPulls(t, m); open["bump/acme/github/1.2.0"].Number == 0 || open[branch].Number != 0 {
		t.Errorf("open: %v", open)
	}
}

// TestMainMovesOn merges one proposal: the branches of others stay what was
// reviewed. What main then takes from one of them makes that one anew.
func TestMainMovesOn(t *testing.T) {
	m := newMill(t, vendorData(), nil)
	propose(t, m)
	open := openPulls(t, m)
	merge := func(p fleet.Pull) {
		t.Helper()
		if err := m.ann.Approve(t.Context(), p.Number, p.Head); err != nil {
			t.Fatal(err)
		}
		if _, err := m.ann.Merge(t.Context(), p.Number, p.Head); err != nil {
			t.Fatal(err)
		}
	}
	merge(open["bump/acme/json/1.1.0"])
	propose(t, m)
	if n := m.writes.Load(); n != 0 {
		t.Errorf("%d writes after another package's merge", n)
	}
	// Somebody brings an older release of a proposed package: its number is taken.
	look := m.run(t)
	old := desired.ReleasePath("acme/npm", "1.0.0")
	release := fleet.Release{Counter: 1, Change: "new", Baseline: true, Installers: map[string]fleet.Download{"x64": {
		URL: "https://downloads.example/tool-1.0.0.exe", Size: 4000, SHA256: fleet.DigestOf([]byte("x")), Signer: fleet.SignedBy{Unsigned: true}, PE: &fleet.PEFacts{Machine: "x64"},
	}}}
	commit, err := m.Git.Commit(t.Context(), gitrepo.CommitSpec{
		Parents: []string{look.Repo.Commit}, Base: look.Repo.Commit, Files: map[string][]byte{old: desired.ReleaseFile("1.0.0", release)},
		Message: "Bring the release before", Author: fleet.Identity{Name: "Ann", Email: "ann@example.com"}, When: m.clock.Now(),
	})
	if err == nil {
		err = m.Git.Push(t.Context(), []string{commit + ":refs/heads/before"}, false)
	}
	if err != nil {
		t.Fatal(err)
	}
	pull, _, err := m.Forge.EnsurePull(t.Context(), fleet.PullSpec{Branch: "before", Base: "main", Title: "Bring the release before", Body: "It was there."})
	if err != nil {
		t.Fatal(err)
	}
	merge(pull)
	p := of(t, propose(t, m), "acme/npm")
	if !p.Changed || p.Release == nil || p.Release.Counter != 2 || p.Pull.Number != open["bump/acme/npm/1.1.0"].Number {
		t.Errorf("got %+v", p)
	}
	if after := openPulls(t, m); after["bump/acme/npm/1.1.0"].Head == open["bump/acme/npm/1.1.0"].Head || after["bump/acme/github/1.1.0"].Head != open["bump/acme/github/1.1.0"].Head {
		t.Error("the conflicting proposal was not made anew, or another was")
	}
	propose(t, m)
	if n := m.writes.Load(); n != 0 {
		t.Errorf("the run after sent %d writes", n)
	}
}

// edited is the world's operator file with a field more.
func edited(field string) map[string][]byte {
	operator := string(vendorFiles()["tenants/operator.cue"])
	return map[string][]byte{"tenants/operator.cue": []byte(strings.Replace(operator, "approvers:", field+"\n\tapprovers:", 1))}
}

// TestLimits takes the week's five versions two at a time, three at once.
func TestLimits(t *testing.T) {
	data := vendorData()
	for i := range data.GitHub[0].Releases {
		data.GitHub[0].Releases[i].Notes = "Fixes CVE-2024-11477."
	}
	m := newMill(t, data, edited(`proposals: {perRun: 2, open: 3, labels: new: ["new software", "review: two"]}`))
	for run, want := range []struct {
		open    int
		waiting string // part of the notes of those that wait
	}{{2, "waits for the next run: 2 were opened"}, {3, "waits: 3 proposals are open"}, {3, "waits: 3 proposals are open"}} {
		list := propose(t, m)
		open := openPulls(t, m)
		waiting := 0
		for _, p := range list {
			if strings.Contains(p.Note, want.waiting) {
				waiting++
				if p.Release != nil || p.Pull.Number != 0 {
					t.Errorf("%s waits, but was made: %+v", p.Package, p)
				}
			}
		}
		if len(open) != want.open || waiting != 5-want.open {
			t.Errorf("run %d: %d open, %d waiting; want %d open", run, len(open), waiting, want.open)
		}
		for _, p := range open {
			if strings.HasSuffix(p.Branch, "policy/1") {
				continue // its change is "config"
			}
			if !slices.Equal(p.Labels, []string{"bump", "new software", "review: two"}) {
				t.Errorf("%s has the labels %q", p.Branch, p.Labels)
			}
		}
		if run == 2 && m.writes.Load() != 0 {
			t.Errorf("a run without room sent %d writes", m.writes.Load())
		}
	}
	pulls, err := m.Forge.Pulls(t.Context(), "open")
	if err != nil || pulls[0].Branch != "bump/acme/github/1.1.0" || !strings.Contains(pulls[0].Body, "notes name CVE-2024-11477") {
		t.Errorf("the first one taken is not the one whose vendor names a vulnerability: %+v, %v", pulls[0], err)
	}
	// A newer version takes the place of the one it replaces.
	if err := m.vendors.Change(func(d *vendors.Data) {
		d.GitHub[0].Releases = append(d.GitHub[0].Releases, vendors.Release{
			Shown: shown(1), Tag: "v1.2.0", Assets: map[string]vendors.Content{"tool-1.2.0.exe": vendors.Installer("Tool", "Acme", "1.2.0", 5000)},
		})
	}); err != nil {
		t.Fatal(err)
	}
	m.clock.Set(detectTime.AddDate(0, 0, 7))
	propose(t, m)
	if open := openPulls(t, m); len(open) != 3 || open["bump/acme/github/1.2.0"].Number == 0 {
		t.Errorf("open: %v", open)
	}
}

// TestCodeOwners asks the owners of a release file, once; one that the forge
// does not know stops nothing.
func TestCodeOwners(t *testing.T) {
	m := newMill(t, vendorData(), map[string][]byte{"CODEOWNERS": []byte("* @nobody-here\n/catalog/acme/ @ann @mill[bot]\n/catalog/acme/npm/\n/catalog/acme/apt/ @gone\n")})
	list := propose(t, m)
	open := openPulls(t, m)
	for branch, want := range map[string]string{"bump/acme/github/1.1.0": "ann", "bump/acme/npm/1.1.0": "", "bump/acme/apt/1.1.0-1": ""} {
		if got := strings.Join(open[branch].Asked, " "); got != want || open[branch].Number == 0 {
			t.Errorf("%s: %q was asked, want %q", branch, got, want)
		}
	}
	if p := of(t, list, "acme/apt"); !strings.Contains(p.Note, "could not be asked") {
		t.Errorf("apt: %q", p.Note)
	}
	github := open["bump/acme/github/1.1.0"]
	if err := m.ann.Approve(t.Context(), github.Number, github.Head); err != nil {
		t.Fatal(err)
	}
	propose(t, m)
	if n := m.writes.Load(); n != 0 {
		t.Errorf("the second run sent %d writes: who reviewed is not asked again", n)
	}
}

// TestDashboard keeps one issue of all packages in place, and lets people close
// it.
func TestDashboard(t *testing.T) {
	m := newMill(t, vendorData(), edited(`proposals: open: 3`))
	read := func() fleet.Issue {
		t.Helper()
		issue, found, err := m.Forge.(*forgeedge.Client).Issue(t.Context(), "packages")
		if err != nil || !found {
			t.Fatalf("found %v, %v", found, err)
		}
		return issue
	}
	propose(t, m)
	first := read()
	for _, want := range []string{"Proposed: 3", "New, and not proposed: 2", "waits: 3 proposals are open", "Watched only, or without an upstream: 2", "| acme/go |"} {
		if !strings.Contains(first.Body, want) {
			t.Errorf("%q is missing in %s", want, first.Body)
		}
	}
	propose(t, m)
	if n := m.writes.Load() + m.listed.Load(); n != 0 || read() != first {
		t.Errorf("a second run sent %d writes", n)
	}
	look := m.run(t)
	look.Packages = []fleet.PackageID{"acme/go"}
	if _, err := m.Propose(t.Context(), look); err != nil || read() != first {
		t.Errorf("a look at one package changed what is said about all: %v", err)
	}
	if err := m.vendors.Change(func(d *vendors.Data) {
		d.Faults = append(d.Faults, vendors.Fault{Shown: shown(-1), Path: "/downloads.example/latest.json", Kind: vendors.HTML})
	}); err != nil {
		t.Fatal(err)
	}
	propose(t, m)
	if again := read(); again.Number != first.Number || !strings.Contains(again.Body, "| acme/json | none |") || !strings.Contains(again.Body, "Held: a person must look: 1") {
		t.Errorf("after a vendor's failure: %+v", again)
	}
}
