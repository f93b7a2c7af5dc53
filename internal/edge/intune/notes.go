package intune

import (
	"context"
	"fmt"
	"net/http"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// noted is a context under which an app's notes are written only while they are what
// was read: they are sent whole, so they are looked at before each attempt. errChanged
// where they are neither that nor what an attempt without an answer has written.
func (c *Client) noted(ctx context.Context, f *found, written string) context.Context {
	return fleet.While(ctx, func() error {
		if err := fleet.Still(ctx); err != nil {
			return err
		}
		app, err := c.read(ctx, f.app.ID)
		if transport.StatusOf(err) == http.StatusNotFound {
			return fmt.Errorf("%w: it is gone", errChanged)
		}
		if err == nil && !sameNotes(text(app.Notes), text(f.app.Notes)) && !sameNotes(text(app.Notes), written) {
			err = errChanged
		}
		return err
	})
}

// putNotes changes nothing of an app but its notes.
func (c *Client) putNotes(ctx context.Context, f *found, notes string) error {
	body := map[string]any{"@odata.type": f.kind.odata(), "notes": notes}
	return c.api.Call(ctx, msgraph.Fresh, http.MethodPatch, appPath(f.app.ID), body, nil)
}
