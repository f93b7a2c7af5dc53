package factory_test

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/edge/upstream"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/sim/vendors"
)

func propose(t *testing.T, m *mill) []factory.Proposed {
	t.Helper()
	list, err := m.Propose(t.Context(), m.run(t))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func openPulls(t *testing.T, m *mill) map[string]fleet.Pull {
	t.Helper()
	list, err := m.Forge.Pulls(t.Context(), "open")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]fleet.Pull{}
	for _, p := range list {
		out[p.Branch] = p
	}
	return out
}

// TestPropose goes from vendors' feeds to pull requests whose branches hold a
// valid repository, and then runs again: nothing is written, nothing but feeds
// is asked for.
func TestPropose(t *testing.T) {
	m := newMill(t, vendorData(), nil)
	list := propose(t, m)
	want := map[fleet.PackageID]string{
		"acme/apt": "bump/acme/apt/1.1.0-1", "acme/github": "bump/acme/github/1.1.0", "acme/json": "bump/acme/json/1.1.0",
		"acme/npm": "bump/acme/npm/1.1.0", "acme/policy": "bump/acme/policy/1",
		"acme/go": "", "acme/app-0000": "",
	}
	open := openPulls(t, m)
	if len(open) != 5 {
		t.Errorf("%d pull requests are open, want 5", len(open))
	}
	for _, p := range list {
		if p.Pull.Branch != want[p.Package] {
			t.Errorf("%s: %s %s %q: branch %q, want %q", p.Package, p.State, p.Hold, p.Why, p.Pull.Branch, want[p.Package])
		}
		if p.Pull.Branch != "" {
			checkProposal(t, m, p, open[p.Pull.Branch])
		}
	}
	before, _ := m.vendors.Requests()
	first := *m
	for _, p := range propose(t, m) {
		if p.Changed || p.Pull.Branch != want[p.Package] {
			t.Errorf("the second run changed %s: %+v", p.Package, p.Pull)
		}
	}
	if n := m.writes.Load() + m.listed.Load(); n != 0 {
		t.Errorf("the second run sent %d writes to the forge", n)
	}
	after, _ := m.vendors.Requests()
	if feeds := 7; after-before != feeds {
		t.Errorf("the second run asked vendors %d times, want one for each of %d addresses", after-before, feeds)
	}
	if again := openPulls(t, &first); len(again) != len(open) || again["bump/acme/npm/1.1.0"].Head != open["bump/acme/npm/1.1.0"].Head {
		t.Error("the branches moved")
	}
}

// checkProposal checks the release and the text of one pull request.
func checkProposal(t *testing.T, m *mill, p factory.Proposed, pull fleet.Pull) {
	t.Helper()
	repo, err := m.Desired(t.Context(), "origin/"+pull.Branch)
	if err != nil {
		// The push does not fetch: ask for it.
		if err := m.Git.Fetch(t.Context()); err != nil {
			t.Fatal(err)
		}
		if repo, err = m.Desired(t.Context(), "origin/"+pull.Branch); err != nil {
			t.Fatalf("%s: %v", p.Package, err)
		}
	}
	r, ok := repo.Packages[p.Package].Releases[p.Detection.Found]
	if !ok || r.Counter != 1 {
		t.Fatalf("%s: the branch has no release %s: %+v", p.Package, p.Detection.Found, r)
	}
	if trailers := gitrepo.ParseTrailers(pull.Body); !slices.ContainsFunc(trailers, func(t gitrepo.Trailer) bool { return t.Key == "Back-out" }) {
		t.Errorf("%s: no trailers at the end of %q", p.Package, pull.Body)
	}
	if p.Package == "acme/github" {
		if !strings.Contains(pull.Body, "https://github.com/acme/tool/releases/tag/v1.1.0") || !strings.Contains(pull.Body, "fixes #\u200b1 in 1.1.0") || strings.Contains(pull.Body, "@somebody") {
			t.Errorf("the vendor's notes are not told, or act: %q", pull.Body)
		}
	}
	d := r.Installers["x64"]
	switch p.Package {
	case "acme/policy":
		if r.Change != "config" || r.Files["files/edge.json"] != fleet.DigestOf(vendorFiles()["catalog/acme/policy/files/edge.json"]) {
			t.Errorf("policy: %+v", r)
		}
		return
	case "acme/apt":
		if d.Deb == nil || d.Deb.Version != "1.1.0-1" || d.PURL == "" {
			t.Errorf("apt: %+v", d)
		}
	case "acme/npm":
		if d.Member != "package/bin/tool.exe" || d.MemberSHA256 != fleet.DigestOf(vendors.Installer("Tool", "Acme", "1.1.0", 4000).Bytes()) {
			t.Errorf("npm: %+v", d)
		}
		fallthrough
	default:
		if d.PE == nil || d.PE.ProductVersion != "1.1.0" || !d.Signer.Unsigned || !d.SHA256.Valid() || d.Size == 0 {
			t.Errorf("%s: %+v", p.Package, d)
		}
	}
	if p.Package != "acme/apt" && (r.Published == nil || !r.Published.Equal(detectTime.AddDate(0, 0, -5))) {
		t.Errorf("%s: published %v", p.Package, r.Published)
	}
	if r.Change != "new" {
		t.Errorf("%s: change class %q", p.Package, r.Change)
	}
}

