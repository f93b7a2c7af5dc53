package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// A Hold is an answer that must not become a release, under one of the names of
// package fleet (HoldUnreachable, …).
type Hold struct {
	Name string
	Err  error
}

// Error is the cause; the name is for whoever lists holds.
func (h *Hold) Error() string { return h.Err.Error() }

// Unwrap is the cause.
func (h *Hold) Unwrap() error { return h.Err }

func holdf(name, format string, args ...any) *Hold {
	return &Hold{Name: name, Err: fmt.Errorf(format, args...)}
}

// HoldOf is the hold that err stands for: its own, or the one its cause amounts
// to. Cancelled work is no hold: ok is false.
func HoldOf(err error) (h *Hold, ok bool) {
	var own *Hold
	var status *transport.StatusError
	var guard *transport.GuardError
	var redirect *transport.RedirectError
	switch {
	case errors.As(err, &own):
		return own, true
	case errors.Is(err, context.Canceled):
		return nil, false
	case errors.As(err, &status) && status.RateLimited():
		return &Hold{Name: fleet.HoldRateLimited, Err: err}, true
	case errors.As(err, &guard), errors.As(err, &redirect):
		return &Hold{Name: fleet.HoldNotAllowed, Err: err}, true
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &Hold{Name: fleet.HoldTruncated, Err: err}, true
	default:
		return &Hold{Name: fleet.HoldUnreachable, Err: err}, true
	}
}
