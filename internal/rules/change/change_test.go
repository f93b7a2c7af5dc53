package change

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

func TestNothing(t *testing.T) {
	c := compare(t, world(), world())
	if !c.Empty() || len(c.Findings) != 0 || len(c.Reach.Tenants) != 0 {
		t.Errorf("two equal states differ: %+v", c)
	}
}

func TestNewRelease(t *testing.T) {
	head := edited(func(r *fleet.Repository) {
		addRelease(r, "24.09", func(d *fleet.Download, _ *fleet.Release) { d.MSI = &fleet.MSIFacts{ProductVersion: "24.09.00.0"} })
		setTenant(r, "nordic/birch", func(t *fleet.Tenant) {
			t.Policy.Pins = map[fleet.PackageID]fleet.PinnedTo{zip: {Version: "24.08", Reason: "archive", Expires: noon.AddDate(0, 1, 0)}}
		})
	})
	c := compare(t, world(), head)
	if len(c.Releases) != 1 {
		t.Fatalf("%d releases", len(c.Releases))
	}
	r := c.Releases[0]
	if r.What != Added || r.From != "24.08" || r.To != "24.09" || r.Class != "security" || r.Rollback != "previous" {
		t.Errorf("release: %+v", r)
	}
	i := r.Installers[0]
	growth, ok := i.Growth()
	if i.SignerState != SignerUnsigned || !i.HostKnown || i.Host != "github.com" || i.Read != "24.09.00.0" || !ok || growth < 2.6 || growth > 2.7 {
		t.Errorf("installer: %+v, growth %v", i, growth)
	}
	want := Reach{Tenants: []fleet.TenantID{"direct/cedar", "nordic/acme"}, Devices: 40, Unknown: 1,
		Kept: []Kept{{"nordic/birch", "pinned to 24.08 until 2026-12-18: archive"}}}
	if !reflect.DeepEqual(r.Reach, want) {
		t.Errorf("reach\n got %+v\nwant %+v", r.Reach, want)
	}
	var dates []string
	for _, d := range r.Dates {
		dates = append(dates, string(d.Cycle)+" "+d.Wave+" "+d.Opens.Format(time.RFC3339))
	}
	if want := []string{"2026-W47 dogfood 2026-11-19T09:00:00+02:00", "2026-W47 everyone 2026-11-23T14:00:00+02:00"}; !slices.Equal(dates, want) {
		t.Errorf("dates %q, want %q", dates, want)
	}
	if level, why := r.Risk(); level != "low" || why != "security release of a known package" {
		t.Errorf("risk %s: %s", level, why)
	}
}

