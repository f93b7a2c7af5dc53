package view

import (
	"fmt"
	"math"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// coverageWords is what a plan's wave shows of the fleet, "" when it is not
// asked to show anything. Shares are rounded down: 100 % is all.
func coverageWords(p fleet.Plan) string {
	parts := make([]string, 0, len(p.Coverage))
	for _, c := range p.Coverage {
		parts = append(parts, fmt.Sprintf("%s by %s (%s of %s)", percent(math.Floor(c.Percent()*10)/10), c.Attribute, grouped(c.ShownValues), plural(c.Values, "value")))
	}
	return strings.Join(parts, ", ")
}

// coverageLine is a paragraph for each plan whose wave is asked to show the
// fleet: how much of it has a model, or a build, that some device of the wave
// has.
func coverageLine(plans ...fleet.Plan) string {
	var b strings.Builder
	for _, p := range plans {
		if words := coverageWords(p); words != "" {
			fmt.Fprintf(&b, "\nDevices of the fleet that wave %s stands for: %s.\n", Code(p.Gate), Neutral(words))
		}
	}
	return b.String()
}
