package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// actionsToken asks GitHub Actions for the job's identity as a token (GitHub:
// "OpenID Connect reference"), for an audience. It needs the permission id-token:
// write.
func (a *app) actionsToken(ctx context.Context, audience string) (string, error) {
	address, bearer := a.getenv("ACTIONS_ID_TOKEN_REQUEST_URL"), a.getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
	if address == "" || bearer == "" {
		return "", &fleet.Error{Op: "cli.token", Kind: fleet.Invalid, Err: errors.New("no client secret, and not in a GitHub Actions job that may ask for a token"),
			Hint: "set AZURE_CLIENT_SECRET, or give the job the permission id-token: write"}
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", fleet.Errorf(fleet.Invalid, "cli.token", "", "ACTIONS_ID_TOKEN_REQUEST_URL is no address")
	}
	q := u.Query()
	q.Set("audience", audience)
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	clock, err := a.clock()
	if err != nil {
		return "", err
	}
	resp, err := transport.New(transport.Options{Clock: clock}).Do(ctx, req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var answer struct{ Value string }
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&answer); err != nil || answer.Value == "" {
		return "", fleet.Errorf(fleet.Internal, "cli.token", "", "the answer holds no token")
	}
	return answer.Value, nil
}
