package view

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/bump"
	"github.com/packmill/packmill/internal/rules/change"
)

// TestBumpPull has five proposals as people meet them, each made from a change
// of the repository.
func TestBumpPull(t *testing.T) {
	edited := func(version string, edit func(*fleet.Release, *fleet.Download)) func(_, head *fleet.Repository) {
		return func(_, head *fleet.Repository) {
			r := head.Packages[zip].Releases["24.09"]
			d := r.Installers["x64"]
			edit(&r, &d)
			r.Installers = map[string]fleet.Download{"x64": d}
			delete(head.Packages[zip].Releases, "24.09")
			head.Packages[zip].Releases[version] = r
		}
	}
	plain := edited("24.09", func(r *fleet.Release, _ *fleet.Download) { r.Change, r.Fixes = "minor", nil })
	// What CISA's catalog and EPSS say of anything, as they are read.
	asked := &bump.Answers{
		KEV: &fleet.KEV{Version: "2026.11.17", Released: day(17, 18), Listed: map[string][]fleet.Exploited{
			"CVE-2024-11477": {{Vendor: "7-Zip", Product: "7-Zip", Added: "2026-11-16"}}, "CVE-2025-10001": {{Vendor: "Umbrella", Product: "Mail Gateway", Added: "2026-10-01"}}}},
		EPSS: map[string]fleet.Likelihood{"CVE-2024-11477": {Probability: 0.43, Date: "2026-11-17"}},
	}
	declared := fleet.Package{Advisories: &fleet.Advisories{CVEProducts: []fleet.CVEProduct{{Vendor: "7-Zip", Product: "7-Zip"}}}}
	for _, tt := range []struct {
		name string
		edit func(base, head *fleet.Repository)
		bump Bump
		said *bump.Answers // nil where the repository names no source
		to   string
	}{
		{"plain", plain, Bump{Notes: "# 7-Zip 24.09\n\n- The default dictionary size was increased.\n- Some bugs were fixed, thanks to @somebody ([#12](https://example.com/12)).\n"}, nil, "24.09"},
		{"security-kev", func(base, head *fleet.Repository) {
			published := day(16, 8)
			edited("24.09", func(r *fleet.Release, _ *fleet.Download) { r.Published = &published })(base, head)
			for id, tenant := range head.Tenants {
				tenant.Policy.CriticalWithinHours = 72
				head.Tenants[id], base.Tenants[id] = tenant, tenant
			}
		}, Bump{Notes: "Fixed a heap overflow in the Zstandard decoder (CVE-2024-11477)."}, asked, "24.09"},
		{"new-signer", edited("24.09", func(r *fleet.Release, d *fleet.Download) {
			r.Change, r.Fixes, d.Signer.Subject, d.Size = "minor", nil, "CN=Someone Else", 4_000_000
		}), Bump{}, asked, "24.09"},
		{"changed-hash", plain, Bump{Unheld: &fleet.Command{What: fleet.CommandUnhold, Package: zip, Version: "24.09", Hold: fleet.HoldChangedHash,
			Why: "release 24.08, installer x64: git pins sha256:000000000000, the vendor now states sha256:1b9c35a6c1a2", By: "ben", Reason: "the vendor signed the old file anew and says so on its page", At: day(17, 8)}}, asked, "24.09"},
		{"major", edited("25.00", func(r *fleet.Release, d *fleet.Download) {
			r.Change, r.Fixes, d.URL, d.Size = "major", nil, "https://downloads.example/igor-pavlov/7-zip/25.00.msi", 2_050_000
			d.MSI = &fleet.MSIFacts{ProductCode: "{A}", ProductVersion: "25.00.00.0"}
		}), Bump{Notes: "The 32-bit program is gone."}, asked, "25.00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := bumped(t, tt.edit)
			b := tt.bump
			b.Change, b.Release, b.NotesFrom, b.Inputs = c, c.Releases[0], "https://downloads.example/notes", []string{"main a0b1c2d3e4", "inventory of 2026-11-18"}
			if tt.said != nil {
				known := bump.WeaknessesOf(declared, b.Release.Fixes, b.Notes, *tt.said)
				b.Known = &known
			}
			pull := BumpPull(b)
			if want := "igor-pavlov/7-zip 24.08 → " + tt.to; pull.Title != want {
				t.Errorf("title %q, want %q", pull.Title, want)
			}
			golden(t, "bump-"+tt.name+".md", pull.Text)
			keys := []string{"Risk", "Impact", "Back-out", "Change-Class"}
			if len(b.Release.Fixes) > 0 {
				keys = append(keys, "Fixes")
			}
			checkTrailers(t, pull, keys...)
			checkRows(t, pull)
		})
	}
}

