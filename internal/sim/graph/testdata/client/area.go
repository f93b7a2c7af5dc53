// Package area is a client that makes requests in all the ways that the contract
// test must see.
package area

import (
	"context"
	"net/http"
	"net/url"
)

const thingsPath = "/" + version + "/things"
const version = "beta"

func partsPath(id string) string { return thingsPath + "/" + url.PathEscape(id) + "/parts" }

func (c *Client) list(ctx context.Context) ([]thing, error) {
	c.log("a call of something else")
	return msgraph.List[thing](ctx, c.api, msgraph.Final, msgraph.Query(thingsPath, "$top", "10"))
}

func (c *Client) change(ctx context.Context, at string, body any) error {
	return c.api.Call(ctx, msgraph.Final, http.MethodPatch, at+"/change", body, nil)
}

func (c *Client) changes(ctx context.Context) error {
	if err := c.change(ctx, thingsPath, nil); err != nil {
		return err
	}
	return c.change(ctx,
		partsPath("1"), nil)
}

func (c *Client) batch(ctx context.Context, calls []call) error {
	return c.api.Batch(ctx, "v1.0", calls)
}

func (c *Client) storage(ctx context.Context, method string) error {
	req, _ := http.NewRequest(method, "https://storage.example", nil)
	get := c.api.HTTP()
	_, err := get.Do(ctx, req)
	return err
}

func (c *Client) fetch(ctx context.Context) error {
	c.log("before")
	return c.storage(ctx, http.MethodGet)
}
