package upstream

import (
	"context"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/releases"
)

// published asks the feeds that vendors publish for updaters and readers, in
// formats of their own. mine is false for other feeds.
func (c *Client) published(ctx context.Context, feed fleet.Feed) (list []releases.Entry, mine bool, err error) {
	switch {
	default:
		return nil, false, nil
	}
}

func publishedName(f fleet.Feed) string {
	switch {
	}
	return ""
}
