package transport

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// Defaults of Options.
const (
	DefaultRetries = 3
	DefaultMaxBody = 32 << 20
	DefaultMaxWait = 2 * time.Minute
	DefaultIdle    = time.Minute

	maxRedirects   = 10
	perHost        = 16
	headerTimeout  = 60 * time.Second
	connectTimeout = 10 * time.Second
)

// Options are how a Client behaves. The zero value is the most careful client:
// public addresses only, three retries, bodies up to 32 MiB.
type Options struct {
	Clock     fleet.Clock   // waits between attempts; the machine's clock when nil
	UserAgent string        // sent unless the request sets its own; "packmill" when empty
	Retries   int           // attempts after the first: 0 means DefaultRetries, negative none
	MaxBody   int64         // bytes of an answer's body: 0 means DefaultMaxBody
	MaxWait   time.Duration // longest wait a server may ask for: 0 means DefaultMaxWait; longer is an error at once
	Idle      time.Duration // longest silence while a body is read: 0 means DefaultIdle
	PerHost   int           // connections to one host at a time: 0 means 16

	// AllowLoopback and AllowPrivate open the address guard. Link-local
	// addresses, where cloud machines keep their credentials, stay closed.
	AllowLoopback bool // 127.0.0.0/8, ::1
	AllowPrivate  bool // RFC 1918, RFC 4193, RFC 6598

	// Redirect judges each hop before it is taken; nil allows every https
	// address, and http only if the hop before was http. WithRedirect sets it
	// for one request.
	Redirect RedirectFunc

	// Transport replaces the dialling transport. The address guard is then the
	// replacement's business.
	Transport http.RoundTripper
}

// A RedirectFunc judges one hop of a redirect; its error ends the request.
type RedirectFunc func(from, to *url.URL) error

// A Client sends requests as its Options say. It is safe for concurrent use.
type Client struct {
	http    *http.Client
	maxBody int64
}

// New makes a client with its own pool of connections.
func New(o Options) *Client {
	o = o.withDefaults()
	base := o.Transport
	if base == nil {
		base = dialling(o)
	}
	rt := &retrier{base: base, clock: o.Clock, agent: o.UserAgent, retries: o.Retries, maxWait: o.MaxWait, idle: o.Idle}
	return &Client{
		http:    &http.Client{Transport: rt, CheckRedirect: checkRedirect(o.Redirect)},
		maxBody: o.MaxBody,
	}
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = fleet.SystemClock{}
	}
	if o.UserAgent == "" {
		o.UserAgent = "packmill"
	}
	if o.Retries == 0 {
		o.Retries = DefaultRetries
	}
	if o.MaxBody == 0 {
		o.MaxBody = DefaultMaxBody
	}
	if o.MaxWait == 0 {
		o.MaxWait = DefaultMaxWait
	}
	if o.Idle == 0 {
		o.Idle = DefaultIdle
	}
	if o.PerHost == 0 {
		o.PerHost = perHost
	}
	return o
}

// Limit is the client with another cap on bodies, sharing its connections: for
// streaming a download of known size, for example.
func (c *Client) Limit(maxBody int64) *Client {
	return &Client{http: c.http, maxBody: maxBody}
}

// HTTP is the client as the standard library knows it, for libraries that take
// one. It retries, guards and follows redirects the same way, but hands out
// answers of every status and does not cap bodies.
func (c *Client) HTTP() *http.Client { return c.http }

// Do sends the request and returns an answer with a status below 400, whose
// body the caller closes. An answer of 400 and above, once retries are used up,
// is a *StatusError. Reading past the cap fails with a *TooLargeError.
//
// A request body is sent again through GetBody, which http.NewRequest sets for
// readers in memory; without it the request is sent once. POST and PATCH are
// repeated only when the server cannot have acted (429, 503) unless the context
// is Repeatable. Under fleet.While, what may change something is not sent, or not
// again, once that gives an error.
func (c *Client) Do(ctx context.Context, req *http.Request) (*http.Response, error) {
	resp, err := c.http.Do(req.WithContext(ctx))
	if err != nil {
		return nil, redactError(req, err)
	}
	if resp.StatusCode >= 400 {
		return nil, statusError(req, resp, c.http.Transport.(*retrier).clock.Now())
	}
	if resp.ContentLength > c.maxBody {
		resp.Body.Close()
		return nil, &TooLargeError{URL: RedactURL(req.URL), Limit: c.maxBody}
	}
	resp.Body = &cappedBody{body: resp.Body, left: c.maxBody, err: &TooLargeError{URL: RedactURL(req.URL), Limit: c.maxBody}}
	return resp, nil
}

type contextKey int

const (
	redirectKey contextKey = iota
	repeatableKey
	unfollowedKey
)

// WithRedirect judges the redirects of requests under the context by f, in
// place of the client's own function.
func WithRedirect(ctx context.Context, f RedirectFunc) context.Context {
	return context.WithValue(ctx, redirectKey, f)
}

// Unfollowed lets requests under the context answer with a redirect instead of
// taking it: where it leads is what the caller wants to know.
func Unfollowed(ctx context.Context) context.Context {
	return context.WithValue(ctx, unfollowedKey, true)
}

// Repeatable marks requests under the context as harmless to send twice, so
// that a POST is repeated after a lost connection, 502 or 504 too.
func Repeatable(ctx context.Context) context.Context {
	return context.WithValue(ctx, repeatableKey, true)
}