// TestSupersede has the vendor publish once more: one pull request a package
// stays open, and the older one says what replaced it.
func TestSupersede(t *testing.T) {
	m := newMill(t, vendorData(), nil)
	propose(t, m)
	old := openPulls(t, m)["bump/acme/github/1.1.0"]
	if err := m.vendors.Change(func(d *vendors.Data) {
		d.GitHub[0].Releases = append(d.GitHub[0].Releases, vendors.Release{
			Shown: shown(1), Tag: "v1.2.0", Assets: map[string]vendors.Content{"tool-1.2.0.exe": vendors.Installer("Tool", "Acme", "1.2.0", 5000)},
		})
	}); err != nil {
		t.Fatal(err)
	}
	m.clock.Set(detectTime.AddDate(0, 0, 7))
	for _, p := range propose(t, m) {
		if p.Package == "acme/github" && (p.Pull.Branch != "bump/acme/github/1.2.0" || !strings.Contains(p.Note, "supersedes")) {
			t.Errorf("got %+v", p)
		}
	}
	open := openPulls(t, m)
	if _, ok := open["bump/acme/github/1.1.0"]; ok || len(open) != 5 || open["bump/acme/github/1.2.0"].Number == 0 {
		t.Errorf("open: %v", open)
	}
	pulls, err := m.Forge.Pulls(t.Context(), "all")
	if err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(pulls, func(p fleet.Pull) bool { return p.Number == old.Number }); i < 0 || pulls[i].State != "closed" {
		t.Errorf("the older pull request is %+v", pulls[i])
	}
	propose(t, m)
	if n := m.writes.Load(); n != 0 {
		t.Errorf("the run after sent %d writes", n)
	}
}

// TestDeclined closes a proposal by hand: it stays closed.
func TestDeclined(t *testing.T) {
	m := newMill(t, vendorData(), nil)
	propose(t, m)
	pull := openPulls(t, m)["bump/acme/json/1.1.0"]
	if err := m.ann.Close(t.Context(), pull.Number, "Not this one."); err != nil {
		t.Fatal(err)
	}
	for _, p := range propose(t, m) {
		if p.Package == "acme/json" && !strings.Contains(p.Note, "declined") {
			t.Errorf("got %+v", p)
		}
	}
	if n := m.writes.Load(); n != 0 {
		t.Errorf("%d writes", n)
	}
}

// TestBytesChangeUnderAProposal has the vendor replace the file while people
// look at the pull request: a hold, and the branch stays what they saw.
func TestBytesChangeUnderAProposal(t *testing.T) {
	m := newMill(t, vendorData(), nil)
	propose(t, m)
	before := openPulls(t, m)["bump/acme/github/1.1.0"]
	if err := m.vendors.Change(func(d *vendors.Data) {
		d.Faults = append(d.Faults, vendors.Fault{Shown: shown(0), Path: "/github.com/acme/tool/releases/download/v1.1.0/", Kind: vendors.Changed})
	}); err != nil {
		t.Fatal(err)
	}
	for _, p := range propose(t, m) {
		if p.Package == "acme/github" && p.Hold != fleet.HoldChangedHash {
			t.Errorf("got %s %s %q", p.State, p.Hold, p.Why)
		}
	}
	if after := openPulls(t, m)["bump/acme/github/1.1.0"]; after.Head != before.Head || m.writes.Load() != 1 || !strings.Contains(after.Body, "Do not merge: acme/github 1.1.0 is held as changed") {
		t.Errorf("%d writes, want one that says so; head %s, was %s: %.200q", m.writes.Load(), after.Head, before.Head, after.Body)
	}
}

