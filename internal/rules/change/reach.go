package change

import (
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// counted is the reach of the given tenants.
func (c *comparison) counted(tenants []fleet.TenantID) Reach {
	r := Reach{Tenants: tenants}
	if r.Tenants == nil {
		r.Tenants = []fleet.TenantID{}
	}
	for _, t := range tenants {
		if n, ok := c.options.Devices[t]; ok {
			r.Devices += n
		} else {
			r.Unknown++
		}
	}
	return r
}

// assigned is the reach of a package on either side: tenants that have it, or
// had it, assigned in any way.
func (c *comparison) assigned(id fleet.PackageID) Reach {
	var tenants []fleet.TenantID
	for _, t := range both(c.base.Tenants, c.head.Tenants) {
		_, had := c.base.Tenants[t].Packages[id]
		if _, has := c.head.Tenants[t].Packages[id]; has || had {
			tenants = append(tenants, t)
		}
	}
	return c.counted(tenants)
}

// takers is the reach of one release at head: tenants that have the package,
// less those whose pin or opt-out keeps them from it.
func (c *comparison) takers(id fleet.PackageID, version string) Reach {
	var tenants []fleet.TenantID
	var kept []Kept
	for _, id2 := range c.head.TenantIDs() {
		t := c.head.Tenants[id2]
		if _, wanted := t.Packages[id]; !wanted {
			continue
		}
		if why := Keeps(t.Policy, id, version, c.options.Now); why != "" {
			kept = append(kept, Kept{Tenant: id2, Why: why})
			continue
		}
		tenants = append(tenants, id2)
	}
	r := c.counted(tenants)
	r.Kept = kept
	return r
}

// Keeps says why a policy keeps a tenant from a version at now, "" when it does
// not.
func Keeps(p fleet.Policy, id fleet.PackageID, version string, now time.Time) string {
	if out, ok := p.OptOuts[id]; ok && now.Before(out.Expires) {
		return fmt.Sprintf("opted out until %s: %s", out.Expires.UTC().Format(time.DateOnly), out.Reason)
	}
	if pin, ok := p.Pins[id]; ok && now.Before(pin.Expires) {
		if match, err := path.Match(pin.Version, version); err != nil || !match {
			return fmt.Sprintf("pinned to %s until %s: %s", pin.Version, pin.Expires.UTC().Format(time.DateOnly), pin.Reason)
		}
	}
	return ""
}

// union is the reach of several packages' releases together.
func (c *comparison) union(entries map[fleet.PackageID]fleet.Entry) Reach {
	var tenants []fleet.TenantID
	for id, e := range entries {
		tenants = append(tenants, c.takers(id, e.Release).Tenants...)
	}
	slices.Sort(tenants)
	return c.counted(slices.Compact(tenants))
}
