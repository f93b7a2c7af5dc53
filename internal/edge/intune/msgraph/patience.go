package msgraph

import (
	"context"
	"fmt"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

const (
	// Tries is how often work of several calls is begun when answers get lost:
	// each time it finds what it made before.
	Tries = 4

	pollTries = 60
	pollWait  = 10 * time.Second
)

// Persist does work of several calls again what may succeed the next time.
func (c *Client) Persist(ctx context.Context, f func() error) error {
	wait := time.Second
	for try := 1; ; try++ {
		err := f()
		if err == nil || try == Tries || !Passing(ctx, err) {
			return err
		}
		if err := c.clock.Sleep(ctx, wait); err != nil {
			return err
		}
		wait *= 2
	}
}

// Poll asks until the answer is yes, waiting longer each time. What stays no for
// some ten minutes is an error of kind Waiting.
func (c *Client) Poll(ctx context.Context, what string, ask func() (bool, error)) error {
	wait := time.Second
	for range pollTries {
		done, err := ask()
		if err != nil || done {
			return err
		}
		if err := c.clock.Sleep(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, pollWait)
	}
	return &fleet.Error{Op: "intune.poll", Object: c.directory, Kind: fleet.Waiting,
		Err: fmt.Errorf("the service has not reached %q in time", what), Hint: "run again: the work goes on where it stopped"}
}
