package upstream

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/releases"
)

// gitHubTags reads a repository's tags as git does: that costs nothing of the
// quota of GitHub's API.
func (c *Client) gitHubTags(ctx context.Context, feed fleet.GitHubTags) ([]releases.Entry, error) {
	address := "https://github.com/" + feed.Repository + ".git/git-upload-pack"
	body, err := c.get(ctx, query{
		url: address, client: c.guarded, hosts: []string{"github.com"}, method: http.MethodPost, body: releases.GitTagsCommand(),
		header: map[string]string{
			"Git-Protocol": "version=2", "Content-Type": "application/x-git-upload-pack-request", "Accept": "application/x-git-upload-pack-result",
		},
	})
	if err != nil {
		return nil, err
	}
	list, err := releases.GitTags(body)
	return list, unread(address, err)
}

// gitLab reads the newest 50 releases of a project.
func (c *Client) gitLab(ctx context.Context, feed fleet.GitLab) ([]releases.Entry, error) {
	address := strings.TrimSuffix(feed.Instance, "/") + "/api/v4/projects/" + url.PathEscape(feed.Project) + "/releases?per_page=50"
	return c.read(ctx, address, releases.GitLab)
}

// gitea reads the newest 50 releases of a repository.
func (c *Client) gitea(ctx context.Context, feed fleet.Gitea) ([]releases.Entry, error) {
	return c.read(ctx, strings.TrimSuffix(feed.Instance, "/")+"/api/v1/repos/"+feed.Repository+"/releases?limit=50", releases.Gitea)
}
