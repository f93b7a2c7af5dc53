package upstream

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// A Config says where upstreams are reached. Machine makes one from this
// machine's package clients.
type Config struct {
	NPMRegistry string      // base address; npm feeds are unreachable when empty
	AptSources  []AptSource // where Debian packages come from
	GoProxy     string      // as GOPROXY: addresses separated by "," or "|"
	PyPIIndex   string      // address of the simple API
	GitHubAPI   string      // base address of the REST API; DefaultGitHubAPI when empty
	GitHubToken string      // raises GitHub's rate limit; may be empty

	// AskPyPI is asked for the index once there is a package that needs it, when
	// PyPIIndex is empty: pip takes a second to start. Without an answer pypi
	// feeds are unreachable.
	AskPyPI func(context.Context) string

	// Mirror stands in for all hosts that package files name: when set,
	// https://host/path is asked for as <Mirror>/host/path. For machines
	// without a way out, and for simulated vendors.
	Mirror string

	CacheDir  string      // folder of validators and bodies; no cache when empty
	Clock     fleet.Clock // the machine's clock when nil
	UserAgent string

	// Transport replaces the network, for tests.
	Transport http.RoundTripper
}

// DefaultGitHubAPI is the REST API of github.com.
const DefaultGitHubAPI = "https://api.github.com"

// An AptSource is one suite of one Debian mirror.
type AptSource struct {
	URI        string   // "http://mirror.example/debian"
	Suite      string   // "bookworm-security"
	Components []string // "main"
	Keys       []string // OpenPGP keys that may sign it, binary or armored; none: it is not signed
}

// AssetHosts are the hosts that github.com redirects release assets to, seen in
// its answers. They are accepted after github.com only.
func AssetHosts() []string {
	return []string{"objects.githubusercontent.com", "release-assets.githubusercontent.com"}
}

// Limits of what is read from vendors.
const (
	maxMetadata = 128 << 20
	maxIndex    = 512 << 20 // Debian's main index is 50 MB unpacked
	maxDownload = 8 << 30

	perHost = 64  // requests for metadata to one host side by side; GitHub refuses more than 100
	inAll   = 512 // and to all hosts: each takes a connection
)

// clients makes the two clients: one for addresses from package files, behind
// the address guard, and one for hosts of the machine's own configuration,
// which may well be inside the company. Requests to a host are bounded where they
// are made (slots), not here: a mirror is one host that stands in for many.
func (c Config) clients() (guarded, configured *transport.Client) {
	o := transport.Options{Clock: c.Clock, UserAgent: c.UserAgent, MaxWait: maxWait, MaxBody: maxMetadata, PerHost: inAll, Transport: c.Transport}
	inside := o
	inside.AllowLoopback, inside.AllowPrivate = true, true
	configured = transport.New(inside)
	if c.Mirror != "" {
		o.Transport = mirrored{base: configured.HTTP().Transport, mirror: strings.TrimSuffix(c.Mirror, "/")}
		o.Retries = -1 // the base retries
	}
	return transport.New(o), configured
}

// mirrored sends every request to the mirror. It sits below redirects, so these
// are judged by the addresses they stand for.
type mirrored struct {
	base   http.RoundTripper
	mirror string
}

// RoundTrip asks the mirror for the request's address.
func (m mirrored) RoundTrip(req *http.Request) (*http.Response, error) {
	u, err := url.Parse(m.mirror + "/" + req.URL.Host + req.URL.EscapedPath())
	if err != nil {
		return nil, err
	}
	u.RawQuery = req.URL.RawQuery
	sent := req.Clone(req.Context())
	sent.URL, sent.Host = u, ""
	sent.Header.Del("Authorization") // meant for the host, not for who stands in for it
	resp, err := m.base.RoundTrip(sent)
	if resp != nil {
		resp.Request = req
	}
	return resp, err
}
