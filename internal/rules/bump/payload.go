package bump

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// JudgePayload compares a configuration's payload files with those of its
// newest release: a difference is a new version, the next integer.
func JudgePayload(p fleet.Package, payload map[string]fleet.Digest, now time.Time) fleet.Detection {
	current, latest, released := p.Latest()
	d := fleet.Detection{Package: p.ID, Current: current, Found: current, State: fleet.StateEqual, At: now}
	if released && maps.Equal(payload, latest.Files) {
		return d
	}
	d.State, d.Found = fleet.StateNew, "1"
	if !released {
		return d
	}
	n, err := strconv.Atoi(current)
	if err != nil || n < 1 {
		d.Found = current
		d.State, d.Hold, d.Why = fleet.StateHeld, fleet.HoldUnparsable, fmt.Sprintf("the newest release %q of a configuration is no whole number", current)
		return d
	}
	d.Found = strconv.Itoa(n + 1)
	return d
}

// Payload are the files below the package's folder that a configuration ships.
func Payload(p fleet.Package) []string {
	var out []string
	for _, s := range p.Settings {
		out = append(out, s.Payload()...)
	}
	out = slices.DeleteFunc(out, func(s string) bool { return strings.TrimSpace(s) == "" })
	slices.Sort(out)
	return slices.Compact(out)
}
