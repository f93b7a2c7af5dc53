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

const (
	maxPages     = 40 // of the versions of a package, NuGet 2: they list the oldest first
	newestPages  = 8  // of a registration: each has 64 versions
	unlistedHint = "all that the feed lists is unlisted"
)

// nuget reads the listed versions of a package.
func (c *Client) nuget(ctx context.Context, feed fleet.NuGet) (list []releases.Entry, err error) {
	if feed.Protocol == 2 {
		list, err = c.nuget2(ctx, feed)
	} else {
		list, err = c.nuget3(ctx, feed)
	}
	if err == nil && len(list) == 0 {
		return nil, holdf(fleet.HoldUnparsable, "NuGet package %s: %s", feed.ID, unlistedHint)
	}
	return list, err
}

// nuget3 reads the registration, which tells what is listed, or the plain list
// of versions of a server that has none.
func (c *Client) nuget3(ctx context.Context, feed fleet.NuGet) ([]releases.Entry, error) {
	body, err := c.document(ctx, feed.Source)
	if err != nil {
		return nil, err
	}
	registrations, packages, err := releases.NuGetService(body)
	if err != nil {
		return nil, unread(feed.Source, err)
	}
	id := url.PathEscape(strings.ToLower(feed.ID))
	if registrations == "" {
		return c.readTold(ctx, packages+id+"/index.json", func(data []byte) ([]releases.Entry, error) { return releases.NuGetVersions(data, packages, feed.ID) })
	}
	var pages []string
	list, err := c.readTold(ctx, registrations+id+"/index.json", func(data []byte) (list []releases.Entry, err error) {
		list, pages, err = releases.NuGetRegistration(data)
		return list, err
	})
	if err != nil {
		return nil, err
	}
	for _, page := range pages[max(len(pages)-newestPages, 0):] {
		more, err := c.readTold(ctx, page, func(data []byte) ([]releases.Entry, error) {
			list, _, err := releases.NuGetRegistration(data)
			return list, err
		})
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	return list, nil
}

// nuget2 reads all pages of the versions of a package.
func (c *Client) nuget2(ctx context.Context, feed fleet.NuGet) ([]releases.Entry, error) {
	root := strings.TrimSuffix(feed.Source, "/")
	address := root + "/FindPackagesById()?id='" + url.QueryEscape(feed.ID) + "'"
	var out []releases.Entry
	for range maxPages {
		var next string
		list, err := c.read(ctx, address, func(data []byte) (list []releases.Entry, err error) {
			list, next, err = releases.NuGetOData(data, feed.ID)
			return list, err
		})
		if err != nil {
			return nil, err
		}
		if out = append(out, list...); next == "" {
			return out, nil
		}
		if address, err = sameHost(address, next); err != nil {
			return nil, err
		}
	}
	return nil, holdf(fleet.HoldUnparsable, "%s: the versions of %s fill more than %d pages", root, feed.ID, maxPages)
}

// sameHost is the address of a next page, which must not lead elsewhere.
func sameHost(from, next string) (string, error) {
	base, err := url.Parse(from)
	if err != nil {
		return "", err
	}
	ref, err := url.Parse(next)
	if err != nil {
		return "", holdf(fleet.HoldUnparsable, "%s: the next page has no address: %q", from, shorten(next))
	}
	to := base.ResolveReference(ref)
	if to.Scheme == "http" {
		to.Scheme = "https" // servers behind a proxy do not know how they are reached
	}
	if to.Host != base.Host || to.Scheme != base.Scheme {
		return "", holdf(fleet.HoldNotAllowed, "%s: the next page is at %s", from, shorten(to.Host))
	}
	return to.String(), nil
}

// readTold reads a document whose address another document told: it must be an
// https address, as in package files.
func (c *Client) readTold(ctx context.Context, address string, reader func([]byte) ([]releases.Entry, error)) ([]releases.Entry, error) {
	if u, err := url.Parse(address); err != nil || u.Scheme != "https" || u.User != nil {
		return nil, holdf(fleet.HoldNotAllowed, "%q is no plain https address", shorten(address))
	}
	list, err := c.read(ctx, address, reader)
	if transport.StatusOf(err) == http.StatusNotFound {
		return nil, holdf(fleet.HoldUnreachable, "there is no %s (yet)", address)
	}
	return list, err
}
