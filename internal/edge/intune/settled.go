package intune

import (
	"context"
	"errors"
	"maps"

	"github.com/packmill/packmill/internal/edge/intune/assign"
	"github.com/packmill/packmill/internal/fleet"
)

// mostReads bounds how often a set is read until two answers agree.
const mostReads = 10

var errMoving = errors.New("the assignments keep changing")

// settledAssignments reads the assignment set of an app until two answers in a
// row agree: after a change the service tells the earlier state for a while, and
// what somebody assigned meanwhile would be removed by writing that back.
func (c *Client) settledAssignments(ctx context.Context, app string) ([]assignment, error) {
	before, err := c.assignments(ctx, app)
	if err != nil {
		return nil, err
	}
	for range mostReads {
		now, err := c.assignments(ctx, app)
		if err != nil || agree(before, now) {
			return now, err
		}
		before = now
		if err := c.api.Clock().Sleep(ctx, listWait); err != nil {
			return nil, err
		}
	}
	return nil, &fleet.Error{Op: "intune.assign", Object: app, Kind: fleet.Waiting, Err: errMoving,
		Hint: "somebody is changing who the app is assigned to: run again when he is done"}
}

// agree compares two answers by everything that is sent back.
func agree(a, b []assignment) bool {
	sent := func(list []assignment) map[string]int {
		out := map[string]int{}
		for _, x := range list {
			out[string(x.Raw)]++
		}
		return out
	}
	return maps.Equal(sent(a), sent(b))
}

// shown waits until the service tells what was written: whoever reads next, a
// plan or a receipt, must not take the earlier state for the present one.
func (c *Client) shown(ctx context.Context, f *found, want []assignment) error {
	return c.api.Poll(ctx, "assigned", func() (bool, error) {
		present, err := c.assignments(ctx, f.app.ID)
		if err != nil {
			return false, err
		}
		ours, _, err := c.split(ctx, f.marker, want, present)
		return assign.Same(ours, want, alike), err
	})
}
