package change

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

func (c *comparison) tenants() {
	grouped := map[string]*Policy{}
	for _, id := range both(c.base.Tenants, c.head.Tenants) {
		was, is := c.base.Tenants[id], c.head.Tenants[id]
		what := differs(c.base.Tenants, c.head.Tenants, id)
		if what == "" {
			continue
		}
		t := Tenant{What: what, ID: id, Name: cmp.Or(is.Name, was.Name), Devices: -1}
		if n, ok := c.options.Devices[id]; ok {
			t.Devices = n
		}
		if what == Changed {
			t.Edits = edits(withoutPolicy(was), withoutPolicy(is))
		}
		if what != Changed || len(t.Edits) > 0 {
			c.out.Tenants = append(c.out.Tenants, t)
		}
		if what == Changed {
			c.policy(grouped, string(id), id, was.Policy, is.Policy)
			for _, g := range both(was.Groups, is.Groups) {
				c.policy(grouped, string(id)+" group "+g, id, groupPolicy(was, g), groupPolicy(is, g))
			}
		}
	}
	for _, p := range grouped {
		slices.Sort(p.Reach.Tenants)
		p.Reach = c.counted(slices.Compact(p.Reach.Tenants))
		c.out.Policies = append(c.out.Policies, *p)
	}
	slices.SortFunc(c.out.Policies, func(a, b Policy) int { return cmp.Compare(a.Subjects[0], b.Subjects[0]) })
	for _, p := range c.out.Policies {
		c.looserPolicy(p)
	}
}

// groupPolicy is what holds for a group, which is the tenant's own policy while
// the group does not exist.
func groupPolicy(t fleet.Tenant, group string) fleet.Policy {
	if g, ok := t.Groups[group]; ok {
		return g.Policy
	}
	return t.Policy
}

func withoutPolicy(t fleet.Tenant) fleet.Tenant {
	t.Policy = fleet.Policy{}
	if t.Groups != nil {
		groups := make(map[string]fleet.Group, len(t.Groups))
		for name, g := range t.Groups {
			g.Policy = fleet.Policy{}
			groups[name] = g
		}
		t.Groups = groups
	}
	return t
}

// policy adds one subject's edits to those that others share.
func (c *comparison) policy(grouped map[string]*Policy, subject string, id fleet.TenantID, was, is fleet.Policy) {
	found := boundEdits(was, is)
	found = append(found, exceptionEdits("driverBlock", exceptions(was.DriverBlock), exceptions(is.DriverBlock))...)
	found = append(found, exceptionEdits("optOuts", exceptions(was.OptOuts), exceptions(is.OptOuts))...)
	found = append(found, exceptionEdits("pins", pins(was), pins(is))...)
	if len(found) == 0 {
		return
	}
	key := string(fleet.DigestJSON(found))
	p := grouped[key]
	if p == nil {
		p = &Policy{Edits: found}
		grouped[key] = p
	}
	p.Subjects = append(p.Subjects, subject)
	p.Reach.Tenants = append(p.Reach.Tenants, id)
}

func (c *comparison) looserPolicy(p Policy) {
	for _, e := range p.Edits {
		if e.Direction != Looser {
			continue
		}
		about := p.Subjects[0]
		if more := len(p.Subjects) - 1; more > 0 {
			about += " and " + count(more, "other")
		}
		c.find(Decide, about, "", "policy gets looser: "+e.Field+" "+arrow(e), "")
	}
}

// boundEdits are the edits of a policy's bounds, each with its side, as the
// schema declares them (#Tightening), but for one: a longer deferral leaves
// devices unpatched for longer, so it is loosening whichever way the bound meets.
func boundEdits(was, is fleet.Policy) []Edit {
	found := edits(bounds(was), bounds(is))
	for i, e := range found {
		switch e.Field {
		case "reboot":
			found[i].Direction = ordered(e, "anytime", "windowOnly")
		case "approval":
			found[i].Direction = ordered(e, "implicit", "partner", "site")
		case "nonSecurityWithinDays":
			found[i].Direction = withAbsent(e, math.Inf(1))
		case "criticalGraceHours", "nonSecurityGraceHours":
			found[i].Direction = withAbsent(e, 0)
		default:
			found[i].Direction = smallerIsTighter(e)
		}
	}
	return found
}

// bounds is a policy without exceptions, and without where it came from.
func bounds(p fleet.Policy) fleet.Policy {
	p.Origins, p.DriverBlock, p.Pins, p.OptOuts = nil, nil, nil, nil
	return p
}

// An exceptionValue is a pin, an opt-out or a driver block: what for (a pin's
// versions), until when, and why.
type exceptionValue struct {
	what    string
	because fleet.Because
}

func (e exceptionValue) String() string {
	s := "until " + e.because.Expires.UTC().Format(time.DateOnly) + ": " + e.because.Reason
	if e.what != "" {
		return e.what + " " + s
	}
	return s
}

func exceptions[K ~string](m map[K]fleet.Because) map[string]exceptionValue {
	out := make(map[string]exceptionValue, len(m))
	for k, b := range m {
		out[string(k)] = exceptionValue{because: b}
	}
	return out
}

func pins(p fleet.Policy) map[string]exceptionValue {
	out := make(map[string]exceptionValue, len(p.Pins))
	for k, pin := range p.Pins {
		out[string(k)] = exceptionValue{pin.Version, fleet.Because{Reason: pin.Reason, Expires: pin.Expires}}
	}
	return out
}

// exceptionEdits judges exceptions: each is loosening in itself. Only its end,
// or an earlier end, tightens; another reason says nothing.
func exceptionEdits(field string, was, is map[string]exceptionValue) []Edit {
	var out []Edit
	for _, key := range both(was, is) {
		before, had := was[key]
		after, has := is[key]
		if had && has && before.what == after.what && before.because.Reason == after.because.Reason && before.because.Expires.Equal(after.because.Expires) {
			continue
		}
		e := Edit{Field: field + "." + key, Direction: Looser}
		if had {
			e.Old = clip(before.String())
		}
		if has {
			e.New = clip(after.String())
		}
		switch {
		case !has, had && before.what == after.what && after.because.Expires.Before(before.because.Expires):
			e.Direction = Tighter
		case had && before.what == after.what && after.because.Expires.Equal(before.because.Expires):
			e.Direction = ""
		}
		out = append(out, e)
	}
	return out
}
