package upstream

import (
	"context"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/releases"
)

// selected asks the feeds that are documents of any form, searched by an
// expression that the package gives. mine is false for other feeds.
func (c *Client) selected(ctx context.Context, feed fleet.Feed) (list []releases.Entry, mine bool, err error) {
	switch {
	case feed.HTTPJSON != nil:
		f := feed.HTTPJSON
		list, err = c.read(ctx, f.URL, func(data []byte) ([]releases.Entry, error) { return releases.JSON(data, f.Path, f.Published) })
	case feed.HTTPRegex != nil:
		f := feed.HTTPRegex
		list, err = c.read(ctx, f.URL, func(data []byte) ([]releases.Entry, error) { return releases.Text(data, f.Pattern) })
	case feed.HTTPHTML != nil:
		f := feed.HTTPHTML
		list, err = c.read(ctx, f.URL, func(data []byte) ([]releases.Entry, error) { return releases.HTML(data, f.Select, f.Attribute) })
	case feed.HTTPXML != nil:
		f := feed.HTTPXML
		list, err = c.read(ctx, f.URL, func(data []byte) ([]releases.Entry, error) { return releases.XML(data, f.Path, f.Published) })
	default:
		return nil, false, nil
	}
	return list, true, err
}

func selectedName(f fleet.Feed) string {
	switch {
	case f.HTTPJSON != nil:
		return f.HTTPJSON.URL
	case f.HTTPRegex != nil:
		return f.HTTPRegex.URL
	case f.HTTPHTML != nil:
		return f.HTTPHTML.URL
	case f.HTTPXML != nil:
		return f.HTTPXML.URL
	}
	return ""
}
