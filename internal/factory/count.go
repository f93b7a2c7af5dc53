package factory

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// A roll is what a wave's members are counted by: the platform of every known
// device, the instant the wave started, and what was assigned in it.
type roll struct {
	platform map[string]string
	since    time.Time
	assigned map[rollout.Slot][]fleet.Digest
}

// A telling is what a tenant's devices said of a release, by keyed hash.
type telling struct {
	release  string
	signals  []string // that the gate judges by
	statuses map[string]fleet.DeviceStatus
	health   map[string]map[string]fleet.DeviceHealth // device → signal
}

// ask reads what devices said of a package: of its installation, and what its
// probes found if the gate judges by any.
func (s telling) ask(ctx context.Context, console Console, id fleet.PackageID, key []byte) (telling, error) {
	statuses, err := console.Statuses(ctx, id, fleet.Candidate)
	if err != nil {
		return s, err
	}
	s.statuses = make(map[string]fleet.DeviceStatus, len(statuses))
	for _, status := range statuses {
		s.statuses[hashDevice(key, status.Device)] = status
	}
	if len(s.probes()) == 0 {
		return s, nil
	}
	health, err := console.Health(ctx, id)
	if err != nil {
		return s, err
	}
	s.health = map[string]map[string]fleet.DeviceHealth{}
	for _, h := range health {
		device := hashDevice(key, h.Device)
		if s.health[device] == nil {
			s.health[device] = map[string]fleet.DeviceHealth{}
		}
		s.health[device][h.Signal] = h
	}
	return s, nil
}

// probes are the signals that are told by probes.
func (s telling) probes() []string {
	return slices.DeleteFunc(slices.Clone(s.signals), func(name string) bool { return name == fleet.SignalInstall })
}

// The states of a device in one signal.
const (
	well   = "ok"
	unwell = "failed"
	mute   = "silent"
)

// installation is what a device said of the release's installation.
//
// The slot's app object is the same one every week and keeps what devices said
// of its earlier releases, so a status counts only if it is of this release, as
// far as the console tells a version, and not older than the wave's start.
func (in roll) installation(s telling, device string) (state, code string) {
	status, ok := s.statuses[device]
	switch {
	case !ok || status.At.Before(in.since) || status.Version != "" && status.Version != s.release:
		return mute, ""
	case status.State == "installed":
		return well, ""
	case status.State == "failed":
		return unwell, status.Error
	}
	return mute, ""
}

// probed is what a probe found on a device since the wave's start.
func (in roll) probed(s telling, device, signal string) string {
	h, ok := s.health[device][signal]
	switch {
	case !ok || h.At.Before(in.since):
		return mute
	case h.State == "ok":
		return well
	case h.State == "failed":
		return unwell
	}
	return mute
}

// count sorts a wave's frozen members by what they said of a release into a
// report: those the package has nothing for are excluded; one that any signal
// of the gate finds unwell has failed, one that some signal says nothing of is
// silent. A probe finds nothing on a device that did not say it has the
// release, and none runs on other platforms than Windows. quiet, unless it is
// nil, is told who said nothing at all of it.
func (in roll) count(m fleet.Membership, pkg fleet.Package, s telling, r *fleet.Report, quiet *hush) {
	codes := map[string]bool{}
	probes := s.probes()
	judged := slices.Contains(s.signals, fleet.SignalInstall)
	if len(probes) > 0 {
		r.Signals = map[string]fleet.SignalCount{}
	}
	for _, device := range m.Devices {
		platform := in.platform[string(m.Tenant)+"/"+device]
		if !rollout.Serves(pkg, platform) {
			r.Counts.Excluded++
			continue
		}
		installed, code := in.installation(s, device)
		quiet.note(device, installed == mute)
		if at := s.statuses[device].At; at.After(r.AsOf) {
			r.AsOf = at
		}
		states := []string{}
		if judged || installed == mute || platform != "windows" {
			states = append(states, installed)
		}
		if len(probes) > 0 {
			tally(r.Signals, fleet.SignalInstall, installed)
		}
		for _, name := range probes {
			if platform != "windows" {
				continue
			}
			state := mute
			if installed != mute {
				state = in.probed(s, device, name)
			}
			tally(r.Signals, name, state)
			if installed != unwell || !judged {
				states = append(states, state)
			}
		}
		switch {
		case slices.Contains(states, unwell):
			r.Counts.Failed++
			if code != "" {
				codes[code] = true
			}
		case slices.Contains(states, mute) || len(states) == 0:
			r.Counts.Silent++
		default:
			r.Counts.Succeeded++
		}
	}
	r.Errors = slices.Sorted(maps.Keys(codes))
}

func tally(signals map[string]fleet.SignalCount, name, state string) {
	c := signals[name]
	switch state {
	case well:
		c.OK++
	case unwell:
		c.Failed++
	default:
		c.Silent++
	}
	signals[name] = c
}