// TestBumpAgreement shows who named the version, and marks who did not.
func TestBumpAgreement(t *testing.T) {
	c := bumped(t, func(_, _ *fleet.Repository) {})
	a := fleet.Agreement{Agree: 2, Of: 2, Need: 2, Sources: []fleet.Said{{Source: "GitHub ip7z/7zip", Version: "24.09", Agrees: true}, {Source: "npm 7z", Version: "24.9", Agrees: true}}}
	row := func() string {
		for line := range strings.Lines(BumpPull(Bump{Change: c, Release: c.Releases[0], Agreement: &a}).Text) {
			if strings.Contains(line, "**Source and hash**") {
				return line
			}
		}
		return ""
	}
	before := row()
	if !strings.HasSuffix(before, "; 2 of 2 sources say 24.09 |\n") {
		t.Errorf("got %q", before)
	}
	a.Of, a.Sources = 4, append(a.Sources, fleet.Said{Source: "c|d", Version: "<b>1</b>"}, fleet.Said{Source: "e", Failed: "404"})
	if got := row(); !strings.Contains(got, "2 of 4 sources say 24.09, but ") || !strings.Contains(got, "e gave no answer") || strings.Contains(got, "<b>") || strings.Contains(got, "c|d") {
		t.Errorf("got %q", got)
	}
	if strings.Contains(BumpPull(Bump{Change: c, Release: c.Releases[0]}).Text, "sources say") {
		t.Error("a package with one source has agreement")
	}
}

// checkRows asks for the eight rows, problems first, within the limit.
func checkRows(t *testing.T, p Pull) {
	t.Helper()
	const order = glyphStop + glyphUrgent + glyphLook + glyphNone + glyphGood
	var names []string
	last := 0
	for _, l := range strings.Split(p.Text, "\n") {
		cells := strings.Split(l, " | ")
		if len(cells) < 3 || !strings.HasPrefix(cells[1], "**") {
			continue
		}
		names = append(names, strings.Trim(cells[1], "*"))
		at := strings.Index(order, strings.TrimPrefix(cells[0], "| "))
		if at < last {
			t.Errorf("%q stands below something less urgent", l)
		}
		last = at
	}
	slices.Sort(names)
	if got, want := strings.Join(names, ", "), "Fixes, Publisher certificate, Reach, Size, Source and hash, Test matrix, Way back, Window"; got != want {
		t.Errorf("rows %s, want %s", got, want)
	}
	if n := len(p.Text); n >= 8000 {
		t.Errorf("%d bytes", n)
	}
}

