package policy

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/drift"
	"github.com/packmill/packmill/internal/transport"
)

// A Directory knows the tenant's groups and devices.
type Directory interface {
	// OwnsGroup reports whether a group is packmill's.
	OwnsGroup(ctx context.Context, id string) (bool, error)
	// DirectoryIDs gives the directory's id of each managed device.
	DirectoryIDs(ctx context.Context, managed []string) (map[string]string, error)
}

// A Client works on one tenant's configurations. It is safe for concurrent use.
type Client struct {
	api *msgraph.Client
	dir Directory

	mu       sync.Mutex
	listed   map[key][]listing // nil until listed
	foreign  []listing
	made     map[key]listing // by this client; lists may not show them yet
	believed bool            // what listed lacks is not there
}

// New makes a client of the tenant that api calls.
func New(api *msgraph.Client, dir Directory) *Client {
	return &Client{api: api, dir: dir, made: map[key]listing{}}
}

// A slot is what a package has in a tenant for one purpose.
type slot struct {
	pkg  fleet.PackageID
	name string
}

func (s slot) String() string { return string(s.pkg) + " (" + s.name + ")" }

// A key names an object within a tenant.
type key struct {
	slot
	setting, kind string
}

func (k key) String() string { return k.slot.String() + " " + k.setting }

// A listing is an object as lists tell it.
type listing struct {
	collection
	id, name string
	marker   Marker
	created  time.Time
}

func checkSlot(op string, s slot) error {
	if s.pkg == "" || (s.name != fleet.Stable && s.name != fleet.Candidate) {
		return fleet.Errorf(fleet.Invalid, op, string(s.pkg), "%q is no slot of a package", s.name)
	}
	return nil
}

// listWait is how long a list is given to show what was made a moment ago.
const listWait = 3 * time.Second

// lookup are the listed objects of a slot. The first time that one is missing
// which should be there the lists are read again after a while: another run may
// have been killed just after it made it, and a withdrawal must find that. What
// should be there is one object, as many as the markers say, and those wanted. Where
// no run has ever tried (fleet.First) there is nothing to find.
func (c *Client) lookup(ctx context.Context, s slot, again bool, wanted ...key) (map[key][]listing, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.listed == nil || again {
		c.believed = false
		if err := c.list(ctx); err != nil {
			return nil, err
		}
	}
	if found := c.ofSlot(s); whole(found, wanted) || c.believed || !again && fleet.First(ctx, s.pkg) {
		return found, nil
	}
	if err := c.api.Clock().Sleep(ctx, listWait); err != nil {
		return nil, err
	}
	if err := c.list(ctx); err != nil {
		return nil, err
	}
	c.believed = true
	return c.ofSlot(s), nil
}

func whole(found map[key][]listing, wanted []key) bool {
	for _, k := range wanted {
		if len(found[k]) == 0 {
			return false
		}
	}
	for _, list := range found {
		if list[0].marker.Parts > len(found) {
			return false
		}
	}
	return len(found) > 0
}

func (c *Client) ofSlot(s slot) map[key][]listing {
	out := map[key][]listing{}
	for k, list := range c.listed {
		if k.slot == s {
			out[k] = slices.Clone(list)
		}
	}
	return out
}

// list reads all four collections. A copy that a person made of an object of
// packmill's bears its marker and another id, and is the person's.
func (c *Client) list(ctx context.Context) error {
	listed, foreign := map[key][]listing{}, []listing{}
	for _, col := range collections() {
		type item struct {
			ID          string     `json:"id"`
			Name        string     `json:"name"`
			DisplayName string     `json:"displayName"`
			Description string     `json:"description"`
			Created     *time.Time `json:"createdDateTime"`
		}
		items, err := msgraph.List[item](ctx, c.api, msgraph.Final, msgraph.Query(col.path, "$select", "id,"+col.title+",description,createdDateTime"))
		if err != nil {
			return err
		}
		for _, i := range items {
			l := listing{collection: col, id: i.ID, name: cmp.Or(i.Name, i.DisplayName)}
			if i.Created != nil {
				l.created = *i.Created
			}
			m, ok := col.owned(i.ID, i.Description)
			if !ok {
				foreign = append(foreign, l)
				continue
			}
			l.marker = m
			k := key{slot{m.Package, m.Slot}, m.Setting, m.Kind}
			listed[k] = append(listed[k], l)
		}
	}
	for k, list := range listed {
		// One that names itself was finished; of the others the oldest is used.
		slices.SortFunc(list, func(a, b listing) int {
			return cmp.Or(cmp.Compare(rank(a.marker.ID == ""), rank(b.marker.ID == "")), a.created.Compare(b.created), cmp.Compare(a.id, b.id))
		})
		listed[k] = list
	}
	for k, l := range c.made {
		if !slices.ContainsFunc(listed[k], func(o listing) bool { return o.id == l.id }) {
			listed[k] = append([]listing{l}, listed[k]...)
		}
	}
	c.listed, c.foreign = listed, foreign
	return nil
}

