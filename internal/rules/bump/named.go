package bump

import (
	"regexp"
	"slices"
)

var cve = regexp.MustCompile(`\bCVE-[0-9]{4}-[0-9]{4,19}\b`)

// Named are the vulnerabilities that a vendor's text names, sorted: its word, no
// more, and it may name them for other reasons than that it fixed them.
func Named(notes string) []string {
	found := cve.FindAllString(notes[:min(len(notes), 64<<10)], 100)
	slices.Sort(found)
	return slices.Compact(found)
}