// TestBumpIsBounded makes bodies of hostile and huge facts: all of them keep the
// limit, the eight rows and the trailers.
func TestBumpIsBounded(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	pieces := []string{"x", "@", "#1", "&", "|", "`", "\n", "<b>", "[a](b)", "🟡", "\u202e", "word ", "www.", "https://", "GH-1", "\\", "\x00", "_", "~~~"}
	huge := func() string {
		n := []int{0, 1, 50, 3000}[rng.IntN(4)]
		var b strings.Builder
		for range n {
			b.WriteString(pieces[rng.IntN(len(pieces))])
		}
		return b.String()
	}
	many := func() int { return []int{0, 1, 3, 60}[rng.IntN(4)] }
	for range 80 {
		r := change.Release{What: change.Added, Package: fleet.PackageID("a/" + huge()), Name: huge(), Kind: huge(), From: huge(), To: "1" + huge(), Class: "minor", Rollback: "previous"}
		c := change.Change{}
		for range many() {
			r.Fixes = append(r.Fixes, "CVE-"+huge())
			r.Matrix = append(r.Matrix, huge())
			r.Reach.Tenants = append(r.Reach.Tenants, fleet.TenantID(huge()))
			r.Reach.Kept = append(r.Reach.Kept, change.Kept{Tenant: fleet.TenantID(huge()), Why: huge()})
			r.Dates = append(r.Dates, change.Date{Cycle: fleet.CycleID(huge()), Wave: huge(), Frozen: huge()})
			c.Findings = append(c.Findings, change.Finding{Level: change.Decide, Text: huge(), Hint: huge()})
		}
		for range many() {
			r.Installers = append(r.Installers, change.Installer{Key: huge(), Source: huge(), Host: huge(), Digest: fleet.Digest(huge()), Signer: huge(),
				PreviousSigner: huge(), SignerState: change.SignerChanged, Read: huge(), Size: int64(rng.IntN(1000)), PreviousSize: int64(rng.IntN(1000))})
		}
		c.Releases = []change.Release{r}
		b := Bump{Change: c, Release: r, Notes: huge(), NotesFrom: huge(), Inputs: []string{huge()}}
		b.Agreement = &fleet.Agreement{Agree: many(), Of: many(), Sources: []fleet.Said{{Source: huge(), Version: huge()}, {Source: huge(), Failed: huge()}, {Source: huge(), Version: huge()}}}
		if rng.IntN(2) == 0 {
			b.Known = &bump.Weaknesses{Asked: []string{huge(), huge()}, Silent: []string{huge()}}
			for range many() {
				b.Known.List = append(b.Known.List, bump.Weakness{ID: huge(), Fixed: rng.IntN(2) == 0, KEV: rng.IntN(2) == 0, Of: huge(), Added: huge(), EPSS: rng.Float64()})
			}
			b.Unheld = &fleet.Command{Hold: []string{fleet.HoldChangedHash, fleet.HoldTooYoung}[rng.IntN(2)], Why: huge(), By: huge(), Reason: huge()}
		}
		p := BumpPull(b)
		keys := []string{"Risk", "Impact", "Back-out", "Change-Class"}
		if len(r.Fixes) > 0 {
			keys = append(keys, "Fixes")
		}
		checkTrailers(t, p, keys...)
		checkRows(t, p)
		if strings.Contains(p.Text, "(cut here: the text is longer than its place") && len(p.Text) > bumpLimit {
			t.Errorf("the head was cut: %q", p.Text)
		}
		if t.Failed() {
			t.Fatalf("%s", p.Text)
		}
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

// TestRevocationOfFirst: who merges the revocation of a first release reads that it
// is removed, and on how many tenants it is not.
func TestRevocationOfFirst(t *testing.T) {
	repo, rec := testRepo(), testRecord()
	pkg := repo.Packages[notepad]
	pkg.Rollback, pkg.Releases = "previous", map[string]fleet.Release{"8.7.1": pkg.Releases["8.7.1"]}
	repo.Packages[notepad] = pkg
	hold := fleet.Hold{Kind: "revocation", Package: notepad, Release: "8.7.1", Artifact: digit(902), Reason: "it breaks"}
	const removed, spared = "uninstall: there is no release before", "; stopped only on 1 tenant that handed over an app of their own"
	if text := RevocationPull(repo, rec, hold, week).Text; !strings.Contains(text, removed) || strings.Contains(text, spared) {
		t.Error(text)
	}
	for _, i := range rec.Intents {
		if i.Package == notepad && i.Artifact == hold.Artifact && i.Action == "assign" {
			rec.Receipts = append(rec.Receipts, fleet.Receipt{Tenant: i.Tenant, Package: notepad, Action: "assign", Outcome: "done", Adopted: "their app", At: day(18, 12)})
			break
		}
	}
	if text := RevocationPull(repo, rec, hold, week).Text; !strings.Contains(text, removed+spared) {
		t.Error(text)
	}
}

// TestHostileNotes puts everything a vendor could write into a body.
func TestHostileNotes(t *testing.T) {
	c := bumped(t, func(_, _ *fleet.Repository) {})
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
	for _, bad := range []string{"@admin", "#1", "https://evil", "<script"} {
		if strings.Contains(p.Text, bad) {
			t.Errorf("%q would act in the merge commit's message", bad)
		}
	}
	quoted := p.Text[strings.Index(p.Text, "```text"):]
	end := strings.Index(quoted[7:], "\n```\n")
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
	c := bumped(t, func(base, head *fleet.Repository) {
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
