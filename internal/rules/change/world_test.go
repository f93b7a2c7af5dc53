package change

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

var noon = time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC)

const zip fleet.PackageID = "igor-pavlov/7-zip"

func digit(n int) fleet.Digest { return fleet.Digest(fmt.Sprintf("sha256:%064d", n)) }

// world is a small repository: one package with one release, three tenants.
func world() *fleet.Repository {
	tenant := func(id fleet.TenantID) fleet.Tenant {
		return fleet.Tenant{
			ID: id, Name: string(id), Zone: "Europe/Helsinki",
			Packages: map[fleet.PackageID][]fleet.Assignment{zip: {{Intent: "required", Group: "all devices"}}},
			Policy:   declared(fleet.Policy{CriticalWithinHours: 72, NonSecurityDeferDays: 7, Reboot: "windowOnly", MaxFailuresPercent: 2, Approval: "implicit", MaxExceptionDays: 90}),
		}
	}
	r := &fleet.Repository{
		Commit:     "base",
		Publishers: map[string]fleet.Publisher{"igor-pavlov": {Name: "Igor Pavlov", Hosts: []string{"github.com"}, Unsigned: "accepted"}},
		Packages: map[fleet.PackageID]fleet.Package{zip: {
			ID: zip, Name: "7-Zip", Kind: "application", Rollback: "previous",
			Installers: map[string]fleet.Installer{"x64": {Platform: "windows", Arch: "x64", Type: "msi"}},
			Tests:      fleet.Tests{Matrix: []string{"windows-11"}},
			Releases: map[string]fleet.Release{"24.08": {Counter: 1, Change: "minor", Installers: map[string]fleet.Download{
				"x64": {URL: "https://github.com/ip7z/7zip/releases/download/24.08/7z2408-x64.msi", Size: 1_900_000, SHA256: digit(1), Signer: fleet.SignedBy{Unsigned: true}},
			}}},
		}},
		Waves: []fleet.Wave{
			{Name: "dogfood", Order: 1, Opens: fleet.Opens{Step: "dogfood", Zone: "operator"}, Soak: fleet.Duration(24 * time.Hour), Advance: "merge",
				Gate: fleet.Gate{Success: 98, Error: 2, Confidence: 0.95, MinReports: 5, Silent: "excluded"}},
			{Name: "everyone", Order: 2, Opens: fleet.Opens{Step: "deploy", Zone: "operator"}, Soak: fleet.Duration(72 * time.Hour), Advance: "autoMerge",
				Gate: fleet.Gate{Success: 98, Error: 2, Confidence: 0.95, MinReports: 5, Silent: "failed"}},
		},
		Week: fleet.Week{Zone: "Europe/Helsinki", DST: fleet.DSTRule{Gap: "later", Fold: "first"}, Steps: map[string]fleet.WeekStep{
			"detect": {On: "Wed", At: "06:00"}, "cutOff": {On: "Wed", At: "16:00"}, "dogfood": {On: "Thu", At: "09:00"}, "deploy": {On: "Mon", At: "14:00"},
		}},
		Operator: fleet.Operator{Name: "Example MSP", Approvers: map[string][]fleet.Person{"releases": {{Login: "ann", Name: "Ann", From: "2025-01-01"}}}, Trust: fleet.Trust{Approvals: 2}},
		Partners: map[string]fleet.Partner{"nordic": {Name: "Nordic IT", Language: "fi"}},
		Tenants:  map[fleet.TenantID]fleet.Tenant{},
	}
	for _, id := range []fleet.TenantID{"nordic/acme", "nordic/birch", "direct/cedar"} {
		r.Tenants[id] = tenant(id)
	}
	return r
}

// declared gives a policy the bounds that its values are the loosest of.
func declared(p fleet.Policy) fleet.Policy {
	from := func(word string, words ...string) string {
		return `"` + strings.Join(words[slices.Index(words, word):], `" | "`) + `"`
	}
	p.Bounds = map[string]string{
		"critical.withinHours":  fmt.Sprintf("number & >0 & <=%g", p.CriticalWithinHours),
		"nonSecurity.deferDays": fmt.Sprintf("int & >=%d", p.NonSecurityDeferDays),
		"reboot":                from(p.Reboot, "anytime", "windowOnly"),
		"maxFailuresPercent":    fmt.Sprintf("number & >=0 & <=%g", p.MaxFailuresPercent),
		"approval":              from(p.Approval, "implicit", "partner", "site"),
		"maxExceptionDays":      fmt.Sprintf("int & >=0 & <=%d", p.MaxExceptionDays),
		// An optional grace that no level states grants nothing.
		"critical.graceHours":    fmt.Sprintf("number & >=0 & <=%g", p.CriticalGraceHours),
		"nonSecurity.graceHours": fmt.Sprintf("number & >=0 & <=%g", p.NonSecurityGraceHours),
	}
	if p.NonSecurityWithinDays > 0 { // an optional limit that no level states limits nothing
		p.Bounds["nonSecurity.withinDays"] = fmt.Sprintf("number & >0 & <=%g", p.NonSecurityWithinDays)
	}
	return p
}

// edited is the world after an edit. Packages, releases and tenants are copies
// of their own, so that an edit does not reach the base.
func edited(edit func(r *fleet.Repository)) *fleet.Repository {
	r := world()
	r.Commit = "head"
	edit(r)
	return r
}

func setPackage(r *fleet.Repository, id fleet.PackageID, edit func(p *fleet.Package)) {
	p := r.Packages[id]
	p.Releases = maps.Clone(p.Releases)
	edit(&p)
	r.Packages[id] = p
}

func setTenant(r *fleet.Repository, id fleet.TenantID, edit func(t *fleet.Tenant)) {
	t := r.Tenants[id]
	t.Packages = maps.Clone(t.Packages)
	edit(&t)
	r.Tenants[id] = t
}

func addRelease(r *fleet.Repository, version string, edit func(d *fleet.Download, r *fleet.Release)) {
	setPackage(r, zip, func(p *fleet.Package) {
		d := p.Releases["24.08"].Installers["x64"]
		d.URL = "https://github.com/ip7z/7zip/releases/download/24.09/7z2409-x64.msi"
		d.Size, d.SHA256 = 1_950_000, digit(2)
		release := fleet.Release{Counter: 2, Change: "security", Fixes: []string{"CVE-2024-11477"}}
		edit(&d, &release)
		release.Installers = map[string]fleet.Download{"x64": d}
		p.Releases[version] = release
	})
}

func compare(t *testing.T, base, head *fleet.Repository) Change {
	t.Helper()
	return Compare(base, head, Options{Devices: map[fleet.TenantID]int{"nordic/acme": 40, "nordic/birch": 60}, Now: noon})
}

func texts(findings []Finding) []string {
	out := make([]string, len(findings))
	for i, f := range findings {
		out[i] = f.Level + " " + f.Object + ": " + f.Text
	}
	return out
}

func wantFindings(t *testing.T, c Change, want ...string) {
	t.Helper()
	if got := texts(c.Findings); !slices.Equal(got, want) {
		t.Errorf("findings\n got %q\nwant %q", got, want)
	}
}
