package change

import (
	"cmp"
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
			c.leaves(was, is)
		}
		if what != Changed || len(t.Edits) > 0 {
			c.out.Tenants = append(c.out.Tenants, t)
		}
		if what == Added {
			// Its bounds meet those above it, so they loosen nothing; what it is
			// excepted from does.
			was.Policy = is.Policy
			was.Policy.DriverBlock, was.Policy.OptOuts, was.Policy.Pins = nil, nil, nil
		}
		if what != Removed {
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

// leaves says what the next run does in a tenant where packages leave: devices and
// packmill's own objects lose them by nothing else than this merge.
func (c *comparison) leaves(was, is fleet.Tenant) {
	if was.Intune == nil || is.Intune == nil {
		return
	}
	file := is.ID.Dir() + "/tenant.cue"
	for _, id := range both(was.Packages, is.Packages) {
		_, had := was.Packages[id]
		_, has := is.Packages[id]
		switch about := string(is.ID) + " " + string(id); {
		case had && !has:
			c.find(Decide, about, file, "packmill's objects of it are deleted in the tenant; its devices keep what they have", "")
		case has && is.Leave[id] == "uninstall" && was.Leave[id] != "uninstall":
			c.find(Decide, about, file, "it is removed from the devices that it is assigned to", "")
		case had && has && was.Leave[id] == "uninstall" && is.Leave[id] != "uninstall":
			c.find(Decide, about, file, "its removal from devices ends; those that have lost it get it again", "")
		}
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
	found := c.boundEdits(was, is)
	for _, kind := range exceptionKinds(was, is) {
		found = append(found, exceptionEdits(kind.field, kind.was, kind.is)...)
	}
	if len(found) == 0 {
		return
	}
	key := string(fleet.DigestJSON(found))
	p := grouped[key]
	if p == nil {
		p = &Policy{Edits: found, Class: classOf(found, "")}
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
		c.find(Decide, about(p.Subjects), "", "policy gets looser: "+e.Field+" "+arrow(e), "")
	}
}

// An exceptionKind is one kind of exception on both sides.
type exceptionKind struct {
	field   string
	was, is map[string]exceptionValue
}

func exceptionKinds(was, is fleet.Policy) []exceptionKind {
	return []exceptionKind{
		{"driverBlock", exceptions(was.DriverBlock), exceptions(is.DriverBlock)},
		{"optOuts", exceptions(was.OptOuts), exceptions(is.OptOuts)},
		{"pins", pins(was), pins(is)},
	}
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
