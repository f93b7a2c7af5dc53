package upstream

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/releases"
)

// githubRelease is the part of a release that is read
// (docs.github.com/rest/releases/releases, "List releases").
type githubRelease struct {
	Tag        string        `json:"tag_name"`
	Draft      bool          `json:"draft"`
	Prerelease bool          `json:"prerelease"`
	Published  time.Time     `json:"published_at"`
	Body       string        `json:"body"`
	Page       string        `json:"html_url"`
	Assets     []githubAsset `json:"assets"`
}

type githubAsset struct {
	Name   string `json:"name"`
	URL    string `json:"browser_download_url"`
	Size   int64  `json:"size"`
	Digest string `json:"digest"` // "sha256:…" since June 2025, null before
}

// github reads the newest 50 releases of a repository.
func (c *Client) github(ctx context.Context, feed fleet.GitHubReleases) ([]releases.Entry, error) {
	address := c.githubAPI("/repos/" + feed.Repository + "/releases?per_page=50")
	body, err := c.askGitHub(ctx, address, gitHubJSON)
	if err != nil {
		return nil, err
	}
	var list []githubRelease
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, holdf(fleet.HoldUnreachable, "%s: the answer is no list of releases: %w", address, err)
	}
	var out []releases.Entry
	for _, r := range list {
		if r.Draft {
			continue
		}
		e := releases.Entry{Version: r.Tag, Published: r.Published.UTC(), Prerelease: r.Prerelease, Notes: r.Body, NotesURL: r.Page}
		for _, a := range r.Assets {
			f := releases.File{Name: a.Name, URL: a.URL, Size: a.Size}
			if d := fleet.Digest(a.Digest); d.Valid() {
				f.SHA256 = d
			}
			e.Files = append(e.Files, f)
		}
		out = append(out, e)
	}
	return out, nil
}

// githubAPI is an address of the REST API.
func (c *Client) githubAPI(path string) string {
	return strings.TrimSuffix(c.config.GitHubAPI, "/") + path
}

// Forms of answers of the REST API (docs.github.com/rest/using-the-rest-api/
// getting-started-with-the-rest-api, "Media types").
const (
	gitHubJSON = "application/vnd.github+json"
	gitHubRaw  = "application/vnd.github.raw+json" // a file's bytes
)

// askGitHub asks the REST API, with the token if there is one.
func (c *Client) askGitHub(ctx context.Context, address, accept string) ([]byte, error) {
	client, header := c.guarded, map[string]string{"Accept": accept, "X-GitHub-Api-Version": "2022-11-28"}
	if c.config.GitHubAPI != DefaultGitHubAPI {
		client = c.configured
	}
	if c.config.GitHubToken != "" {
		header["Authorization"] = "Bearer " + c.config.GitHubToken
	}
	return c.get(ctx, query{url: address, header: header, client: client})
}
