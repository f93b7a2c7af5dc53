// Package msgraph is the part of Microsoft Graph that all of packmill's calls to
// a tenant share: whose token goes along, how fast requests may follow each
// other, what an answer of "not yet" means, pages, batches, and what an error
// tells people. It knows no resource of the service.
//
// One Client stands for one tenant and is shared by everything that works there,
// since the service counts requests by application and tenant.
package msgraph

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// DefaultBaseURL is Microsoft Graph in the global cloud.
const DefaultBaseURL = "https://graph.microsoft.com"

// Options say which tenant a Client works on, and how.
type Options struct {
	BaseURL   string            // without version; DefaultBaseURL when empty
	Directory string            // tenant id, a GUID: what the token's tid claim must be
	Token     TokenSource       // who is asking
	Transport *transport.Client // nil: a client with public addresses only
	Clock     fleet.Clock       // nil: the machine's
	Log       *slog.Logger      // nil: silent
	Limits    Limits            // zero: the published ones
}

// Limits are what the service grants one application in one tenant
// (Microsoft: "Intune throttling limits", per 20 seconds).
type Limits struct {
	Requests int // of any kind
	Writes   int // POST, PUT, PATCH, DELETE
	Window   time.Duration
}

// published are the documented limits for apps and device configuration.
func published() Limits { return Limits{Requests: 1000, Writes: 100, Window: 20 * time.Second} }

// A Client calls Graph in one tenant. It is safe for concurrent use. What it
// has sent is counted in it, so keep one for each tenant.
type Client struct {
	base      *url.URL
	directory string
	token     TokenSource
	http      *transport.Client
	clock     fleet.Clock
	log       *slog.Logger

	any    *window
	writes *window

	mu         sync.Mutex
	vitals     Vitals
	guarded    bool              // writes may be held for an approval
	learned    bool              // whether they are has been asked
	requests   []ApprovalRequest // as they were at requestsAt
	requestsAt time.Time
}

var errNoTenant = errors.New("the tenant has no directory id or no credentials")

// New makes a client. Options without a directory or token source are an error
// of kind Invalid.
func New(o Options) (*Client, error) {
	if o.Directory == "" || o.Token == nil {
		return nil, &fleet.Error{Op: "intune.new", Kind: fleet.Invalid, Err: errNoTenant,
			Hint: "state intune: directory in the tenant's tenant.cue and give credentials for it"}
	}
	if o.BaseURL == "" {
		o.BaseURL = DefaultBaseURL
	}
	base, err := url.Parse(strings.TrimSuffix(o.BaseURL, "/"))
	if err != nil || base.Host == "" || (base.Scheme != "https" && base.Scheme != "http") {
		return nil, fleet.Errorf(fleet.Invalid, "intune.new", o.Directory, "%q is no base address", o.BaseURL)
	}
	c := &Client{base: base, directory: o.Directory, token: o.Token, http: o.Transport, clock: o.Clock, log: o.Log}
	if c.clock == nil {
		c.clock = fleet.SystemClock{}
	}
	if c.http == nil {
		c.http = transport.New(transport.Options{Clock: c.clock})
	}
	if cc, ok := o.Token.(*ClientCredentials); ok {
		cc.fill(o.Directory, c.http, c.clock)
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	limits := o.Limits
	if limits.Window <= 0 || limits.Requests <= 0 || limits.Writes <= 0 {
		limits = published()
	}
	c.any = newWindow(limits.Requests, limits.Window)
	c.writes = newWindow(limits.Writes, limits.Window)
	return c, nil
}

// Directory is the tenant's id.
func (c *Client) Directory() string { return c.directory }

// Base is the service's address, without version.
func (c *Client) Base() *url.URL { return c.base }

// Clock tells the time, and waits.
func (c *Client) Clock() fleet.Clock { return c.clock }

// Log is where what may be of interest later is told.
func (c *Client) Log() *slog.Logger { return c.log }

// HTTP makes requests to other services that the tenant's answers lead to, such
// as its storage. The tenant's token does not go along.
func (c *Client) HTTP() *transport.Client { return c.http }

// pace waits until n requests may be sent.
func (c *Client) pace(ctx context.Context, write bool, n int) error {
	now := c.clock.Now()
	var delay time.Duration
	for range n {
		delay = max(delay, c.any.reserve(now))
		if write {
			delay = max(delay, c.writes.reserve(now))
		}
	}
	if delay <= 0 {
		return ctx.Err()
	}
	return c.clock.Sleep(ctx, delay)
}