// TestHeldDownloads checks what only the bytes tell: each is a hold with its
// name, and neither a branch nor a pull request.
func TestHeldDownloads(t *testing.T) {
	m := newMill(t, vendorData(), nil)
	installer := func(id fleet.PackageID, edit func(*fleet.Installer)) func(*fleet.Repository) {
		return func(r *fleet.Repository) {
			in := r.Packages[id].Installers["x64"]
			source := *in.Source
			in.Source = &source
			edit(&in)
			r.Packages[id].Installers["x64"] = in
		}
	}
	publisher := func(edit func(*fleet.Publisher)) func(*fleet.Repository) {
		return func(r *fleet.Repository) {
			p := r.Publishers["acme"]
			edit(&p)
			r.Publishers["acme"] = p
		}
	}
	for _, tt := range []struct {
		name  string
		id    fleet.PackageID
		edit  func(*fleet.Repository)
		fault vendors.Fault
		hold  string
	}{
		{"a page instead", "acme/json", nil, vendors.Fault{Path: "/downloads.example/tool", Kind: vendors.HTML}, fleet.HoldNotInstaller},
		{"a page that the vendor's size betrays", "acme/github", nil, vendors.Fault{Path: "/objects.githubusercontent.com/", Kind: vendors.HTML}, fleet.HoldTruncated},
		{"cut off", "acme/json", nil, vendors.Fault{Path: "/downloads.example/tool", Kind: vendors.Truncated}, fleet.HoldTruncated},
		{"cut off tarball", "acme/npm", nil, vendors.Fault{Path: "/npm/@acme/tool/-/", Kind: vendors.Truncated}, fleet.HoldTruncated},
		{"rate limit", "acme/json", nil, vendors.Fault{Path: "/downloads.example/tool", Kind: vendors.RateLimited}, fleet.HoldRateLimited},
		{"gone", "acme/json", installer("acme/json", func(in *fleet.Installer) { in.Source.URL = "https://downloads.example/other.exe" }), vendors.Fault{}, fleet.HoldUnreachable},
		{"asset not there", "acme/github", installer("acme/github", func(in *fleet.Installer) { in.Source.Asset = "other.exe" }), vendors.Fault{}, fleet.HoldUnreachable},
		{"another host", "acme/github", publisher(func(p *fleet.Publisher) { p.Hosts = []string{"downloads.example"} }), vendors.Fault{}, fleet.HoldNotAllowed},
		{"plain http", "acme/json", installer("acme/json", func(in *fleet.Installer) { in.Source.URL = "http://downloads.example/tool-{version}.exe" }), vendors.Fault{}, fleet.HoldNotAllowed},
		{"unsigned", "acme/npm", publisher(func(p *fleet.Publisher) { p.Unsigned = "refused" }), vendors.Fault{}, fleet.HoldSigner},
		{"no such member", "acme/npm", installer("acme/npm", func(in *fleet.Installer) { in.Source.Member = "package/bin/else.exe" }), vendors.Fault{}, fleet.HoldNotInstaller},
		{"another type", "acme/json", installer("acme/json", func(in *fleet.Installer) { in.Type = "msi" }), vendors.Fault{}, fleet.HoldNotInstaller},
		{"another machine", "acme/npm", installer("acme/npm", func(in *fleet.Installer) { in.Arch = "arm64" }), vendors.Fault{}, fleet.HoldNotInstaller},
		{"out of proportion", "acme/json", func(r *fleet.Repository) {
			p := r.Packages["acme/json"]
			p.Releases = map[string]fleet.Release{"1.0.0": {Counter: 1, Installers: map[string]fleet.Download{"x64": {URL: "https://downloads.example/tool-1.0.0.exe", Size: 1 << 30}}}}
			r.Packages["acme/json"] = p
		}, vendors.Fault{}, fleet.HoldSize},
		{"another architecture", "acme/apt", installer("acme/apt", func(in *fleet.Installer) { in.Arch = "arm64" }), vendors.Fault{}, fleet.HoldNotInstaller},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.fault.Shown = shown(-1)
			if err := m.vendors.Change(func(d *vendors.Data) { d.Faults = []vendors.Fault{tt.fault} }); err != nil {
				t.Fatal(err)
			}
			look := m.run(t)
			look.Packages = []fleet.PackageID{tt.id}
			if tt.edit != nil {
				tt.edit(look.Repo)
			}
			list, err := m.Propose(t.Context(), look)
			if err != nil {
				t.Fatal(err)
			}
			if p := list[0]; p.State != fleet.StateHeld || p.Hold != tt.hold || p.Why == "" {
				t.Errorf("%s %s %q, want the hold %s", p.State, p.Hold, p.Why, tt.hold)
			}
			if n := m.writes.Load(); n != 0 || len(openPulls(t, m)) != 0 {
				t.Errorf("%d writes", n)
			}
			if heads, err := m.Git.Refs("refs/remotes/origin/bump/"); err != nil || len(heads) != 0 {
				t.Errorf("branches %v, %v", heads, err)
			}
		})
	}
}

