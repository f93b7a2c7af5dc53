package upstream

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/releases"
	"github.com/packmill/packmill/internal/transport"
)

// published asks the feeds that vendors publish for updaters and readers, in
// formats of their own. mine is false for other feeds.
func (c *Client) published(ctx context.Context, feed fleet.Feed) (list []releases.Entry, mine bool, err error) {
	address := publishedAt(feed)
	read := func(reader func([]byte) ([]releases.Entry, error)) ([]releases.Entry, bool, error) {
		list, err := c.read(ctx, address, reader)
		return list, true, err
	}
	switch {
	case feed.News != nil:
		return read(func(data []byte) ([]releases.Entry, error) { return releases.News(data, address, feed.News.Field) })
	case feed.Sparkle != nil:
		return read(func(data []byte) ([]releases.Entry, error) {
			return releases.Sparkle(data, address, feed.Sparkle.Version, feed.Sparkle.Channel)
		})
	case feed.SourceForge != nil:
		return read(releases.SourceForge)
	case feed.ElectronBuilder != nil:
		return read(func(data []byte) ([]releases.Entry, error) { return releases.ElectronBuilder(data, address) })
	case feed.Squirrel != nil:
		return read(func(data []byte) ([]releases.Entry, error) { return releases.Squirrel(data, address, feed.Squirrel.ID) })
	case feed.Evergreen != nil:
		return read(func(data []byte) ([]releases.Entry, error) { return releases.Evergreen(data, feed.Evergreen.Where) })
	case feed.Cask != nil:
		return read(func(data []byte) ([]releases.Entry, error) { return releases.Cask(data, feed.Cask.Token) })
	case feed.Omaha != nil:
		list, err = c.omaha(ctx, *feed.Omaha)
	case feed.HTTPHeader != nil:
		list, err = c.header(ctx, *feed.HTTPHeader)
	case feed.InFile != nil:
		list, err = c.inFile(ctx, *feed.InFile)
	case feed.Static != nil:
		f := feed.Static
		list = []releases.Entry{{Version: f.Version, Published: f.Published.UTC(), NotesURL: f.Page}}
	default:
		return nil, false, nil
	}
	return list, true, err
}

// publishedAt is the address that such a feed is asked at, "" for others.
func publishedAt(f fleet.Feed) string {
	switch {
	case f.News != nil:
		return f.News.URL
	case f.Sparkle != nil:
		return f.Sparkle.URL
	case f.SourceForge != nil:
		return "https://sourceforge.net/projects/" + url.PathEscape(f.SourceForge.Project) + "/rss?path=" + url.QueryEscape(f.SourceForge.Path)
	case f.ElectronBuilder != nil:
		return f.ElectronBuilder.URL
	case f.Squirrel != nil:
		return f.Squirrel.URL
	case f.Evergreen != nil:
		return strings.TrimSuffix(f.Evergreen.API, "/") + "/app/" + url.PathEscape(f.Evergreen.App)
	case f.Cask != nil:
		return strings.TrimSuffix(f.Cask.API, "/") + "/api/cask/" + url.PathEscape(f.Cask.Token) + ".json"
	case f.Omaha != nil:
		return f.Omaha.URL
	case f.HTTPHeader != nil:
		return f.HTTPHeader.URL
	case f.InFile != nil:
		return f.InFile.URL
	}
	return ""
}

func publishedName(f fleet.Feed) string {
	switch {
	case f.SourceForge != nil:
		return "SourceForge " + f.SourceForge.Project + f.SourceForge.Path
	case f.Evergreen != nil:
		return "Evergreen " + f.Evergreen.App
	case f.Cask != nil:
		return "cask " + f.Cask.Token
	case f.Omaha != nil:
		return "Omaha " + f.Omaha.App + " at " + f.Omaha.URL
	case f.HTTPHeader != nil:
		return f.HTTPHeader.Header + " of " + f.HTTPHeader.URL
	case f.InFile != nil:
		return "the file at " + f.InFile.URL
	case f.Static != nil:
		return "the package file"
	}
	return publishedAt(f)
}

// omaha asks an update server. The question changes nothing there, so that it may
// be sent twice.
func (c *Client) omaha(ctx context.Context, f fleet.Omaha) ([]releases.Entry, error) {
	body, err := releases.OmahaRequest(f)
	if err != nil {
		return nil, err
	}
	host, err := hostIn(f.URL)
	if err != nil {
		return nil, err
	}
	data, err := c.get(transport.Repeatable(ctx), query{
		url: f.URL, method: http.MethodPost, body: body, header: map[string]string{"Content-Type": "application/xml"},
		client: c.guarded, hosts: []string{host},
	})
	if err != nil {
		return nil, err
	}
	list, err := releases.Omaha(data, f.App)
	return list, unread(f.URL, err)
}

// header asks for an address and takes one header of the answer, wherever it
// redirects to. The body is left alone: it may be an installer.
func (c *Client) header(ctx context.Context, f fleet.HTTPHeader) ([]releases.Entry, error) {
	if err := releases.CheckHeader(f.Header); err != nil {
		return nil, err
	}
	value, err := c.get(transport.Unfollowed(ctx), query{
		url: f.URL, client: c.guarded.Limit(maxDownload), kept: "header " + f.Header, once: true,
		keep: func(resp *http.Response) ([]byte, error) { return []byte(resp.Header.Get(f.Header)), nil },
	})
	if err != nil {
		return nil, err
	}
	list, err := releases.Header(string(value), f.Header)
	return list, unread(f.URL, err)
}
