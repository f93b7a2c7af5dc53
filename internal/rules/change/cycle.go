package change

import (
	"maps"
	"slices"

	"github.com/packmill/packmill/internal/fleet"
)

// holds tells holds and revocations.
func (c *comparison) holds() {
	for _, id := range both(c.base.Holds, c.head.Holds) {
		what := differs(c.base.Holds, c.head.Holds, id)
		if what == "" {
			continue
		}
		h := Hold{What: what, ID: id, Value: c.head.Holds[id]}
		if what == Removed {
			h.Value = c.base.Holds[id]
			c.find(Decide, id, "schedules/holds/"+id+".cue", h.Value.Kind+" of "+object(h.Value.Package, h.Value.Release)+" ends: it may go on from now on", "")
		}
		if what == Changed {
			h.Edits = edits(c.base.Holds[id], c.head.Holds[id])
		}
		h.Reach = c.assigned(h.Value.Package)
		c.out.Holds = append(c.out.Holds, h)
	}
}

// cycles tells the cycles that open. One that was merged stays as it is: its
// plan digest is what approvals name.
func (c *comparison) cycles() {
	for _, id := range both(c.base.Cycles, c.head.Cycles) {
		what := differs(c.base.Cycles, c.head.Cycles, id)
		planned := differs(c.base.Plans, c.head.Plans, id)
		if what == "" && planned == "" {
			continue
		}
		if what == "" {
			what = Changed
		}
		value := c.head.Cycles[id]
		if what == Removed {
			value = c.base.Cycles[id]
		}
		y := Cycle{What: what, ID: id, CutOff: value.CutOff, Waves: value.Waves, Plans: c.head.Plans[id], Reach: c.union(value.Entries)}
		for _, pkg := range slices.Sorted(maps.Keys(value.Entries)) {
			y.Entries = append(y.Entries, EntryOf(c.head, pkg, value.Entries[pkg]))
			if other := c.travels(id, pkg, value.Entries[pkg]); other != "" && what == Added {
				c.find(Decide, object(pkg, value.Entries[pkg].Release), id.Dir()+"/cycle.cue", "travels in "+string(other)+" already, which is open; here it would have nothing to do", "leave it out, or close that cycle first")
			}
		}
		if what == Changed {
			y.Edits = append(edits(c.base.Cycles[id], value), prefixed("plans", edits(c.base.Plans[id], c.head.Plans[id]))...)
		}
		if what != Added {
			c.find(Refused, string(id), id.Dir()+"/cycle.cue", "a cycle that was opened is "+what+"; its plan is what approvals name", "restore it; a further release takes the next cycle or a lane of this one")
		}
		c.out.Cycles = append(c.out.Cycles, y)
	}
}

// travels is another open cycle that carries the same artifact, "" for none.
func (c *comparison) travels(id fleet.CycleID, pkg fleet.PackageID, e fleet.Entry) fleet.CycleID {
	for _, other := range c.head.CycleIDs() {
		_, closed := c.head.Approvals[other]["close"]
		if n, ok := c.head.Cycles[other].Entries[pkg]; ok && other != id && !closed && n.Artifact == e.Artifact {
			return other
		}
	}
	return ""
}

func prefixed(root string, list []Edit) []Edit {
	for i := range list {
		list[i].Field = join(root, list[i].Field)
	}
	return list
}

// EntryOf is an entry of a cycle in domain words.
func EntryOf(repo *fleet.Repository, id fleet.PackageID, e fleet.Entry) Entry {
	p := repo.Packages[id]
	r := p.Releases[e.Release]
	from, _, _ := p.Before(e.Release)
	return Entry{Package: id, Name: p.Name, From: from, To: e.Release, Class: r.Change, Fixes: r.Fixes, Rollback: p.Rollback, Artifact: e.Artifact}
}

// approvals tells who lets which gate open, and refuses an approval that does
// not fit the plan it names or that was changed after its merge.
func (c *comparison) approvals() {
	for _, id := range both(c.base.Approvals, c.head.Approvals) {
		was, is := c.base.Approvals[id], c.head.Approvals[id]
		for _, gate := range both(was, is) {
			what := differs(was, is, gate)
			if what == "" {
				continue
			}
			a := Approval{What: what, Value: is[gate], Plan: c.head.Plans[id][gate].Digest}
			file := id.Dir() + "/approvals/" + gate + ".cue"
			about := string(id) + " " + gate
			switch what {
			case Removed:
				a.Value = was[gate]
				c.find(Refused, about, file, "a merged approval is removed", "restore it; to stop what it let go on, add a hold under schedules/holds")
			case Changed:
				a.Edits = edits(was[gate], is[gate])
				if was[gate].Decision == "rejected" && is[gate].Decision == "approved" {
					c.find(Decide, about, file, "it was rejected: "+was[gate].Because, "")
					c.fits(a, c.head.Plans[id], about, file)
					break
				}
				c.find(Refused, about, file, "a merged approval is changed", "restore it; an approval is given once")
			default:
				c.fits(a, c.head.Plans[id], about, file)
			}
			c.out.Approvals = append(c.out.Approvals, a)
		}
	}
}

// fits checks a new approval against the plan record of its gate. A gate
// without a plan of its own ("close") has nothing to check.
func (c *comparison) fits(a Approval, plans map[string]fleet.PlanRecord, about, file string) {
	record, planned := plans[a.Value.Gate]
	switch {
	case !planned:
	case record.Digest != a.Value.Plan:
		c.find(Refused, about, file, "it names the plan "+a.Value.Plan.Short()+", but plan.cue records "+record.Digest.Short(), "packmill plan shows the one to approve")
	case !sameSummary(record.Summary, a.Value.Summary):
		c.find(Refused, about, file, "its summary is not that of the plan it names", "packmill plan shows the summary to approve")
	}
}

func sameSummary(a, b fleet.Summary) bool {
	return a.Packages == b.Packages && a.Tenants == b.Tenants && a.Devices == b.Devices && a.Deadline.Equal(b.Deadline)
}
