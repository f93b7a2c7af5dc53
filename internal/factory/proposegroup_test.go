package factory_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/sim/vendors"
)

const (
	deskBranch = "bump/group/desk/2026-W47"
	nextBranch = "bump/group/desk/2026-W48"
)

// released are the operator's file with a field more, and release 1.0.0 of each
// package.
func released(field string, ids ...fleet.PackageID) map[string][]byte {
	exe := vendors.Installer("Tool", "Acme", "1.0.0", 4000).Bytes()
	files := edited(field)
	for _, id := range ids {
		files[desired.ReleasePath(id, "1.0.0")] = desired.ReleaseFile("1.0.0", fleet.Release{Counter: 1, Change: "new", Baseline: true, Installers: map[string]fleet.Download{"x64": {
			URL: "https://downloads.example/tool-1.0.0.exe", Size: int64(len(exe)), SHA256: fleet.DigestOf(exe), Signer: fleet.SignedBy{Unsigned: true}, PE: &fleet.PEFacts{Machine: "x64"},
		}}})
	}
	return files
}

const desk = `groups: desk: packages: ["acme/github", "acme/js*", "acme/npm", "acme/apt", "acme/policy"]`

// groupMill has three known packages of one group; of its two others a first
// release is new.
func groupMill(t *testing.T, limits string) *mill {
	t.Helper()
	return newMill(t, vendorData(), released("proposals: {"+limits+desk+"}", "acme/github", "acme/json", "acme/npm"))
}

// branches are the branches with an open pull request.
func branches(t *testing.T, m *mill) string {
	t.Helper()
	return strings.Join(slices.Sorted(maps.Keys(openPulls(t, m))), " ")
}

func (m *mill) publish(t *testing.T, version string, day int) {
	t.Helper()
	if err := m.vendors.Change(func(d *vendors.Data) {
		d.GitHub[0].Releases = append(d.GitHub[0].Releases, vendors.Release{
			Shown: shown(day), Tag: "v" + version, Assets: map[string]vendors.Content{"tool-" + version + ".exe": vendors.Installer("Tool", "Acme", version, 5000)},
		})
	}); err != nil {
		t.Fatal(err)
	}
}

// releasesOn are the releases that a branch adds, "<package>@<version>".
func (m *mill) releasesOn(t *testing.T, branch string) string {
	t.Helper()
	if err := m.Git.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	main, err := m.Git.Main()
	if err != nil {
		t.Fatal(err)
	}
	head, err := m.Git.Resolve("origin/" + branch)
	if err != nil {
		t.Fatal(err)
	}
	base, err := m.Git.MergeBase(t.Context(), main, head)
	if err != nil {
		t.Fatal(err)
	}
	changes, err := m.Git.Changed(t.Context(), base, head)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, c := range changes {
		out = append(out, strings.TrimSuffix(strings.TrimPrefix(c.Path, "catalog/acme/"), ".cue"))
	}
	return strings.Join(out, " ")
}

// quiet runs again and asks for no write.
func (m *mill) quiet(t *testing.T) {
	t.Helper()
	propose(t, m)
	if n := m.writes.Load() + m.listed.Load(); n != 0 {
		t.Errorf("the run after sent %d writes", n)
	}
}

// TestGroup has three new versions in one pull request, and first releases in
// their own. A newer version within the week takes the place of the older one.
func TestGroup(t *testing.T) {
	m := groupMill(t, "")
	list := propose(t, m)
	if got, want := branches(t, m), "bump/acme/apt/1.1.0-1 bump/acme/policy/1 "+deskBranch; got != want {
		t.Fatalf("open are %s, want %s: %+v", got, want, list)
	}
	first := openPulls(t, m)[deskBranch]
	if got := m.releasesOn(t, deskBranch); got != "github/1.1.0 json/1.1.0 npm/1.1.0" {
		t.Errorf("proposes %s", got)
	}
	for _, id := range []fleet.PackageID{"acme/github", "acme/json", "acme/npm"} {
		if p := of(t, list, id); p.Pull.Number != first.Number || p.Release == nil || !p.Changed {
			t.Errorf("%s: %+v", id, p)
		}
		if !strings.Contains(first.Body, "| "+string(id)+" | 1.0.0 → 1.1.0 | minor |") {
			t.Errorf("no row of %s: %s", id, first.Body)
		}
	}
	m.quiet(t)
	look := m.run(t)
	look.Packages = []fleet.PackageID{"acme/json"}
	if _, err := m.Propose(t.Context(), look); err != nil || m.writes.Load() != 0 {
		t.Errorf("a look at one package sent %d writes, %v", m.writes.Load(), err)
	}

	m.publish(t, "1.2.0", 0)
	m.clock.Set(detectTime.AddDate(0, 0, 4))
	propose(t, m)
	again := openPulls(t, m)[deskBranch]
	if got := m.releasesOn(t, deskBranch); got != "github/1.2.0 json/1.1.0 npm/1.1.0" || again.Number != first.Number || !strings.Contains(again.Body, "1.0.0 → 1.2.0") {
		t.Errorf("pull request %d proposes %s: %s", again.Number, got, again.Body)
	}
	m.quiet(t)

	// A vendor in trouble takes nothing out of it.
	if err := m.vendors.Change(func(d *vendors.Data) {
		d.Faults = append(d.Faults, vendors.Fault{Shown: shown(0), Path: "/downloads.example/latest.json", Kind: vendors.RateLimited})
	}); err != nil {
		t.Fatal(err)
	}
	propose(t, m)
	if got := openPulls(t, m)[deskBranch]; m.writes.Load() != 0 || got.Head != again.Head || got.Body != again.Body {
		t.Errorf("%d writes; proposes %s", m.writes.Load(), m.releasesOn(t, deskBranch))
	}
}

