package upstream

import (
	"context"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/releases"
)

// rpm reads the versions of a package for an architecture, those for any
// included.
func (c *Client) rpm(ctx context.Context, feed fleet.RPM) ([]releases.Entry, error) {
	base := strings.TrimSuffix(feed.URL, "/")
	packages, err := c.rpms.get(ctx, base, func() (map[string][]releases.Entry, error) { return c.rpmPackages(ctx, base) })
	if err != nil {
		return nil, err
	}
	list := slices.Concat(packages[feed.Package+" "+feed.Architecture], packages[feed.Package+" noarch"])
	if len(list) == 0 {
		return nil, holdf(fleet.HoldUnparsable, "%s lists no package %s for %s", base, feed.Package, feed.Architecture)
	}
	return list, nil
}

// rpmPackages reads a repository's list of packages, which must be the one that
// repomd.xml states.
func (c *Client) rpmPackages(ctx context.Context, base string) (map[string][]releases.Entry, error) {
	address := base + "/repodata/repomd.xml"
	body, err := c.document(ctx, address)
	if err != nil {
		return nil, err
	}
	index, err := releases.RPMRepository(body)
	if err != nil {
		return nil, unread(address, err)
	}
	address = base + "/" + index.Path
	packed, err := c.document(ctx, address)
	if err != nil {
		return nil, err
	}
	if hexSum(packed) != index.SHA256 {
		return nil, holdf(fleet.HoldUnreachable, "%s does not have the digest that repomd.xml states: the repository is being updated, or lies", address)
	}
	r, err := unpack(packed, path.Ext(index.Path))
	if err != nil {
		return nil, unread(address, err)
	}
	limited := &io.LimitedReader{R: r, N: maxIndex}
	packages, err := releases.RPMPackages(limited, base)
	if limited.N == 0 {
		return nil, holdf(fleet.HoldUnparsable, "%s unpacks to more than %d bytes", address, maxIndex)
	}
	return packages, unread(address, err)
}
