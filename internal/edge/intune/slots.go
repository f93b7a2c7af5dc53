package intune

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/marker"
	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// A slotKey names a slot within a tenant.
type slotKey struct {
	pkg  fleet.PackageID
	slot string
}

func (k slotKey) String() string { return string(k.pkg) + " (" + k.slot + ")" }

// slotApps are the app objects that bear a slot's marker, by kind.
type slotApps map[kind]objects

// objects are the app objects of one kind: the one in use, and others that a
// lost answer or a delayed list left behind.
type objects struct {
	id    string
	spare []string
}

// found is an app object of a slot as it is now.
type found struct {
	app    mobileApp
	kind   kind
	marker Marker
	made   bool     // by the publication itself
	spare  []string // other objects of the same kind
	others []*found // the slot's objects of other kinds; of the leading one alone
}

// holds reports whether the object has a release that devices can take.
func (f *found) holds() bool {
	if !f.kind.uploads() {
		return f.marker.File != ""
	}
	return f.app.CommittedContentVersion != ""
}

// all are the slot's objects in use, f among them.
func (f *found) all() []*found { return append([]*found{f}, f.others...) }

// ids are those of the slot's objects in use.
func (f *found) ids() (out []string) {
	for _, o := range f.all() {
		out = append(out, o.app.ID)
	}
	return out
}

func checkSlot(op string, k slotKey) error {
	if k.pkg == "" || (k.slot != fleet.Stable && k.slot != fleet.Candidate) {
		return fleet.Errorf(fleet.Invalid, op, string(k.pkg), "%q is no slot of a package", k.slot)
	}
	return nil
}

// find reads the slot's app objects, nil when the tenant has none. The leading
// one holds the release that came last: it speaks for the slot.
func (c *Client) find(ctx context.Context, k slotKey) (*found, error) {
	return c.findBeside(ctx, k, nil)
}

