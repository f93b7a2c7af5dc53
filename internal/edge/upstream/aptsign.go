package upstream

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// releaseFile is a suite's Release file, as somebody signed it whose key this
// machine's apt trusts for the source (apt-secure(8), wiki.debian.org/SecureApt).
// A source without keys is believed over https, whose server is known, and never
// over plain http, on whose way anybody can answer.
func (c *Client) releaseFile(ctx context.Context, source AptSource, dist string) ([]byte, error) {
	signed, err := c.get(ctx, query{url: dist + "/InRelease", client: c.configured})
	if transport.StatusOf(err) == http.StatusNotFound && len(source.Keys) == 0 {
		signed, err = c.get(ctx, query{url: dist + "/Release", client: c.configured})
	}
	if err != nil {
		return nil, err
	}
	if len(source.Keys) == 0 {
		if !trustedWay(source.URI) {
			return nil, holdf(fleet.HoldNotAllowed, "%s is plain http, and this machine's apt has no key for it (Signed-By, trusted.gpg.d)", source.URI)
		}
		if block, _ := clearsign.Decode(signed); block != nil {
			return block.Plaintext, nil
		}
		return signed, nil
	}
	block, _ := clearsign.Decode(signed)
	if block == nil {
		return nil, holdf(fleet.HoldSigner, "%s/InRelease carries no signature", dist)
	}
	keys, err := source.keyring()
	if err != nil {
		return nil, err
	}
	config := &packet.Config{Time: c.config.Clock.Now}
	if _, err := openpgp.CheckDetachedSignature(keys, bytes.NewReader(block.Bytes), block.ArmoredSignature.Body, config); err != nil {
		return nil, holdf(fleet.HoldSigner, "%s/InRelease is signed by nobody whose key this machine's apt has for the source: %w", dist, err)
	}
	return block.Plaintext, nil
}

// keyring are the keys of a source, binary or in ASCII armor.
func (s AptSource) keyring() (openpgp.EntityList, error) {
	var all openpgp.EntityList
	var failures []error
	for _, text := range s.Keys {
		read := openpgp.ReadKeyRing
		if strings.Contains(text, "-----BEGIN PGP") {
			read = openpgp.ReadArmoredKeyRing
		}
		keys, err := read(strings.NewReader(text))
		if err != nil {
			failures = append(failures, err)
			continue
		}
		all = append(all, keys...)
	}
	if len(all) == 0 {
		return nil, holdf(fleet.HoldSigner, "no key for %s can be read: %w", s.URI, errors.Join(failures...))
	}
	return all, nil
}

// trustedWay reports whether answers from an address are its server's own: https,
// or this machine.
func trustedWay(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}
