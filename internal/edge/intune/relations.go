package intune

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

const (
	odataDependency   = "#microsoft.graph.mobileAppDependency"
	odataSupersedence = "#microsoft.graph.mobileAppSupersedence"

	// autoInstall is how packmill makes apps depend on each other.
	autoInstall = "autoInstall"
)

// What the service takes at most: dependencies in a graph, and apps in a graph
// of supersedence (Microsoft: "Add Win32 apps to Microsoft Intune", dependencies
// and supersedence).
const (
	maxDependencies = 100
	maxSuperseding  = 10
)

// A relation is one entry of an app's relationships. Raw keeps what was read, so
// that a foreign entry goes back as it was.
type relation struct {
	ODataType  string          `json:"@odata.type"`
	TargetID   string          `json:"targetId"`
	Target     string          `json:"targetType"` // child: the app needs or supersedes it; parent: the other way round
	Needs      string          `json:"dependencyType"`
	Supersedes string          `json:"supersedenceType"`
	Raw        json.RawMessage `json:"-"`
}

// readOnlyOfRelation are the properties that the service alone writes.
func readOnlyOfRelation() []string {
	return []string{"id", "sourceId", "sourceDisplayName", "sourceDisplayVersion", "sourcePublisherDisplayName",
		"targetDisplayName", "targetDisplayVersion", "targetPublisher", "targetPublisherDisplayName", "targetType",
		"dependentAppCount", "dependsOnAppCount", "supersededAppCount", "supersedingAppCount"}
}

