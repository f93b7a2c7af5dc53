package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/version"
)

// live is a client of the upstreams that this machine's package clients use.
func live(t *testing.T) *Client {
	t.Helper()
	if testing.Short() {
		t.Skip("asks real upstreams: left out by -short")
	}
	m := Machine{Getenv: os.Getenv, Root: os.DirFS("/"), Run: func(ctx context.Context, name string, args ...string) ([]byte, error) {
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir = os.TempDir()
		return cmd.Output()
	}}
	return New(m.Config(t.Context()))
}

// reached skips the test when the upstream is out of reach from here: the only
// excuse a live test has.
func reached(t *testing.T, err error) {
	t.Helper()
	var network net.Error
	var dns *net.DNSError
	if errors.As(err, &dns) || errors.As(err, &network) || err != nil && strings.Contains(err.Error(), "configured") {
		t.Skipf("the upstream is out of reach: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestLive asks each datasource that a machine may reach for a package that
// will be there for long, and reads a few bytes of an installer.
func TestLive(t *testing.T) {
	c := live(t)
	for _, tt := range []struct {
		name, scheme string
		feed         fleet.Feed
		purl         string
	}{
		{"npm", version.Semver, fleet.Feed{NPM: &fleet.NPM{Package: "@esbuild/win32-x64"}}, "pkg:npm/%40esbuild/win32-x64@{version}"},
		{"apt", version.Deb, fleet.Feed{Apt: &fleet.Apt{Package: "jq", Suite: "bookworm"}}, "pkg:deb/debian/jq@{version}?arch=amd64&distro=bookworm"},
		{"go", version.Semver, fleet.Feed{GoProxy: &fleet.GoProxy{Module: "honnef.co/go/tools"}}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := fleet.Package{ID: "a/b", Upstream: &fleet.Upstream{From: tt.feed, Scheme: tt.scheme}, Installers: map[string]fleet.Installer{}}
			if tt.purl != "" {
				p.Installers["x"] = fleet.Installer{Source: &fleet.Source{PURL: tt.purl}}
			}
			found, err := c.Find(t.Context(), p)
			reached(t, err)
			if _, err := version.Parse(tt.scheme, found.Version); err != nil {
				t.Error(err)
			}
			t.Logf("found %+v", found)
			if tt.purl == "" {
				return
			}
			body, err := c.Fetch(t.Context(), fleet.Download{PURL: found.Installers["x"].PURL}, nil)
			reached(t, err)
			defer body.Close()
			if _, err := io.Copy(io.Discard, body); err != nil {
				t.Fatal(err)
			}
			t.Logf("%d bytes, %s", body.Size(), body.Digest())
			if tt.name == "apt" && body.Digest() != found.Installers["x"].Digest {
				t.Errorf("digest %s, index says %s", body.Digest(), found.Installers["x"].Digest)
			}
		})
	}
}