func TestReleaseFindings(t *testing.T) {
	signed := fleet.SignedBy{Subject: "CN=Igor Pavlov"}
	tests := []struct {
		name string
		base func(d *fleet.Download) // the release before
		head func(d *fleet.Download, r *fleet.Release)
		pub  fleet.Publisher
		want []string
		risk string
	}{
		{
			name: "signer kept",
			base: func(d *fleet.Download) { d.Signer = signed },
			head: func(d *fleet.Download, _ *fleet.Release) { d.Signer = signed },
			risk: "low",
		},
		{
			name: "signer changed",
			base: func(d *fleet.Download) { d.Signer = signed },
			head: func(d *fleet.Download, _ *fleet.Release) { d.Signer.Subject, d.Signer.Unsigned = "CN=Someone", false },
			want: []string{"decide igor-pavlov/7-zip@24.09: x64: signed by CN=Someone, no longer by CN=Igor Pavlov"},
			risk: "high",
		},
		{
			name: "certificate renewed",
			base: func(d *fleet.Download) {
				d.Signer = fleet.SignedBy{Subject: "CN=Igor Pavlov", Issuer: "CN=CA", Thumbprint: "aa"}
			},
			head: func(d *fleet.Download, _ *fleet.Release) {
				d.Signer = fleet.SignedBy{Subject: "CN=Igor Pavlov", Issuer: "CN=CA", Thumbprint: "bb"}
			},
			risk: "low",
		},
		{
			name: "certificate of another issuer",
			base: func(d *fleet.Download) { d.Signer = fleet.SignedBy{Subject: "CN=Igor Pavlov", Issuer: "CN=CA"} },
			head: func(d *fleet.Download, _ *fleet.Release) {
				d.Signer = fleet.SignedBy{Subject: "CN=Igor Pavlov", Issuer: "CN=Igor Pavlov"}
			},
			want: []string{"decide igor-pavlov/7-zip@24.09: x64: the certificate of CN=Igor Pavlov is issued by CN=Igor Pavlov, no longer by CN=CA"},
			risk: "medium",
		},
		{
			name: "issuer noted for the first time",
			base: func(d *fleet.Download) { d.Signer = signed },
			head: func(d *fleet.Download, _ *fleet.Release) {
				d.Signer = fleet.SignedBy{Subject: "CN=Igor Pavlov", Issuer: "CN=CA"}
			},
			risk: "low",
		},
		{
			name: "signature lost",
			base: func(d *fleet.Download) { d.Signer = signed },
			head: func(*fleet.Download, *fleet.Release) {},
			want: []string{"decide igor-pavlov/7-zip@24.09: x64: unsigned, where the release before was signed by CN=Igor Pavlov"},
			risk: "high",
		},
		{
			name: "first signature, unknown",
			head: func(d *fleet.Download, _ *fleet.Release) { d.Signer = signed },
			want: []string{"decide igor-pavlov/7-zip@24.09: x64: signed by CN=Igor Pavlov, whom catalog/igor-pavlov/publisher.cue does not name"},
			risk: "high",
		},
		{
			name: "first signature, expected",
			head: func(d *fleet.Download, _ *fleet.Release) { d.Signer = signed },
			pub:  fleet.Publisher{Hosts: []string{"github.com"}, Signers: map[string]fleet.ExpectedSigner{"main": {Kind: "authenticode", Subject: "CN=Igor Pavlov"}}},
			risk: "low",
		},
		{
			name: "unsigned where refused",
			head: func(*fleet.Download, *fleet.Release) {},
			pub:  fleet.Publisher{Hosts: []string{"github.com"}, Unsigned: "refused"},
			want: []string{"refused igor-pavlov/7-zip@24.09: x64: unsigned, which catalog/igor-pavlov/publisher.cue refuses"},
			risk: "low",
		},
		{
			name: "other host",
			head: func(d *fleet.Download, _ *fleet.Release) { d.URL = "https://github.com.evil.example/7z.msi" },
			want: []string{"refused igor-pavlov/7-zip@24.09: x64: comes from github.com.evil.example, a host that catalog/igor-pavlov/publisher.cue does not name"},
			risk: "high",
		},
		{
			name: "grown",
			head: func(d *fleet.Download, _ *fleet.Release) { d.Size = 2_300_000 },
			want: []string{"decide igor-pavlov/7-zip@24.09: x64: its size changed by more than 20 %"},
			risk: "low",
		},
		{
			name: "counter taken",
			head: func(_ *fleet.Download, r *fleet.Release) { r.Counter = 1 },
			want: []string{"refused igor-pavlov/7-zip@24.09: its counter is not above that of every merged release"},
			risk: "medium", // there is no release before it
		},
		{
			name: "major",
			head: func(_ *fleet.Download, r *fleet.Release) { r.Change = "major" },
			risk: "medium",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			publish := func(r *fleet.Repository) {
				if tt.pub.Hosts != nil {
					r.Publishers["igor-pavlov"] = tt.pub
				}
				if tt.base != nil {
					d := r.Packages[zip].Releases["24.08"].Installers["x64"]
					d.Signer = fleet.SignedBy{}
					tt.base(&d)
					r.Packages[zip].Releases["24.08"].Installers["x64"] = d
				}
			}
			head := edited(func(r *fleet.Repository) {
				publish(r)
				addRelease(r, "24.09", func(d *fleet.Download, r *fleet.Release) {
					d.Signer = fleet.SignedBy{Unsigned: true}
					tt.head(d, r)
				})
			})
			base := world()
			publish(base)
			c := compare(t, base, head)
			wantFindings(t, c, tt.want...)
			if level, why := c.Releases[0].Risk(); level != tt.risk {
				t.Errorf("risk %s (%s), want %s", level, why, tt.risk)
			}
		})
	}
}

