package upstream

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/version"
)

// githubRelease is the part of a release that is read
// (docs.github.com/rest/releases/releases, "List releases").
type githubRelease struct {
	Tag        string        `json:"tag_name"`
	Draft      bool          `json:"draft"`
	Prerelease bool          `json:"prerelease"`
	Published  time.Time     `json:"published_at"`
	Notes      string        `json:"body"` // Markdown by the vendor
	Page       string        `json:"html_url"`
	Assets     []githubAsset `json:"assets"`
}

type githubAsset struct {
	Name   string `json:"name"`
	URL    string `json:"browser_download_url"`
	Size   int64  `json:"size"`
	Digest string `json:"digest"` // "sha256:…" since June 2025, null before
}

// github reads the newest 50 releases of a repository. Tags that do not follow
// the feed's pattern are of another product or channel.
func (c *Client) github(ctx context.Context, feed fleet.GitHubReleases, u fleet.Upstream) (told, error) {
	client, header := c.guarded, map[string]string{"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
	if c.config.GitHubAPI != DefaultGitHubAPI {
		client = c.configured
	}
	if c.config.GitHubToken != "" {
		header["Authorization"] = "Bearer " + c.config.GitHubToken
	}
	address := strings.TrimSuffix(c.config.GitHubAPI, "/") + "/repos/" + feed.Repository + "/releases?per_page=50"
	body, err := c.get(ctx, query{url: address, header: header, client: client})
	if err != nil {
		return told{}, err
	}
	var list []githubRelease
	if err := json.Unmarshal(body, &list); err != nil {
		return told{}, holdf(fleet.HoldUnreachable, "%s: the answer is no list of releases: %w", address, err)
	}
	t := told{releases: map[string]githubRelease{}}
	var candidates []string
	for _, r := range list {
		v, ok := version.Extract(tagPattern(feed), r.Tag)
		if r.Draft || !ok {
			continue
		}
		t.releases[v] = r
		if !r.Prerelease || u.Prerelease {
			candidates = append(candidates, v)
		}
	}
	if len(candidates) == 0 && len(list) > 0 {
		return told{}, holdf(fleet.HoldUnparsable, "no release has a tag of the form %q; the newest is %q", tagPattern(feed), list[0].Tag)
	}
	if t.version, err = newest(u, candidates); err != nil {
		return told{}, err
	}
	latest := t.releases[t.version]
	t.published, t.notes, t.notesURL = latest.Published.UTC(), latest.Notes, latest.Page
	return t, nil
}

func tagPattern(feed fleet.GitHubReleases) string {
	if feed.Tag == "" {
		return "{version}"
	}
	return feed.Tag
}

// asset fills in where the release's asset of that name is.
func (t told) asset(at *Located, name, v string) error {
	release, ok := t.releases[v]
	if !ok {
		return holdf(fleet.HoldUnreachable, "the feed lists no release %s", v)
	}
	for _, a := range release.Assets {
		if a.Name == name {
			at.URL, at.Size = a.URL, a.Size
			if d := fleet.Digest(a.Digest); d.Valid() {
				at.Digest = d
			}
			return nil
		}
	}
	return holdf(fleet.HoldUnreachable, "release %s has no asset %q (yet)", v, name)
}
