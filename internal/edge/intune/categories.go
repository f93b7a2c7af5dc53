package intune

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// A named is a category or a scope tag of the tenant.
type named struct {
	ID          string `json:"id"`
	DisplayName string `json:"displayName"`
}

// categoryIDs are the ids of the tenant's categories of these names, sorted. One
// that the tenant lacks is passed over: how its portal is ordered is its own
// business.
func (c *Client) categoryIDs(ctx context.Context, names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	have, err := msgraph.List[named](ctx, c.api, msgraph.Final, categoriesPath)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, name := range names {
		i := slices.IndexFunc(have, func(n named) bool { return strings.EqualFold(n.DisplayName, name) })
		if i < 0 {
			c.api.Log().WarnContext(ctx, "the tenant has no such category", "tenant", c.api.Directory(), "category", name)
			continue
		}
		out = append(out, have[i].ID)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// ownCategories are the ids of the categories that packmill put the app into, and of
// those among want that it is to: where people of the tenant put it already it is
// theirs to take it out.
func (c *Client) ownCategories(ctx context.Context, f *found, want []string) ([]string, error) {
	known := func(id string) bool { return slices.Contains(f.marker.Categories, id) }
	fresh := slices.DeleteFunc(slices.Clone(want), known)
	if len(fresh) > 0 {
		present, err := msgraph.List[named](ctx, c.api, msgraph.Fresh, appCategoriesPath(f.app.ID))
		if err != nil {
			return nil, err
		}
		fresh = slices.DeleteFunc(fresh, func(id string) bool {
			return slices.ContainsFunc(present, func(n named) bool { return n.ID == id })
		})
	}
	return slices.Sorted(slices.Values(slices.Concat(f.marker.Categories, fresh))), nil
}

// categorize puts the app into categories, and takes it out of those that only
// packmill put it into: the marker names them before they are set (ownCategories).
// Categories that the tenant's people chose stay.
func (c *Client) categorize(ctx context.Context, f *found, want []string) error {
	if len(want) == 0 && len(f.marker.Categories) == 0 {
		return nil
	}
	present, err := msgraph.List[named](ctx, c.api, msgraph.Fresh, appCategoriesPath(f.app.ID))
	if err != nil {
		return err
	}
	in := func(id string) bool {
		return slices.ContainsFunc(present, func(n named) bool { return n.ID == id })
	}
	for _, id := range want {
		if in(id) {
			continue
		}
		body := map[string]string{"@odata.id": c.api.Base().String() + categoriesPath + "/" + id}
		// The same reference again changes nothing.
		if err := c.api.Call(transport.Repeatable(ctx), msgraph.Fresh, http.MethodPost, categoryRefsPath(f.app.ID), body, nil); err != nil {
			return err
		}
	}
	for _, id := range f.marker.Categories {
		if slices.Contains(want, id) || !in(id) {
			continue
		}
		err := c.api.Call(ctx, msgraph.Final, http.MethodDelete, categoryRefPath(f.app.ID, id), nil, nil)
		if err != nil && transport.StatusOf(err) != http.StatusNotFound {
			return err
		}
	}
	m := f.marker
	m.Categories = slices.DeleteFunc(slices.Clone(m.Categories), func(id string) bool { return !slices.Contains(want, id) })
	if len(m.Categories) == len(f.marker.Categories) {
		return nil
	}
	return c.writeMarker(ctx, f, m)
}

// scopeTags are the ids of the role scope tags that the app's tenant asks for,
// by name or by id. None asked for leaves what the app has. One that the tenant
// lacks is an error: the app would be shown to people it is not for.
func (c *Client) scopeTags(ctx context.Context, app fleet.App) ([]string, error) {
	if len(app.ScopeTags) == 0 {
		return nil, nil
	}
	have, err := msgraph.List[named](ctx, c.api, msgraph.Final, scopeTagsPath)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, want := range app.ScopeTags {
		i := slices.IndexFunc(have, func(n named) bool { return n.ID == want || strings.EqualFold(n.DisplayName, want) })
		if i < 0 {
			e := fleet.Errorf(fleet.Invalid, "intune.publish", string(app.Package), "the tenant has no scope tag %q", want)
			e.Hint = "make the scope tag in the tenant, or take it out of tenant.cue"
			return nil, e
		}
		out = append(out, have[i].ID)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
