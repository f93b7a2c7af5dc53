package msgraph

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// maxPages bounds how far a list is followed: a service that always sends a
// next link must not keep a run busy forever.
const maxPages = 10_000

// A Settle says how long an answer of "not there" or "busy" is taken for the
// service's own delay: what was just created is not everywhere at once.
type Settle int

const (
	// Final takes every answer as it is.
	Final Settle = iota
	// Fresh asks again for a while where an answer is 404, 409 or 423.
	Fresh
)

const (
	settleTries = 10
	settleWait  = 10 * time.Second
)

// Call sends one request to Graph and decodes the answer into out, unless that
// is nil.
func (c *Client) Call(ctx context.Context, s Settle, method, path string, in, out any) error {
	body, err := marshal(in)
	if err != nil {
		return err
	}
	wait := time.Second
	for try := 1; ; try++ {
		err := c.once(ctx, method, path, body, out)
		if err == nil || s == Final || try >= settleTries || !unsettled(err) {
			return err
		}
		if err := c.clock.Sleep(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, settleWait)
	}
}

// marshal is a request's body, nil for none.
func marshal(in any) ([]byte, error) {
	if in == nil {
		return nil, nil
	}
	return json.Marshal(in)
}

// unsettled reports whether a refusal may only mean "not yet".
func unsettled(err error) bool {
	switch transport.StatusOf(err) {
	case http.StatusNotFound, http.StatusConflict, http.StatusLocked:
		return true
	}
	return false
}

// once sends a request with a token of the tenant, with a new one when the
// first has expired meanwhile, and with a justification when it is found to need
// one.
func (c *Client) once(ctx context.Context, method, path string, body []byte, out any) error {
	err := c.send(ctx, method, path, body, out)
	if transport.StatusOf(err) == http.StatusUnauthorized {
		if forget, ok := c.token.(interface{ Forget() }); ok {
			forget.Forget()
			err = c.send(ctx, method, path, body, out)
		}
	}
	if method == http.MethodGet {
		return err
	}
	held, again := c.held(err)
	if again {
		held, _ = c.held(c.send(ctx, method, path, body, out))
	}
	return held
}

func (c *Client) send(ctx context.Context, method, path string, body []byte, out any) error {
	target, err := c.resolve(path)
	if err != nil {
		return err
	}
	token, err := c.bearer(fleet.While(ctx, nil)) // asked for by a POST that changes nothing
	if err != nil {
		return err
	}
	parts, _ := ctx.Value(partsKey{}).(int)
	if err := c.pace(ctx, method != http.MethodGet, max(parts, 1)); err != nil {
		return err
	}
	req, err := http.NewRequest(method, target, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if body == nil {
		req.Body, req.GetBody = http.NoBody, nil
	} else {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Accept", "application/json, application/octet-stream")
	if err := c.justify(ctx, req, path, body); err != nil {
		return err
	}
	sent := c.clock.Now()
	resp, err := c.http.Do(ctx, req)
	if err != nil {
		var status *transport.StatusError
		if errors.As(err, &status) {
			c.noticed(status.Header, sent, c.clock.Now())
		}
		return err
	}
	defer resp.Body.Close()
	c.noticed(resp.Header, sent, c.clock.Now())
	if out == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("%s %s: answer is no JSON of the expected form: %w", method, path, err)
	}
	return nil
}

// resolve makes a path, or a next link, an address below the base. A link to
// another host would carry the token there.
func (c *Client) resolve(path string) (string, error) {
	address := path
	if strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") {
		address = c.base.String() + path
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	if u.Scheme != c.base.Scheme || u.Host != c.base.Host || u.User != nil {
		return "", fleet.Errorf(fleet.Refused, "intune.call", c.directory, "the service links to another host, %q", u.Host)
	}
	return address, nil
}

// bearer is a token that belongs to the tenant: nothing is sent with another
// tenant's credential, whatever the caller mixed up.
func (c *Client) bearer(ctx context.Context) (string, error) {
	token, err := c.token.Token(ctx)
	if outage(err) {
		return "", &fleet.Error{Op: tokenOp, Object: c.directory, Kind: fleet.Waiting, Err: err,
			Hint: "the sign-in service cannot be asked for a token: run again, the work goes on where it stopped"}
	}
	if err != nil {
		var known *fleet.Error
		if errors.As(err, &known) || ctx.Err() != nil {
			return "", err
		}
		return "", &fleet.Error{Op: "intune.token", Object: c.directory, Kind: fleet.Refused, Err: err,
			Hint: "check the credentials that were configured for this tenant"}
	}
	return token, c.owned(token)
}

// owned refuses a token of another tenant.
func (c *Client) owned(token string) error {
	read, err := claimsOf(token)
	if err != nil {
		return &fleet.Error{Op: "intune.token", Object: c.directory, Kind: fleet.Refused, Err: err}
	}
	if read.TID != c.directory {
		return &fleet.Error{Op: "intune.token", Object: c.directory, Kind: fleet.Refused,
			Err:  fmt.Errorf("the token belongs to tenant %q", read.TID),
			Hint: "a credential of another tenant was configured; nothing was sent"}
	}
	return nil
}

// page is one page of a collection.
type page[T any] struct {
	Value []T    `json:"value"`
	Next  string `json:"@odata.nextLink"`
}

// List reads a whole collection, following its next links.
func List[T any](ctx context.Context, c *Client, s Settle, path string) ([]T, error) {
	var all []T
	seen := map[string]bool{}
	for next := path; next != ""; {
		if seen[next] || len(seen) >= maxPages {
			return nil, fleet.Errorf(fleet.Internal, "intune.list", path, "the service's pages do not end")
		}
		seen[next] = true
		var p page[T]
		if err := c.Call(ctx, s, http.MethodGet, next, nil, &p); err != nil {
			return nil, err
		}
		all = append(all, p.Value...)
		next = p.Next
	}
	return all, nil
}

// Query is path with OData options, in the order given: name, value, name, …
func Query(path string, options ...string) string {
	for i := 0; i+1 < len(options); i += 2 {
		sep := "&"
		if i == 0 {
			sep = "?"
		}
		path += sep + options[i] + "=" + url.QueryEscape(options[i+1])
	}
	return path
}