// TestDraftIsReproducible checks that two runs write the same file.
func TestDraftIsReproducible(t *testing.T) {
	var files [2]string
	for i := range files {
		m := newMill(t, vendorData(), nil)
		look := m.run(t)
		look.Packages = []fleet.PackageID{"acme/npm"}
		findings, err := m.Detect(t.Context(), look)
		if err != nil {
			t.Fatal(err)
		}
		r, err := m.Draft(t.Context(), look.Repo, findings[0])
		if err != nil {
			t.Fatal(err)
		}
		files[i] = string(desired.ReleaseFile("1.1.0", *r))
	}
	if files[0] != files[1] {
		t.Errorf("first\n%s\nsecond\n%s", files[0], files[1])
	}
}

func TestBumpBranch(t *testing.T) {
	for version, want := range map[string]string{
		"1.1.0": "bump/a/b/1.1.0", "1:2.3~rc1-1+deb12u1": "bump/a/b/1%3A2.3%7Erc1-1+deb12u1", "": "bump/a/b/",
		"1..2": "bump/a/b/1.%2E2", "1.lock": "bump/a/b/1%2Elock", ".1.": "bump/a/b/%2E1%2E", "a b": "bump/a/b/a%20b",
	} {
		if got := factory.BumpBranch("a/b", version); got != want {
			t.Errorf("%q: %s, want %s", version, got, want)
		}
	}
}

var _ factory.Upstream = (*upstream.Client)(nil)

// A brokenForge refuses to open pull requests of one branch.
type brokenForge struct {
	factory.Forge
	branch string
}

func (f brokenForge) EnsurePull(ctx context.Context, spec fleet.PullSpec) (fleet.Pull, bool, error) {
	if spec.Branch == f.branch {
		return fleet.Pull{}, false, fleet.Errorf(fleet.Internal, "forge.pull", spec.Branch, "down for maintenance")
	}
	return f.Forge.EnsurePull(ctx, spec)
}

// TestOneFailureStopsNothingElse breaks the forge for one package: the others
// are proposed, the run fails, and the next one goes on from the branch that was
// pushed without downloading again.
func TestOneFailureStopsNothingElse(t *testing.T) {
	m := newMill(t, vendorData(), nil)
	m.config.CacheDir = t.TempDir()
	whole := m.Forge
	m.Forge = brokenForge{whole, "bump/acme/json/1.1.0"}
	list, err := m.Propose(t.Context(), m.run(t))
	if err == nil || !strings.Contains(err.Error(), "down for maintenance") {
		t.Errorf("error = %v", err)
	}
	if open := openPulls(t, m); len(open) != 4 || len(list) != 7 {
		t.Errorf("%d pull requests are open, want 4", len(open))
	}
	if kept, err := os.ReadDir(m.config.CacheDir); err != nil || len(kept) != 0 {
		t.Errorf("a run that failed kept %d answers, %v", len(kept), err)
	}
	m.Forge = whole
	look := m.run(t)
	before, _ := m.vendors.Requests()
	if _, err := m.Propose(t.Context(), look); err != nil {
		t.Fatal(err)
	}
	if after, _ := m.vendors.Requests(); after-before != 7 || len(openPulls(t, m)) != 5 {
		t.Errorf("%d requests to vendors, want feeds only", after-before)
	}
}

// TestDraftMSI reads an installer database: its codes go into the release file,
// and one for another architecture is held.
func TestDraftMSI(t *testing.T) {
	m := newMill(t, vendorData(), nil)
	if err := m.vendors.Change(func(d *vendors.Data) {
		d.Pages = append(d.Pages, vendors.Page{Shown: shown(-5), Host: "downloads.example", Path: "/tool-1.1.0.msi",
			Content: vendors.Content{Kind: vendors.KindMSI, Name: "Tool", Company: "Acme", Version: "1.1.0", Arch: "x64"}})
	}); err != nil {
		t.Fatal(err)
	}
	look := m.run(t)
	look.Packages = []fleet.PackageID{"acme/json"}
	in := look.Repo.Packages["acme/json"].Installers["x64"]
	in.Type, in.Source = "msi", &fleet.Source{URL: "https://downloads.example/tool-{version}.msi"}
	look.Repo.Packages["acme/json"].Installers["x64"] = in
	findings, err := m.Detect(t.Context(), look)
	if err != nil {
		t.Fatal(err)
	}
	r, err := m.Draft(t.Context(), look.Repo, findings[0])
	if err != nil {
		t.Fatal(err)
	}
	if facts := r.Installers["x64"].MSI; facts == nil || facts.ProductVersion != "1.1.0" || len(facts.ProductCode) != 38 {
		t.Errorf("read %+v", facts)
	}
	in.Arch = "arm64"
	look.Repo.Packages["acme/json"].Installers["x64"] = in
	if _, err := m.Draft(t.Context(), look.Repo, findings[0]); err == nil {
		t.Error("a package for x64 became one for arm64")
	}
}
