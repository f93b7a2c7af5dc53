package desired

import (
	"maps"
	"slices"
	"time"

	"cuelang.org/go/cue"

	"github.com/packmill/packmill/internal/fleet"
)

// An exception is something that loosens a rule until an instant: a pin, an
// opt-out, a driver block, a longer deferral.
type exception struct {
	File    string    `json:"file"`
	Keys    []string  `json:"keys"` // from "policy" down to the entry's name
	Expires time.Time `json:"expires"`
	Pattern string    `json:"pattern,omitempty"` // of a pin: on versions
}

// policyMaps are the parts of a policy that are entries, not bounds.
type policyMaps struct {
	DriverBlock map[string]fleet.Because
	Pins        map[fleet.PackageID]fleet.PinnedTo
	OptOuts     map[fleet.PackageID]fleet.Because
	Because     map[string]fleet.Because // of a longer deferral
}

// entries decodes the parts of a policy that are entries.
func (e *policyEval) entries(inst instance, v cue.Value) policyMaps {
	var m policyMaps
	for _, part := range []struct {
		path string
		into any
	}{
		{"driverBlock", &m.DriverBlock}, {"pins", &m.Pins}, {"optOuts", &m.OptOuts}, {"nonSecurity.because", &m.Because},
	} {
		value := v.LookupPath(cue.ParsePath(part.path))
		err := value.Validate(cue.Concrete(true))
		if err == nil {
			err = value.Decode(part.into)
		}
		if err != nil {
			e.fault(inst, "#Policy", []string{"policy"}, err)
		}
	}
	return m
}

// list are all entries as exceptions, sorted by kind and name.
func (m policyMaps) list() []exception {
	var list []exception
	for _, name := range slices.Sorted(maps.Keys(m.DriverBlock)) {
		list = append(list, exception{Keys: []string{"policy", "driverBlock", name}, Expires: m.DriverBlock[name].Expires})
	}
	for _, id := range slices.Sorted(maps.Keys(m.Pins)) {
		list = append(list, exception{Keys: []string{"policy", "pins", string(id)}, Expires: m.Pins[id].Expires, Pattern: m.Pins[id].Version})
	}
	for _, id := range slices.Sorted(maps.Keys(m.OptOuts)) {
		list = append(list, exception{Keys: []string{"policy", "optOuts", string(id)}, Expires: m.OptOuts[id].Expires})
	}
	for _, name := range slices.Sorted(maps.Keys(m.Because)) {
		list = append(list, exception{Keys: []string{"policy", "nonSecurity", "because", name}, Expires: m.Because[name].Expires})
	}
	return list
}

// newExceptions notes the exceptions that a level adds to those above it. They
// are told to the parent process, which knows the time.
func (e *policyEval) newExceptions(inst instance, l levelPolicy, levels map[string]levelPolicy) {
	parent, _ := above(inst.folder, levels)
	for _, x := range l.exceptions {
		known := slices.ContainsFunc(parent.exceptions, func(y exception) bool { return slices.Equal(x.Keys, y.Keys) })
		if !known && len(inst.own) > 0 {
			x.File = inst.own[0].Path
			e.exceptions = append(e.exceptions, x)
		}
	}
}
