// Package reconcile holds a console's own audit against what evidence explains:
// every write that packmill's application made must lie within an effect that has
// an intent, and nobody else may write to an object with packmill's marker.
//
// An effect explains the writes from its intent on, which is pushed before its
// first call, until its receipt; without one until its lease has ended and the
// call that was begun last is over. It explains writes to its own package's
// objects, and to objects of which nobody knows any more what they were, such as a
// spare that was removed. It explains none to what is there and not packmill's:
// whoever has stolen the credential would else only wait for a rollout. Clocks differ
// a little, so both ends are stretched.
package reconcile

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

const (
	// skew is how far the service's clock may be from the runner's.
	skew = 5 * time.Minute
	// lastCall is how long the call that was begun last may take: an upload.
	lastCall = 2 * time.Hour
	// overlap is how much of the period before is read again: the service shows an
	// event some time after it happened.
	overlap = 24 * time.Hour
	// first is how far back the first reading goes at most.
	first = 30 * 24 * time.Hour
	// most is how many findings a row holds.
	most = 100
)

// Since is from when on a tenant's audit is to be read at an instant: with some
// overlap from the end of the last reading, at first from packmill's first effect.
func Since(rec *fleet.Record, tenant fleet.TenantID, now time.Time) time.Time {
	if last := latest(rec, tenant); last != nil {
		return last.Until.Add(-overlap)
	}
	from := now
	for i := range rec.Intents {
		if x := &rec.Intents[i]; x.Tenant == tenant && x.At.Before(from) {
			from = x.At
		}
	}
	from = from.Add(-overlap)
	if oldest := now.Add(-first); from.Before(oldest) {
		return oldest
	}
	return from
}

func latest(rec *fleet.Record, tenant fleet.TenantID) *fleet.Reconciliation {
	var out *fleet.Reconciliation
	for i := range rec.Reconciled {
		if r := &rec.Reconciled[i]; r.Tenant == tenant && (out == nil || r.Until.After(out.Until)) {
			out = r
		}
	}
	return out
}

// An effect is when what packmill did on a tenant may have made writes.
type effect struct {
	pkg         fleet.PackageID
	from, until time.Time
}

// Judge holds a reading of a period against evidence, which must have been read
// after it: the intent of a write may else not be there yet.
func Judge(rec *fleet.Record, tenant fleet.TenantID, audit fleet.ConsoleAudit, from, until, now time.Time) fleet.Reconciliation {
	out := fleet.Reconciliation{Tenant: tenant, From: from, Until: until, Application: audit.Application, Events: len(audit.Events), At: now}
	j := judge{effects: effectsOf(rec, tenant), known: map[string]fleet.OwnObject{}, lent: lentOf(rec, tenant), others: audit.Others,
		began: map[fleet.PackageID]time.Time{}, told: map[string]bool{}}
	for i := range rec.Reconciled {
		if r := &rec.Reconciled[i]; r.Tenant == tenant {
			maps.Copy(j.known, r.Objects)
			for _, f := range r.Findings {
				j.told[f.Event] = true
			}
		}
	}
	for id, o := range audit.Objects {
		if j.known[id] != o {
			if out.Objects == nil {
				out.Objects = map[string]fleet.OwnObject{}
			}
			out.Objects[id] = o
		}
	}
	before := maps.Clone(j.known)
	maps.Copy(j.known, audit.Objects)
	for _, e := range j.effects {
		if at, ok := j.began[e.pkg]; !ok || e.from.Before(at) {
			j.began[e.pkg] = e.from
		}
	}
	for _, e := range audit.Events {
		own := e.Application != "" && e.Application == audit.Application && !e.Person
		f, found := fleet.ConsoleFinding{}, false
		if own {
			out.Own++
			if f, found = j.unexplained(e); !found {
				out.Explained++
			}
		} else if f, found = j.foreign(e, before); !found {
			out.Foreign++
		}
		switch {
		case !found || j.told[e.ID]:
		case len(out.Findings) == most:
			out.More++
		default:
			out.Findings = append(out.Findings, f)
		}
	}
	return out
}

