package factory_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/sim/vendors"
)

// advisorySources name both simulated sources.
var advisorySources = []byte(`package catalog

advisories: {
	kev:  "` + vendors.KEVAddress + `"
	epss: "` + vendors.EPSSAddress + `"
}
`)

// exploitable is a package on GitHub that may be proposed after 4 hours when it
// fixes what is exploited, after 72 otherwise, and takes Acme Tool for its own.
func exploitable(id, upstream string) []byte {
	file := vendorPackage(id, `from: githubReleases: {repository: "acme/tool", tag: "v{version}"}, scheme: "semver", minimumReleaseAge: {default: "72h", security: "4h"}`+upstream,
		`platform: "windows", type: "exe", `+registry+`, source: asset: "tool-{version}.exe"`)
	return []byte(strings.Replace(string(file), "\trollback:", "\tadvisories: cveProducts: [{vendor: \"acme\", product: \"TOOL\"}]\n\trollback:", 1))
}

// exploitedMill has 1.0.0 released and 1.1.0 published a day ago with the notes.
// CISA lists CVE-2026-10001 of Acme Tool and CVE-2026-10002 of Microsoft Windows.
func exploitedMill(t *testing.T, notes string, edit func(*vendors.Data), edits map[string][]byte) *mill {
	t.Helper()
	data := vendorData()
	for i, r := range data.GitHub[0].Releases {
		if r.Tag == "v1.1.0" {
			data.GitHub[0].Releases[i].Shown, data.GitHub[0].Releases[i].Notes = shown(-1), notes
		}
	}
	data.Exploited = []vendors.Exploited{
		{Shown: shown(-2), CVE: "CVE-2026-10001", Vendor: "Acme ", Product: "Tool", Ransomware: true},
		{Shown: shown(-400), CVE: "CVE-2026-10002", Vendor: "Microsoft", Product: "Windows"},
	}
	data.Scores = []vendors.Score{{Shown: shown(-2), CVE: "CVE-2026-10001", Probability: 0.43}, {Shown: shown(-400), CVE: "CVE-2026-10002", Probability: 0.9}}
	if edit != nil {
		edit(&data)
	}
	files := released(`proposals: labels: {security: ["urgent"], minor: ["routine"]}`, "acme/github")
	files["catalog/acme/github/package.cue"] = exploitable("acme/github", "")
	files["catalog/advisories/sources.cue"] = advisorySources
	maps.Copy(files, edits)
	return newMill(t, data, files)
}

// proposeTool proposes acme/github alone, with what detections recorded.
func (m *mill) proposeTool(t *testing.T, recorded ...fleet.Detection) factory.Proposed {
	t.Helper()
	look := m.run(t)
	look.Packages, look.Fixed = []fleet.PackageID{"acme/github"}, factory.Fixed(recorded)
	list, err := m.Propose(t.Context(), look)
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	return list[0]
}

func (m *mill) fault(t *testing.T, kind string, paths ...string) {
	t.Helper()
	if err := m.vendors.Change(func(d *vendors.Data) {
		d.Faults = nil
		for _, path := range paths {
			d.Faults = append(d.Faults, vendors.Fault{Shown: shown(-500), Path: path, Kind: kind})
		}
	}); err != nil {
		t.Fatal(err)
	}
}