func TestMergedReleaseIsImmutable(t *testing.T) {
	changed := edited(func(r *fleet.Repository) {
		d := r.Packages[zip].Releases["24.08"].Installers["x64"]
		d.SHA256 = digit(9)
		r.Packages[zip].Releases["24.08"].Installers["x64"] = d
	})
	c := compare(t, world(), changed)
	wantFindings(t, c, "refused igor-pavlov/7-zip@24.08: a merged release is immutable, and this changes installers.x64.sha256")
	if e := c.Refusals(); len(e) != 1 || fleet.KindOf(e) != fleet.Refused || e[0].Pos.File != "catalog/igor-pavlov/7-zip/24.08.cue" || e[0].Hint == "" {
		t.Errorf("refusals: %+v", e)
	}
	if r := c.Releases[0]; r.What != Changed || len(r.Edits) != 1 || r.Edits[0].Old != string(digit(1)) || r.Edits[0].New != string(digit(9)) {
		t.Errorf("release: %+v", r)
	}
	removed := edited(func(r *fleet.Repository) { setPackage(r, zip, func(p *fleet.Package) { delete(p.Releases, "24.08") }) })
	wantFindings(t, compare(t, world(), removed), "refused igor-pavlov/7-zip@24.08: a merged release is removed; releases are immutable")
}

func TestPackages(t *testing.T) {
	c := compare(t, world(), edited(func(r *fleet.Repository) {
		r.Packages["mozilla/firefox"] = fleet.Package{ID: "mozilla/firefox", Name: "Firefox", Kind: "application"}
		setPackage(r, zip, func(p *fleet.Package) { p.Rollback = "uninstall"; p.Tests.Matrix = []string{"windows-11", "wine"} })
	}))
	want := []Edit{{Field: "rollback", Old: "previous", New: "uninstall"}, {Field: "tests.matrix", Old: `["windows-11"]`, New: `["windows-11","wine"]`}}
	if len(c.Packages) != 2 || !reflect.DeepEqual(c.Packages[0].Edits, want) || c.Packages[1].What != Added {
		t.Errorf("packages: %+v", c.Packages)
	}
	if c.Packages[0].Reach.Devices != 100 || len(c.Packages[0].Reach.Tenants) != 3 {
		t.Errorf("reach: %+v", c.Packages[0].Reach)
	}
	gone := compare(t, world(), edited(func(r *fleet.Repository) { delete(r.Packages, zip) }))
	wantFindings(t, gone, "refused igor-pavlov/7-zip: the package is removed, but tenants still have it assigned")
}

