package change

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// parties tells the operator and partners, and points out trust that changes.
func (c *comparison) parties() {
	for _, name := range both(c.base.Partners, c.head.Partners) {
		if what := differs(c.base.Partners, c.head.Partners, name); what != "" {
			s := Subject{What: what, Kind: "partner", Name: name, Edits: edits(c.base.Partners[name], c.head.Partners[name])}
			c.out.Subjects = append(c.out.Subjects, s)
		}
	}
	was, is := c.base.Operator, c.head.Operator
	if reflect.DeepEqual(was, is) {
		return
	}
	s := Subject{What: Changed, Kind: "operator", Name: is.Name, Edits: edits(was, is)}
	if was.Name == "" {
		s.What = Added
	}
	for i, e := range s.Edits {
		s.Edits[i].Direction = trustDirection(e)
	}
	s.Class = classOf(s.Edits, Loosening)
	c.out.Subjects = append(c.out.Subjects, s)
	if s.What == Changed {
		c.trust(was, is)
	}
}

// trustDirection judges an edit of the operator's trust: more persons, sooner,
// is tighter. A budget of exposure that was not there is tighter too.
func trustDirection(e Edit) string {
	budget := strings.HasPrefix(e.Field, "trust.exposure.")
	switch {
	case budget && e.Old == "":
		return Tighter
	case budget && e.New == "":
		return Looser
	case e.Field == "trust.approvals", budget && strings.HasSuffix(e.Field, ".approvers"):
		return largerIsTighter(e)
	case budget:
		return smallerIsTighter(e)
	default:
		return ""
	}
}

const operatorFile = "tenants/operator.cue"

// trust points out who may approve and what may sign from now on. A merge is
// judged by the policy before it, so nobody lets themselves in; others must
// still see it.
func (c *comparison) trust(was, is fleet.Operator) {
	for _, role := range slices.Sorted(maps.Keys(is.Approvers)) {
		for _, p := range is.Approvers[role] {
			if !slices.Contains(was.Approvers[role], p) {
				c.find(Decide, p.Login, operatorFile, "may approve as "+role+" from "+p.From+until(p.Until), "")
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(is.Trust.Keys)) {
		if !reflect.DeepEqual(was.Trust.Keys[id], is.Trust.Keys[id]) {
			c.find(Decide, id, operatorFile, "is a trusted key from now on, or trusted for something else", "")
		}
	}
	for _, e := range edits(was, is) {
		if strings.HasPrefix(e.Field, "trust.exposure.") && trustDirection(e) == Looser {
			c.find(Decide, e.Field, operatorFile, "more may be exposed before more persons must approve: "+arrow(e), "")
		}
	}
	if is.Trust.Approvals < was.Trust.Approvals {
		c.find(Decide, "trust.approvals", operatorFile, "fewer persons must approve a merge: "+strconv.Itoa(is.Trust.Approvals)+" instead of "+strconv.Itoa(was.Trust.Approvals), "")
	}
}

func until(date string) string {
	if date == "" {
		return ""
	}
	return " until " + date
}

// schedule tells the week, the waves, the freezes and the test environments.
func (c *comparison) schedule() {
	if found := edits(c.base.Week, c.head.Week); len(found) > 0 {
		c.out.Subjects = append(c.out.Subjects, Subject{What: Changed, Kind: "week", Name: "week", Edits: found, Class: classOf(found, Loosening)})
	}
	for _, name := range both(c.base.Matrices, c.head.Matrices) {
		if what := differs(c.base.Matrices, c.head.Matrices, name); what != "" {
			s := Subject{What: what, Kind: "matrix", Name: name, Edits: edits(c.base.Matrices[name], c.head.Matrices[name])}
			c.out.Subjects = append(c.out.Subjects, s)
		}
	}
	c.waves()
	for _, id := range both(c.base.Freezes, c.head.Freezes) {
		what := differs(c.base.Freezes, c.head.Freezes, id)
		if what == "" {
			continue
		}
		f := Freeze{What: what, ID: id, Value: c.head.Freezes[id]}
		if what == Removed {
			f.Value = c.base.Freezes[id]
		}
		if what == Changed {
			f.Edits = edits(c.base.Freezes[id], c.head.Freezes[id])
		}
		c.out.Freezes = append(c.out.Freezes, f)
		if what != Removed {
			c.find(Decide, id, "schedules/freezes/"+id+".cue", "no wave opens from "+day(f.Value.From)+" until "+day(f.Value.Until)+scope(f.Value), "")
		}
	}
}

func scope(f fleet.Freeze) string {
	if f.Scope == "nonSecurity" {
		return ", security releases excepted"
	}
	return ", security releases included"
}

func day(t time.Time) string { return t.Format(time.DateOnly) }

func (c *comparison) waves() {
	was, is := byName(c.base.Waves), byName(c.head.Waves)
	for _, name := range both(was, is) {
		what := differs(was, is, name)
		if what == "" {
			continue
		}
		s := Subject{What: what, Kind: "wave", Name: name}
		if what == Changed {
			s.Edits = edits(was[name], is[name])
		}
		for i, e := range s.Edits {
			s.Edits[i].Direction = gateDirection(e)
			if s.Edits[i].Direction == Looser {
				c.find(Decide, "wave "+name, "schedules/waves.cue", "the way to go on gets easier: "+e.Field+" "+arrow(e), "")
			}
		}
		s.Class = classOf(s.Edits, Loosening)
		if what != Changed { // another way for a release to go: nothing proves that it is not shorter
			s.Class = Loosening
		}
		c.out.Waves = append(c.out.Waves, s)
	}
	slices.SortStableFunc(c.out.Waves, func(a, b Subject) int {
		return cmp.Compare(order(was, is, a.Name), order(was, is, b.Name))
	})
}

func order(was, is map[string]fleet.Wave, name string) int {
	if w, ok := is[name]; ok {
		return w.Order
	}
	return was[name].Order
}

func byName(waves []fleet.Wave) map[string]fleet.Wave {
	out := make(map[string]fleet.Wave, len(waves))
	for _, w := range waves {
		out[w.Name] = w
	}
	return out
}
