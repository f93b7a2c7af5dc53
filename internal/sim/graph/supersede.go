package graph

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// How apps supersede each other on devices (Microsoft, "Add Win32 app
// supersedence"; the details of install states, resultantAppStateDetail):
//
//   - An app that is assigned as required, may be installed and has started
//     supersedes whatever is below it, also by way of others, whether that is
//     assigned or not.
//   - What it replaces is removed first, and again wherever it turns up later.
//   - What it updates is left to its installer. One here takes an older product
//     away by the upgrade code that both have, as Windows Installer does.
//   - What is superseded is not installed; nor is it while an app that supersedes
//     it is found on the device, assigned or not.

// superseding are the apps that an app supersedes, and how.
func (a *app) superseding() map[string]string {
	var out map[string]string
	for _, rel := range a.Relations {
		if rel.Type != supersedenceType {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[rel.Target] = text(rel.Body, "supersedenceType")
	}
	return out
}

// A kin is a package and the apps that ever were of it.
type kin struct {
	id   fleet.PackageID
	apps []*app
}

// kinOf are the packages whose apps ever superseded each other, directly or by
// way of others, a given one among them; by id.
func (t *tenant) kinOf(id fleet.PackageID) []kin {
	if !t.supersedes() {
		return []kin{{id, t.appsOf(id)}}
	}
	packages := map[string]map[fleet.PackageID]bool{} // by app
	linked := map[string][]string{}
	for _, a := range t.apps {
		packages[a.ID] = map[fleet.PackageID]bool{}
		for _, e := range a.History {
			packages[a.ID][e.Package] = true
			for other := range e.Supersedes {
				linked[a.ID], linked[other] = append(linked[a.ID], other), append(linked[other], a.ID)
			}
		}
	}
	found := map[fleet.PackageID]bool{}
	for todo := []fleet.PackageID{id}; len(todo) > 0; {
		next := todo[0]
		todo = todo[1:]
		if found[next] {
			continue
		}
		found[next] = true
		for app, of := range packages {
			if of[next] {
				for _, other := range linked[app] {
					todo = slices.AppendSeq(todo, maps.Keys(packages[other]))
				}
			}
		}
	}
	var out []kin
	for _, id := range slices.Sorted(maps.Keys(found)) {
		out = append(out, kin{id, t.appsOf(id)})
	}
	return out
}

// supersedes reports whether any app ever superseded another one.
func (t *tenant) supersedes() bool {
	for _, a := range t.apps {
		if slices.ContainsFunc(a.History, func(e epoch) bool { return len(e.Supersedes) > 0 }) {
			return true
		}
	}
	return false
}

// ordered are the runs of a device's kin in the order in which it looks at them:
// what supersedes before what is superseded.
func (r *run) ordered(at time.Time) []*run {
	below := func(r *run) (out []*run) {
		for _, o := range r.kin {
			for _, p := range r.standing(at) {
				for id := range p.epoch.Supersedes {
					if slices.ContainsFunc(o.apps, func(a *app) bool { return a.ID == id }) {
						out = append(out, o)
					}
				}
			}
		}
		return out
	}
	var out []*run
	var visit func(*run)
	seen := map[*run]bool{}
	visit = func(r *run) {
		if seen[r] {
			return
		}
		seen[r] = true
		for _, o := range below(r) {
			visit(o)
		}
		out = append(out, r)
	}
	for _, o := range r.kin {
		visit(o)
	}
	slices.Reverse(out)
	return out
}

// An offer is an app and what it is at an instant.
type offer struct {
	app   *app
	epoch *epoch
}

// standing are the package's apps that have content at an instant.
func (r *run) standing(at time.Time) (out []offer) {
	for _, a := range r.apps {
		if e := a.at(at); e != nil && e.Live && e.Package == r.id {
			out = append(out, offer{a, e})
		}
	}
	return out
}

// reigns reports whether an app has its way on the device: it is to be there, by
// now, and may be.
func (r *run) reigns(e *epoch, at time.Time) bool {
	intent, started, ok := r.wanted(e, at)
	return ok && intent == "required" && started && r.d.allowed(e.Props) && (r.detects(e) || r.meets(e))
}

// overtaken reports whether the device has, or is to have, an app that
// supersedes one.
func (r *run) overtaken(a *app, at time.Time) bool {
	for _, o := range r.kin {
		for _, above := range o.standing(at) {
			if _, below := r.below(above.epoch, at)[a.ID]; below && (o.detects(above.epoch) || o.reigns(above.epoch, at)) {
				return true
			}
		}
	}
	return false
}

// below are the apps that one supersedes, directly or by way of others, and how
// the last of the way does.
func (r *run) below(e *epoch, at time.Time) map[string]string {
	out := map[string]string{}
	for todo := []*epoch{e}; len(todo) > 0; todo = todo[1:] {
		for id, how := range todo[0].Supersedes {
			if _, known := out[id]; known {
				continue
			}
			out[id] = how
			if a := r.t.apps[id]; a != nil {
				if next := a.at(at); next != nil {
					todo = append(todo, next)
				}
			}
		}
	}
	return out
}

// supplant removes from the device what an app supersedes in one of the ways.
func (r *run) supplant(e *epoch, how string, at time.Time) {
	below := r.below(e, at)
	for _, o := range r.kin {
		for _, old := range o.standing(at) {
			switch way := below[old.app.ID]; {
			case way != how || !o.detects(old.epoch):
			case how == "update" && !sameProduct(e, old.epoch):
			default:
				o.remove()
			}
		}
	}
}

// remove takes the program off the device.
func (r *run) remove() {
	r.past, r.has = append(r.past, r.has.version), program{}
	r.did.Removed++
}

// sameProduct reports whether two apps bear one upgrade code.
func sameProduct(a, b *epoch) bool {
	code := func(e *epoch) string {
		var info struct {
			UpgradeCode string `json:"upgradeCode"`
		}
		if json.Unmarshal(e.Props["msiInformation"], &info) != nil {
			return ""
		}
		return info.UpgradeCode
	}
	return code(a) != "" && strings.EqualFold(code(a), code(b))
}
