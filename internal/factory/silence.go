package factory

import (
	"maps"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// A hush gathers who was silent in all that was asked of a tenant: a device that
// told of one package is alive, whatever it left unsaid of another. nil gathers
// nothing.
type hush struct {
	spoke map[string]bool // by device
}

// note takes down whether a device that was asked of a package was silent.
func (h *hush) note(device string, silent bool) {
	if h == nil {
		return
	}
	if h.spoke == nil {
		h.spoke = map[string]bool{}
	}
	h.spoke[device] = h.spoke[device] || !silent
}

// row is the silence of a membership at a look, false when nobody was silent.
func (h *hush) row(m fleet.Membership, a rollout.Action, now time.Time) (fleet.Silence, bool) {
	s := fleet.Silence{Cycle: a.Cycle, Wave: a.Wave, Tenant: m.Tenant, Look: a.Look, Devices: []string{}, At: now}
	for _, d := range slices.Sorted(maps.Keys(h.spoke)) {
		if h.spoke[d] {
			continue
		}
		if s.Silent++; len(s.Devices) < fleet.SilentShown {
			s.Devices = append(s.Devices, d)
		}
	}
	return s, s.Silent > 0
}
