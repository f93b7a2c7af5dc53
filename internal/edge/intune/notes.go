package intune

import (
	"context"
	"net/http"

	"github.com/packmill/packmill/internal/edge/intune/marker"
	"github.com/packmill/packmill/internal/edge/intune/msgraph"
)

// noted is a context under which an app's notes are written only while they are what
// was read.
func (c *Client) noted(ctx context.Context, f *found, written string) context.Context {
	return marker.Fenced(ctx, text(f.app.Notes), written, func(ctx context.Context) (string, error) {
		app, err := c.read(ctx, f.app.ID)
		return text(app.Notes), err
	})
}

// putNotes changes nothing of an app but its notes.
func (c *Client) putNotes(ctx context.Context, f *found, notes string) error {
	body := map[string]any{"@odata.type": f.kind.odata(), "notes": notes}
	return c.api.Call(ctx, msgraph.Fresh, http.MethodPatch, appPath(f.app.ID), body, nil)
}
