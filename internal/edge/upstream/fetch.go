package upstream

import (
	"context"
	"net/url"
	"slices"

	packageurl "github.com/package-url/packageurl-go"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// Fetch opens the bytes of a download: at its URL, which must be on one of the
// publisher's hosts, or by its package URL. The reader checks them against
// everything that is known: size and digest of the download when they are set,
// the registry's integrity or the index's digest for a package URL. It answers
// io.EOF only if all of them agree, else a *Hold: keep nothing of bytes that
// were not read to the end. A download that breaks off goes on where it stopped
// if the server can be asked for the rest of the same bytes (see transfer).
//
// Uploads and patched bases are not upstream's: Fetch refuses them.
func (c *Client) Fetch(ctx context.Context, d fleet.Download, hosts []string) (*Body, error) {
	want := expected{size: d.Size, digest: d.SHA256}
	if d.SHA512 != "" {
		if err := want.hex512(d.SHA512); err != nil {
			return nil, err
		}
	}
	var address string
	client := c.guarded
	var err error
	switch {
	case d.URL != "":
		address = d.URL
		if err := allowedHost(address, hosts); err != nil {
			return nil, err
		}
		ctx = transport.WithRedirect(ctx, within(hosts))
	case d.PURL != "":
		client = c.configured
		if address, err = c.resolve(ctx, d.PURL, &want); err != nil {
			return nil, err
		}
	default:
		return nil, fleet.Errorf(fleet.Invalid, "upstream.fetch", "", "the download has neither url nor purl")
	}
	t := &transfer{ctx: ctx, client: client, clock: c.config.Clock, address: address, want: want}
	resp, err := t.begin()
	if err != nil {
		return nil, err
	}
	return newBody(t, resp), nil
}

// allowedHost refuses addresses that are not https on a publisher's host.
func allowedHost(address string, hosts []string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.User != nil {
		return holdf(fleet.HoldNotAllowed, "%q is no plain https address", address)
	}
	if !slices.Contains(hosts, u.Hostname()) {
		return holdf(fleet.HoldNotAllowed, "%s is not one of the publisher's hosts", u.Hostname())
	}
	return nil
}

// resolve is the address behind a package URL; want takes what the registry or
// index states about the bytes.
func (c *Client) resolve(ctx context.Context, text string, want *expected) (string, error) {
	p, err := parsePURL(text)
	if err != nil {
		return "", err
	}
	if p.Type == packageurl.TypeNPM {
		address, integrity, err := c.npmTarball(ctx, npmName(p), p.Version)
		if err != nil {
			return "", err
		}
		return address, want.integrity(integrity)
	}
	f, listed, err := c.debFile(ctx, p)
	if err != nil {
		return "", err
	}
	if listed {
		if want.digest != "" && want.digest != f.sha256 {
			return "", holdf(fleet.HoldChangedHash, "the index states %s for %s, but %s is pinned", f.sha256.Short(), text, want.digest.Short())
		}
		want.digest, want.size = f.sha256, f.size
	}
	return f.address()
}