// TestExploited has a version that is a day old, and all that may be said of what
// it fixes. Only two words shorten the wait, and only the wait.
func TestExploited(t *testing.T) {
	const named = "Fixes CVE-2026-10001."
	faulty := func(path, kind string) func(*vendors.Data) {
		return func(d *vendors.Data) { d.Faults = []vendors.Fault{{Shown: shown(-500), Path: path, Kind: kind}} }
	}
	for name, tt := range map[string]struct {
		notes string
		edit  func(*vendors.Data)
		edits map[string][]byte
		want  string // state and hold
	}{
		"exploited":                     {named, nil, nil, "new "},
		"another product's":             {"Fixes CVE-2026-10002.", nil, nil, "held too-young"},
		"not listed":                    {"Fixes CVE-2026-10003.", nil, nil, "held too-young"},
		"nothing named":                 {"Faster.", nil, nil, "held too-young"},
		"nobody to ask":                 {named, nil, map[string][]byte{"catalog/advisories/sources.cue": nil}, "held too-young"},
		"EPSS alone":                    {named, nil, map[string][]byte{"catalog/advisories/sources.cue": []byte("package catalog\n\nadvisories: epss: \"" + vendors.EPSSAddress + "\"\n")}, "held too-young"},
		"CISA is out of reach":          {named, faulty("/www.cisa.gov/", vendors.Unavailable), nil, "held too-young"},
		"CISA answers with a page":      {named, faulty("/www.cisa.gov/", vendors.HTML), nil, "held too-young"},
		"withdrawn by CISA":             {named, func(d *vendors.Data) { d.Exploited[0].Until = detectTime.Add(-time.Hour) }, nil, "held too-young"},
		"EPSS is out of reach":          {named, faulty("/api.first.org/", vendors.Unavailable), nil, "new "},
		"too few sources":               {named, nil, map[string][]byte{"catalog/acme/github/package.cue": exploitable("acme/github", `, agree: [{httpJSON: {url: "https://downloads.example/latest-1.0.0", path: "$.version"}}]`)}, "held disagree"},
		"a page for an installer":       {named, faulty("/objects.githubusercontent.com/", vendors.HTML), nil, "held not-an-installer truncated"},
		"an installer that breaks off":  {named, faulty("/objects.githubusercontent.com/", vendors.Truncated), nil, "held truncated"},
		"published three hours ago":     {named, func(d *vendors.Data) { d.GitHub[0].Releases = aged(d.GitHub[0].Releases, 3*time.Hour) }, nil, "held too-young"},
		"published four hours ago":      {named, func(d *vendors.Data) { d.GitHub[0].Releases = aged(d.GitHub[0].Releases, 4*time.Hour) }, nil, "new "},
		"behind a version that is none": {named, func(d *vendors.Data) { d.GitHub[0].Releases = append(d.GitHub[0].Releases, youngest()) }, nil, "new "},
	} {
		t.Run(name, func(t *testing.T) {
			m := exploitedMill(t, tt.notes, tt.edit, tt.edits)
			p := m.proposeTool(t)
			state, holds, _ := strings.Cut(tt.want, " ")
			if p.State != state || !slices.Contains(strings.Split(holds, " "), p.Hold) || p.Detection.Found != "1.1.0" {
				t.Errorf("%s is %s %q (%s), want %s", p.Detection.Found, p.State, p.Hold, p.Why, tt.want)
			}
			if (p.Pull.Number > 0) != (state == "new") {
				t.Errorf("pull request %d", p.Pull.Number)
			}
		})
	}
}

// aged has 1.1.0 published as long ago.
func aged(list []vendors.Release, age time.Duration) []vendors.Release {
	for i, r := range list {
		if r.Tag == "v1.1.0" {
			list[i].At = detectTime.Add(-age)
		}
	}
	return list
}

// youngest is a version that came after 1.1.0 and fixes nothing.
func youngest() vendors.Release {
	return vendors.Release{Shown: vendors.Shown{At: detectTime.Add(-time.Hour)}, Tag: "v1.2.0", Notes: "Fixes CVE-2026-10002.", Assets: map[string]vendors.Content{"tool-1.2.0.exe": vendors.Installer("Tool", "Acme", "1.2.0", 4000)}}
}

// rowOf is a row of a pull request's table.
func rowOf(body, name string) string {
	for line := range strings.Lines(body) {
		if strings.Contains(line, "**"+name+"**") {
			return strings.TrimSpace(strings.NewReplacer("\\", "", "\u2060", "", "\u200b", "").Replace(line))
		}
	}
	return ""
}

// TestExploitedPull reads what is proposed: the release file, the labels, and the
// text, which goes on saying what is true while sources fail.
func TestExploitedPull(t *testing.T) {
	m := exploitedMill(t, "Fixes CVE-2026-10001, not CVE-2026-10002.", nil, nil)
	p := m.proposeTool(t)
	pull := openPulls(t, m)[p.Pull.Branch]
	file := m.file(t, pull.Branch, desired.ReleasePath("acme/github", "1.1.0"))
	if !strings.Contains(file, `change:    "security"`) || !strings.Contains(file, `fixes: ["CVE-2026-10001"]`) || strings.Contains(file, "10002") {
		t.Errorf("the release file is\n%s", file)
	}
	if !slices.Equal(pull.Labels, []string{"bump", "urgent"}) || !slices.Equal(p.Fixes, []string{"CVE-2026-10001"}) {
		t.Errorf("labels %q, fixes %q", pull.Labels, p.Fixes)
	}
	const known = "| 🔴 | **Fixes** | 1 vulnerability: CVE-2026-10001 (**KEV** since 2026-11-16, used by ransomware, EPSS 0.43); the vendor's notes also name CVE-2026-10002 (KEV of Microsoft Windows, EPSS 0.90); asked CISA KEV of 2026-11-16, EPSS of 2026-11-18"
	if row := rowOf(pull.Body, "Fixes"); !strings.HasPrefix(row, known) || !strings.Contains(pull.Body, "exploited in the wild") || !strings.Contains(pull.Body, "Fixes: CVE-2026-10001\n") {
		t.Errorf("%s in\n%s", row, pull.Body)
	}
	p = m.proposeTool(t)
	if n := m.writes.Load(); n != 0 || p.Changed {
		t.Errorf("the second run sent %d writes", n)
	}
	// Nobody answers: what the look before recorded stands, and the text says so.
	m.fault(t, vendors.Unavailable, "/www.cisa.gov/", "/api.first.org/")
	again := m.proposeTool(t, p.Detection)
	silent := openPulls(t, m)[p.Pull.Branch]
	if again.State != fleet.StateNew || !slices.Equal(again.Fixes, p.Fixes) || silent.Head != pull.Head {
		t.Errorf("while nobody answers: %+v", again.Detection)
	}
	if row := rowOf(silent.Body, "Fixes"); !strings.Contains(row, "1 vulnerability: CVE-2026-10001; the vendor's notes also name CVE-2026-10002; not known by CISA KEV, EPSS, asked without an answer") {
		t.Errorf("%s", row)
	}
	// Nobody recorded anything either: the version is young again.
	if p := m.proposeTool(t); p.Hold != fleet.HoldTooYoung {
		t.Errorf("without a record: %+v", p.Detection)
	}
	m.fault(t, "")
	m.proposeTool(t)
	if back := openPulls(t, m)[p.Pull.Branch]; back.Body != pull.Body || back.Head != pull.Head {
		t.Errorf("afterwards:\n%s", back.Body)
	}
}

