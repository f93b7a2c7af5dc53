package policy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

var errChanged = fleet.Theirs(errors.New("somebody has changed the configuration meanwhile"))

// standing is a context under which an object is written only while it is what was
// read of it. Its description goes back whole with packmill's line in it, and Graph has
// no condition to give along; so the object is read before each attempt: errChanged
// where the description is neither what was read nor what is written, which an attempt
// without an answer may have been. also asks for more of it as it is now.
func (c *Client) standing(ctx context.Context, o *object, written string, also func(now *object) error) context.Context {
	return fleet.While(ctx, func() error {
		if err := fleet.Still(ctx); err != nil {
			return err
		}
		now := &object{listing: o.listing, key: o.key}
		err := c.read(ctx, now, false)
		if transport.StatusOf(err) == http.StatusNotFound {
			return fmt.Errorf("%w: it is gone", errChanged)
		}
		if err != nil {
			return err
		}
		described, _ := now.raw["description"].(string)
		before, _ := o.raw["description"].(string)
		if !sameWords(described, before) && !sameWords(described, written) {
			return errChanged
		}
		if also != nil {
			return also(now)
		}
		return nil
	})
}

// sameWords compares texts as people read them: the service may keep spaces and ends
// of lines in its own way.
func sameWords(a, b string) bool {
	return strings.Join(strings.Fields(a), " ") == strings.Join(strings.Fields(b), " ")
}