func TestCycleAndApproval(t *testing.T) {
	plan := fleet.PlanRecord{Digest: digit(5), Summary: fleet.Summary{Packages: 1, Tenants: 3, Devices: 100, Deadline: noon}}
	open := func(r *fleet.Repository) {
		r.Cycles = map[fleet.CycleID]fleet.Cycle{"2026-W47": {CutOff: noon, Waves: []string{"dogfood", "everyone"}, Entries: map[fleet.PackageID]fleet.Entry{zip: {Release: "24.08", Artifact: digit(3)}}}}
		r.Plans = map[fleet.CycleID]map[string]fleet.PlanRecord{"2026-W47": {"dogfood": plan, "everyone": plan}}
	}
	approve := func(edit func(a *fleet.Approval)) func(r *fleet.Repository) {
		return func(r *fleet.Repository) {
			open(r)
			a := fleet.Approval{Cycle: "2026-W47", Gate: "dogfood", Decision: "approved", Summary: plan.Summary, Plan: plan.Digest, ValidUntil: noon.AddDate(0, 0, 2)}
			edit(&a)
			r.Approvals = map[fleet.CycleID]map[string]fleet.Approval{"2026-W47": {"dogfood": a}}
		}
	}
	c := compare(t, world(), edited(approve(func(*fleet.Approval) {})))
	if len(c.Cycles) != 1 || c.Cycles[0].What != Added || c.Cycles[0].Entries[0].Rollback != "previous" || c.Cycles[0].Reach.Devices != 100 {
		t.Errorf("cycles: %+v", c.Cycles)
	}
	if len(c.Approvals) != 1 || c.Approvals[0].Plan != digit(5) {
		t.Errorf("approvals: %+v", c.Approvals)
	}
	wantFindings(t, c)
	wantFindings(t, compare(t, world(), edited(approve(func(a *fleet.Approval) { a.Plan = digit(6) }))),
		"refused 2026-W47 dogfood: it names the plan sha256:000000000000, but plan.cue records sha256:000000000000")
	wantFindings(t, compare(t, world(), edited(approve(func(a *fleet.Approval) { a.Summary.Devices = 1 }))),
		"refused 2026-W47 dogfood: its summary is not that of the plan it names")
	merged := world()
	approve(func(*fleet.Approval) {})(merged)
	wantFindings(t, compare(t, merged, edited(approve(func(a *fleet.Approval) { a.ValidUntil = noon.AddDate(1, 0, 0) }))),
		"refused 2026-W47 dogfood: a merged approval is changed")
	wantFindings(t, compare(t, merged, edited(open)), "refused 2026-W47 dogfood: a merged approval is removed")
	refused := world()
	approve(func(a *fleet.Approval) { a.Decision, a.Because = "rejected", "too early" })(refused)
	wantFindings(t, compare(t, refused, edited(approve(func(*fleet.Approval) {}))), "decide 2026-W47 dogfood: it was rejected: too early")
	wantFindings(t, compare(t, refused, edited(approve(func(a *fleet.Approval) { a.Plan = digit(6) }))),
		"refused 2026-W47 dogfood: it names the plan sha256:000000000000, but plan.cue records sha256:000000000000", "decide 2026-W47 dogfood: it was rejected: too early")
	wantFindings(t, compare(t, merged, edited(approve(func(a *fleet.Approval) { a.Decision, a.Because = "rejected", "too late" }))),
		"refused 2026-W47 dogfood: a merged approval is changed")
	moved := edited(func(r *fleet.Repository) {
		approve(func(*fleet.Approval) {})(r)
		y := r.Cycles["2026-W47"]
		y.Entries = map[fleet.PackageID]fleet.Entry{zip: {Release: "24.08", Artifact: digit(4)}}
		r.Cycles["2026-W47"] = y
	})
	wantFindings(t, compare(t, merged, moved), "refused 2026-W47: a cycle that was opened is changed; its plan is what approvals name")
}

func TestHoldsAndFreezes(t *testing.T) {
	hold := fleet.Hold{Kind: "revocation", Package: zip, Release: "24.08", Artifact: digit(3), Reason: "breaks"}
	withHold := func(r *fleet.Repository) { r.Holds = map[string]fleet.Hold{"h": hold} }
	c := compare(t, world(), edited(withHold))
	if len(c.Holds) != 1 || c.Holds[0].Reach.Devices != 100 || len(c.Findings) != 0 {
		t.Errorf("holds: %+v, findings %v", c.Holds, texts(c.Findings))
	}
	was := world()
	withHold(was)
	wantFindings(t, compare(t, was, edited(func(*fleet.Repository) {})), "decide h: revocation of igor-pavlov/7-zip@24.08 ends: it may go on from now on")
	frozen := compare(t, world(), edited(func(r *fleet.Repository) {
		addRelease(r, "24.09", func(_ *fleet.Download, r *fleet.Release) { r.Change = "minor" })
		r.Freezes = map[string]fleet.Freeze{"year-end": {From: noon, Until: noon.AddDate(0, 0, 7), Scope: "nonSecurity", Reason: "books"}}
	}))
	wantFindings(t, frozen, "decide year-end: no wave opens from 2026-11-18 until 2026-11-25, security releases excepted")
	if d := frozen.Releases[0].Dates; d[0].Frozen != "year-end" || d[1].Frozen != "year-end" {
		t.Errorf("a freeze stands against these dates: %+v", d)
	}
	if len(frozen.Reach.Tenants) != 3 {
		t.Errorf("a freeze reaches everyone: %+v", frozen.Reach)
	}
}

