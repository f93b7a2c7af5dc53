package graph

import (
	"cmp"
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/edge/intune"
	"github.com/packmill/packmill/internal/edge/intune/policy"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/probe"
)

// A scriptRun is what a script last did on a device.
type scriptRun struct {
	at     time.Time
	failed bool
	output string
}

// listRunStates serves deviceRunStates. The device is told where it is asked to
// be expanded, as the service does.
func listRunStates(r *request, s *script) (reply, error) {
	expand := r.URL.Query().Get("$expand")
	name, rest, _ := strings.Cut(expand, "(")
	if expand != "" && (name != "managedDevice" || rest != "" && rest != "$select=id)") {
		return reply{}, badRequest("$expand " + expand + " is not simulated")
	}
	now := r.t.s.o.Now()
	out := []map[string]any{}
	for _, d := range r.t.byManaged() {
		run, ran := r.t.lastRun(s, d, now)
		if !ran {
			continue
		}
		state := map[string]any{
			"id": s.ID + ":" + d.managed, "detectionState": "success", "remediationState": "skipped",
			"lastStateUpdateDateTime": stamp(run.at), "preRemediationDetectionScriptOutput": run.output,
		}
		if seen, alive := r.t.lastCheckIn(d, now); alive {
			state["lastSyncDateTime"] = stamp(seen)
		}
		if run.failed {
			state["detectionState"] = "fail"
		}
		if name != "" {
			state["managedDevice"] = map[string]any{"id": d.managed}
		}
		out = append(out, state)
	}
	return page(r, out, statePage, statePage)
}

// lastRun is a script's newest run on a device: its epochs are walked through,
// each run keeps its result until there is another.
func (t *tenant) lastRun(s *script, d *device, now time.Time) (last scriptRun, ran bool) {
	if cmp.Or(d.OS, "Windows") != "Windows" {
		return last, false
	}
	for i, e := range s.History {
		until := now
		if i+1 < len(s.History) && s.History[i+1].At.Before(until) {
			until = s.History[i+1].At
		}
		if at, ok := t.lastDue(e, d, until); ok {
			last, ran = t.runScript(e, d, at), true
		}
	}
	return last, ran
}

// lastDue is the newest instant of an epoch at which its schedule has the
// device run the script: from its first check-in under an assignment on, at the
// assignment's interval.
func (t *tenant) lastDue(e scriptEpoch, d *device, until time.Time) (time.Time, bool) {
	var newest time.Time
	for _, a := range e.Assignments {
		body, err := parseScriptAssigned(a.Body)
		if err != nil || body.Target.Type == exclusionTarget {
			continue
		}
		from, to, ok := t.hitUntil(body.Target.Type, body.Target.GroupID, d, e.At, until)
		if !ok || t.excluded(e, d, to) {
			continue
		}
		first, alive := t.nextCheckIn(d, from)
		last, seen := t.lastCheckIn(d, to)
		if !alive || !seen || last.Before(first) {
			continue
		}
		if at := first.Add(last.Sub(first) / body.interval() * body.interval()); at.After(newest) {
			newest = at
		}
	}
	return newest, !newest.IsZero()
}

// hitUntil is the newest part of a time in which a target names the device.
func (t *tenant) hitUntil(kind, group string, d *device, from, to time.Time) (time.Time, time.Time, bool) {
	if kind == allDevicesTarget || kind == allUsersTarget { // a device belongs to one of all users
		return from, to, true
	}
	g := t.groups[group]
	if g == nil {
		return from, to, false
	}
	in := false
	var since, left time.Time
	for _, m := range g.Log {
		if m.Object != d.object || m.At.After(to) {
			continue
		}
		if in = !m.Out; in {
			since = m.At
		} else {
			left = m.At
		}
	}
	if since.Before(from) {
		since = from
	}
	switch {
	case in:
		return since, to, true
	case left.After(since):
		return since, left, true
	}
	return from, to, false
}

func (t *tenant) excluded(e scriptEpoch, d *device, at time.Time) bool {
	return slices.ContainsFunc(e.Assignments, func(a assignment) bool {
		body, err := parseScriptAssigned(a.Body)
		g := t.groups[body.Target.GroupID]
		return err == nil && body.Target.Type == exclusionTarget && g != nil && g.holds(d.object, at)
	})
}

var wantedVersion = regexp.MustCompile(`(?m)^\$want = '([^']*)'$`)

// runScript has a device run a probe. It evaluates what packmill puts before
// the probe's own text, whether the release is there; and whether the release
// makes this device fail the probe is the world's decision.
func (t *tenant) runScript(e scriptEpoch, d *device, at time.Time) scriptRun {
	run := scriptRun{at: at}
	if m, ok := policy.ParseMarker(text(e.Props, "description")); ok {
		run.failed = t.fails(d, &epoch{Package: m.Package, Version: m.Version, Artifact: m.Artifact})
		return run
	}
	m, ok := intune.ParseProbeMarker(text(e.Props, "description"))
	if !ok {
		return run // somebody else's script finds nothing wrong
	}
	has := t.holding(m.Package, d, at)
	source, err := base64.StdEncoding.DecodeString(text(e.Props, "detectionScriptContent"))
	if err != nil {
		return run // createScript has refused it
	}
	if want := wantedVersion.FindStringSubmatch(string(source)); want != nil && has.version != want[1] {
		run.output = probe.Waiting + "\r\n"
		return run
	}
	if has.version != "" && t.s.chance("unhealthy", t.Directory, d.Name, string(m.Package), has.version, m.Probe) < t.s.o.Unhealthy(m.Package, has.version, m.Probe) {
		run.failed, run.output = true, "it is not well\r\n"
	}
	return run
}

// holding is what a device has of a package at an instant.
func (t *tenant) holding(id fleet.PackageID, d *device, at time.Time) program {
	r := &run{t: t, d: d, id: id, apps: t.appsOf(id), has: program{version: d.Installed[id]}, told: map[string]status{}}
	for _, c := range r.checkIns(at) {
		r.checkIn(c)
	}
	return r.has
}
