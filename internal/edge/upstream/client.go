package upstream

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
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
	answers map[string]*pending // by address
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

// A query is one request for metadata.
type query struct {
	url    string
	header map[string]string
	client *transport.Client
	hosts  []string // hosts a redirect may lead to; nil allows any
}

// get is the body at the query's address, asked for at most once in a run.
func (c *Client) get(ctx context.Context, q query) ([]byte, error) {
	c.mu.Lock()
	p, asked := c.answers[q.url]
	if !asked {
		p = &pending{done: make(chan struct{})}
		c.answers[q.url] = p
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
	ctx, cancel := context.WithTimeout(ctx, sourceLimit)
	defer cancel()
	if q.hosts != nil {
		ctx = transport.WithRedirect(ctx, within(q.hosts))
	}
	req, err := http.NewRequest(http.MethodGet, q.url, nil)
	if err != nil {
		return nil, err
	}
	for name, value := range q.header {
		req.Header.Set(name, value)
	}
	old := c.disk.load(q.url)
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
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	now := &answer{URL: q.url, ETag: resp.Header.Get("ETag"), LastModified: resp.Header.Get("Last-Modified"), Body: body}
	if now.fresh() {
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