// TestSameBytes compares many times: map order must not show.
func TestSameBytes(t *testing.T) {
	head := edited(func(r *fleet.Repository) {
		addRelease(r, "24.09", func(*fleet.Download, *fleet.Release) {})
		for id := range r.Tenants {
			setTenant(r, id, func(t *fleet.Tenant) { t.Policy.MaxFailuresPercent = 1; t.Zone = "UTC" })
		}
		r.Waves = slices.Clone(r.Waves)
		r.Waves[0].Gate.Success, r.Waves[1].Gate.Success = 99, 90
	})
	first, err := json.Marshal(compare(t, world(), head))
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		again, err := json.Marshal(compare(t, world(), head))
		if err != nil || string(again) != string(first) {
			t.Fatalf("not the same bytes:\n%s\n%s", first, again)
		}
	}
}

func TestRiskOfForwardOnly(t *testing.T) {
	r := Release{From: "1", Class: "patch", Rollback: "forwardOnly"}
	if level, _ := r.Risk(); level != "medium" {
		t.Errorf("risk %s", level)
	}
}

// TestAdvisories points out whose word may shorten a wait from now on: a new
// source of exploited vulnerabilities, and products taken for a package's own.
func TestAdvisories(t *testing.T) {
	sources := func(kev, epss string) func(*fleet.Repository) {
		return func(r *fleet.Repository) { r.Advisories = fleet.AdvisorySources{KEV: kev, EPSS: epss} }
	}
	declared := func(pairs ...fleet.CVEProduct) func(*fleet.Repository) {
		return func(r *fleet.Repository) {
			setPackage(r, zip, func(p *fleet.Package) { p.Advisories = &fleet.Advisories{CVEProducts: pairs} })
		}
	}
	own, other := fleet.CVEProduct{Vendor: "7-Zip", Product: "7-Zip"}, fleet.CVEProduct{Vendor: "Microsoft", Product: "Windows"}
	for name, c := range map[string]struct {
		base, head func(*fleet.Repository)
		what       string // of the subject; "" is none
		want       []string
	}{
		"the first sources": {sources("", ""), sources("https://a.example/", "https://b.example/"), Added, []string{"decide advisories.kev: what is known to be exploited is taken from https://a.example/ from now on"}},
		"another catalog":   {sources("https://a.example/", ""), sources("https://c.example/", ""), Changed, []string{"decide advisories.kev: what is known to be exploited is taken from https://c.example/ from now on"}},
		"another API":       {sources("https://a.example/", ""), sources("https://a.example/", "https://b.example/"), Changed, nil},
		"none any more":     {sources("https://a.example/", ""), sources("", ""), Removed, nil},
		"the same":          {sources("https://a.example/", ""), sources("https://a.example/", ""), "", nil},
		"one more product":  {declared(own), declared(own, other), "", []string{"decide igor-pavlov/7-zip: vulnerabilities of Microsoft Windows are taken for the package's from now on"}},
		"the first product": {func(*fleet.Repository) {}, declared(own), "", []string{"decide igor-pavlov/7-zip: vulnerabilities of 7-Zip 7-Zip are taken for the package's from now on"}},
		"one product less":  {declared(own, other), declared(own), "", nil},
		"no product at all": {declared(own), func(*fleet.Repository) {}, "", nil},
		"an edit of a third": {declared(own), func(r *fleet.Repository) {
			declared(own)(r)
			setPackage(r, zip, func(p *fleet.Package) { p.Name = "Zip" })
		}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := compare(t, edited(c.base), edited(c.head))
			wantFindings(t, got, c.want...)
			what := ""
			for _, s := range got.Subjects {
				what += s.What
			}
			if what != c.what {
				t.Errorf("subjects %q, want %q", what, c.what)
			}
		})
	}
}
