package marker

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// ErrChanged is a text that somebody changed between the look at it and the attempt
// to write it.
var ErrChanged = fleet.Theirs(errors.New("somebody has changed the object meanwhile"))

// Fenced is a context under which an object's text is written only while it is what
// was read. The line goes back with the whole text around it, Graph has no condition
// to give along, and attempts again take minutes; so now reads the text before each of
// them. ErrChanged where it is neither what was read nor what is to be written, which
// an attempt without an answer may have done.
func Fenced(ctx context.Context, read, written string, now func(context.Context) (string, error)) context.Context {
	return fleet.While(ctx, func() error {
		if err := fleet.Still(ctx); err != nil {
			return err
		}
		text, err := now(ctx)
		if transport.StatusOf(err) == http.StatusNotFound {
			return fmt.Errorf("%w: it is gone", ErrChanged)
		}
		if err == nil && !Same(text, read) && !Same(text, written) {
			err = ErrChanged
		}
		return err
	})
}

// Same compares texts as people read them: the service may keep spaces and ends of
// lines in its own way.
func Same(a, b string) bool {
	return strings.Join(strings.Fields(a), " ") == strings.Join(strings.Fields(b), " ")
}
