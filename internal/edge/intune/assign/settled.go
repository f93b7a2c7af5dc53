package assign

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

const (
	// pause is how long lies between two answers: one right after the other says
	// the same for the same reason.
	pause = 2 * time.Second
	// agreeing is how many answers in a row must say the same.
	agreeing = 3
	// mostReads bounds how often a set is read until they do.
	mostReads = 12
	// doubts is how often a set without anything of packmill's is read again
	// before a withdrawal believes it: for about half a minute in all.
	doubts = 12
	// mostReplaces bounds how often a set is made anew that somebody changed before
	// it was sent.
	mostReplaces = 4
)

var (
	errMoving    = fleet.Theirs(errors.New("the assignments keep changing"))
	errOvertaken = errors.New("somebody has changed the assignments meanwhile")
)

// Patience is how a client of the service waits.
type Patience interface {
	Clock() fleet.Clock
	// Poll asks until the answer is yes, for some minutes, and is an error of kind
	// Waiting afterwards.
	Poll(ctx context.Context, what string, ask func() (bool, error)) error
}

// Settled reads the assignment set of an object until some answers in a row
// agree: after a change the service tells the earlier state for a while, and what
// somebody assigned meanwhile would be removed by writing that back. A set that
// somebody keeps changing is an error of kind Waiting.
func Settled[A Assignment](ctx context.Context, p Patience, object string, read func(context.Context) ([]A, error)) ([]A, error) {
	before, err := read(ctx)
	if err != nil {
		return nil, err
	}
	same := 1
	for range mostReads {
		if err := p.Clock().Sleep(ctx, pause); err != nil {
			return nil, err
		}
		now, err := read(ctx)
		if err != nil {
			return nil, err
		}
		if same++; !agree(before, now) {
			same = 1
		}
		if same == agreeing {
			return now, nil
		}
		before = now
	}
	return nil, moving(object)
}

// moving is said of a set that changes at each look.
func moving(object string) error {
	return &fleet.Error{Op: "intune.assign", Object: object, Kind: fleet.Waiting, Err: errMoving,
		Hint: "somebody is changing who the object is assigned to: run again when he is done"}
}

// agree compares two answers by everything that is sent back.
func agree[A Assignment](a, b []A) bool {
	sent := func(list []A) map[string]int {
		out := map[string]int{}
		for _, x := range list {
			out[string(x.entry().Raw)]++
		}
		return out
	}
	return maps.Equal(sent(a), sent(b))
}
