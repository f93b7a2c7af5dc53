package factory

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// An AppLister is a Console that knows the programs on a tenant's devices.
type AppLister interface {
	// Apps lists programs with the number of devices that have each.
	Apps(ctx context.Context) ([]fleet.DetectedApp, error)
}

// appRows is how many programs of a tenant one snapshot has rows for: a tenant
// has thousands, most of them on a device or two, and evidence is kept for years.
const appRows = 200

// apps are the rows of a tenant's programs. A console that cannot tell them is
// told to the log: no wave rests on them.
func (f *Factory) apps(ctx context.Context, t fleet.Tenant, now time.Time) []fleet.AppRow {
	console, err := f.Consoles(ctx, t)
	if err != nil {
		return nil
	}
	lister, ok := console.(AppLister)
	if !ok {
		return nil
	}
	list, err := lister.Apps(ctx)
	if err != nil {
		if f.Log != nil {
			f.Log.WarnContext(ctx, "the programs on devices are not known", "tenant", string(t.ID), "error", err)
		}
		return nil
	}
	return appSnapshot(t.ID, list, now)
}

// appSnapshot are the rows of programs, those on most devices first, and one that
// sums the rest. A tenant without programs has that row alone, with nothing in it.
func appSnapshot(t fleet.TenantID, list []fleet.DetectedApp, now time.Time) []fleet.AppRow {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b fleet.DetectedApp) int {
		return cmp.Or(cmp.Compare(b.Devices, a.Devices), strings.Compare(a.Name, b.Name), strings.Compare(a.Version, b.Version), strings.Compare(a.Publisher, b.Publisher), strings.Compare(a.Platform, b.Platform))
	})
	var out []fleet.AppRow
	rest := fleet.AppRow{Tenant: t, At: now}
	for _, a := range list {
		if len(out) < appRows {
			out = append(out, fleet.AppRow{Tenant: t, Name: short(a.Name), Publisher: short(a.Publisher), Version: short(a.Version), Platform: a.Platform, Devices: a.Devices, At: now})
			continue
		}
		rest.Rest++
		rest.Devices += a.Devices
	}
	if rest.Rest > 0 || len(out) == 0 {
		out = append(out, rest)
	}
	return out
}

// short keeps a text of the console's from filling evidence.
func short(s string) string {
	const most = 120
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
