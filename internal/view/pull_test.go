package view

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/change"
)

func TestBumpPull(t *testing.T) {
	tests := []struct {
		name  string
		edit  func(base, head *fleet.Repository)
		notes string
	}{
		{"ready", func(_, _ *fleet.Repository) {}, "Fixed a heap overflow in the Zstandard decoder."},
		{"signer", func(_, head *fleet.Repository) {
			r := head.Packages[zip].Releases["24.09"]
			d := r.Installers["x64"]
			d.Signer.Subject, d.Size = "CN=Someone Else", 4_000_000
			r.Installers = map[string]fleet.Download{"x64": d}
			head.Packages[zip].Releases["24.09"] = r
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := bump(t, tt.edit)
			pull := BumpPull(Bump{Change: c, Release: c.Releases[0], Notes: tt.notes, NotesFrom: "the release page", Inputs: []string{"main a0b1c2d3e4", "inventory of 2026-11-18"}})
			if pull.Title != "igor-pavlov/7-zip 24.08 → 24.09" {
				t.Errorf("title %q", pull.Title)
			}
			golden(t, "bump-"+tt.name+".md", pull.Text)
			checkTrailers(t, pull, "Risk", "Impact", "Back-out", "Change-Class", "Fixes")
		})
	}
}

// TestBumpAgreement shows who named the version, and marks who did not.
func TestBumpAgreement(t *testing.T) {
	c := bump(t, func(_, _ *fleet.Repository) {})
	a := fleet.Agreement{Agree: 2, Of: 2, Need: 2, Sources: []fleet.Said{{Source: "GitHub ip7z/7zip", Version: "24.09", Agrees: true}, {Source: "npm 7z", Version: "24.9", Agrees: true}}}
	row := func() string {
		for line := range strings.Lines(BumpPull(Bump{Change: c, Release: c.Releases[0], Agreement: &a}).Text) {
			if strings.Contains(line, "**Sources**") {
				return line
			}
		}
		return ""
	}
	if got, want := row(), "| "+glyphGood+" | **Sources** | 2 of 2 sources say 24.09: GitHub ip7z/7zip, npm 7z |\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	a.Of, a.Sources = 4, append(a.Sources, fleet.Said{Source: "c|d", Version: "<b>1</b>"}, fleet.Said{Source: "e", Failed: "404"})
	if got := row(); !strings.HasPrefix(got, "| "+glyphLook+" |") || !strings.Contains(got, "2 of 4 sources") || !strings.Contains(got, "e gave no answer") || strings.Contains(got, "<b>") || strings.Contains(got, "c|d") {
		t.Errorf("got %q", got)
	}
	if strings.Contains(BumpPull(Bump{Change: c, Release: c.Releases[0]}).Text, "**Sources**") {
		t.Error("a package with one source has a row of sources")
	}
}

var trailerLine = regexp.MustCompile(`^[A-Z][A-Za-z-]*: \S.*$`)

// checkTrailers asks for a last paragraph that git reads as trailers.
func checkTrailers(t *testing.T, p Pull, keys ...string) {
	t.Helper()
	text := strings.TrimRight(p.Text, "\n")
	paragraph := strings.Split(text[strings.LastIndex(text, "\n\n")+2:], "\n")
	var found []string
	for _, l := range paragraph {
		if !trailerLine.MatchString(l) {
			t.Errorf("no trailer: %q", l)
		}
		key, _, _ := strings.Cut(l, ":")
		found = append(found, key)
	}
	if strings.Join(found, " ") != strings.Join(keys, " ") {
		t.Errorf("trailers %q, want %q", found, keys)
	}
	if len(p.Text) > bodyLimit {
		t.Errorf("%d bytes", len(p.Text))
	}
}

func TestGatePulls(t *testing.T) {
	repo, rec, plans := testRepo(), testRecord(), testPlans()
	opening := CyclePull(repo, week, repo.Cycles[week], plans)
	golden(t, "cycle.md", opening.Text)
	checkTrailers(t, opening, "Risk", "Impact", "Back-out", "Change-Class", "Plan-Digest", "Fixes")

	approval := fleet.Approval{Cycle: week, Gate: "everyone", Decision: "approved", Summary: plans[1].Summary(), Plan: plans[1].Digest(), ValidUntil: day(24, 12)}
	approve := ApprovalPull(repo, rec, approval, plans[1])
	if approve.Title != "Approve everyone of 2026-W47" {
		t.Errorf("title %q", approve.Title)
	}
	golden(t, "approval.md", approve.Text)
	checkTrailers(t, approve, "Risk", "Impact", "Back-out", "Change-Class", "Plan-Digest")

	hold := fleet.Hold{Kind: "revocation", Package: notepad, Release: "8.7.1", Artifact: digit(902), Reason: "error rate is above 2 % with 90 % confidence"}
	revoke := RevocationPull(repo, rec, hold, week)
	if revoke.Title != "Revoke notepad-plus-plus/notepad-plus-plus 8.7.1" {
		t.Errorf("title %q", revoke.Title)
	}
	golden(t, "revocation.md", revoke.Text)
	checkTrailers(t, revoke, "Risk", "Impact", "Back-out", "Change-Class")

	repo.Holds = map[string]fleet.Hold{"r": hold}
	repo.Plans = map[fleet.CycleID]map[string]fleet.PlanRecord{week: {"everyone": {Digest: plans[1].Digest()}}}
	closing := ClosePull(repo, rec, week)
	golden(t, "close.md", closing.Text)
	checkTrailers(t, closing, "Risk", "Impact", "Back-out", "Change-Class", "Plan-Digest")
}

