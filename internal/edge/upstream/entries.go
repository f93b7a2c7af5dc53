package upstream

import (
	"context"
	"net/url"
	"regexp"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/releases"
	"github.com/packmill/packmill/internal/rules/bump"
	"github.com/packmill/packmill/internal/rules/version"
)

// told is a feed's newest version and what came with it.
type told struct {
	releases.Entry
	entries map[string]releases.Entry // all that the feed lists, by version
	offers  []bump.Offer              // those that may be taken
}

// choose takes the newest of a feed's entries that the package may have.
func choose(feed fleet.Feed, u fleet.Upstream, entries []releases.Entry) (told, error) {
	cut, err := cutter(feed)
	if err != nil {
		return told{}, err
	}
	t := told{entries: map[string]releases.Entry{}}
	var candidates []string
	for _, e := range entries {
		e, ok := cut(e)
		if !ok {
			continue
		}
		if first, known := t.entries[e.Version]; known {
			if feed.SourceForge != nil { // which lists files, not releases
				first.Files = append(first.Files, e.Files...)
				t.entries[e.Version] = first
			}
			continue // documents list the newest first; a second one of a version is a leftover
		}
		t.entries[e.Version] = e
		if !e.Prerelease || u.Prerelease {
			candidates = append(candidates, e.Version)
			t.offers = append(t.offers, bump.Offer{Version: e.Version, Published: e.Published})
		}
	}
	if len(candidates) == 0 && len(entries) > 0 {
		return told{}, holdf(fleet.HoldUnparsable, "nothing that the feed lists has the form that is asked for; the first is %q", shorten(entries[0].Version))
	}
	v, err := newest(u, candidates)
	if err != nil {
		return told{}, err
	}
	t.Entry = t.entries[v]
	return t, nil
}

// cutter is what makes a package's version of a feed's text: the form of a tag
// first, then the feed's pattern.
func cutter(feed fleet.Feed) (func(releases.Entry) (releases.Entry, bool), error) {
	tag := tagOf(feed)
	var pattern *regexp.Regexp
	if feed.Match != "" {
		var err error
		if pattern, err = regexp.Compile(feed.Match); err != nil {
			return nil, fleet.Errorf(fleet.Invalid, "upstream.match", feed.Match, "malformed pattern: %v", err)
		}
	}
	return func(e releases.Entry) (releases.Entry, bool) {
		if tag != "" {
			v, ok := version.Extract(tag, e.Version)
			if !ok {
				return e, false
			}
			e.Version = v
		}
		if pattern == nil {
			return e, true
		}
		v, values, ok := releases.Cut(pattern, e.Version)
		if !ok {
			return e, false
		}
		for name, value := range e.Values {
			if _, own := values[name]; !own {
				values[name] = value
			}
		}
		if e.Version, e.Values = v, values; feed.Version != "" {
			e.Version = version.FillAll(feed.Version, v, values)
		}
		return e, true
	}, nil
}

// tagOf is the form of a feed's tags, "" for feeds that have none.
func tagOf(feed fleet.Feed) string {
	tag := ""
	switch {
	case feed.GitHubReleases != nil:
		tag = feed.GitHubReleases.Tag
	case feed.GitHubTags != nil:
		tag = feed.GitHubTags.Tag
	case feed.GitLab != nil:
		tag = feed.GitLab.Tag
	case feed.Gitea != nil:
		tag = feed.Gitea.Tag
	}
	if tag == "{version}" {
		return ""
	}
	return tag
}

func shorten(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return s
}

// document is the body at an address from a package file. Redirects stay on the
// address's own host.
func (c *Client) document(ctx context.Context, address string) ([]byte, error) {
	host, err := hostIn(address)
	if err != nil {
		return nil, err
	}
	return c.get(ctx, query{url: address, client: c.guarded, hosts: []string{host}})
}

// read asks for a document and has it read. A document that is not what it
// should be is a hold.
func (c *Client) read(ctx context.Context, address string, reader func([]byte) ([]releases.Entry, error)) ([]releases.Entry, error) {
	body, err := c.document(ctx, address)
	if err != nil {
		return nil, err
	}
	entries, err := reader(body)
	return entries, unread(address, err)
}

// unread makes a hold of a reader's error, unless the package file is what is
// wrong.
func unread(address string, err error) error {
	if err == nil || fleet.KindOf(err) == fleet.Invalid {
		return err
	}
	return &Hold{Name: fleet.HoldUnparsable, Err: fleet.Errorf(fleet.Refused, "upstream.find", address, "%w", err)}
}

// hostIn is the host of an address from a package file.
func hostIn(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", fleet.Errorf(fleet.Invalid, "upstream.find", address, "malformed address: %w", err)
	}
	return u.Hostname(), nil
}
