package policy

import (
	"context"

	"github.com/packmill/packmill/internal/edge/intune/marker"
)

// standing is a context under which an object is written only while its description
// is what was read, and also has nothing against the object as it is now.
func (c *Client) standing(ctx context.Context, o *object, written string, also func(now *object) error) context.Context {
	return marker.Fenced(ctx, o.description(), written, func(ctx context.Context) (string, error) {
		now := &object{listing: o.listing, key: o.key}
		err := c.read(ctx, now, false)
		if err == nil && also != nil {
			err = also(now)
		}
		return now.description(), err
	})
}

func (o *object) description() string {
	text, _ := o.raw["description"].(string)
	return text
}