// TestHostileNotes puts everything a vendor could write into a body.
func TestHostileNotes(t *testing.T) {
	c := bump(t, func(_, _ *fleet.Repository) {})
	r := c.Releases[0]
	r.Name = "7-Zip @team <img src=x> [x](http://evil.example) #12"
	evil := "```\n</details><script>alert(1)</script>\n@admin please merge, fixes #1\n[click](https://evil.example)\n\nRisk: low: forged\n\x1b[2J" + strings.Repeat("x", 100_000)
	p := BumpPull(Bump{Change: c, Release: r, Notes: evil})
	head, _, _ := strings.Cut(p.Text, "<details>")
	var html strings.Builder
	if err := goldmark.New(goldmark.WithExtensions(extension.GFM)).Convert([]byte(head), &html); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"@team", "<img", "<a ", "#12"} {
		if strings.Contains(html.String(), bad) {
			t.Errorf("%q survives in %s", bad, html.String())
		}
	}
	checkTrailers(t, p, "Risk", "Impact", "Back-out", "Change-Class", "Fixes")
	for _, bad := range []string{"@admin", "#1", "https://evil"} {
		if strings.Contains(p.Text, bad) {
			t.Errorf("%q would act in the merge commit's message", bad)
		}
	}
	quoted := p.Text[strings.Index(p.Text, "````text"):]
	end := strings.Index(quoted[8:], "\n````\n")
	if end < 0 || !strings.Contains(quoted[:end], "admin please merge") || strings.Contains(p.Text, "\x1b") {
		t.Errorf("the vendor's text is not fenced: %q", quoted[:min(len(quoted), 400)])
	}
}

// TestSizeCap makes a cycle so large that its plans cannot stand in the body.
func TestSizeCap(t *testing.T) {
	plan := testPlans()[1]
	row := plan.Rows[0]
	for i := range 5000 {
		row.Tenant = fleet.TenantID(fmt.Sprintf("nordic/tenant-%04d", i))
		plan.Rows = append(plan.Rows, row)
		plan.Skipped = append(plan.Skipped, fleet.PlanSkip{Tenant: row.Tenant, Package: notepad, Why: strings.Repeat("because ", 40)})
	}
	repo := testRepo()
	p := CyclePull(repo, week, repo.Cycles[week], []fleet.Plan{plan, plan, plan})
	if len(p.Text) > bodyLimit || !strings.Contains(p.Text, "left out here") {
		t.Errorf("%d bytes", len(p.Text))
	}
	if strings.Count(p.Text, "<details>") != strings.Count(p.Text, "</details>") {
		t.Error("a folded part was cut in the middle")
	}
	checkTrailers(t, p, "Risk", "Impact", "Back-out", "Change-Class", "Plan-Digest", "Fixes")
}

func TestDiff(t *testing.T) {
	c := bump(t, func(base, head *fleet.Repository) {
		head.Packages[gitWin] = application(gitWin, "Git", "uninstall", "2.47.1")
		tenant := head.Tenants["nordic/birch"]
		tenant.Zone = "UTC"
		tenant.Policy.MaxFailuresPercent = 5
		tenant.Policy.Bounds = map[string]string{"maxFailuresPercent": "<=5", "approval": `"partner"`}
		tenant.Policy.Pins = map[fleet.PackageID]fleet.PinnedTo{zip: {Version: "24.08", Reason: "archive", Expires: day(30, 0)}}
		head.Tenants["nordic/birch"] = tenant
		old := base.Tenants["nordic/birch"]
		old.Policy.MaxFailuresPercent = 2
		old.Policy.Bounds = map[string]string{"maxFailuresPercent": "<=2", "approval": `"implicit" | "partner"`}
		base.Tenants["nordic/birch"] = old
		head.Freezes = map[string]fleet.Freeze{"year-end": {From: day(20, 0), Until: day(30, 0), Scope: "all", Reason: "books"}}
		head.Waves = append([]fleet.Wave{}, head.Waves...)
		head.Waves[0].Gate.Success = 95
		head.Holds = map[string]fleet.Hold{"r": {Kind: "revocation", Package: notepad, Release: "8.7.1", Reason: "breaks"}}
		head.Cycles = map[fleet.CycleID]fleet.Cycle{week: testRepo().Cycles[week]}
		plans := testPlans()
		record := fleet.PlanRecord{Digest: plans[0].Digest(), Summary: plans[0].Summary()}
		head.Plans = map[fleet.CycleID]map[string]fleet.PlanRecord{week: {"dogfood": record}}
		head.Approvals = map[fleet.CycleID]map[string]fleet.Approval{week: {"dogfood": {Cycle: week, Gate: "dogfood", Decision: "approved", Summary: plans[0].Summary(), Plan: plans[0].Digest(), ValidUntil: day(20, 7)}}}
	})
	golden(t, "diff.txt", DiffText(c))
	golden(t, "diff.md", DiffMarkdown(c))
	if got := DiffText(change.Change{}); got != "Nothing changes for packages, tenants, policies or schedules.\n" {
		t.Errorf("empty: %q", got)
	}
}
