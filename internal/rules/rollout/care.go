package rollout

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/calendar"
)

// unserved says which restriction of a tenant packmill cannot keep for a
// package, "" when it keeps them all. The tenant is then left out, by name: a
// restriction that is not kept must not be passed over.
func unserved(t fleet.Tenant, pkg fleet.Package) string {
	if a := fleetWide(t.Packages[pkg.ID]); a != nil && a.Intent == "updateOnly" {
		return "assigned as updateOnly, which needs a requirement rule that packages do not carry yet: it would install everywhere"
	}
	if t.Policy.Reboot == "windowOnly" {
		for _, key := range pkg.InstallerKeys() {
			if in := pkg.Installers[key]; in.Platform == "windows" && in.Restart == "byExitCode" {
				return "policy keeps restarts to the window, and installer " + key + " restarts by its exit code"
			}
		}
	}
	return ""
}

// window moves an opening and its deadline into a tenant's next window for
// installations: it starts when the window does, and ends with it, since what a
// device is made to do at its deadline must not happen outside. A tenant
// without such a window takes the wave's own times.
func window(t fleet.Tenant, opens, deadline time.Time) (from, until time.Time, why string) {
	var best *calendar.Span
	restricted := false
	for _, name := range slices.Sorted(maps.Keys(t.Windows)) {
		w := t.Windows[name]
		if !slices.Contains(w.For, "install") {
			continue
		}
		restricted = true
		span, ok, err := calendar.NextWindow(w, t.Zone, opens)
		if err != nil {
			return opens, deadline, fmt.Sprintf("its window %s cannot be read: %v", name, err)
		}
		if ok && (best == nil || span.From.Before(best.From)) {
			best = &span
		}
	}
	switch {
	case !restricted:
		return opens, deadline, ""
	case best == nil:
		return opens, deadline, "no window for installations within three weeks"
	case best.From.After(opens):
		opens = best.From.UTC()
	}
	return opens, best.Until.UTC(), ""
}
