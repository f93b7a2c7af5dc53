package upstream

import (
	"context"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/releases"
)

// managed asks the forges and package managers that list all releases of a
// project. mine is false for other feeds.
func (c *Client) managed(ctx context.Context, feed fleet.Feed) (list []releases.Entry, mine bool, err error) {
	switch {
	case feed.GitHubReleases != nil:
		list, err = c.github(ctx, *feed.GitHubReleases)
	case feed.GitHubTags != nil:
		list, err = c.gitHubTags(ctx, *feed.GitHubTags)
	case feed.GitLab != nil:
		list, err = c.gitLab(ctx, *feed.GitLab)
	case feed.Gitea != nil:
		list, err = c.gitea(ctx, *feed.Gitea)
	case feed.Winget != nil:
		list, err = c.winget(ctx, *feed.Winget)
	case feed.NuGet != nil:
		list, err = c.nuget(ctx, *feed.NuGet)
	case feed.PyPI != nil:
		list, err = c.pypi(ctx, *feed.PyPI)
	case feed.RPM != nil:
		list, err = c.rpm(ctx, *feed.RPM)
	default:
		return nil, false, nil
	}
	return list, true, err
}

// complete adds what a feed tells of one version only when it is asked again.
func (c *Client) complete(ctx context.Context, feed fleet.Feed, t *told) error {
	if feed.Winget == nil || t.More == "" {
		return nil
	}
	err := c.manifest(ctx, *feed.Winget, &t.Entry)
	t.entries[t.Version] = t.Entry
	return err
}

func managedName(f fleet.Feed) string {
	switch {
	case f.GitHubReleases != nil:
		return "GitHub " + f.GitHubReleases.Repository
	case f.GitHubTags != nil:
		return "tags of GitHub " + f.GitHubTags.Repository
	case f.GitLab != nil:
		return "GitLab " + f.GitLab.Project
	case f.Gitea != nil:
		return strings.TrimPrefix(f.Gitea.Instance, "https://") + "/" + f.Gitea.Repository
	case f.Winget != nil:
		return "winget " + f.Winget.ID
	case f.NuGet != nil:
		return "NuGet " + f.NuGet.ID
	case f.PyPI != nil:
		return "Python project " + f.PyPI.Project
	case f.RPM != nil:
		return "rpm " + f.RPM.Package
	case f.NPM != nil:
		return "npm " + f.NPM.Package
	case f.Apt != nil:
		return "apt " + f.Apt.Package + " in " + f.Apt.Suite
	case f.GoProxy != nil:
		return "Go module " + f.GoProxy.Module
	}
	return ""
}