// findBeside is find where one of the objects was read a moment ago.
func (c *Client) findBeside(ctx context.Context, k slotKey, known *found) (*found, error) {
	var all []*found
	for _, kind := range kinds() {
		if known != nil && known.kind == kind {
			all = append(all, known)
			continue
		}
		f, err := c.findKind(ctx, k, kind)
		if err != nil {
			return nil, err
		}
		if f != nil {
			all = append(all, f)
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	slices.SortStableFunc(all, func(a, b *found) int {
		return cmp.Or(cmp.Compare(rank(!a.holds()), rank(!b.holds())), -cmp.Compare(a.marker.Generation, b.marker.Generation))
	})
	all[0].others = all[1:]
	return all[0], nil
}

// findKind reads the slot's app object of one kind, nil when there is none.
func (c *Client) findKind(ctx context.Context, k slotKey, kind kind) (*found, error) {
	for again := false; ; again = true {
		apps, err := c.lookup(ctx, k, again)
		if err != nil || apps[kind].id == "" {
			return nil, err
		}
		app, err := c.read(ctx, apps[kind].id)
		if transport.StatusOf(err) == http.StatusNotFound && !again {
			continue // deleted by somebody since it was listed
		}
		if err != nil {
			return nil, err
		}
		m, ok := readMarker(app)
		if ok && m.Package == k.pkg && m.Slot == k.slot {
			return &found{app: app, kind: kind, marker: m, spare: apps[kind].spare}, nil
		}
		if again {
			return nil, nil // the marker was taken off: it is no longer ours
		}
	}
}

// read reads an app object.
func (c *Client) read(ctx context.Context, id string) (app mobileApp, err error) {
	err = c.api.Call(ctx, msgraph.Fresh, http.MethodGet, appPath(id), nil, &app)
	return app, err
}

// listWait is how long a list is given to show what was made a moment ago.
const listWait = 3 * time.Second

// lookup finds the slot's objects in the list of packmill's apps, which is read
// once, or again if the caller asks. The first time that something is missing
// from it, the list is read again after a while: another run may have been
// killed just after it made the object, and a withdrawal must find that. Where no
// run has ever tried (fleet.First) there is nothing to find.
func (c *Client) lookup(ctx context.Context, k slotKey, again bool) (slotApps, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.slots == nil || again {
		slots, err := c.listSlots(ctx)
		if err != nil {
			return nil, err
		}
		c.slots = slots
	}
	apps, ok := c.slots[k]
	if ok || c.believed || !again && fleet.First(ctx, k.pkg) {
		return apps, nil
	}
	if err := c.api.Clock().Sleep(ctx, listWait); err != nil {
		return nil, err
	}
	slots, err := c.listSlots(ctx)
	if err != nil {
		return nil, err
	}
	c.slots, c.believed = slots, true
	return c.slots[k], nil
}

// listMarked lists the tenant's apps that bear a marker of their own, oldest first.
func (c *Client) listMarked(ctx context.Context) ([]mobileApp, error) {
	var ours []string
	for _, k := range kinds() {
		ours = append(ours, "isof('microsoft.graph."+string(k)+"')")
	}
	filter := "(" + strings.Join(ours, " or ") + ") and contains(notes,'" + strings.TrimSpace(marker.Prefix) + "')"
	apps, err := msgraph.List[mobileApp](ctx, c.api, msgraph.Final, msgraph.Query(appsPath, "$filter", filter, "$select", "id,notes,createdDateTime"))
	slices.SortFunc(apps, func(a, b mobileApp) int {
		return cmp.Or(when(a.CreatedDateTime).Compare(when(b.CreatedDateTime)), cmp.Compare(a.ID, b.ID))
	})
	return originals(apps), err
}

// listSlots lists the tenant's apps that bear a marker. Of several of one kind
// with the same one the first that holds content is used, else the oldest: every
// run chooses alike.
func (c *Client) listSlots(ctx context.Context) (map[slotKey]slotApps, error) {
	apps, err := c.listMarked(ctx)
	if err != nil {
		return nil, err
	}
	out := map[slotKey]slotApps{}
	for _, full := range []bool{true, false} {
		for _, app := range apps {
			m, ok := ownMarker(app)
			kind := kindOf(app.ODataType)
			if !ok || kind == "" || (m.File != "") != full {
				continue
			}
			k := slotKey{m.Package, m.Slot}
			if len(m.Supersedes) > 0 {
				c.successors[k] = m.Supersedes
			}
			if out[k] == nil {
				out[k] = slotApps{}
			}
			if o := out[k][kind]; o.id == "" {
				out[k][kind] = objects{id: app.ID}
			} else {
				o.spare = append(o.spare, app.ID)
				out[k][kind] = o
			}
		}
	}
	for k, kinds := range out {
		for _, o := range kinds {
			if len(o.spare) > 0 {
				c.api.Log().WarnContext(ctx, "several app objects bear the marker of one slot; the first is used",
					"tenant", c.api.Directory(), "slot", k.String(), "used", o.id, "spare", o.spare)
			}
		}
	}
	return out, nil
}

func rank(empty bool) int {
	if empty {
		return 1
	}
	return 0
}

// remember notes the object that was just made for a slot: lists may not show
// it yet.
func (c *Client) remember(k slotKey, kind kind, id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	apps := maps.Clone(c.slots[k]) // others may be reading it
	if apps == nil {
		apps = slotApps{}
	}
	apps[kind] = objects{id: id}
	c.slots[k] = apps
}

// forget drops an object that was deleted.
func (c *Client) forget(k slotKey, id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.slots == nil {
		return
	}
	apps := slotApps{}
	for kind, o := range c.slots[k] {
		left := slices.DeleteFunc(append([]string{o.id}, o.spare...), func(other string) bool { return other == id })
		if len(left) > 0 {
			apps[kind] = objects{left[0], left[1:]}
		}
	}
	c.slots[k] = apps
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func when(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// Observe reads what a package's slot holds. A slot without an app object is
// the zero state.
func (c *Client) Observe(ctx context.Context, id fleet.PackageID, slot string) (fleet.AppState, error) {
	k := slotKey{id, slot}
	if err := checkSlot("intune.observe", k); err != nil {
		return fleet.AppState{}, err
	}
	var state fleet.AppState
	err := c.api.Persist(ctx, func() error {
		f, err := c.find(ctx, k)
		if err != nil || f == nil {
			return err
		}
		state, err = c.state(ctx, f)
		return err
	})
	return state, c.api.Fail("intune.observe", k.String(), err)
}

// state is the slot as the vocabulary tells it, assignments included: what the
// leading object says of a target is told.
func (c *Client) state(ctx context.Context, lead *found) (s fleet.AppState, err error) {
	s = fleet.AppState{ID: lead.app.ID, Generation: lead.marker.Generation}
	if lead.holds() {
		s.Version, s.Artifact = lead.marker.Version, lead.marker.Artifact
	}
	seen := map[string]bool{}
	for _, f := range lead.all() {
		s.Duplicates = append(s.Duplicates, f.spare...)
		s.Supersedes = s.Supersedes || len(f.marker.Supersedes) > 0
		var present []assignment
		if !c.neverAssigned(f.app.ID) {
			if present, err = c.assignments(ctx, f.app.ID); err != nil {
				return s, err
			}
		}
		ours, foreign, err := c.split(ctx, f.marker, present)
		if err != nil {
			return s, err
		}
		s.Foreign = s.Foreign || len(foreign) > 0
		for _, a := range ours {
			if !seen[a.Key()] {
				seen[a.Key()] = true
				s.Targets = append(s.Targets, a.asTarget())
			}
		}
	}
	return s, nil
}