// relations reads an app's relationships, its own and those of apps that name it.
func (c *Client) relations(ctx context.Context, app string) ([]relation, error) {
	raws, err := msgraph.List[json.RawMessage](ctx, c.api, msgraph.Fresh, relationsPath(app))
	if err != nil {
		return nil, err
	}
	out := make([]relation, 0, len(raws))
	for _, raw := range raws {
		var r relation
		if err := json.Unmarshal(raw, &r); err != nil {
			return nil, err
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(raw, &fields); err != nil {
			return nil, err
		}
		for _, name := range readOnlyOfRelation() {
			delete(fields, name)
		}
		// What is told without a target is of no use to the service either.
		if fields["targetId"], err = json.Marshal(r.TargetID); err != nil {
			return nil, err
		}
		if r.Raw, err = json.Marshal(fields); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// A link is a relation of an app that packmill makes.
type link struct {
	odata  string
	target string // id of the app that is needed or gives way
	how    string // autoInstall; replace, update
}

func (l link) body() ([]byte, error) {
	kind := "dependencyType"
	if l.odata == odataSupersedence {
		kind = "supersedenceType"
	}
	return json.Marshal(map[string]string{"@odata.type": l.odata, "targetId": l.target, kind: l.how})
}

// sorted puts links in the order in which they are compared.
func sorted(links []link) []link {
	slices.SortFunc(links, func(a, b link) int { return cmp.Or(cmp.Compare(a.odata, b.odata), cmp.Compare(a.target, b.target)) })
	return slices.Compact(links)
}

// ofType are the links of one type.
func ofType(links []link, odata string) []link {
	return slices.DeleteFunc(slices.Clone(links), func(l link) bool { return l.odata != odata })
}

// relate makes the app depend on the apps of the packages it requires, which
// devices then install first, and supersede those of the packages whose place it
// takes.
func (c *Client) relate(ctx context.Context, k slotKey, f *found, requires []fleet.PackageID, supersedes map[fleet.PackageID]string) error {
	if len(requires)+len(supersedes) == 0 && !f.marker.relates() {
		return nil
	}
	needed, err := c.required(ctx, k, requires)
	if err != nil {
		return err
	}
	wanted := Marker{Requires: requires, Supersedes: supersedes}
	if err := c.connect(ctx, k, f, wanted, func([]link) []link { return needed }); err != nil {
		return err
	}
	m := f.marker
	m.Related, m.Requires, m.Supersedes = false, slices.Compact(slices.Sorted(slices.Values(requires))), supersedes
	return c.remark(ctx, k, f, m)
}

// connect makes packmill's links of an app those to the apps that a marker wants it
// to supersede, and what needs makes of its dependencies, which are packmill's where
// the app's own marker or the wanted one says so. The call that Graph has replaces
// the whole set, so what the tenant's people entered is read and sent back.
func (c *Client) connect(ctx context.Context, k slotKey, f *found, wanted Marker, needs func(have []link) []link) error {
	older, err := c.superseded(ctx, wanted.Supersedes)
	if err != nil {
		return err
	}
	present, err := c.relations(ctx, f.app.ID)
	if err != nil {
		return err
	}
	ours, err := c.ownApps(ctx)
	if err != nil {
		return err
	}
	var foreign []relation
	var have []link
	for _, r := range present {
		id := ours[r.TargetID]
		switch {
		case r.Target == "parent":
		case f.marker.made(r, id) || wanted.made(r, id):
			have = append(have, link{r.ODataType, r.TargetID, cmp.Or(r.Needs, r.Supersedes)})
		default:
			foreign = append(foreign, r)
		}
	}
	want := sorted(append(older, needs(ofType(have, odataDependency))...))
	if slices.Equal(sorted(have), want) {
		return nil
	}
	if err := c.within(ctx, k, f.app.ID, foreign, present, want); err != nil {
		return err
	}
	return c.updateRelations(ctx, f.app.ID, present, foreign, want)
}

// updateRelations replaces an app's own relations: what is kept, and links. Before
// each attempt they are looked at: errRelated where they are not what was read, nor
// what an attempt without an answer has made of them.
func (c *Client) updateRelations(ctx context.Context, app string, read, kept []relation, links []link) error {
	all := []json.RawMessage{}
	for _, r := range kept {
		all = append(all, r.Raw)
	}
	for _, l := range links {
		data, err := l.body()
		if err != nil {
			return err
		}
		all = append(all, data)
	}
	unchanged := fleet.While(ctx, func() error {
		if err := fleet.Still(ctx); err != nil {
			return err
		}
		now, err := c.relations(ctx, app)
		if err != nil {
			return err
		}
		before, after := told(read, nil), told(kept, links)
		if is := told(now, nil); !slices.Equal(is, before) && !slices.Equal(is, after) {
			return errRelated
		}
		return nil
	})
	// The whole set again has the same effect.
	return c.api.Call(transport.Repeatable(unchanged), msgraph.Fresh, http.MethodPost, updateRelationsPath(app), map[string]any{"relationships": all}, nil)
}

var errRelated = fleet.Theirs(errors.New("somebody has changed the app's relations meanwhile"))

// told are an app's own relations in a form that two looks are compared by, in order.
func told(all []relation, links []link) []string {
	var out []string
	for _, r := range all {
		if r.Target != "parent" {
			out = append(out, r.ODataType+" "+r.TargetID+" "+r.Needs+r.Supersedes)
		}
	}
	for _, l := range links {
		out = append(out, l.odata+" "+l.target+" "+l.how)
	}
	slices.Sort(out)
	return out
}

// required are links to the Win32 apps of packages: of the slot that devices of
// slot k get them from. That is the candidate while it is assigned, else the
// stable one: an app that nobody is assigned to may hold another version than
// devices have.
func (c *Client) required(ctx context.Context, k slotKey, requires []fleet.PackageID) ([]link, error) {
	var out []link
	for _, id := range requires {
		app, err := c.requiredApp(ctx, k, id)
		if err != nil {
			return nil, err
		}
		if app == "" {
			// The plan lets a package go out where what it requires is there: then
			// devices had it before packmill came.
			c.api.Log().WarnContext(ctx, "a required package has no app of packmill's to depend on",
				"tenant", c.api.Directory(), "slot", k.String(), "requires", id)
			continue
		}
		out = append(out, link{odataDependency, app, autoInstall})
	}
	return out, nil
}

func (c *Client) requiredApp(ctx context.Context, k slotKey, id fleet.PackageID) (string, error) {
	var second string
	for _, slot := range []string{fleet.Candidate, fleet.Stable} {
		f, err := c.findKind(ctx, slotKey{id, slot}, kindWin32)
		if err != nil {
			return "", err
		}
		if f == nil || !f.holds() {
			continue
		}
		if slot == fleet.Stable {
			return f.app.ID, nil
		}
		present, err := c.assignments(ctx, f.app.ID)
		if err != nil {
			return "", err
		}
		if k.slot == fleet.Candidate && len(present) > 0 {
			return f.app.ID, nil
		}
		second = f.app.ID
	}
	return second, nil
}

// ownApps are the packages of all apps that bear a marker, by the apps' ids.
func (c *Client) ownApps(ctx context.Context) (map[string]fleet.PackageID, error) {
	apps, err := c.listMarked(ctx)
	out := map[string]fleet.PackageID{}
	for _, app := range apps {
		if m, ok := ownMarker(app); ok {
			out[app.ID] = m.Package
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, kinds := range c.slots { // lists may lag behind
		for _, o := range kinds {
			out[o.id] = k.pkg
		}
	}
	return out, err
}

// within refuses relations beyond what the service takes, before anything is
// sent: its own answer would name no app. The apps that supersede each other are
// counted in both directions.
func (c *Client) within(ctx context.Context, k slotKey, app string, kept, present []relation, want []link) error {
	from := map[string][]string{}
	for _, l := range want {
		from[l.odata] = append(from[l.odata], l.target)
	}
	for _, r := range kept {
		from[r.ODataType] = append(from[r.ODataType], r.TargetID)
	}
	for _, r := range present {
		if r.Target == "parent" && r.ODataType == odataSupersedence {
			from[r.ODataType] = append(from[r.ODataType], r.TargetID)
		}
	}
	for _, limit := range []struct {
		odata, what string
		most        int
	}{
		{odataDependency, "dependencies", maxDependencies},
		{odataSupersedence, "apps that supersede each other", maxSuperseding - 1},
	} {
		n, err := c.reach(ctx, app, limit.odata, from[limit.odata], limit.most)
		if err != nil {
			return err
		}
		if n > limit.most {
			return &fleet.Error{Op: "intune.relate", Object: k.String(), Kind: fleet.Refused,
				Err:  fmt.Errorf("the app would have more than %d %s", limit.most, limit.what),
				Hint: "the service takes no more: shorten requires or supersedes, or remove relations in the tenant"}
		}
	}
	return nil
}

// reach counts the apps that can be reached from an app over relations of one
// type, itself left out; those of supersedence lead both ways. It stops behind
// most.
func (c *Client) reach(ctx context.Context, app, odata string, from []string, most int) (int, error) {
	seen := map[string]bool{app: true}
	next := slices.Clone(from)
	for len(next) > 0 && len(seen)-1 <= most {
		id := next[0]
		next = next[1:]
		if seen[id] {
			continue
		}
		seen[id] = true
		more, err := c.relations(ctx, id)
		if transport.StatusOf(err) == http.StatusNotFound {
			continue
		}
		if err != nil {
			return 0, err
		}
		for _, r := range more {
			if r.ODataType == odata && (r.Target != "parent" || odata == odataSupersedence) {
				next = append(next, r.TargetID)
			}
		}
	}
	return len(seen) - 1, nil
}
