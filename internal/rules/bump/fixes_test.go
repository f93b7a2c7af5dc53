package bump

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// catalogOf lists ids for products: "CVE-2026-10001 Acme/Tool".
func catalogOf(lines ...string) *fleet.KEV {
	kev := fleet.KEV{Version: "2026.11.17", Released: time.Date(2026, 11, 17, 18, 0, 0, 0, time.UTC), Listed: map[string][]fleet.Exploited{}}
	for _, line := range lines {
		id, name, _ := strings.Cut(line, " ")
		vendor, product, _ := strings.Cut(name, "/")
		kev.Listed[id] = append(kev.Listed[id], fleet.Exploited{Vendor: vendor, Product: product, Added: "2026-11-16"})
	}
	return &kev
}

// declared is a package that takes the products, "Acme/Tool", for its own.
func declared(products ...string) func(*fleet.Package) {
	return func(p *fleet.Package) {
		p.Advisories = &fleet.Advisories{}
		for _, name := range products {
			vendor, product, _ := strings.Cut(name, "/")
			p.Advisories.CVEProducts = append(p.Advisories.CVEProducts, fleet.CVEProduct{Vendor: vendor, Product: product})
		}
	}
}

func TestFixes(t *testing.T) {
	const notes = "Fixes CVE-2026-10001, see our page."
	hidden := strings.Repeat("x", 64<<10) + notes
	var many strings.Builder
	for i := range 200 {
		fmt.Fprintf(&many, "CVE-2020-%05d ", i)
	}
	for name, tt := range map[string]struct {
		edit    func(*fleet.Package)
		notes   string
		kev     *fleet.KEV
		earlier string
		want    string
	}{
		"both words":                    {declared("Acme/Tool"), notes, catalogOf("CVE-2026-10001 Acme/Tool"), "", "CVE-2026-10001"},
		"names of another case":         {declared("ACME/tool"), notes, catalogOf("CVE-2026-10001 Acme/Tool"), "", "CVE-2026-10001"},
		"space around CISA's names":     {declared("Acme/Tool"), notes, catalogOf("CVE-2026-10001 Acme / Tool"), "", "CVE-2026-10001"},
		"one of several products":       {declared("Acme/Other", "Acme/Tool"), notes, catalogOf("CVE-2026-10001 Umbrella/Mail", "CVE-2026-10001 Acme/Tool"), "", "CVE-2026-10001"},
		"several":                       {declared("Acme/Tool"), notes + " And CVE-2026-10000.", catalogOf("CVE-2026-10001 Acme/Tool", "CVE-2026-10000 Acme/Tool"), "", "CVE-2026-10000 CVE-2026-10001"},
		"the vendor's word alone":       {declared("Acme/Tool"), notes, catalogOf("CVE-2026-10002 Acme/Tool"), "", ""},
		"CISA's word alone":             {declared("Acme/Tool"), "Some bugs were fixed.", catalogOf("CVE-2026-10001 Acme/Tool"), "", ""},
		"another product":               {declared("Acme/Tool"), notes, catalogOf("CVE-2026-10001 Microsoft/Windows"), "", ""},
		"another product of the vendor": {declared("Acme/Tool"), notes, catalogOf("CVE-2026-10001 Acme/Server"), "", ""},
		"another vendor's product":      {declared("Acme/Tool"), notes, catalogOf("CVE-2026-10001 Umbrella/Tool"), "", ""},
		"part of the product's name":    {declared("Acme/Tool"), notes, catalogOf("CVE-2026-10001 Acme/Tool Server"), "", ""},
		"vendor and product swapped":    {declared("Tool/Acme"), notes, catalogOf("CVE-2026-10001 Acme/Tool"), "", ""},
		"one own and one impostor":      {declared("Acme/Tool"), notes + " CVE-2026-10002", catalogOf("CVE-2026-10001 Acme/Tool", "CVE-2026-10002 Microsoft/Windows"), "", "CVE-2026-10001"},
		"part of an id":                 {declared("Acme/Tool"), "CVE-2026-100011", catalogOf("CVE-2026-10001 Acme/Tool"), "", ""},
		"an id far down":                {declared("Acme/Tool"), hidden, catalogOf("CVE-2026-10001 Acme/Tool"), "", ""},
		"an id behind many":             {declared("Acme/Tool"), many.String() + notes, catalogOf("CVE-2026-10001 Acme/Tool"), "", ""},
		"no product declared":           {declared(), notes, catalogOf("CVE-2026-10001 Acme/Tool"), "", ""},
		"nothing declared":              {nil, notes, catalogOf("CVE-2026-10001 Acme/Tool"), "", ""},
		"fixed by a release already": {func(p *fleet.Package) {
			declared("Acme/Tool")(p)
			r := p.Releases["1.0.0"]
			r.Fixes = []string{"CVE-2026-10001"}
			p.Releases["1.0.0"] = r
		}, notes, catalogOf("CVE-2026-10001 Acme/Tool"), "", ""},
		"a first release":               {func(p *fleet.Package) { declared("Acme/Tool")(p); p.Releases = nil }, notes, catalogOf("CVE-2026-10001 Acme/Tool"), "", ""},
		"no answer":                     {declared("Acme/Tool"), notes, nil, "", ""},
		"no answer, recorded before":    {declared("Acme/Tool"), notes, nil, "CVE-2026-10001", "CVE-2026-10001"},
		"no answer, not named any more": {declared("Acme/Tool"), "Oops.", nil, "CVE-2026-10001", ""},
		"notes of a community": {func(p *fleet.Package) {
			declared("Acme/Tool")(p)
			p.Upstream.From = fleet.Feed{Winget: &fleet.Winget{ID: "Acme.Tool"}}
		}, notes, catalogOf("CVE-2026-10001 Acme/Tool"), "", ""},
		"withdrawn since": {declared("Acme/Tool"), notes, catalogOf(), "CVE-2026-10001", ""},
	} {
		got := strings.Join(Fixes(pkg(tt.edit), tt.notes, tt.kev, strings.Fields(tt.earlier)), " ")
		if got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// TestFixesPassNothingElse has a version that fixes what is exploited held by
// everything but its age.
func TestFixesPassNothingElse(t *testing.T) {
	fixes := []string{"CVE-2026-10001"}
	hour := hours(1)
	short := func(p *fleet.Package) { p.Upstream.MinimumReleaseAge.Security = &hour }
	old := now.Add(-2 * time.Hour)
	for name, tt := range map[string]struct {
		edit func(*fleet.Package)
		seen Seen
		hold string
	}{
		"nothing":      {nil, Seen{Version: "1.2.0"}, ""},
		"younger":      {nil, Seen{Version: "1.2.0", Published: now.Add(-time.Minute)}, fleet.HoldTooYoung},
		"other bytes":  {nil, Seen{Version: "1.2.0", Bytes: map[string]map[string]Stated{"1.1.0": {"x64": {Digest: fleet.DigestOf([]byte("b"))}}}}, fleet.HoldChangedHash},
		"size":         {nil, Seen{Version: "1.2.0", Bytes: map[string]map[string]Stated{"1.2.0": {"x64": {Size: 100_000}}}}, fleet.HoldSize},
		"a quorum":     {func(p *fleet.Package) { p.Upstream.Quorum = 2 }, Seen{Version: "1.2.0", Others: []Said{{Feed: "b", Version: "1.1.0"}, {Feed: "c", Failed: "404"}}}, fleet.HoldDisagree},
		"not allowed":  {func(p *fleet.Package) { p.Upstream.Allowed = "1.1.*" }, Seen{Version: "1.2.0"}, fleet.HoldNotAllowed},
		"ignored":      {func(p *fleet.Package) { p.Upstream.Ignore = []string{"1.2.*"} }, Seen{Version: "1.2.0"}, fleet.HoldNotAllowed},
		"pre-releases": {nil, Seen{Version: "1.2.0-rc.1"}, fleet.HoldNotAllowed},
		"backwards":    {nil, Seen{Version: "1.0.0"}, fleet.HoldBackwards},
		"flapping":     {nil, Seen{Version: "1.2.0", History: []Sighting{{"1.2.0", now.AddDate(0, 0, -5)}, {"1.1.0", now.AddDate(0, 0, -4)}}}, fleet.HoldFlapping},
		"a word":       {nil, Seen{Version: "Latest"}, fleet.HoldUnparsable},
	} {
		p := pkg(short)
		if tt.edit != nil {
			tt.edit(&p)
		}
		if tt.seen.Published.IsZero() {
			tt.seen.Published = old
		}
		tt.seen.Fixes = fixes
		d := Judge(p, tt.seen, now)
		if d.Hold != tt.hold || tt.hold == "" && (d.State != fleet.StateNew || !reflect.DeepEqual(d.Fixes, fixes)) {
			t.Errorf("%s: %s %q (%s), want %q", name, d.State, d.Hold, d.Why, tt.hold)
		}
	}
	if d := Judge(pkg(short), Seen{Version: "1.1.0", Fixes: fixes}, now); d.State != fleet.StateEqual || d.Fixes != nil {
		t.Errorf("what is released fixes something anew: %+v", d)
	}
}

func TestAsks(t *testing.T) {
	for name, tt := range map[string]struct {
		edit  func(*fleet.Package)
		notes string
		want  bool
	}{
		"named":               {declared("Acme/Tool"), "CVE-2026-10001", true},
		"nothing named":       {declared("Acme/Tool"), "bugs", false},
		"no product":          {declared(), "CVE-2026-10001", false},
		"nothing declared":    {nil, "CVE-2026-10001", false},
		"nothing is released": {func(p *fleet.Package) { declared("Acme/Tool")(p); p.Releases = nil }, "CVE-2026-10001", false},
	} {
		if got := Asks(pkg(tt.edit), tt.notes); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestWeaknessesOf(t *testing.T) {
	kev := catalogOf("CVE-2026-10001 Umbrella/Mail", "CVE-2026-10001 Acme/Tool", "CVE-2026-10004 Microsoft/Windows")
	kev.Listed["CVE-2026-10001"][1].Ransomware = true
	scores := map[string]fleet.Likelihood{"CVE-2026-10001": {Probability: 0.4, Date: "2026-11-17"}, "CVE-2026-10003": {Probability: 0.9, Date: "2026-11-16"}, "CVE-2026-10009": {Probability: 1, Date: "2026-11-18"}}
	const notes = "CVE-2026-10001, CVE-2026-10002, CVE-2026-10003, CVE-2026-10004"
	p := pkg(declared("Acme/Tool"))
	got := WeaknessesOf(p, []string{"CVE-2026-10001", "CVE-2026-10005"}, notes, Answers{KEV: kev, EPSS: scores})
	want := Weaknesses{Asked: []string{"CISA KEV of 2026-11-17", "EPSS of 2026-11-17"}, List: []Weakness{
		{ID: "CVE-2026-10001", Fixed: true, KEV: true, Added: "2026-11-16", Ransomware: true, EPSS: 0.4},
		{ID: "CVE-2026-10005", Fixed: true},
		{ID: "CVE-2026-10004", KEV: true, Of: "Microsoft Windows", Added: "2026-11-16"},
		{ID: "CVE-2026-10003", EPSS: 0.9},
		{ID: "CVE-2026-10002"},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	for name, tt := range map[string]struct {
		fixes, notes string
		said         Answers
		want         string // asked / silent / how many
	}{
		"nothing named":  {"", "bugs", Answers{KEV: kev, EPSS: scores}, "//0"},
		"no score":       {"CVE-2026-10002", "", Answers{KEV: kev, EPSS: map[string]fleet.Likelihood{}}, "CISA KEV of 2026-11-17,EPSS: no score//1"},
		"EPSS is silent": {"", notes, Answers{KEV: kev, Silent: []string{SourceEPSS}}, "CISA KEV of 2026-11-17/EPSS/4"},
		"both are":       {"", notes, Answers{Silent: []string{SourceKEV, SourceEPSS}}, "/CISA KEV,EPSS/4"},
	} {
		w := WeaknessesOf(p, strings.Fields(tt.fixes), tt.notes, tt.said)
		if got := fmt.Sprintf("%s/%s/%d", strings.Join(w.Asked, ","), strings.Join(w.Silent, ","), len(w.List)); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
	if (Weakness{Fixed: true}).Exploited() || (Weakness{KEV: true}).Exploited() || !(Weakness{KEV: true, Fixed: true}).Exploited() {
		t.Error("exploited is what the release fixes and the catalog lists")
	}
}
