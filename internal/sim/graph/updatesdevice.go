package graph

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// What devices have of Windows Update is computed, like all they have, from the
// history of what was approved for whom.

// An install is a patch that a device took at an instant.
type install struct {
	at    time.Time
	patch Patch
}

// osVersion is the build a device reports at an instant: the one it came with,
// and what it installed since, in the order it did.
func (t *tenant) osVersion(d *device, now time.Time) string {
	if cmp.Or(d.OS, "Windows") != "Windows" || len(t.s.o.Updates.Patches) == 0 {
		return d.OSVersion
	}
	var all []install
	for _, e := range t.ever(qualitySet()) {
		all = append(all, t.approvedOn(e, d, now)...)
	}
	for _, e := range t.ever(expediteSet()) {
		all = append(all, t.profiledOn(e, d, now, t.expedited)...)
	}
	for _, e := range t.ever(featureSet()) {
		all = append(all, t.profiledOn(e, d, now, t.featured)...)
	}
	for _, e := range t.sorted(deploymentSet().name) {
		taken, _ := t.offered(e)
		if i, ok := taken[d]; ok && !i.at.After(now) {
			all = append(all, i)
		}
	}
	slices.SortStableFunc(all, func(a, b install) int { return a.at.Compare(b.at) })
	version := d.OSVersion
	for _, i := range all {
		if !t.rollsBack(d, i.patch) {
			version = i.patch.on(version)
		}
	}
	return version
}

// on is the build that a patch brings a device to; the one it has where the patch
// is not for it, or older.
func (p Patch) on(version string) string {
	family, revision := split(version)
	for _, v := range p.versions() {
		f, r := split(p.Builds[v])
		if p.Feature != "" && f > family || p.Feature == "" && f == family && r > revision {
			return "10.0." + p.Builds[v]
		}
	}
	return version
}

// rollsBack reports whether a device goes back from a patch it installed.
func (t *tenant) rollsBack(d *device, p Patch) bool {
	f := t.s.o.Updates.Rollback
	return f != nil && t.s.chance("rollback", t.Directory, d.Name, p.KB) < f(p.KB)
}

// sorted are the entities of a set in the order of their ids.
func (t *tenant) sorted(set string) []*entity {
	var out []*entity
	for _, id := range slices.Sorted(maps.Keys(t.entities[set])) {
		out = append(out, t.entities[set][id])
	}
	return out
}

// aimed reports whether assignments reach a device at an instant.
func (t *tenant) aimed(list []assignment, d *device, at time.Time) bool {
	hit := false
	for _, a := range list {
		var target struct {
			Type    string `json:"@odata.type"`
			GroupID string `json:"groupId"`
		}
		_ = json.Unmarshal(a.Body["target"], &target) // checked when it was assigned
		g := t.groups[target.GroupID]
		if g == nil || !t.within(g, d.object, at, map[string]bool{}) {
			continue
		}
		if target.Type == exclusionTarget {
			return false
		}
		hit = true
	}
	return hit
}

// firstScan is the first check-in of a device, from an instant on and before
// another, at which assignments reach it: right at the start, or after it came
// into a group.
func (t *tenant) firstScan(list []assignment, d *device, from, until time.Time) (time.Time, bool) {
	starts := []time.Time{from}
	for _, g := range t.groups {
		for _, m := range g.Log {
			if m.At.After(from) && m.At.Before(until) && (m.Object == d.object || t.groups[m.Object] != nil) {
				starts = append(starts, m.At)
			}
		}
	}
	slices.SortFunc(starts, time.Time.Compare)
	for _, start := range starts {
		at, ok := t.nextCheckIn(d, start)
		if ok && at.Before(until) && t.aimed(list, d, at) {
			return at, true
		}
	}
	return time.Time{}, false
}

// spans gives what a profile was, with the spans of time in which devices went by
// it: every change reaches them a while later.
func (t *tenant) spans(e *entity, now time.Time, each func(epoch profileEpoch, from, until time.Time)) {
	lag := t.s.o.Updates.lag()
	history := e.profile().History
	for i, h := range history {
		until := now.Add(time.Nanosecond)
		if i+1 < len(history) && history[i+1].At.Add(lag).Before(until) {
			until = history[i+1].At.Add(lag)
		}
		if from := h.At.Add(lag); from.Before(until) {
			each(h, from, until)
		}
	}
}

// approvedOn are the patches that a device took because a quality update policy
// approved them.
func (t *tenant) approvedOn(e *entity, d *device, now time.Time) []install {
	var out []install
	t.spans(e, now, func(h profileEpoch, from, until time.Time) {
		for _, p := range t.published() {
			start, approved := from, h.Status[t.patchID(intuneCatalog, p)] == "approved"
			if wait, automatic := h.automatic(p); automatic && h.Status[t.patchID(intuneCatalog, p)] == "" {
				start, approved = later(from, p.Released.Add(wait+t.s.o.Updates.lag())), true
			}
			if !approved || p.Feature != "" || !start.Before(until) {
				continue
			}
			if at, ok := t.firstScan(h.Assignments, d, start, until); ok {
				out = append(out, install{at, p})
			}
		}
	})
	return out
}

