package upstream

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/releases"
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

	slots   *slots
	packer  packer
	answers shared[[]byte]                      // packed bodies, by address
	debs    shared[map[string][]debFile]        // Packages indexes, by suite and component
	pip     shared[string]                      // the index that pip tells
	rpms    shared[map[string][]releases.Entry] // lists of RPM repositories, by their address
	kev     shared[fleet.KEV]                   // catalogs of exploited vulnerabilities, by address
	epss    scores

	mu    sync.Mutex
	kept  []*answer // what Keep will write, bodies packed
	spent Summary
}

// A Summary is what one run has asked for.
type Summary struct {
	Requests    int   // for metadata
	NotModified int   // requests answered so
	Bytes       int64 // of bodies that were sent

	// GitHub's quota after the last answer of its API: requests left and in all.
	// Both are 0 when it was not asked.
	GitHubLeft, GitHubLimit int
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
		slots: newSlots(), packer: newPacker(),
	}
}

// Summary is what was asked for so far.
func (c *Client) Summary() Summary {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spent
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
		body, err := c.packer.unpack(a.Body)
		if err == nil {
			err = c.disk.store(&answer{Key: a.Key, ETag: a.ETag, LastModified: a.LastModified, Body: body})
		}
		if err != nil {
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
	method string // GET when empty; asking again must do no harm
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

// get is what the query's answer holds, asked for at most once in a run. It is
// unpacked for who reads it next and for no longer: answers come faster than
// they are read, and would pile up.
func (c *Client) get(ctx context.Context, q query) ([]byte, error) {
	packed, err := c.answers.get(ctx, q.key(), func() ([]byte, error) { return c.ask(ctx, q) })
	if err != nil {
		return nil, err
	}
	return c.packer.unpack(packed)
}

// ask sends the request, with validators when an answer is on disk. The body is
// packed.
func (c *Client) ask(ctx context.Context, q query) ([]byte, error) {
	release, err := c.slots.take(ctx, q.url)
	if err != nil {
		return nil, err
	}
	defer release()
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(q.limit, sourceLimit)) // waiting for a place is no fault of the source
	defer cancel()
	if q.hosts != nil {
		ctx = transport.WithRedirect(ctx, within(q.hosts))
	}
	req, old, err := c.request(q)
	if err != nil {
		return nil, err
	}
	resp, err := q.client.Do(transport.Repeatable(ctx), req)
	c.count(resp, err)
	if err != nil {
		c.slots.refuse(q.url, err)
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotModified {
		if !old.fresh() {
			return nil, holdf(fleet.HoldUnreachable, "%s: not modified, but nothing was asked", q.url)
		}
		return c.packer.pack(old.Body), nil
	}
	return c.take(q, resp)
}

// take is what is kept of an answer, packed; on disk too when the server can be
// asked whether it changed.
func (c *Client) take(q query, resp *http.Response) ([]byte, error) {
	keep := q.keep
	if keep == nil {
		keep = func(resp *http.Response) ([]byte, error) { return io.ReadAll(resp.Body) }
	}
	body, err := keep(resp)
	if err != nil {
		return nil, err
	}
	packed := c.packer.pack(body)
	now := &answer{Key: q.key(), ETag: resp.Header.Get("ETag"), LastModified: resp.Header.Get("Last-Modified"), Body: packed}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spent.Bytes += int64(len(body))
	if now.fresh() && !q.once {
		c.kept = append(c.kept, now)
	}
	return packed, nil
}

// request is the query as it is sent; old is the answer on disk that the server
// is asked for changes of.
func (c *Client) request(q query) (req *http.Request, old *answer, err error) {
	if req, err = http.NewRequest(cmp.Or(q.method, http.MethodGet), q.url, bytes.NewReader(q.body)); err != nil {
		return nil, nil, err
	}
	for name, value := range q.header {
		req.Header.Set(name, value)
	}
	if q.once {
		return req, nil, nil
	}
	if old = c.disk.load(q.key()); old.fresh() {
		setIf(req.Header, "If-None-Match", old.ETag)
		setIf(req.Header, "If-Modified-Since", old.LastModified)
	}
	return req, old, nil
}

// count adds up what an answer cost, a refusal included.
func (c *Client) count(resp *http.Response, err error) {
	var status *transport.StatusError
	var header http.Header
	switch {
	case resp != nil:
		header = resp.Header
	case errors.As(err, &status):
		header = status.Header
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spent.Requests++
	if resp != nil && resp.StatusCode == http.StatusNotModified {
		c.spent.NotModified++
	}
	limit, _ := strconv.Atoi(header.Get("X-RateLimit-Limit"))
	left, err := strconv.Atoi(header.Get("X-RateLimit-Remaining"))
	// Answers come in any order, and the quota only shrinks during a run.
	if header.Get("X-GitHub-Request-Id") != "" && err == nil && limit > 0 && (c.spent.GitHubLimit == 0 || left < c.spent.GitHubLeft) {
		c.spent.GitHubLeft, c.spent.GitHubLimit = left, limit
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
