package upstream

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/releases"
	"github.com/packmill/packmill/internal/rules/bump"
	"github.com/packmill/packmill/internal/rules/version"
)

// Found is what a feed says about a package.
type Found struct {
	Version   string
	Newest    string    // that the feed lists; Version, unless that is one before it
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
	SHA512 string       // the same in hexadecimal, of vendors that state this one
	Size   int64        // as the vendor says, 0 when it does not

	name string // of the download, as files of checksums know it
}

// Find asks the package's feed for the newest version, or for one before it that
// has been out long enough where the newest has not. Files of checksums are asked
// for on the publisher's hosts only; known tells what else is known of a version
// whose release notes are given, and may be nil. A *Hold in the error's chain, or
// HoldOf, tells what to call a failure. The package must have an upstream.
func (c *Client) Find(ctx context.Context, p fleet.Package, hosts []string, known func(version, notes string) bump.Known) (Found, error) {
	if p.Upstream == nil {
		return Found{}, fleet.Errorf(fleet.Invalid, "upstream.find", string(p.ID), "the package has no upstream")
	}
	told, err := c.tell(ctx, p.Upstream.From, *p.Upstream)
	if err != nil {
		return Found{}, err
	}
	newest := told.Version
	var of func(version string) bump.Known
	if known != nil {
		of = func(version string) bump.Known { return known(version, told.entries[version].Notes) }
	}
	if v := bump.Ripe(p, told.offers, of, c.config.Clock.Now()); v != "" {
		told.Entry = told.entries[v]
	}
	found := Found{Version: told.Version, Newest: newest, Released: map[string]map[string]Located{}}
	if err := c.complete(ctx, p.Upstream.From, &told); err != nil {
		return found, err
	}
	found.Published, found.Notes, found.NotesURL = told.Published, told.Notes, told.NotesURL
	if found.Installers, err = c.locate(ctx, p, told, told.Version); err != nil {
		return found, err
	}
	if err = c.checksums(ctx, p, told, told.Version, found.Installers, hosts); err != nil {
		return found, err
	}
	latest, _, _ := p.Latest()
	for _, v := range p.Versions() {
		at, err := c.locate(ctx, p, told, v)
		if err != nil || v == told.Version {
			continue
		}
		if v == latest { // one request more, not one for each; what is not told is not compared
			_ = c.checksums(ctx, p, told, v, at, hosts)
		}
		found.Released[v] = at
	}
	return found, nil
}

// Agree asks another feed of the package: it gives the version if the feed lists
// it, else the feed's newest.
func (c *Client) Agree(ctx context.Context, p fleet.Package, feed fleet.Feed, v string) (string, error) {
	told, err := c.tell(ctx, feed, *p.Upstream)
	if err != nil {
		return "", err
	}
	same, err := version.SchemeOf(*p.Upstream).Parse(v)
	for _, o := range told.offers {
		if other, otherErr := version.SchemeOf(*p.Upstream).Parse(o.Version); err == nil && otherErr == nil && version.Compare(same, other) == 0 {
			return o.Version, nil
		}
	}
	return told.Version, nil
}

// tell asks a feed. Package managers say themselves which version is newest;
// of what others list the newest is chosen.
func (c *Client) tell(ctx context.Context, feed fleet.Feed, u fleet.Upstream) (told, error) {
	switch {
	case feed.NPM != nil:
		return c.npm(ctx, *feed.NPM)
	case feed.Apt != nil:
		return c.apt(ctx, *feed.Apt, u)
	case feed.GoProxy != nil:
		return c.goProxy(ctx, *feed.GoProxy, u)
	}
	entries, err := c.entries(ctx, feed)
	if err != nil {
		return told{}, err
	}
	return choose(feed, u, entries)
}

// entries are what a feed lists.
func (c *Client) entries(ctx context.Context, feed fleet.Feed) ([]releases.Entry, error) {
	for _, ask := range []func(context.Context, fleet.Feed) ([]releases.Entry, bool, error){c.selected, c.published, c.managed} {
		if list, mine, err := ask(ctx, feed); mine || err != nil {
			return list, err
		}
	}
	return nil, fleet.Errorf(fleet.Invalid, "upstream.find", "", "the feed names no datasource")
}

// FeedName is the feed as people know it: "npm esbuild".
func FeedName(f fleet.Feed) string {
	return cmp.Or(selectedName(f), publishedName(f), managedName(f), "nothing")
}

// locate fills the sources of the package's installers for one version.
func (c *Client) locate(ctx context.Context, p fleet.Package, t told, v string) (map[string]Located, error) {
	out := map[string]Located{}
	for _, key := range p.InstallerKeys() {
		in := p.Installers[key]
		if in.Source == nil {
			continue
		}
		at, err := c.locateOne(ctx, p, in, t, v)
		if err != nil {
			return nil, fmt.Errorf("installer %s: %w", key, err)
		}
		out[key] = at
	}
	return out, nil
}

func (c *Client) locateOne(ctx context.Context, p fleet.Package, in fleet.Installer, t told, v string) (at Located, err error) {
	source := in.Source
	at.Member = t.fill(source.Member, v)
	var file releases.File
	switch {
	case source.Asset != "":
		file, err = t.asset(t.fill(source.Asset, v), v)
	case source.Listed:
		file, err = t.listed(in, v)
	case source.URL != "":
		at.URL = t.fill(source.URL, v)
		at.name = lastPart(at.URL)
		return at, nil
	case source.PURL != "":
		at.PURL, err = canonical(t.fill(source.PURL, v))
		if err == nil && p.Upstream.From.Apt != nil {
			err = c.locateDeb(ctx, &at)
		}
		return at, err
	}
	at.URL, at.Size, at.Digest, at.SHA512, at.name = file.URL, file.Size, file.SHA256, file.SHA512, file.Name
	return at, err
}

// fill fills a template of the package's for a version.
func (t told) fill(template, v string) string {
	return version.FillAll(template, v, t.entries[v].Values)
}

// newest is the greatest of the candidates by the upstream's scheme, of those
// that the package wants. What the scheme cannot read is left out; a feed with
// nothing it can read is a hold.
func newest(u fleet.Upstream, candidates []string) (string, error) {
	unwanted := ""
	wanted := slices.DeleteFunc(slices.Clone(candidates), func(s string) bool {
		why := version.Unwanted(u, s)
		unwanted = cmp.Or(unwanted, why)
		return why != ""
	})
	if v, ok := version.SchemeOf(u).Newest(wanted); ok {
		return v.String(), nil
	}
	if len(candidates) == 0 {
		return "", holdf(fleet.HoldUnparsable, "the feed lists no version")
	}
	if len(wanted) == 0 {
		return "", holdf(fleet.HoldNotAllowed, "the feed lists nothing that is wanted: %s", unwanted)
	}
	_, err := version.SchemeOf(u).Parse(wanted[0])
	return "", &Hold{Name: fleet.HoldUnparsable, Err: err}
}
