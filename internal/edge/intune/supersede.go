package intune

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
)

// superseded are links to the Win32 apps of the packages that give way, of both
// their slots: which of the two a device has its version from is not known, and
// the agent removes only what an app's own rules find. A package that the tenant
// does not have gives no way.
func (c *Client) superseded(ctx context.Context, supersedes map[fleet.PackageID]string) ([]link, error) {
	var out []link
	for _, id := range slices.Sorted(maps.Keys(supersedes)) {
		for _, slot := range []string{fleet.Candidate, fleet.Stable} {
			f, err := c.findKind(ctx, slotKey{id, slot}, kindWin32)
			if err != nil {
				return nil, err
			}
			if f != nil && f.holds() {
				out = append(out, link{odataSupersedence, f.app.ID, supersedes[id]})
			}
		}
	}
	return out, nil
}

// lasting are the packages that give way to an app whose slot has a marker. Where
// a release is taken back nothing does that did not before: what main says now
// may have come with that release.
func lasting(app fleet.App, m Marker) map[fleet.PackageID]string {
	if !app.Back {
		return app.Supersedes
	}
	out := map[fleet.PackageID]string{}
	for id, how := range app.Supersedes {
		if m.Supersedes[id] != "" {
			out[id] = how
		}
	}
	return out
}

// together are both, b's words counting.
func together(a, b map[fleet.PackageID]string) map[fleet.PackageID]string {
	if len(a)+len(b) == 0 {
		return nil
	}
	out := maps.Clone(a)
	if out == nil {
		out = map[fleet.PackageID]string{}
	}
	maps.Copy(out, b)
	return out
}

// remark writes a slot's marker where it changed.
func (c *Client) remark(ctx context.Context, k slotKey, f *found, m Marker) error {
	if len(m.Supersedes) > 0 {
		c.mu.Lock()
		c.successors[k] = m.Supersedes
		c.mu.Unlock()
	}
	if m.line() == f.marker.line() {
		return nil
	}
	return c.writeMarker(ctx, f, m)
}

// giveWay has the apps that supersede a package supersede its slot's app too: one
// that was made later than they were.
func (c *Client) giveWay(ctx context.Context, k slotKey) error {
	for _, s := range c.successorsOf(k.pkg) {
		f, err := c.findKind(ctx, s, kindWin32)
		if err != nil {
			return err
		}
		if f == nil || f.marker.Supersedes[k.pkg] == "" {
			continue // not any longer
		}
		if err := c.connect(ctx, s, f, f.marker, func(have []link) []link { return have }); err != nil {
			return err
		}
	}
	return nil
}

// successorsOf are the slots whose apps supersede those of a package, as far as
// markers have told.
func (c *Client) successorsOf(id fleet.PackageID) []slotKey {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []slotKey
	for k, m := range c.successors {
		if m[id] != "" {
			out = append(out, k)
		}
	}
	slices.SortFunc(out, compareSlots)
	return out
}

func compareSlots(a, b slotKey) int {
	return slices.Compare([]string{string(a.pkg), a.slot}, []string{string(b.pkg), b.slot})
}

// Reverse takes away that a slot's app supersedes apps of other packages, so that
// devices may have those again. What the tenant's people related stays, and so do
// dependencies.
func (c *Client) Reverse(ctx context.Context, id fleet.PackageID, slot string) error {
	k := slotKey{id, slot}
	if err := checkSlot("intune.reverse", k); err != nil {
		return err
	}
	wait := time.Second
	for try := 1; ; try++ {
		err := c.reverse(ctx, k)
		if err == nil || try == msgraph.Tries || !msgraph.Passing(ctx, err) {
			return c.api.Fail("intune.reverse", k.String(), err)
		}
		if err := c.api.Clock().Sleep(ctx, wait); err != nil {
			return err
		}
		wait *= 2
	}
}

func (c *Client) reverse(ctx context.Context, k slotKey) error {
	f, err := c.findKind(ctx, k, kindWin32)
	if err != nil || f == nil || len(f.marker.Supersedes) == 0 {
		return err
	}
	if err := c.connect(ctx, k, f, Marker{}, func(have []link) []link { return have }); err != nil {
		return err
	}
	m := f.marker
	m.Supersedes = nil
	return c.remark(ctx, k, f, m)
}
