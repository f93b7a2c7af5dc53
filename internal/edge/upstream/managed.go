package upstream

import (
	"context"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/releases"
)

// managed asks the forges and package managers that list all releases of a
// project. mine is false for other feeds.
func (c *Client) managed(ctx context.Context, feed fleet.Feed) (list []releases.Entry, mine bool, err error) {
	switch {
	case feed.GitHubReleases != nil:
		list, err = c.github(ctx, *feed.GitHubReleases)
	default:
		return nil, false, nil
	}
	return list, true, err
}

func managedName(f fleet.Feed) string {
	switch {
	case f.GitHubReleases != nil:
		return "GitHub " + f.GitHubReleases.Repository
	case f.NPM != nil:
		return "npm " + f.NPM.Package
	case f.Apt != nil:
		return "apt " + f.Apt.Package + " in " + f.Apt.Suite
	case f.GoProxy != nil:
		return "Go module " + f.GoProxy.Module
	}
	return ""
}
