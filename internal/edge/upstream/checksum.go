package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/releases"
	"github.com/packmill/packmill/internal/transport"
)

// maxChecksums bounds a file of checksums: those of a thousand downloads take a
// tenth of it.
const maxChecksums = 1 << 20

// checksums adds the digests that the vendor publishes of a version's downloads
// to what is known of them, for installers whose source says where.
func (c *Client) checksums(ctx context.Context, p fleet.Package, t told, v string, at map[string]Located, hosts []string) error {
	for _, key := range p.InstallerKeys() {
		source, known := p.Installers[key].Source, at[key]
		if source == nil || source.Checksum == nil {
			continue
		}
		if err := c.checksum(ctx, *source.Checksum, t, v, &known, hosts); err != nil {
			return fmt.Errorf("installer %s: checksum: %w", key, err)
		}
		at[key] = known
	}
	return nil
}

// checksum adds to one download what the file of checksums states of it. A feed
// that states another digest of the same download is a hold.
func (c *Client) checksum(ctx context.Context, s fleet.Checksum, t told, v string, at *Located, hosts []string) error {
	address := t.fill(s.URL, v)
	if s.Asset != "" {
		file, err := t.asset(t.fill(s.Asset, v), v)
		if err != nil {
			return err
		}
		address = file.URL
	}
	if err := allowedHost(address, hosts); err != nil {
		return err
	}
	body, err := c.get(ctx, query{url: address, client: c.guarded.Limit(maxChecksums), hosts: hosts})
	var large *transport.TooLargeError
	if errors.As(err, &large) {
		return unread(address, err)
	}
	if err != nil {
		return err
	}
	sum, long, err := releases.Checksums(body, at.name)
	if err != nil {
		return unread(address, err)
	}
	if at.Digest != "" && sum != "" && at.Digest != sum || at.SHA512 != "" && long != "" && at.SHA512 != long {
		return holdf(fleet.HoldChangedHash, "%s states another digest of %s than the feed", address, at.name)
	}
	if sum != "" {
		at.Digest = sum
	}
	if long != "" {
		at.SHA512 = long
	}
	return nil
}

// lastPart is the file name at the end of an address, "" when there is none.
func lastPart(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	if name := path.Base(u.Path); name != "/" && name != "." {
		return name
	}
	return ""
}
