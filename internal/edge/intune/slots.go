package intune

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

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

// slotApps are the app objects that bear a slot's marker: the one in use, and
// others that a lost answer or a delayed list left behind.
type slotApps struct {
	id    string
	spare []string
}

// found is a slot's app object as it is now.
type found struct {
	app    win32LobApp
	marker Marker
	spare  []string
}

func checkSlot(op string, k slotKey) error {
	if k.pkg == "" || (k.slot != fleet.Stable && k.slot != fleet.Candidate) {
		return fleet.Errorf(fleet.Invalid, op, string(k.pkg), "%q is no slot of a package", k.slot)
	}
	return nil
}

// find reads the slot's app object, nil when the tenant has none.
func (c *Client) find(ctx context.Context, k slotKey) (*found, error) {
	for again := false; ; again = true {
		apps, known, err := c.lookup(ctx, k, again)
		if err != nil || !known {
			return nil, err
		}
		var app win32LobApp
		err = c.api.Call(ctx, msgraph.Fresh, http.MethodGet, appPath(apps.id), nil, &app)
		if transport.StatusOf(err) == http.StatusNotFound && !again {
			continue // deleted by somebody since it was listed
		}
		if err != nil {
			return nil, err
		}
		m, ok := ParseMarker(text(app.Notes))
		if ok && m.Package == k.pkg && m.Slot == k.slot {
			return &found{app: app, marker: m, spare: apps.spare}, nil
		}
		if again {
			return nil, nil // the marker was taken off: it is no longer ours
		}
	}
}

// listWait is how long a list is given to show what was made a moment ago.
const listWait = 3 * time.Second

// lookup finds the slot's objects in the list of packmill's apps, which is read
// once, or again if the caller asks. The first time that something is missing
// from it, the list is read again after a while: another run may have been
// killed just after it made the object, and a withdrawal must find that.
func (c *Client) lookup(ctx context.Context, k slotKey, again bool) (slotApps, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.slots == nil || again {
		slots, err := c.listSlots(ctx)
		if err != nil {
			return slotApps{}, false, err
		}
		c.slots = slots
	}
	apps, ok := c.slots[k]
	if ok || c.believed {
		return apps, ok, nil
	}
	if err := c.api.Clock().Sleep(ctx, listWait); err != nil {
		return slotApps{}, false, err
	}
	slots, err := c.listSlots(ctx)
	if err != nil {
		return slotApps{}, false, err
	}
	c.slots, c.believed = slots, true
	apps, ok = c.slots[k]
	return apps, ok, nil
}

// listSlots lists the tenant's Win32 apps that bear a marker. Of several with
// the same one the first that holds content is used, else the oldest: every
// run chooses alike.
func (c *Client) listSlots(ctx context.Context) (map[slotKey]slotApps, error) {
	filter := "isof('microsoft.graph.win32LobApp') and contains(notes,'" + strings.TrimSpace(markerPrefix) + "')"
	apps, err := msgraph.List[win32LobApp](ctx, c.api, msgraph.Final, msgraph.Query(appsPath, "$filter", filter, "$select", "id,notes,createdDateTime"))
	if err != nil {
		return nil, err
	}
	empty := map[string]bool{}
	slices.SortFunc(apps, func(a, b win32LobApp) int {
		return cmp.Or(when(a.CreatedDateTime).Compare(when(b.CreatedDateTime)), cmp.Compare(a.ID, b.ID))
	})
	bySlot := map[slotKey][]string{}
	for _, app := range apps {
		m, ok := ParseMarker(text(app.Notes))
		if !ok {
			continue
		}
		k := slotKey{m.Package, m.Slot}
		empty[app.ID] = m.File == ""
		bySlot[k] = append(bySlot[k], app.ID)
	}
	out := map[slotKey]slotApps{}
	for k, ids := range bySlot {
		slices.SortStableFunc(ids, func(a, b string) int { return cmp.Compare(rank(empty[a]), rank(empty[b])) })
		out[k] = slotApps{id: ids[0]}
		if len(ids) > 1 {
			out[k] = slotApps{id: ids[0], spare: ids[1:]}
			c.api.Log().WarnContext(ctx, "several app objects bear the marker of one slot; the first is used",
				"tenant", c.api.Directory(), "slot", k.String(), "used", ids[0], "spare", ids[1:])
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
func (c *Client) remember(k slotKey, id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slots[k] = slotApps{id: id}
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
	f, err := c.find(ctx, k)
	if err != nil || f == nil {
		return fleet.AppState{}, c.api.Fail("intune.observe", k.String(), err)
	}
	state, err := c.state(ctx, f)
	return state, c.api.Fail("intune.observe", k.String(), err)
}

// state is the slot as the vocabulary tells it, assignments included.
func (c *Client) state(ctx context.Context, f *found) (fleet.AppState, error) {
	s := fleet.AppState{ID: f.app.ID, Generation: f.marker.Generation, Duplicates: f.spare}
	if f.app.CommittedContentVersion != "" {
		s.Version, s.Artifact = f.marker.Version, f.marker.Artifact
	}
	present, err := c.assignments(ctx, f.app.ID)
	if err != nil {
		return s, err
	}
	ours, foreign, err := c.split(ctx, f.marker, nil, present)
	s.Foreign = len(foreign) > 0
	for _, a := range ours {
		s.Targets = append(s.Targets, a.asTarget())
	}
	return s, err
}