// automatic is how long after its release a policy approves a patch by itself.
func (h profileEpoch) automatic(p Patch) (time.Duration, bool) {
	var list []struct {
		Cadence  string `json:"windowsQualityUpdateCadence"`
		Category string `json:"windowsQualityUpdateCategory"`
		Method   string `json:"approvalMethodType"`
		Days     int    `json:"deferredDeploymentInDay"`
	}
	_ = json.Unmarshal(h.Props["approvalSettings"], &list) // checked when it was written
	for _, a := range list {
		if a.Method == "automatic" && a.Cadence == p.Cadence && (a.Category == p.Category || a.Category == "all") {
			return time.Duration(a.Days) * 24 * time.Hour, true
		}
	}
	return 0, false
}

// profiledOn are the patches that a device took because a profile names them.
func (t *tenant) profiledOn(e *entity, d *device, now time.Time, named func(map[string]json.RawMessage) (Patch, bool)) []install {
	var out []install
	t.spans(e, now, func(h profileEpoch, from, until time.Time) {
		p, ok := named(h.Props)
		if !ok {
			return
		}
		var rollout struct {
			Start *time.Time `json:"offerStartDateTimeInUTC"`
		}
		if json.Unmarshal(h.Props["rolloutSettings"], &rollout) == nil && rollout.Start != nil && rollout.Start.After(from) {
			from = *rollout.Start
		}
		if at, ok := t.firstScan(h.Assignments, d, from, until); ok {
			out = append(out, install{at, p})
		}
	})
	return out
}

// featured is the feature update that a profile's properties name.
func (t *tenant) featured(props map[string]json.RawMessage) (Patch, bool) {
	for _, p := range t.published() {
		if p.Feature != "" && p.Feature == text(props, "featureUpdateVersion") {
			return p, true
		}
	}
	return Patch{}, false
}

// offered is which devices took what is deployed to an audience, and when the
// service itself stopped the deployment because of a monitoring rule: the zero
// time while it has not. What is stopped reaches devices a while later.
func (t *tenant) offered(e *entity) (map[*device]install, time.Time) {
	s := e.deployment()
	p, known := t.patch(serviceCatalog, s.Entry)
	audience := t.entities[audienceSet().name][s.Audience]
	if !known || audience == nil {
		return nil, time.Time{}
	}
	log, lag, now := audience.audience(), t.s.o.Updates.lag(), t.s.o.Now()
	type taken struct {
		d  *device
		at time.Time
	}
	var all []taken
	members := present(log.Members, now)
	for i, d := range t.inOrder(s.Audience, members) {
		if s.now().settings().Expedite != nil && s.now().settings().Expedite.Test {
			continue
		}
		for k, h := range s.History {
			if h.Requested != "none" {
				continue
			}
			from := later(h.At, h.settings().turn(h.At, i, len(members))).Add(lag)
			until := now.Add(time.Nanosecond)
			if k+1 < len(s.History) && s.History[k+1].Requested != "none" {
				until = s.History[k+1].At.Add(lag)
			}
			at, ok := t.nextCheckIn(d, from)
			if ok && at.Before(until) && !in(log.Exclusions, d.entra, at) && in(log.Members, d.entra, at) {
				all = append(all, taken{d, at})
				break
			}
		}
	}
	slices.SortStableFunc(all, func(a, b taken) int { return a.at.Compare(b.at) })
	out, failed := map[*device]install{}, 0
	var stopped time.Time
	for _, x := range all {
		if !stopped.IsZero() && x.at.After(stopped.Add(lag)) {
			continue
		}
		out[x.d] = install{x.at, p}
		if t.rollsBack(x.d, p) {
			failed++
		}
		if limit := s.now().settings().stopsAt(); stopped.IsZero() && limit > 0 && failed*100 >= limit*len(members) {
			stopped = x.at
		}
	}
	return out, stopped
}

// inOrder are the devices of an audience in the order they are offered something.
func (t *tenant) inOrder(audience string, members []string) []*device {
	var out []*device
	for _, d := range t.devices {
		if slices.ContainsFunc(members, func(id string) bool { return strings.EqualFold(id, d.entra) }) {
			out = append(out, d)
		}
	}
	turn := func(d *device) string { return fmt.Sprintf("%x", t.s.hash("offer", audience, d.Name)) }
	slices.SortFunc(out, func(a, b *device) int { return strings.Compare(turn(a), turn(b)) })
	return out
}

// turn is when the n-th of so many devices is offered what is deployed.
func (s deploySettings) turn(made time.Time, n, of int) time.Time {
	start := made
	if s.Schedule != nil && s.Schedule.Start != nil {
		start = later(made, *s.Schedule.Start)
	}
	if s.Schedule == nil || s.Schedule.Gradual == nil {
		return start
	}
	g := s.Schedule.Gradual
	every, _ := days(g.Between)
	if g.Devices > 0 {
		return start.Add(time.Duration(n/g.Devices) * every)
	}
	parts := max(int(g.End.Sub(start)/every), 1)
	return start.Add(time.Duration(n*parts/of) * every)
}

// stopsAt is the share of devices, in percent, whose going back pauses the
// deployment, 0 for none.
func (s deploySettings) stopsAt() int {
	if s.Monitoring == nil {
		return 0
	}
	for _, r := range s.Monitoring.Rules {
		if r.Signal == "rollback" && r.Action == "pauseDeployment" {
			return r.Threshold
		}
	}
	return 0
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
