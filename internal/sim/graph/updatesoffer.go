package graph

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// offered is which devices took what is deployed to an audience, and when the
// service itself stopped the deployment because of a monitoring rule: the zero
// time while it has not. What is stopped reaches devices a while later, and what a
// device took it has, whoever leaves the audience.
func (t *tenant) offered(e *entity) (map[*device]install, time.Time) {
	s := e.deployment()
	p, known := t.patch(serviceCatalog, s.Entry)
	audience := cmp.Or(t.entities[audienceSet().name][s.Audience], t.entities[audienceSet().buried()][s.Audience])
	if !known || audience == nil {
		return nil, time.Time{}
	}
	type taken struct {
		d  *device
		at time.Time
	}
	var all []taken
	queue := t.queue(s.Audience, audience.audience())
	for d, at := range t.takers(s, p, audience.audience(), queue) {
		all = append(all, taken{d, at})
	}
	slices.SortFunc(all, func(a, b taken) int { return cmp.Or(a.at.Compare(b.at), strings.Compare(a.d.Name, b.d.Name)) })
	out, failed := map[*device]install{}, 0
	lag := t.s.o.Updates.lag()
	var stopped time.Time
	for _, x := range all {
		if !stopped.IsZero() && x.at.After(stopped.Add(lag)) {
			continue
		}
		out[x.d] = install{x.at, p}
		if t.rollsBack(x.d, p) {
			failed++
		}
		if limit := s.now().settings().stopsAt(); stopped.IsZero() && limit > 0 && failed*100 >= limit*len(queue) {
			stopped = x.at
		}
	}
	return out, stopped
}

// takers are the devices that would take what is deployed if nothing stopped it,
// and when: at the first check-in after their turn while it is offered and they are
// in the audience.
func (t *tenant) takers(s deploymentState, p Patch, log audienceState, queue []queued) map[*device]time.Time {
	out := map[*device]time.Time{}
	if x := s.now().settings().Expedite; x != nil && x.Test {
		return out
	}
	lag, end := t.s.o.Updates.lag(), t.s.o.Now().Add(time.Nanosecond)
	for k, h := range s.History {
		if h.Requested != "none" {
			continue
		}
		until := end
		if k+1 < len(s.History) && s.History[k+1].Requested != "none" {
			until = s.History[k+1].At.Add(lag)
		}
		for i, turn := range h.settings().turns(h.At, queue) {
			q := queue[i]
			enrolled, managed := t.enrolled(q.d)
			if _, has := out[q.d]; has || p.Feature != "" && !managed {
				continue
			}
			if at, ok := t.firstIn(log, q.d, later(later(h.At, turn), enrolled).Add(lag), until); ok {
				out[q.d] = at
			}
		}
	}
	return out
}

// enrolled is since when the service manages a device's feature updates.
func (t *tenant) enrolled(d *device) (time.Time, bool) {
	if e := t.entities[assetSet().name][strings.ToLower(d.entra)]; e != nil {
		return e.Created, true
	}
	return time.Time{}, false
}

// firstIn is the first check-in of a device, from an instant on and before another,
// at which an audience has it.
func (t *tenant) firstIn(log audienceState, d *device, from, until time.Time) (time.Time, bool) {
	starts := []time.Time{from}
	for _, m := range slices.Concat(log.Members, log.Exclusions) {
		if strings.EqualFold(m.Object, d.entra) && m.At.After(from) && m.At.Before(until) {
			starts = append(starts, m.At)
		}
	}
	slices.SortFunc(starts, time.Time.Compare)
	for _, start := range starts {
		at, ok := t.nextCheckIn(d, start)
		if ok && at.Before(until) && in(log.Members, d.entra, at) && !in(log.Exclusions, d.entra, at) {
			return at, true
		}
	}
	return time.Time{}, false
}

// A queued device waits for its turn since it came into an audience.
type queued struct {
	d      *device
	joined time.Time
}

// queue are all devices that ever were in an audience in the order they are
// offered something.
func (t *tenant) queue(audience string, log audienceState) []queued {
	var out []queued
	for _, d := range t.devices {
		i := slices.IndexFunc(log.Members, func(m membership) bool { return strings.EqualFold(m.Object, d.entra) })
		if i >= 0 {
			out = append(out, queued{d, log.Members[i].At})
		}
	}
	turn := func(d *device) string { return fmt.Sprintf("%x", t.s.hash("offer", audience, d.Name)) }
	slices.SortFunc(out, func(a, b queued) int {
		return cmp.Or(a.joined.Compare(b.joined), strings.Compare(turn(a.d), turn(b.d)))
	})
	return out
}

// turns are when the devices of a queue are offered what is deployed: no offer goes
// to more devices than there are at a time, and none to a device before it joined.
func (s deploySettings) turns(made time.Time, queue []queued) []time.Time {
	start := made
	if s.Schedule != nil && s.Schedule.Start != nil {
		start = later(made, *s.Schedule.Start)
	}
	out := make([]time.Time, len(queue))
	offer, given := 0, 0
	for i, q := range queue {
		out[i] = later(start, q.joined)
		if s.Schedule == nil || s.Schedule.Gradual == nil {
			continue
		}
		g := s.Schedule.Gradual
		every, _ := days(g.Between)
		if g.Devices == 0 {
			parts := max(int(g.End.Sub(start)/every), 1)
			out[i] = later(start.Add(time.Duration(i*parts/len(queue))*every), q.joined)
			continue
		}
		if since := int((q.joined.Sub(start) + every - 1) / every); since > offer {
			offer, given = since, 0
		}
		if given == g.Devices {
			offer, given = offer+1, 0
		}
		given++
		out[i] = start.Add(time.Duration(offer) * every)
	}
	return out
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