// file is a file of a branch.
func (m *mill) file(t *testing.T, branch, name string) string {
	t.Helper()
	if err := m.Git.FetchBranch(t.Context(), branch); err != nil {
		t.Fatal(err)
	}
	tree, err := m.Git.Tree("origin/" + branch)
	if err != nil {
		t.Fatal(err)
	}
	data, err := tree.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestListedLate: CISA lists a vulnerability days after its fix was proposed. The
// proposal becomes one of class security, of the bytes that people look at, and
// an ordinary one again when CISA takes it back.
func TestListedLate(t *testing.T) {
	m := exploitedMill(t, "Fixes CVE-2026-10001.", func(d *vendors.Data) {
		d.Exploited[0].Shown = vendors.Shown{At: detectTime.AddDate(0, 0, 5), Until: detectTime.AddDate(0, 0, 8)}
	}, nil)
	m.clock.Set(detectTime.AddDate(0, 0, 3))
	p := m.proposeTool(t)
	branch := p.Pull.Branch
	before := openPulls(t, m)[branch]
	if row := rowOf(before.Body, "Fixes"); !slices.Equal(before.Labels, []string{"bump", "routine"}) || !strings.Contains(row, "| 🟡 | **Fixes** | the vendor's notes name CVE-2026-10001 (EPSS 0.43); if they are fixed, set change and fixes in the release file; asked CISA KEV of 2025-10-14, EPSS of 2026-11-21") {
		t.Errorf("labels %q, %s", before.Labels, row)
	}
	for _, tt := range []struct {
		day    int
		change string
	}{{6, "security"}, {9, "minor"}} {
		m.clock.Set(detectTime.AddDate(0, 0, tt.day))
		asked, _ := m.vendors.Requests()
		p := m.proposeTool(t)
		if now, _ := m.vendors.Requests(); now-asked != 3 {
			t.Errorf("%d requests, want those for the feed, the catalog and the scores", now-asked)
		}
		if file := m.file(t, branch, desired.ReleasePath("acme/github", "1.1.0")); p.Pull.Number != before.Number || !strings.Contains(file, `change:    "`+tt.change+`"`) || (tt.change == "security") != strings.Contains(file, "fixes: ") {
			t.Errorf("on day %d: %+v\n%s", tt.day, p.Pull, file)
		}
	}
}

// TestFixedRecords takes the newest look that judged a version.
func TestFixedRecords(t *testing.T) {
	at := func(hour int, found string, fixes ...string) fleet.Detection {
		return fleet.Detection{Package: "acme/tool", Found: found, Newest: "9.9", Fixes: fixes, At: detectTime.Add(time.Duration(hour) * time.Hour)}
	}
	fixed := factory.Fixed([]fleet.Detection{at(3, "1.1"), at(1, "1.1", "CVE-2026-10001"), at(1, "1.2"), at(2, "1.2", "CVE-2026-10002")})
	for version, want := range map[string]string{"1.1": "", "1.2": "CVE-2026-10002", "9.9": "", "1.0": ""} {
		if got := strings.Join(fixed("acme/tool", version), " "); got != want {
			t.Errorf("%s: %q, want %q", version, got, want)
		}
	}
	if got := fixed("acme/other", "1.2"); got != nil {
		t.Errorf("another package's: %q", got)
	}
}
