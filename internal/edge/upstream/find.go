package upstream

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/version"
)

// Found is what a feed says about a package.
type Found struct {
	Version   string
	Published time.Time // zero when the vendor does not say
	Notes     string    // release notes as the vendor wrote them, "" when the feed has none
	NotesURL  string    // where people read them

	// Installers is where the bytes of Version are, for each installer of the
	// package that has a source.
	Installers map[string]Located

	// Released is the same for versions the package has released already, as
	// far as the feed tells without another request: what the vendor now says
	// about bytes that git pins.
	Released map[string]map[string]Located
}

// Located is where the bytes of an installer are: exactly one of URL and PURL
// is set.
type Located struct {
	URL    string
	PURL   string
	Member string       // file inside the download
	Digest fleet.Digest // as the vendor says, "" when it does not
	Size   int64        // as the vendor says, 0 when it does not
}

// Find asks the package's feed. A *Hold in the error's chain, or HoldOf, tells
// what to call a failure. The package must have an upstream.
func (c *Client) Find(ctx context.Context, p fleet.Package) (Found, error) {
	if p.Upstream == nil {
		return Found{}, fleet.Errorf(fleet.Invalid, "upstream.find", string(p.ID), "the package has no upstream")
	}
	told, err := c.tell(ctx, p.Upstream.From, *p.Upstream)
	if err != nil {
		return Found{}, err
	}
	found := Found{Version: told.version, Published: told.published, Notes: told.notes, NotesURL: told.notesURL, Released: map[string]map[string]Located{}}
	if found.Installers, err = c.locate(ctx, p, told, told.version); err != nil {
		return found, err
	}
	for _, v := range p.Versions() {
		if at, err := c.locate(ctx, p, told, v); err == nil && v != told.version {
			found.Released[v] = at
		}
	}
	return found, nil
}

// Agree asks another feed of the package for its newest version only.
func (c *Client) Agree(ctx context.Context, p fleet.Package, feed fleet.Feed) (string, error) {
	told, err := c.tell(ctx, feed, *p.Upstream)
	return told.version, err
}

// told is a feed's newest version and what came with it.
type told struct {
	version   string
	published time.Time
	notes     string
	notesURL  string
	releases  map[string]githubRelease // GitHub only: by version
}

func (c *Client) tell(ctx context.Context, feed fleet.Feed, u fleet.Upstream) (told, error) {
	switch {
	case feed.GitHubReleases != nil:
		return c.github(ctx, *feed.GitHubReleases, u)
	case feed.NPM != nil:
		return c.npm(ctx, *feed.NPM)
	case feed.Apt != nil:
		return c.apt(ctx, *feed.Apt)
	case feed.GoProxy != nil:
		return c.goProxy(ctx, *feed.GoProxy, u)
	case feed.HTTPJSON != nil:
		return c.httpJSON(ctx, *feed.HTTPJSON)
	}
	return told{}, fleet.Errorf(fleet.Invalid, "upstream.find", "", "the feed names no datasource")
}

// FeedName is the feed as people know it: "npm esbuild".
func FeedName(f fleet.Feed) string {
	switch {
	case f.GitHubReleases != nil:
		return "GitHub " + f.GitHubReleases.Repository
	case f.NPM != nil:
		return "npm " + f.NPM.Package
	case f.Apt != nil:
		return "apt " + f.Apt.Package + " in " + f.Apt.Suite
	case f.GoProxy != nil:
		return "Go module " + f.GoProxy.Module
	case f.HTTPJSON != nil:
		return f.HTTPJSON.URL
	}
	return "nothing"
}

// locate fills the sources of the package's installers for one version.
func (c *Client) locate(ctx context.Context, p fleet.Package, t told, v string) (map[string]Located, error) {
	out := map[string]Located{}
	for _, key := range p.InstallerKeys() {
		source := p.Installers[key].Source
		if source == nil {
			continue
		}
		at := Located{Member: version.Fill(source.Member, v)}
		var err error
		switch {
		case source.Asset != "":
			err = t.asset(&at, version.Fill(source.Asset, v), v)
		case source.URL != "":
			at.URL = version.Fill(source.URL, v)
		case source.PURL != "":
			at.PURL, err = canonical(version.Fill(source.PURL, v))
			if err == nil && p.Upstream.From.Apt != nil {
				err = c.locateDeb(ctx, &at)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("installer %s: %w", key, err)
		}
		out[key] = at
	}
	return out, nil
}

// newest is the greatest of the candidates by the upstream's scheme, of those
// that are allowed, without pre-releases unless they are wanted. What the scheme
// cannot read is left out; a feed with nothing it can read is a hold.
func newest(u fleet.Upstream, candidates []string) (string, error) {
	final := slices.DeleteFunc(slices.Clone(candidates), func(s string) bool {
		// A malformed pattern is told when the version is judged.
		allowed, err := version.Allowed(u.Allowed, s)
		v, parseErr := version.Parse(u.Scheme, s)
		return err == nil && !allowed || parseErr == nil && v.Prerelease() && !u.Prerelease
	})
	if v, ok := version.Newest(u.Scheme, final); ok {
		return v.String(), nil
	}
	if len(candidates) == 0 {
		return "", holdf(fleet.HoldUnparsable, "the feed lists no version")
	}
	if len(final) == 0 {
		return "", holdf(fleet.HoldNotAllowed, "the feed lists nothing that is allowed, but %s for example", candidates[0])
	}
	_, err := version.Parse(u.Scheme, final[0])
	return "", &Hold{Name: fleet.HoldUnparsable, Err: err}
}
