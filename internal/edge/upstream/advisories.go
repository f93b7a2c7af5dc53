package upstream

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/advisories"
)

// Bounds on one question to EPSS: its API takes 2,000 characters of ids and
// answers with 100 scores (api.first.org/epss, "cve" and "limit").
const (
	epssText = 2000
	epssMost = 100
	// epssLimit is short: scores are shown and decide nothing, so that nobody
	// waits long for them.
	epssLimit = 5 * time.Second
)

// KEV is CISA's catalog of known exploited vulnerabilities at the address, asked
// for once in a run.
func (c *Client) KEV(ctx context.Context, address string) (fleet.KEV, error) {
	return c.kev.get(ctx, address, func() (fleet.KEV, error) {
		body, err := c.document(ctx, address)
		if err != nil {
			return fleet.KEV{}, err
		}
		return advisories.KEV(body)
	})
}

// scores are what EPSS said in this run.
type scores struct {
	mu     sync.Mutex
	known  map[string]fleet.Likelihood
	asked  map[string]bool
	failed error // the first failure: the API is not asked again
}

// EPSS is how likely the API at the address holds the exploitation of
// vulnerabilities, by id. One that it has no score for is not in the answer.
// Each is asked about once in a run, many in one question; after a failure
// nothing is asked any more.
func (c *Client) EPSS(ctx context.Context, address string, ids []string) (map[string]fleet.Likelihood, error) {
	s := &c.epss
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked == nil {
		s.known, s.asked = map[string]fleet.Likelihood{}, map[string]bool{}
	}
	var ask []string
	for _, id := range ids {
		if fleet.ValidCVE(id) && !s.asked[id] { // nothing else becomes part of an address
			ask = append(ask, id)
		}
	}
	slices.Sort(ask)
	for _, batch := range batches(slices.Compact(ask)) {
		if s.failed != nil {
			break
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		found, err := c.askEPSS(ctx, address, batch)
		if err != nil {
			if ctx.Err() == nil {
				s.failed = err
			}
			return nil, err
		}
		for _, id := range batch {
			s.asked[id] = true
			if score, ok := found[id]; ok { // of what was asked alone
				s.known[id] = score
			}
		}
	}
	if s.failed != nil {
		return nil, s.failed
	}
	out := maps.Clone(s.known)
	maps.DeleteFunc(out, func(id string, _ fleet.Likelihood) bool { return !slices.Contains(ids, id) })
	return out, nil
}

// batches are the ids as lists that one question can hold.
func batches(ids []string) [][]string {
	var out [][]string
	room := 0
	for _, id := range ids {
		if n := len(out); n == 0 || len(out[n-1]) == epssMost || room < len(id)+1 {
			out, room = append(out, nil), epssText
		}
		last := len(out) - 1
		out[last], room = append(out[last], id), room-len(id)-1
	}
	return out
}

func (c *Client) askEPSS(ctx context.Context, address string, ids []string) (map[string]fleet.Likelihood, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fleet.Errorf(fleet.Invalid, "upstream.epss", address, "malformed address: %w", errors.Unwrap(err))
	}
	// Commas stay as they are: the length that the API takes counts them so.
	u.RawQuery, u.Fragment = "cve="+strings.Join(ids, ","), ""
	body, err := c.get(ctx, query{url: u.String(), client: c.guarded, hosts: []string{u.Hostname()}, limit: epssLimit})
	if err != nil {
		return nil, err
	}
	return advisories.EPSS(body)
}