func rank(last bool) int {
	if last {
		return 1
	}
	return 0
}

// remember notes what was just made or removed: lists may tell otherwise.
func (c *Client) remember(k key, l *listing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l == nil {
		delete(c.listed, k)
		delete(c.made, k)
		return
	}
	c.listed[k] = []listing{*l}
	c.made[k] = *l
}

// forget no longer holds that this client's object is there.
func (c *Client) forget(k key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.made, k)
}

// clear removes objects that bear the marker of a used one: a lost answer made
// them. None names itself, so that nobody's copy is among them.
func (c *Client) clear(ctx context.Context, o *object) error {
	for _, spare := range o.spare {
		if spare.marker.ID != "" {
			continue
		}
		if err := c.remove(ctx, spare); err != nil {
			return err
		}
	}
	if len(o.spare) > 0 {
		o.spare = nil
		c.remember(o.key, &o.listing)
	}
	return nil
}

// An object is a configuration of packmill's as it is now.
type object struct {
	listing
	key    key
	raw    map[string]any // as the console tells it, settings and actions included
	marker Marker
	spare  []listing // others that bear the same marker, left by a lost answer
}

// find reads the slot's objects, those that are there, in the order of their
// settings. What a new list shows and the service denies is waited for: another one
// made beside it would be a second.
func (c *Client) find(ctx context.Context, s slot, again bool, wanted ...key) ([]*object, error) {
	for second := false; ; second, again = true, true {
		listed, err := c.lookup(ctx, s, again, wanted...)
		if err != nil {
			return nil, err
		}
		var out []*object
		gone := false
		for _, k := range slices.SortedFunc(maps.Keys(listed), func(a, b key) int {
			return cmp.Or(cmp.Compare(a.setting, b.setting), cmp.Compare(a.kind, b.kind))
		}) {
			o := &object{listing: listed[k][0], key: k, spare: listed[k][1:]}
			err := c.read(ctx, o, second)
			if transport.StatusOf(err) == http.StatusNotFound && second {
				return nil, &fleet.Error{Op: "policy.find", Object: k.String(), Kind: fleet.Waiting,
					Err:  fmt.Errorf("the service lists %s, and says that it is not there", o.id),
					Hint: "it was removed a moment ago, or the service has not settled: run again later"}
			}
			if transport.StatusOf(err) == http.StatusNotFound {
				gone = true // removed by somebody since it was listed
				c.forget(k)
				continue
			}
			if err != nil {
				return nil, err
			}
			if o.marker.Package == s.pkg { // else the marker was taken off: it is no longer ours
				out = append(out, o)
			}
		}
		if !gone {
			return out, nil
		}
	}
}

// read reads an object whole. What was listed may not be found at once.
func (c *Client) read(ctx context.Context, o *object, final bool) error {
	settle := msgraph.Fresh
	if final {
		settle = msgraph.Final
	}
	path := o.one(o.id)
	if o.path == compliancePath {
		path = msgraph.Query(path, "$expand", scheduled+"($expand=scheduledActionConfigurations)")
	}
	var data json.RawMessage
	if err := c.api.Call(ctx, settle, http.MethodGet, path, nil, &data); err != nil {
		return err
	}
	raw, err := drift.Parse(data) // which keeps numbers as they are written
	if err != nil {
		return err
	}
	if o.path == catalogPath {
		items, err := msgraph.List[json.RawMessage](ctx, c.api, msgraph.Fresh, msgraph.Query(settingsPath(o.id), "$top", "1000"))
		if err != nil {
			return err
		}
		settings := make([]any, len(items))
		for i, item := range items {
			if settings[i], err = drift.Parse(item); err != nil {
				return err
			}
		}
		raw["settings"] = settings
	}
	o.raw = raw
	m, ok := ParseMarker(o.description())
	if !ok || m.ID != "" && m.ID != o.id {
		m = Marker{}
	}
	o.marker = m
	return nil
}

// mark changes nothing of an object but its marker.
func (c *Client) mark(ctx context.Context, o *object, m Marker) error {
	text := withMarker(o.description(), m)
	body := map[string]any{"description": text}
	if kind, ok := o.raw["@odata.type"].(string); ok && o.path != catalogPath {
		body["@odata.type"] = kind
	}
	if err := c.api.Call(c.standing(ctx, o, text, nil), msgraph.Fresh, http.MethodPatch, o.one(o.id), body, nil); err != nil {
		return err
	}
	o.raw["description"], o.marker = text, m
	return nil
}
