package upstream

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

const (
	sourceLimit = 15 * time.Second // for the metadata of one source, all attempts
	maxWait     = 10 * time.Second // longest Retry-After that is waited for
)

// A Client asks upstreams during one run. It is safe for concurrent use.
type Client struct {
	config     Config
	guarded    *transport.Client // for addresses from package files
	configured *transport.Client // for hosts of the machine's configuration
	disk       disk

	mu      sync.Mutex
	answers map[string]*pending // by key
	indexes map[string]*index   // apt, by address of the suite's component
	kept    []*answer           // what Keep will write
	sent    int
	same    int
}

// A pending answer is asked for once; everybody else waits for done.
type pending struct {
	done chan struct{}
	body []byte
	err  error
}

// New makes the client of one run.
func New(c Config) *Client {
	if c.Clock == nil {
		c.Clock = fleet.SystemClock{}
	}
	if c.GitHubAPI == "" {
		c.GitHubAPI = DefaultGitHubAPI
	}
	guarded, configured := c.clients()
	return &Client{
		config: c, guarded: guarded, configured: configured, disk: disk(c.CacheDir),
		answers: map[string]*pending{}, indexes: map[string]*index{},
	}
}

// Requests is how many requests for metadata were sent, and how many of them
// were answered "not modified".
func (c *Client) Requests() (sent, notModified int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent, c.same
}

// Keep writes what was learned to the cache folder. Call it once the whole step
// has succeeded, never before.
func (c *Client) Keep() error {
	if c.disk == "" {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.kept {
		if err := c.disk.store(a); err != nil {
			return fleet.Errorf(fleet.Internal, "upstream.keep", string(c.disk), "write the cache: %w", err)
		}
	}
	c.kept = nil
	return nil
}

// A query is one request for metadata. What it is asked again by, within a run
// and on disk, is its key.
type query struct {
	url    string
	method string // GET when empty
	body   []byte // of a POST
	header map[string]string
	client *transport.Client
	hosts  []string // hosts a redirect may lead to; nil allows any

	// keep makes of an answer what is kept of it: its body when nil. kept names
	// what that is, so that it is not taken for the body.
	keep  func(*http.Response) ([]byte, error)
	kept  string
	once  bool          // nothing is kept on disk
	limit time.Duration // for all attempts; sourceLimit when 0
}

// key is the address alone for what is asked for most: a body by GET.
func (q query) key() string {
	if q.method == "" && q.kept == "" {
		return q.url
	}
	return strings.Join([]string{cmp.Or(q.method, http.MethodGet), q.url, q.kept, string(fleet.DigestOf(q.body))}, " ")
}

// get is what the query's answer holds, asked for at most once in a run.
func (c *Client) get(ctx context.Context, q query) ([]byte, error) {
	key := q.key()
	c.mu.Lock()
	p, asked := c.answers[key]
	if !asked {
		p = &pending{done: make(chan struct{})}
		c.answers[key] = p
	}
	c.mu.Unlock()
	if !asked {
		p.body, p.err = c.ask(ctx, q)
		close(p.done)
	}
	select {
	case <-p.done:
		return p.body, p.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// ask sends the request, with validators when an answer is on disk.
func (c *Client) ask(ctx context.Context, q query) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(q.limit, sourceLimit))
	defer cancel()
	if q.hosts != nil {
		ctx = transport.WithRedirect(ctx, within(q.hosts))
	}
	req, err := http.NewRequest(cmp.Or(q.method, http.MethodGet), q.url, bytes.NewReader(q.body))
	if err != nil {
		return nil, err
	}
	for name, value := range q.header {
		req.Header.Set(name, value)
	}
	var old *answer
	if !q.once {
		old = c.disk.load(q.key())
	}
	if old.fresh() {
		setIf(req.Header, "If-None-Match", old.ETag)
		setIf(req.Header, "If-Modified-Since", old.LastModified)
	}
	resp, err := q.client.Do(ctx, req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	same := resp.StatusCode == http.StatusNotModified
	c.count(same)
	if same {
		if !old.fresh() {
			return nil, holdf(fleet.HoldUnreachable, "%s: not modified, but nothing was asked", q.url)
		}
		return old.Body, nil
	}
	return c.take(q, resp)
}

// take is what is kept of an answer, on disk too when the server can be asked
// whether it changed.
func (c *Client) take(q query, resp *http.Response) ([]byte, error) {
	keep := q.keep
	if keep == nil {
		keep = func(resp *http.Response) ([]byte, error) { return io.ReadAll(resp.Body) }
	}
	body, err := keep(resp)
	if err != nil {
		return nil, err
	}
	now := &answer{Key: q.key(), ETag: resp.Header.Get("ETag"), LastModified: resp.Header.Get("Last-Modified"), Body: body}
	if now.fresh() && !q.once {
		c.mu.Lock()
		c.kept = append(c.kept, now)
		c.mu.Unlock()
	}
	return body, nil
}

func (c *Client) count(same bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent++
	if same {
		c.same++
	}
}

func setIf(h http.Header, name, value string) {
	if value != "" {
		h.Set(name, value)
	}
}

// within lets redirects stay on the hosts, and lets github.com lead to its
// asset hosts.
func within(hosts []string) transport.RedirectFunc {
	return func(from, to *url.URL) error {
		switch {
		case slices.Contains(hosts, to.Hostname()):
			return nil
		case slices.Contains(AssetHosts(), to.Hostname()) &&
			(from.Hostname() == "github.com" || slices.Contains(AssetHosts(), from.Hostname())):
			return nil
		}
		return holdf(fleet.HoldNotAllowed, "%s is not one of the publisher's hosts", to.Hostname())
	}
}
