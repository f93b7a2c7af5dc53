package upstream

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/releases"
	"github.com/packmill/packmill/internal/transport"
)

// winget lists the versions of a package. A REST source tells their installers
// too; of a repository the manifest of the newest is read by manifest.
func (c *Client) winget(ctx context.Context, feed fleet.Winget) ([]releases.Entry, error) {
	if feed.Source != "" {
		return c.read(ctx, strings.TrimSuffix(feed.Source, "/")+"/packageManifests/"+url.PathEscape(feed.ID), releases.WingetREST)
	}
	first := strings.ToLower(string([]rune(feed.ID)[:1]))
	address := c.contents(feed.Repository, "manifests/"+first+"/"+strings.ReplaceAll(feed.ID, ".", "/"))
	body, err := c.askGitHub(ctx, address, gitHubJSON)
	if err != nil {
		return nil, err
	}
	list, err := releases.WingetFolder(body)
	return list, unread(address, err)
}

// manifest adds to a version of a repository what its manifest says.
func (c *Client) manifest(ctx context.Context, feed fleet.Winget, e *releases.Entry) error {
	address := c.contents(feed.Repository, e.More+"/"+feed.ID+".installer.yaml")
	body, err := c.askGitHub(ctx, address, gitHubRaw)
	if transport.StatusOf(err) == http.StatusNotFound {
		address = c.contents(feed.Repository, e.More+"/"+feed.ID+".yaml") // a singleton: all in one file
		body, err = c.askGitHub(ctx, address, gitHubRaw)
	}
	if err != nil {
		return err
	}
	told, err := releases.WingetManifest(body)
	if err != nil {
		return unread(address, err)
	}
	if folder := e.More[strings.LastIndexByte(e.More, '/')+1:]; told.Version != folder {
		return holdf(fleet.HoldUnparsable, "%s: the manifest in the folder of %s is of version %s", address, folder, shorten(told.Version))
	}
	e.Published, e.Files = told.Published, told.Files
	return nil
}
