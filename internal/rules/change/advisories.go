package change

import (
	"slices"

	"github.com/packmill/packmill/internal/fleet"
)

const sourcesFile = "catalog/advisories/sources.cue"

// advisories tells which sources of vulnerabilities are asked, and points out
// one that is asked from now on: its word may shorten the wait for a version.
func (c *comparison) advisories() {
	was, is := c.base.Advisories, c.head.Advisories
	if was == is {
		return
	}
	s := Subject{What: Changed, Kind: "advisories", Name: "sources", Edits: edits(was, is)}
	switch (fleet.AdvisorySources{}) {
	case was:
		s.What = Added
	case is:
		s.What = Removed
	}
	c.out.Subjects = append(c.out.Subjects, s)
	if is.KEV != "" && is.KEV != was.KEV {
		c.find(Decide, "advisories.kev", sourcesFile, "what is known to be exploited is taken from "+is.KEV+" from now on", "")
	}
}

// trustOfPackage points out every product whose exploited vulnerabilities may
// shorten the wait for the package's versions from now on.
func (c *comparison) trustOfPackage(id fleet.PackageID, was, is fleet.Package) {
	var before []fleet.CVEProduct
	if was.Advisories != nil {
		before = was.Advisories.CVEProducts
	}
	if is.Advisories == nil {
		return
	}
	for _, p := range is.Advisories.CVEProducts {
		if !slices.Contains(before, p) {
			c.find(Decide, string(id), id.Dir()+"/package.cue", "vulnerabilities of "+p.Vendor+" "+p.Product+" are taken for the package's from now on", "")
		}
	}
}
