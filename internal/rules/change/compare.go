package change

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// Options are what Compare knows beside the two states.
type Options struct {
	// Devices are the devices of each tenant by its newest inventory. A tenant
	// that is missing has none that is known.
	Devices map[fleet.TenantID]int
	// Now is when the change would be merged, from which dates follow. No dates
	// are given when it is zero.
	Now time.Time
}

// Compare says what leads from base to head. Both may be parts of a repository
// as long as the same paths were read of both, and tenants and schedules whole.
func Compare(base, head *fleet.Repository, o Options) Change {
	c := &comparison{base: base, head: head, options: o, proofs: map[string]proven{}}
	c.out.Base, c.out.Head = base.Commit, head.Commit
	c.dates()
	c.packages()
	c.publishers()
	c.advisories()
	c.tenants()
	c.parties()
	c.schedule()
	c.holds()
	c.cycles()
	c.approvals()
	c.answers()
	c.classify()
	c.caps()
	c.total()
	slices.SortStableFunc(c.out.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(b.Level, a.Level), cmp.Compare(a.Object, b.Object)) // "refused" before "decide"
	})
	return c.out
}

// A comparison is the work in progress.
type comparison struct {
	base, head *fleet.Repository
	options    Options
	next       []Date            // when a release merged now would reach each wave
	proofs     map[string]proven // of bounds that were compared before
	out        Change
}

func (c *comparison) find(level, object, file, text, hint string) {
	c.out.Findings = append(c.out.Findings, Finding{Level: level, Object: object, File: file, Text: text, Hint: hint})
}

// both are the keys of either map, sorted.
func both[K cmp.Ordered, V any](a, b map[K]V) []K {
	keys := slices.Collect(maps.Keys(a))
	for k := range b {
		if _, ok := a[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

// differs says what happened to a key between two maps, "" for nothing.
func differs[K comparable, V any](a, b map[K]V, key K) string {
	x, before := a[key]
	y, after := b[key]
	switch {
	case !before:
		return Added
	case !after:
		return Removed
	case reflect.DeepEqual(x, y):
		return ""
	default:
		return Changed
	}
}

func (c *comparison) packages() {
	for _, id := range both(c.base.Packages, c.head.Packages) {
		what := differs(c.base.Packages, c.head.Packages, id)
		if what == "" {
			continue
		}
		was, is := c.base.Packages[id], c.head.Packages[id]
		known := is
		if what == Removed {
			known = was
		}
		p := Package{What: what, ID: id, Name: known.Name, Kind: known.Kind, Reach: c.assigned(id)}
		if what == Changed {
			p.Edits = edits(described(was), described(is))
			c.trustOfPackage(id, was, is)
		}
		if what != Removed {
			c.successions(id, was, is)
		}
		if what != Changed || len(p.Edits) > 0 {
			c.out.Packages = append(c.out.Packages, p)
		}
		if what == Removed && len(p.Reach.Tenants) > 0 {
			c.find(Refused, string(id), id.Dir()+"/package.cue", "the package is removed, but tenants still have it assigned", "take it out of the tenants' packages first")
		}
		c.releases(id, known, was.Releases, is.Releases)
	}
}

// successions points out every package that devices lose, or have taken over, by
// what a package says from now on.
func (c *comparison) successions(id fleet.PackageID, was, is fleet.Package) {
	for _, old := range both(is.Supersedes, nil) {
		if is.Supersedes[old] == was.Supersedes[old] {
			continue
		}
		text := "Windows devices that get it are brought from " + string(old) + " to it by its installer"
		if is.Supersedes[old] == "replace" {
			text = "Windows devices that get it lose " + string(old)
		}
		c.find(Decide, string(id), id.Dir()+"/package.cue", text+", and do not get the old one again", "")
	}
}

// described is a package without what is told elsewhere.
func described(p fleet.Package) fleet.Package {
	p.Releases = nil
	return p
}

func (c *comparison) publishers() {
	for _, name := range both(c.base.Publishers, c.head.Publishers) {
		what := differs(c.base.Publishers, c.head.Publishers, name)
		if what == "" {
			continue
		}
		s := Subject{What: what, Kind: "publisher", Name: name}
		s.Edits = edits(c.base.Publishers[name], c.head.Publishers[name])
		c.out.Subjects = append(c.out.Subjects, s)
		if what == Changed {
			c.trustOfPublisher(name)
		}
	}
}

// trustOfPublisher points out every host and signer a publisher gains: from
// now on their bytes are taken for the publisher's.
func (c *comparison) trustOfPublisher(name string) {
	was, is := c.base.Publishers[name], c.head.Publishers[name]
	file := "catalog/" + name + "/publisher.cue"
	for _, h := range is.Hosts {
		if !slices.Contains(was.Hosts, h) {
			c.find(Decide, name, file, "installers are taken from "+h+" from now on", "")
		}
	}
	for _, key := range slices.Sorted(maps.Keys(is.Signers)) {
		if was.Signers[key] != is.Signers[key] {
			c.find(Decide, name, file, "installers signed by "+is.Signers[key].Subject+" are accepted from now on", "")
		}
	}
	if was.Unsigned == "refused" && is.Unsigned == "accepted" {
		c.find(Decide, name, file, "unsigned installers are accepted from now on", "")
	}
}

// total is the reach of everything together.
func (c *comparison) total() {
	tenants := map[fleet.TenantID]bool{}
	add := func(r Reach) {
		for _, t := range r.Tenants {
			tenants[t] = true
		}
	}
	for _, p := range c.out.Packages {
		add(p.Reach)
	}
	for _, r := range c.out.Releases {
		add(r.Reach)
	}
	for _, p := range c.out.Policies {
		add(p.Reach)
	}
	for _, h := range c.out.Holds {
		add(h.Reach)
	}
	for _, y := range c.out.Cycles {
		add(y.Reach)
	}
	for _, t := range c.out.Tenants {
		tenants[t.ID] = true
	}
	if len(c.out.Waves)+len(c.out.Freezes) > 0 || c.weekChanged() {
		for id := range c.head.Tenants {
			tenants[id] = true
		}
	}
	c.out.Reach = c.counted(slices.Sorted(maps.Keys(tenants)))
}

func (c *comparison) weekChanged() bool {
	return slices.ContainsFunc(c.out.Subjects, func(s Subject) bool { return s.Kind == "week" })
}
