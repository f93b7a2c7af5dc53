package change

import (
	"cmp"
	"slices"
	"strings"

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
				c.policy(grouped, string(id)+" group "+g, id, was.Groups[g].Policy, is.Groups[g].Policy)
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
	was.Origins, is.Origins = nil, nil
	found := edits(was, is)
	if len(found) == 0 {
		return
	}
	for i := range found {
		found[i].Direction = policyDirection(found[i])
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

// policyDirection is on which side of its old value a bound now stands. The
// schema declares the same directions.
func policyDirection(e Edit) string {
	root, _, _ := strings.Cut(e.Field, ".")
	switch root {
	case "criticalWithinHours", "nonSecurityDeferDays", "maxFailuresPercent", "maxExceptionDays":
		return smallerIsTighter(e)
	case "reboot":
		return ordered(e, "anytime", "windowOnly")
	case "approval":
		return ordered(e, "implicit", "partner", "site")
	case "driverBlock", "pins", "optOuts":
		return exception(e)
	default:
		return ""
	}
}

// exception judges an edit of a pin, an opt-out or a driver block: each is
// loosening in itself. Only its end, or an earlier end, tightens; a reason
// says nothing.
func exception(e Edit) string {
	switch {
	case strings.HasSuffix(e.Field, ".reason"):
		return ""
	case e.New == "":
		return Tighter
	case e.Old != "" && strings.HasSuffix(e.Field, ".expires") && e.New < e.Old:
		return Tighter
	default:
		return Looser
	}
}