// TestGroupNextWeek leaves the pull request of the week before as long as there
// is nothing to add, and supersedes it then.
func TestGroupNextWeek(t *testing.T) {
	m := groupMill(t, "")
	propose(t, m)
	old := openPulls(t, m)[deskBranch]
	m.clock.Set(detectTime.AddDate(0, 0, 7))
	if propose(t, m); openPulls(t, m)[deskBranch].Head != old.Head || strings.Contains(branches(t, m), nextBranch) {
		t.Errorf("open are %s", branches(t, m))
	}
	m.publish(t, "1.2.0", 1)
	propose(t, m)
	if got := branches(t, m); strings.Contains(got, deskBranch) || !strings.Contains(got, nextBranch) || m.releasesOn(t, nextBranch) != "github/1.2.0 json/1.1.0 npm/1.1.0" {
		t.Errorf("open are %s", got)
	}
	m.quiet(t)
}

// TestGroupReviewed has a person review it: what is new goes elsewhere, and what
// they looked at stays.
func TestGroupReviewed(t *testing.T) {
	for _, how := range []string{"reviewed", "committed to"} {
		t.Run(how, func(t *testing.T) {
			m := groupMill(t, "")
			propose(t, m)
			before := openPulls(t, m)[deskBranch]
			head := before.Head
			if how == "reviewed" {
				if err := m.ann.Approve(t.Context(), before.Number, before.Head); err != nil {
					t.Fatal(err)
				}
			} else {
				head = m.commitAs(t, deskBranch, "Ann", map[string][]byte{"notes.txt": []byte("I look at it.\n")})
			}
			m.publish(t, "1.2.0", 0)
			m.clock.Set(detectTime.AddDate(0, 0, 4))
			list := propose(t, m)
			after := openPulls(t, m)[deskBranch]
			if after.Head != head || after.Body != before.Body || !strings.Contains(branches(t, m), "bump/acme/github/1.2.0") {
				t.Errorf("open are %s; the head is %s, not %s", branches(t, m), after.Head, head)
			}
			if p := of(t, list, "acme/json"); p.Pull.Number != before.Number || p.Changed || strings.Contains(p.Note, "Ann committed") != (how == "committed to") {
				t.Errorf("got %+v", p)
			}
			m.quiet(t)
		})
	}
}

// TestGroupOfOne is an ordinary proposal, which a group takes in when there is
// more, unless somebody reviewed it. A pull request that was replaced was not
// declined.
func TestGroupOfOne(t *testing.T) {
	for _, reviewed := range []bool{false, true} {
		t.Run(fmt.Sprint(reviewed), func(t *testing.T) {
			m := newMill(t, vendorData(), released("proposals: "+desk, "acme/github", "acme/json", "acme/npm"))
			look := m.run(t)
			look.Packages = []fleet.PackageID{"acme/github"}
			if _, err := m.Propose(t.Context(), look); err != nil {
				t.Fatal(err)
			}
			if got := branches(t, m); got != "bump/acme/github/1.1.0" {
				t.Fatalf("open are %s", got)
			}
			want := "github/1.1.0 json/1.1.0 npm/1.1.0"
			if reviewed {
				p := openPulls(t, m)["bump/acme/github/1.1.0"]
				if err := m.ann.Approve(t.Context(), p.Number, p.Head); err != nil {
					t.Fatal(err)
				}
				want = "json/1.1.0 npm/1.1.0"
			}
			propose(t, m)
			if got := m.releasesOn(t, deskBranch); got != want || strings.Contains(branches(t, m), "bump/acme/github/1.1.0") != reviewed {
				t.Errorf("proposes %s, want %s; open are %s", got, want, branches(t, m))
			}
			m.quiet(t)
			m.clock.Set(detectTime.AddDate(0, 0, 7))
			m.publish(t, "1.2.0", 1)
			propose(t, m)
			if reviewed {
				return
			}
			if got := m.releasesOn(t, nextBranch); got != "github/1.2.0 json/1.1.0 npm/1.1.0" {
				t.Errorf("next week proposes %s", got)
			}
		})
	}
}

