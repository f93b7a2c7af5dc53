package fleet_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

func TestKindOf(t *testing.T) {
	of := func(k fleet.Kind) error { return fleet.Errorf(k, "op", "object", "cause") }
	for name, c := range map[string]struct {
		err  error
		want fleet.Kind
	}{
		"plain":           {errors.New("x"), fleet.Internal},
		"one":             {of(fleet.Refused), fleet.Refused},
		"wrapped":         {fmt.Errorf("more: %w", of(fleet.Waiting)), fleet.Waiting},
		"outermost":       {&fleet.Error{Kind: fleet.Stalled, Err: of(fleet.Invalid)}, fleet.Stalled},
		"worst of joined": {errors.Join(of(fleet.Waiting), of(fleet.Refused), of(fleet.Stalled)), fleet.Refused},
		"joined, broken":  {errors.Join(of(fleet.Waiting), errors.New("x")), fleet.Internal},
		"list":            {fleet.Errors{{Kind: fleet.Waiting}, {Kind: fleet.Invalid}}, fleet.Invalid},
		"wrapped list":    {fmt.Errorf("x: %w", fleet.Errors{{Kind: fleet.Stalled}}), fleet.Stalled},
	} {
		if got := fleet.KindOf(c.err); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
