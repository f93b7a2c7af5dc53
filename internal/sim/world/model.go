package world

import (
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/graph"
	"github.com/packmill/packmill/internal/sim/rehearsal"
)

// Model is how the devices of the world of a seed behave: what its simulated
// service draws from, and what a rehearsal of the same week is given. When
// packmill runs and who merges is for the caller to add.
func Model(seed int64) rehearsal.Model {
	m := rehearsal.Model{Seed: seed, CheckIn: fleet.Duration(time.Hour), Silent: 0.02, Failing: rehearsal.Failing{Releases: map[string]float64{}}}
	for _, a := range apps() {
		if a.broken > 0 {
			m.Failing.Releases[string(a.id)+"@"+a.found] = a.broken
		}
	}
	return m
}

// hashKey is the key that a tenant's device ids are hashed with.
func (w *World) hashKey(id fleet.TenantID) ([]byte, error) {
	return hkdf.Key(sha256.New, fmt.Append(nil, w.seed), nil, "tenant "+string(id), 32)
}

// luck draws what happens to devices from the model, which knows them by the
// keyed hashes that evidence has.
func (w *World) luck() graph.Luck {
	m := Model(w.seed)
	ids := map[string]fleet.TenantID{}
	for _, t := range tenants() {
		ids[directory(t.id)] = t.id
	}
	var known sync.Map // "<directory>/<object>" → rehearsal.Device
	device := func(dir, object string) rehearsal.Device {
		if d, ok := known.Load(dir + "/" + object); ok {
			return d.(rehearsal.Device)
		}
		key, err := w.hashKey(ids[dir])
		if err != nil {
			panic("world: no key from this seed: " + err.Error())
		}
		d := m.Device(ids[dir], fleet.HashDevice(key, object))
		known.Store(dir+"/"+object, d)
		return d
	}
	return graph.Luck{
		Phase: func(dir, object string) time.Duration { return m.Phase(device(dir, object)) },
		Off:   func(dir, object string, at time.Time) bool { return m.Off(device(dir, object), at) },
		Defers: func(dir, object string, id fleet.PackageID, version string) bool {
			return m.Defers(device(dir, object), id, version)
		},
		Fails: func(dir, object string, id fleet.PackageID, version string) bool {
			return m.Fails(device(dir, object), id, version)
		},
	}
}
