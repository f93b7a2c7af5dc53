package intune

import (
	"context"
	"fmt"
	"net/http"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// writeNotes changes nothing of an app but its notes. They are sent whole, so they are
// looked at before each attempt: errChanged where they are not what was read, nor what
// an attempt without an answer has written.
func (c *Client) writeNotes(ctx context.Context, f *found, notes string) error {
	unchanged := fleet.While(ctx, func() error {
		if err := fleet.Still(ctx); err != nil {
			return err
		}
		app, err := c.read(ctx, f.app.ID)
		if transport.StatusOf(err) == http.StatusNotFound {
			return fmt.Errorf("%w: it is gone", errChanged)
		}
		if err == nil && !sameNotes(text(app.Notes), text(f.app.Notes)) && !sameNotes(text(app.Notes), notes) {
			err = errChanged
		}
		return err
	})
	body := map[string]any{"@odata.type": f.kind.odata(), "notes": notes}
	return c.api.Call(unchanged, msgraph.Fresh, http.MethodPatch, appPath(f.app.ID), body, nil)
}
