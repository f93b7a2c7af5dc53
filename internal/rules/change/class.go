package change

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// The classes of a change of what the repository allows: policies, waves and
// gates, freezes, the week, the operator's trust. Tightening is proven, bound
// by bound; whatever is not proven to tighten is loosening. A change that leaves
// all of these alone has no class.
const (
	Tightening = "tightening"
	Loosening  = "loosening"
)

// boundEdits are the edits of a policy's bounds, each with its side, which is
// proven by subsumption of the bounds as they are declared, with one exception:
// a longer deferral leaves devices unpatched for longer, so it is loosening
// whichever way the bound meets. A bound nobody can read proves nothing.
func (c *comparison) boundEdits(was, is fleet.Policy) []Edit {
	proof, err := c.prove(was.Bounds, is.Bounds)
	side := map[string]string{}
	for _, field := range proof.Looser {
		side[named(field)] = Looser
	}
	for _, field := range proof.Tighter {
		side[named(field)] = Tighter
	}
	for _, field := range both(was.Bounds, is.Bounds) {
		if err != nil && was.Bounds[field] != is.Bounds[field] {
			side[named(field)] = Looser
		}
	}
	found := edits(bounds(was), bounds(is))
	for i, e := range found {
		direction, known := side[e.Field]
		if !known || e.Field == "nonSecurityDeferDays" {
			direction = Looser
		}
		found[i].Direction = direction
		delete(side, e.Field)
	}
	// What is left allows more or less, and still has the same value: a word
	// that a level below may no longer choose, for example.
	for _, field := range both(was.Bounds, is.Bounds) {
		if direction := side[named(field)]; direction != "" {
			found = append(found, Edit{Field: named(field), Old: was.Bounds[field], New: is.Bounds[field], Direction: direction})
		}
	}
	slices.SortFunc(found, func(a, b Edit) int { return strings.Compare(a.Field, b.Field) })
	return found
}

// A proven is what Prove said.
type proven struct {
	proof Proof
	err   error
}

// prove is Prove, once for all tenants with the same bounds on both sides: an
// edit of the operator's policy is every tenant's.
func (c *comparison) prove(was, is map[string]string) (Proof, error) {
	if maps.Equal(was, is) {
		return Proof{}, nil
	}
	key := fmt.Sprintf("%q %q", was, is)
	p, known := c.proofs[key]
	if !known {
		p.proof, p.err = Prove(was, is)
		c.proofs[key] = p
	}
	return p.proof, p.err
}

