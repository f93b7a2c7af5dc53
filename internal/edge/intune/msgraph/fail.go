package msgraph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// Fail gives an error its place and kind. An error that has one already, and
// the end of the context, pass unchanged.
func (c *Client) Fail(op string, object string, err error) error {
	var known *fleet.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	e := &fleet.Error{Op: op, Object: object, Kind: fleet.Internal, Err: err}
	if errors.Is(err, fleet.ErrTheirs) {
		e.Kind, e.Hint = fleet.Waiting, "somebody in the tenant is changing it: run again when he is done"
		return e
	}
	var status *transport.StatusError
	if !errors.As(err, &status) {
		return e
	}
	if text := graphMessage(status.Body); text != "" {
		e.Err = fmt.Errorf("%s: %w", text, err)
	}
	switch status.Status {
	case http.StatusUnauthorized:
		e.Kind, e.Hint = fleet.Refused, "the tenant does not accept the credential: check secret, certificate or federation"
	case http.StatusForbidden:
		e.Kind, e.Hint = fleet.Refused, grantHint(status.Method, status.URL)
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		e.Kind = fleet.Invalid
	case http.StatusNotFound, http.StatusConflict, http.StatusLocked, http.StatusPreconditionFailed:
		e.Kind, e.Hint = fleet.Waiting, "the service has not settled: run again, the work goes on where it stopped"
	case http.StatusTooManyRequests:
		e.Kind, e.Hint = fleet.Waiting, "the tenant's request limit is used up: run again later, the work goes on where it stopped"
	}
	return e
}

// grantHint names the permissions that a refused call wants, all that every
// tenant needs where the table does not know it.
func grantHint(method, address string) string {
	roles := rolesFor(method, address)
	if len(roles) == 0 {
		for _, p := range Permissions() {
			if p.Always {
				roles = append(roles, p.Role)
			}
		}
	}
	return "grant the application " + strings.Join(roles, ", ") + " in the tenant and consent again; `packmill tenants check` lists what is missing"
}

// graphMessage is code and message of Graph's error object.
func graphMessage(body []byte) string {
	var doc struct {
		Error struct{ Code, Message string } `json:"error"`
	}
	if json.Unmarshal(body, &doc) != nil || doc.Error.Code == "" {
		return ""
	}
	if doc.Error.Message == "" {
		return doc.Error.Code
	}
	return doc.Error.Code + ": " + doc.Error.Message
}

// Passing reports whether the same call may succeed when it is made again at
// once: the answer was lost, the service stumbled or has not settled. Nothing does
// where nothing may be written any more.
func Passing(ctx context.Context, err error) bool {
	if err == nil || ctx.Err() != nil || fleet.Still(ctx) != nil {
		return false
	}
	var known *fleet.Error
	if errors.As(err, &known) {
		return waitsForToken(known)
	}
	status := transport.StatusOf(err)
	return status == 0 || status >= 500 || status == http.StatusTooManyRequests || unsettled(err)
}
