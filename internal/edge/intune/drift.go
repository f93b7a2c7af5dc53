package intune

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
)

// Objects tells of packmill's app objects, whom each is assigned to, and whether
// their properties are as they were last written. The marker keeps what those were as a digest alone: that
// a person changed one can be told, and not what. One whose publication is not
// finished is not judged, nor one of a kind that the slot's release no longer
// comes as.
func (c *Client) Objects(ctx context.Context) (ours, foreign []fleet.PartState, err error) {
	c.mu.Lock()
	c.slots, err = c.listSlots(ctx)
	keys := slices.Collect(maps.Keys(c.slots))
	c.mu.Unlock()
	slices.SortFunc(keys, compareSlots)
	for _, k := range keys {
		lead, err := c.find(ctx, k)
		if err != nil {
			return nil, nil, c.api.Fail("intune.list", k.String(), err)
		}
		if lead == nil {
			continue // gone since
		}
		for _, f := range lead.all() {
			if f.marker.Artifact != lead.marker.Artifact {
				continue
			}
			moved, err := false, error(nil)
			if f.marker.Pending == "" {
				moved, err = c.moved(ctx, f)
			}
			if err != nil {
				return nil, nil, c.api.Fail("intune.list", k.String(), err)
			}
			alone := *f
			alone.others = nil
			state, err := c.state(ctx, &alone)
			if err != nil {
				return nil, nil, c.api.Fail("intune.list", k.String(), err)
			}
			ours = append(ours, fleet.PartState{
				ID: f.app.ID, Package: k.pkg, Kind: fleet.PartApp, Name: f.app.DisplayName, Slot: k.slot, Version: f.marker.Version, Artifact: f.marker.Artifact,
				File: f.marker.File, Moved: moved, Targets: state.Targets, Timed: f.kind.timed(), Named: f.marker.Targets,
			})
		}
	}
	return ours, nil, c.api.Fail("intune.list", c.api.Directory(), err)
}

// moved reports whether an app's properties are not as they were last written.
func (c *Client) moved(ctx context.Context, f *found) (bool, error) {
	if f.marker.Spec == "" {
		return false, nil // nothing was, of one that was just made or taken over
	}
	_, have, err := c.readWhole(ctx, f.app.ID, f.kind)
	if err != nil {
		return false, err
	}
	return !asWritten(have, f.marker.Spec), nil
}

// readWhole reads an app object with the properties of its kind.
func (c *Client) readWhole(ctx context.Context, id string, k kind) (app mobileApp, have appBody, err error) {
	var raw json.RawMessage
	if err := c.api.Call(ctx, msgraph.Fresh, http.MethodGet, appPath(id), nil, &raw); err != nil {
		return app, nil, err
	}
	have = blank(k)
	return app, have, errors.Join(json.Unmarshal(raw, &app), json.Unmarshal(raw, have))
}

// blank is a body of a kind to read an object into.
func blank(k kind) appBody {
	switch k {
	case kindStore:
		return &storeApp{}
	case kindLob:
		return &lobApp{}
	case kindPkg:
		return &pkgApp{}
	case kindDmg:
		return &bundleApp{}
	}
	return &win32LobApp{}
}

// asWritten reports whether properties as the service tells them are those that
// a spec identifies. It tells more than was written: what packmill may have left
// to others, an icon and scope tags, is tried with and without.
func asWritten(have appBody, spec string) bool {
	common := have.common()
	common.ID, common.Notes, common.CommittedContentVersion, common.PublishingState, common.CreatedDateTime = "", nil, "", "", nil
	release := func(_ string, is bool) bool { return !is }
	switch p := have.(type) {
	case *storeApp:
		p.RepositoryType = storeRepository // which it does not tell
	case *lobApp:
		maps.DeleteFunc(p.MinimumOS, release)
	case *bundleApp:
		maps.DeleteFunc(p.MinimumOS, release)
	case *pkgApp:
		maps.DeleteFunc(p.MinimumOS, release)
		for _, s := range []**macScript{&p.Before, &p.After} {
			if *s != nil && len((*s).Content) == 0 {
				*s = nil // one that says nothing is none
			}
		}
	}
	slices.Sort(common.RoleScopeTagIDs)
	icon, tags := common.LargeIcon, common.RoleScopeTagIDs
	for _, common.LargeIcon = range []*mimeContent{icon, nil} {
		for _, common.RoleScopeTagIDs = range [][]string{tags, nil} {
			if specID(have) == spec {
				return true
			}
		}
	}
	return false
}
