package upstream

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// Document is the body at an address of a catalog of others, behind the same
// guard and bounds as a feed. Errors are *Hold or amount to one (HoldOf).
func (c *Client) Document(ctx context.Context, address string) ([]byte, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.User != nil {
		return nil, holdf(fleet.HoldNotAllowed, "%q is no plain https address", address)
	}
	return c.get(ctx, query{url: address, client: c.guarded})
}

// GitHubFile is a file of a repository's default branch, as it is
// (docs.github.com/rest/repos/contents, media type raw).
func (c *Client) GitHubFile(ctx context.Context, repository, path string) ([]byte, error) {
	return c.askGitHub(ctx, c.contents(repository, path), gitHubRaw)
}

// GitHubFolder lists a folder of a repository's default branch: names, those of
// folders with a "/" at their end. GitHub lists at most 1,000.
func (c *Client) GitHubFolder(ctx context.Context, repository, path string) ([]string, error) {
	body, err := c.askGitHub(ctx, c.contents(repository, path), gitHubJSON)
	if err != nil {
		return nil, err
	}
	var list []struct {
		Name string `json:"name"`
		Type string `json:"type"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, holdf(fleet.HoldUnreachable, "%s of %s is no folder: %w", path, repository, err)
	}
	var out []string
	for _, e := range list {
		if e.Type == "dir" {
			e.Name += "/"
		}
		out = append(out, e.Name)
	}
	return out, nil
}

// contents is the address of a file or folder of a repository's default branch.
func (c *Client) contents(repository, path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return c.githubAPI("/repos/" + repository + "/contents/" + strings.Join(parts, "/"))
}
