// Package conformance is what packmill expects of every upstream, whether it is
// simulated or a vendor's own: a suite that is given the client's configuration
// and packages that are there.
package conformance

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/edge/upstream"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/version"
)

// Upstream asks for each package and downloads each of its installers. A source
// out of reach skips its part of the suite, and only that.
func Upstream(t *testing.T, config upstream.Config, packages map[string]fleet.Package, hosts []string) {
	for name, p := range packages {
		t.Run(name, func(t *testing.T) {
			c := upstream.New(config)
			found, err := c.Find(t.Context(), p, hosts, nil)
			reached(t, err)
			if _, err := version.SchemeOf(*p.Upstream).Parse(found.Version); err != nil {
				t.Errorf("the feed's version: %v", err)
			}
			sent := c.Summary().Requests
			if again, err := c.Find(t.Context(), p, hosts, nil); err != nil || again.Version != found.Version {
				t.Errorf("the second time: %q, %v", again.Version, err)
			}
			if n := c.Summary().Requests; n != sent {
				t.Errorf("the second time sent %d more requests", n-sent)
			}
			for _, key := range p.InstallerKeys() {
				t.Run(key, func(t *testing.T) { download(t, c, found.Installers[key], hosts) })
			}
		})
	}
}

// reached skips where the machine has no way to the source.
func reached(t *testing.T, err error) {
	t.Helper()
	var network net.Error
	if errors.As(err, &network) {
		t.Skipf("out of reach: %v", err)
	}
	if err != nil && strings.Contains(err.Error(), "no apt source of this machine") {
		t.Skipf("not set up here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// download reads an installer: it must be what the vendor states, must be the
// same when it is pinned, and must be refused under another digest.
func download(t *testing.T, c *upstream.Client, at upstream.Located, hosts []string) {
	d := fleet.Download{URL: at.URL, PURL: at.PURL, SHA512: at.SHA512}
	digest, size, err := read(t, c, d, hosts)
	reached(t, err)
	if at.Digest != "" && at.Digest != digest || at.Size != 0 && at.Size != size {
		t.Errorf("the vendor states %s and %d bytes, but sends %s and %d", at.Digest, at.Size, digest, size)
	}
	d.SHA256, d.Size = digest, size
	if _, _, err := read(t, c, d, hosts); err != nil {
		t.Errorf("pinned: %v", err)
	}
	wrong := d
	wrong.SHA256 = fleet.DigestOf([]byte("other bytes"))
	short := d
	short.Size--
	for name, d := range map[string]fleet.Download{"another digest": wrong, "one byte less": short} {
		if d.PURL != "" && name == "one byte less" {
			continue // the index states the size itself
		}
		_, _, err := read(t, c, d, hosts)
		if h, ok := upstream.HoldOf(err); err == nil || !ok || h.Name != fleet.HoldChangedHash {
			t.Errorf("%s: %v, want the hold %s", name, err, fleet.HoldChangedHash)
		}
	}
	if d.URL == "" {
		return
	}
	_, _, err = read(t, c, d, []string{"elsewhere.example"})
	if h, ok := upstream.HoldOf(err); err == nil || !ok || h.Name != fleet.HoldNotAllowed {
		t.Errorf("a host that is not the publisher's: %v, want the hold %s", err, fleet.HoldNotAllowed)
	}
}

func read(t *testing.T, c *upstream.Client, d fleet.Download, hosts []string) (fleet.Digest, int64, error) {
	t.Helper()
	body, err := c.Fetch(t.Context(), d, hosts)
	if err != nil {
		return "", 0, err
	}
	defer body.Close()
	_, err = io.Copy(io.Discard, body)
	return body.Digest(), body.Size(), err
}
