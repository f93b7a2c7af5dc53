package bump

import (
	"cmp"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// Fixes are the exploited vulnerabilities that a version fixes, sorted. It takes
// two words that do not depend on each other: the vendor's, who names the id in
// its notes of this very version, and CISA's, whose catalog lists it for a
// product that the package declares as its own. Notes are anybody's text; an id
// of another product in them says nothing of this one.
//
// An id that a release in git fixes already is not fixed anew: vendors repeat
// the news of older versions. A first release fixes nothing on any device.
//
// Where the catalog did not answer, kev is nil; then what the newest earlier look
// recorded of the version stands, as long as the notes still name it.
func Fixes(p fleet.Package, notes string, kev *fleet.KEV, earlier []string) []string {
	if _, _, released := p.Latest(); !released || p.Advisories == nil || !vendorsWord(p) {
		return nil
	}
	return slices.DeleteFunc(Named(notes), func(id string) bool {
		for _, r := range p.Releases {
			if slices.Contains(r.Fixes, id) {
				return true
			}
		}
		if kev == nil {
			return !slices.Contains(earlier, id)
		}
		return !slices.ContainsFunc(kev.Listed[id], func(e fleet.Exploited) bool { return own(p, e) })
	})
}

// Asks reports whether the catalog of exploited vulnerabilities has anything to
// say of a version with these notes: who names none need not wait for it.
func Asks(p fleet.Package, notes string) bool {
	_, _, released := p.Latest()
	return released && p.Advisories != nil && len(p.Advisories.CVEProducts) > 0 && vendorsWord(p) && len(Named(notes)) > 0
}

// vendorsWord reports whether the notes of the package's feed are written by who
// publishes the versions. Catalogs of a community have notes that anybody may
// propose, which would leave CISA's word alone.
func vendorsWord(p fleet.Package) bool {
	if p.Upstream == nil {
		return true // nothing is found, and nothing waits
	}
	f := p.Upstream.From
	return f.Winget == nil && f.Cask == nil && f.Evergreen == nil && f.NuGet == nil
}

// own reports whether an entry of the catalog is of a product that the package
// declares: both names the same but for case, and the space around them, of
// which the catalog has some.
func own(p fleet.Package, e fleet.Exploited) bool {
	same := func(a, b string) bool { return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b)) }
	return p.Advisories != nil && slices.ContainsFunc(p.Advisories.CVEProducts, func(c fleet.CVEProduct) bool {
		return same(c.Vendor, e.Vendor) && same(c.Product, e.Product)
	})
}

// Answers are what the sources of vulnerabilities said when they were asked
// about a release; nil is no answer.
type Answers struct {
	KEV    *fleet.KEV
	EPSS   map[string]fleet.Likelihood
	Silent []string // sources that were asked and did not answer
}

// The sources as people know them.
const (
	SourceKEV  = "CISA KEV"
	SourceEPSS = "EPSS"
)

// Weaknesses are what is known of the vulnerabilities that a release is about.
type Weaknesses struct {
	Asked  []string   // who answered, with the day of its answer: "CISA KEV of 2026-11-17"
	Silent []string   // who was asked and did not answer
	List   []Weakness // what matters most first; empty where neither release nor notes name any
}

// A Weakness is one vulnerability.
type Weakness struct {
	ID         string // "CVE-2024-11477"
	Fixed      bool   // the release file says so; else the vendor's notes name it, no more
	KEV        bool   // known to be exploited, by CISA's catalog
	Of         string // the product that it is listed for, where the package declares another
	Added      string // to the catalog: a date
	Ransomware bool
	EPSS       float64 // probability of exploitation within 30 days, 0 when not known
}

// Exploited reports whether the release fixes what is known to be exploited.
func (w Weakness) Exploited() bool { return w.Fixed && w.KEV }

// WeaknessIDs are the vulnerabilities that a release is about, sorted: those it
// fixes by its file, and those that the vendor's notes name.
func WeaknessIDs(fixes []string, notes string) []string {
	out := append(slices.Clone(fixes), Named(notes)...)
	slices.Sort(out)
	return slices.Compact(out)
}

// WeaknessesOf puts together what the answers say about a release of a package.
func WeaknessesOf(p fleet.Package, fixes []string, notes string, said Answers) Weaknesses {
	out := Weaknesses{Silent: said.Silent}
	ids := WeaknessIDs(fixes, notes)
	if len(ids) == 0 {
		return out // nobody was asked about anything
	}
	if said.KEV != nil {
		out.Asked = append(out.Asked, SourceKEV+" of "+said.KEV.Released.UTC().Format("2006-01-02"))
	}
	date := ""
	for _, id := range ids {
		w := Weakness{ID: id, Fixed: slices.Contains(fixes, id), EPSS: said.EPSS[id].Probability}
		date = max(date, said.EPSS[id].Date)
		if said.KEV != nil {
			w.listed(p, said.KEV.Listed[id])
		}
		out.List = append(out.List, w)
	}
	switch {
	case said.EPSS == nil:
	case date == "":
		out.Asked = append(out.Asked, SourceEPSS+": no score")
	default:
		out.Asked = append(out.Asked, SourceEPSS+" of "+date)
	}
	slices.SortStableFunc(out.List, func(a, b Weakness) int {
		return cmp.Or(first(a.Exploited(), b.Exploited()), first(a.Fixed, b.Fixed), first(a.KEV, b.KEV), cmp.Compare(b.EPSS, a.EPSS), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// listed takes in what the catalog says, of the package's own product if it is
// listed for that.
func (w *Weakness) listed(p fleet.Package, entries []fleet.Exploited) {
	for _, e := range entries {
		mine := own(p, e)
		if w.KEV && !mine {
			continue
		}
		w.KEV, w.Added, w.Ransomware, w.Of = true, e.Added, e.Ransomware, ""
		if mine {
			return
		}
		w.Of = e.Vendor + " " + e.Product
	}
}

// first orders what holds before what does not.
func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	default:
		return 1
	}
}