// named is how a decoded policy calls a field of the schema: critical.withinHours
// is criticalWithinHours there.
func named(field string) string {
	words := strings.Split(field, ".")
	for i, w := range words[1:] {
		if w != "" {
			words[i+1] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, "")
}

// bounds is a policy's values without exceptions, and without where they came
// from.
func bounds(p fleet.Policy) fleet.Policy {
	p.Origins, p.Bounds, p.DriverBlock, p.Pins, p.OptOuts = nil, nil, nil, nil, nil
	return p
}

// classOf is the class of some edits. unproven says what an edit counts as that
// has no direction.
func classOf(list []Edit, unproven string) string {
	class := ""
	for _, e := range list {
		switch direction := e.Direction; {
		case direction == Looser, direction == "" && unproven == Loosening:
			return Loosening
		case direction == Tighter:
			class = Tightening
		}
	}
	return class
}

// classify gives the whole change its class, and lists the rows that got
// looser.
func (c *comparison) classify() {
	tighter := false
	take := func(subject, class string, list []Edit, unproven bool) {
		tighter = tighter || class == Tightening
		for _, e := range list {
			switch {
			case e.Direction == Looser:
				c.out.Looser = append(c.out.Looser, subject+": "+e.Field+" "+arrow(e))
			case e.Direction == "" && unproven:
				c.out.Looser = append(c.out.Looser, subject+": "+e.Field+" "+arrow(e)+", which nothing proves to tighten")
			}
		}
	}
	for _, p := range c.out.Policies {
		take(about(p.Subjects), p.Class, p.Edits, false)
	}
	for _, w := range c.out.Waves {
		if w.What != Changed {
			c.out.Looser = append(c.out.Looser, "wave "+w.Name+" "+w.What)
		}
		take("wave "+w.Name, w.Class, w.Edits, true)
	}
	for _, f := range c.out.Freezes {
		if f.What == Removed || f.What == Changed && shorter(c.base.Freezes[f.ID], f.Value) {
			tighter = true
			continue
		}
		c.out.Looser = append(c.out.Looser, "freeze "+f.ID+" "+f.What)
	}
	for _, h := range c.out.Holds {
		if h.What != Added {
			c.out.Looser = append(c.out.Looser, h.Value.Kind+" "+h.ID+" "+h.What)
		}
	}
	for _, s := range c.out.Subjects {
		if s.Kind == "week" || s.Kind == "operator" && s.What == Changed {
			take("the "+s.Kind, s.Class, s.Edits, true)
		}
	}
	switch {
	case len(c.out.Looser) > 0:
		c.out.Class = Loosening
	case tighter:
		c.out.Class = Tightening
	}
}

// shorter reports whether a freeze holds back nothing that it did not before.
func shorter(was, is fleet.Freeze) bool {
	return !is.From.Before(was.From) && !is.Until.After(was.Until) && (was.Scope == "all" || is.Scope == was.Scope)
}

// about names the subjects of a policy: the first, and how many more.
func about(subjects []string) string {
	out := subjects[0]
	if more := len(subjects) - 1; more > 0 {
		out += " and " + count(more, "other")
	}
	return out
}

// caps refuses exceptions that live longer than the operator allowed before
// this change: who may raise maxExceptionDays must not use it in one go. What
// the head itself allows is for validation.
func (c *comparison) caps() {
	days, known := maxExceptionDays(c.base)
	if !known {
		return
	}
	limit := time.Duration(days) * 24 * time.Hour
	for _, f := range c.out.Freezes {
		if f.What != Removed && f.Value.Until.Sub(f.Value.From) > limit {
			c.find(Refused, f.ID, "schedules/freezes/"+f.ID+".cue", "the freeze lasts longer than the "+count(days, "day")+" that "+operatorFile+" allowed before this change",
				"raise maxExceptionDays in a pull request of its own first")
		}
	}
	if c.options.Now.IsZero() {
		return
	}
	latest := c.options.Now.Add(limit)
	for _, id := range both(c.head.Tenants, nil) {
		was, is := c.base.Tenants[id], c.head.Tenants[id]
		c.capped(string(id), was.Policy, is.Policy, latest)
		for _, g := range both(is.Groups, nil) {
			c.capped(string(id)+" group "+g, groupPolicy(was, g), is.Groups[g].Policy, latest)
		}
	}
}

func (c *comparison) capped(subject string, was, is fleet.Policy, latest time.Time) {
	for _, kind := range exceptionKinds(was, is) {
		for _, key := range both(kind.is, nil) {
			before, had := kind.was[key]
			after := kind.is[key]
			if after.because.Expires.After(latest) && !(had && before.because.Expires.Equal(after.because.Expires)) {
				c.find(Refused, subject, "", kind.field+"."+key+" lasts until "+day(after.because.Expires)+"; "+operatorFile+" allowed exceptions until "+day(latest)+" before this change",
					"let it end earlier, or raise maxExceptionDays in a pull request of its own first")
			}
		}
	}
}

// maxExceptionDays is the operator's limit, which every tenant's policy
// carries; it is not known of a repository without tenants.
func maxExceptionDays(r *fleet.Repository) (int, bool) {
	for _, t := range r.Tenants {
		if t.Policy.Bounds["maxExceptionDays"] != "" {
			return t.Policy.MaxExceptionDays, true
		}
	}
	return 0, false
}