func effectsOf(rec *fleet.Record, tenant fleet.TenantID) []effect {
	done := map[string]time.Time{}
	for i := range rec.Receipts {
		if r := &rec.Receipts[i]; r.Tenant == tenant && r.At.After(done[r.Intent]) {
			done[r.Intent] = r.At
		}
	}
	var out []effect
	for i := range rec.Intents {
		x := &rec.Intents[i]
		if x.Tenant != tenant {
			continue
		}
		e := effect{pkg: x.Package, from: x.At.Add(-skew), until: x.NotAfter.Add(lastCall)}
		if at, ok := done[x.ID]; ok {
			e.until = at.Add(skew)
		}
		out = append(out, e)
	}
	return out
}

// lentOf are the apps of a tenant's people that became packmill's slots, whether
// they have become the people's again or not.
func lentOf(rec *fleet.Record, tenant fleet.TenantID) map[string]fleet.PackageID {
	out := map[string]fleet.PackageID{}
	for i := range rec.Receipts {
		if r := &rec.Receipts[i]; r.Tenant == tenant && r.Adopted != "" {
			out[strings.ToLower(r.Adopted)] = r.Package
		}
	}
	return out
}

type judge struct {
	effects []effect
	known   map[string]fleet.OwnObject    // packmill's objects, now and before
	lent    map[string]fleet.PackageID    // the tenant's own, which were packmill's once
	others  map[string]bool               // what is there and not packmill's
	began   map[fleet.PackageID]time.Time // of a package's first effect
	told    map[string]bool               // events that were findings before
}

// unexplained is the finding about a write by packmill's application that no
// effect covers, or that changed what is the tenant's own.
func (j judge) unexplained(e fleet.ConsoleEvent) (fleet.ConsoleFinding, bool) {
	f := finding(fleet.WriteUnexplained, e)
	packages := map[fleet.PackageID]bool{}
	for _, id := range e.Objects {
		of := j.lent[id]
		if o, ok := j.known[id]; ok {
			of = o.Package
		}
		if of != "" {
			packages[of] = true
			f.Object, f.Package = id, of
		}
	}
	for _, id := range e.Objects {
		if _, ours := j.known[id]; !ours && j.lent[id] == "" && j.others[id] {
			f.Object, f.Package = id, ""
			return f, true
		}
	}
	for _, x := range j.effects {
		if !e.At.Before(x.from) && !e.At.After(x.until) && (len(packages) == 0 || packages[x.pkg]) {
			return f, false
		}
	}
	return f, true
}

// foreign is the finding about a write by somebody else to an object of
// packmill's. What was refused changed nothing. An object that nobody knew before
// may have been the tenant's own until packmill took it: what happened to it
// earlier is nobody's fault.
func (j judge) foreign(e fleet.ConsoleEvent, before map[string]fleet.OwnObject) (fleet.ConsoleFinding, bool) {
	f := finding(fleet.WriteForeign, e)
	if r := strings.ToLower(e.Result); r != "" && r != "success" {
		return f, false
	}
	for _, id := range slices.Sorted(slices.Values(e.Objects)) {
		o, ours := j.known[id]
		if !ours {
			continue
		}
		began, ok := j.began[o.Package]
		if _, old := before[id]; !old && (!ok || e.At.Before(began)) {
			continue
		}
		f.Object, f.Package = id, o.Package
		return f, true
	}
	return f, false
}

func finding(kind string, e fleet.ConsoleEvent) fleet.ConsoleFinding {
	f := fleet.ConsoleFinding{Event: e.ID, Kind: kind, At: e.At, What: e.What, Result: e.Result, Application: e.Application, Person: e.Person}
	if len(e.Objects) > 0 {
		f.Object = e.Objects[0]
	}
	return f
}