// TestGroupDeclined closes it by hand: none of its versions comes back, alone or
// with others. A newer one is proposed by itself that week.
func TestGroupDeclined(t *testing.T) {
	m := groupMill(t, "")
	propose(t, m)
	pull := openPulls(t, m)[deskBranch]
	if err := m.Forge.Close(t.Context(), pull.Number, "Not these."); err != nil {
		t.Fatal(err)
	}
	list := propose(t, m)
	for _, id := range []fleet.PackageID{"acme/github", "acme/json", "acme/npm"} {
		if p := of(t, list, id); !strings.Contains(p.Note, fmt.Sprintf("declined: pull request %d", pull.Number)) || p.Pull.Number != 0 {
			t.Errorf("%s: %+v", id, p)
		}
	}
	if m.writes.Load() != 0 {
		t.Errorf("%d writes", m.writes.Load())
	}
	m.publish(t, "1.2.0", 0)
	m.clock.Set(detectTime.AddDate(0, 0, 4))
	propose(t, m)
	if got := branches(t, m); strings.Contains(got, deskBranch) || !strings.Contains(got, "bump/acme/github/1.2.0") {
		t.Errorf("open are %s", got)
	}
}

// TestGroupLimits counts a group as one.
func TestGroupLimits(t *testing.T) {
	m := groupMill(t, "perRun: 1, ")
	propose(t, m)
	first := openPulls(t, m)
	propose(t, m)
	propose(t, m)
	if got, want := branches(t, m), "bump/acme/apt/1.1.0-1 bump/acme/policy/1 "+deskBranch; len(first) != 1 || got != want {
		t.Errorf("open are %s", got)
	}
	m.quiet(t)
}

// TestGroupMainMovesOn merges one of the group's versions by itself: the pull
// request goes on with the others. Then all of it is merged.
func TestGroupMainMovesOn(t *testing.T) {
	m := groupMill(t, "")
	propose(t, m)
	file := desired.ReleasePath("acme/npm", "1.1.0")
	tree, err := m.Git.Tree(openPulls(t, m)[deskBranch].Head)
	if err != nil {
		t.Fatal(err)
	}
	data, err := tree.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	main, err := m.Git.Main()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Git.Push(t.Context(), []string{main + ":refs/heads/by-hand"}, false); err != nil {
		t.Fatal(err)
	}
	if err := m.Git.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.commitAs(t, "by-hand", "Ann", map[string][]byte{file: data})
	pull, _, err := m.Forge.EnsurePull(t.Context(), fleet.PullSpec{Branch: "by-hand", Base: "main", Title: "Take npm", Body: "Now."})
	if err != nil {
		t.Fatal(err)
	}
	m.merge(t, pull)
	propose(t, m)
	if got := m.releasesOn(t, deskBranch); got != "github/1.1.0 json/1.1.0" {
		t.Errorf("proposes %s", got)
	}
	m.merge(t, openPulls(t, m)[deskBranch])
	list := propose(t, m)
	for _, id := range []fleet.PackageID{"acme/github", "acme/json", "acme/npm"} {
		if p := of(t, list, id); p.State != fleet.StateEqual {
			t.Errorf("%s: %+v", id, p.Detection)
		}
	}
	m.quiet(t)
}

func (m *mill) merge(t *testing.T, p fleet.Pull) {
	t.Helper()
	if err := m.ann.Approve(t.Context(), p.Number, p.Head); err != nil {
		t.Fatal(err)
	}
	if _, err := m.ann.Merge(t.Context(), p.Number, p.Head); err != nil {
		t.Fatal(err)
	}
}

// TestGroupBroken refuses the group's pull request at the forge: those outside
// are proposed, and the next run goes on.
func TestGroupBroken(t *testing.T) {
	m := groupMill(t, "")
	whole := m.Forge
	m.Forge = brokenForge{whole, deskBranch}
	if _, err := m.Propose(t.Context(), m.run(t)); err == nil || !strings.Contains(err.Error(), "group desk: ") {
		t.Errorf("error = %v", err)
	}
	if got := branches(t, m); got != "bump/acme/apt/1.1.0-1 bump/acme/policy/1" {
		t.Errorf("open are %s", got)
	}
	m.Forge = whole
	propose(t, m)
	if got := m.releasesOn(t, deskBranch); got != "github/1.1.0 json/1.1.0 npm/1.1.0" {
		t.Errorf("proposes %s", got)
	}
	m.quiet(t)
}
