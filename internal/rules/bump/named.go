package bump

import (
	"regexp"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

var cve = regexp.MustCompile(`\bCVE-[0-9]{4}-[0-9]{4,19}\b`)

// Named are the vulnerabilities that a vendor's text names, sorted: its word, no
// more, and it may name them for other reasons than that it fixed them.
func Named(notes string) []string {
	found := cve.FindAllString(notes[:min(len(notes), 64<<10)], 100)
	slices.Sort(found)
	return slices.Compact(found)
}

// Ready is when a version that the vendor published at an instant is old enough,
// sooner perhaps if it fixes what is exploited; false when the vendor does not
// say when that was.
func Ready(p fleet.Package, version string, published time.Time, fixes bool) (time.Time, bool) {
	if published.IsZero() || p.Upstream == nil {
		return time.Time{}, false
	}
	return published.Add(p.Upstream.MinimumReleaseAge.For(Class(p, version), fixes).Std()), true
}
