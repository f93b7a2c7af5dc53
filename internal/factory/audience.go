package factory

import (
	"cmp"
	"context"
	"slices"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// An Audience is a Console that finds what a tenant's people made, by its name
// there, and groups users beside devices.
type Audience interface {
	// Filter is the id of the one assignment filter of a name.
	Filter(ctx context.Context, name string) (string, error)
	// Named is the id of the tenant's own group of a name, which must hold devices,
	// or users: the kinds never mix.
	Named(ctx context.Context, name string, users bool) (string, error)
	// UserGroup makes the static user group of a wave hold exactly the users of
	// these devices, and returns its id.
	UserGroup(ctx context.Context, wave string, devices []string) (string, error)
}

// reach is the assignment of a package to everyone on a tenant, with the names in
// it found there.
type reach struct {
	fleet.Assignment
	filter  string   // id
	exclude []string // ids of groups
}

// assignment is the package's assignment on the tenant that waves carry out. A
// tenant that has given the package up meanwhile has none, and is left as it
// was: with all devices.
func (w onTenant) assignment() fleet.Assignment {
	if a := rollout.FleetWide(w.tenant.Packages[w.e.Package]); a != nil {
		return *a
	}
	return fleet.Assignment{Intent: "required", Group: rollout.AllDevices, Notify: "showReboot"}
}

// finder is the console as far as it finds things by name.
func (w onTenant) finder() (Audience, error) {
	a, ok := w.visit.console.(Audience)
	if !ok {
		return nil, fleet.Errorf(fleet.Invalid, "factory.audience", string(w.tenant.ID), "its console knows no filters, no groups by name and no groups of users")
	}
	return a, nil
}

// audience is the package's assignment with its names found in the tenant. One
// that is not there stops the change before anything is done: an assignment
// without its filter would reach those it was to leave out.
func (w onTenant) audience(ctx context.Context) (reach, error) {
	r := reach{Assignment: w.assignment()}
	if r.Filter == "" && len(r.Exclude) == 0 {
		return r, nil
	}
	finder, err := w.finder()
	if err != nil {
		return r, err
	}
	if r.Filter != "" {
		if r.filter, err = finder.Filter(ctx, r.Filter); err != nil {
			return r, err
		}
	}
	for _, name := range r.Exclude {
		id, err := finder.Named(ctx, name, r.Group == rollout.AllUsers)
		if err != nil {
			return r, err
		}
		r.exclude = append(r.exclude, id)
	}
	slices.Sort(r.exclude)
	r.exclude = slices.Compact(r.exclude)
	return r, nil
}

// removing is the same for a way back that removes the package: from those alone
// that were meant to have it.
func (w onTenant) removing(ctx context.Context) (reach, error) {
	r, err := w.audience(ctx)
	r.Intent, r.Notify, r.Restart, r.Delivery = removal, "showReboot", nil, ""
	return r, err
}

// intentOf is the console's word for an assignment's intent: an update of what
// is installed is required, and the app's requirement rule says of whom.
func intentOf(a fleet.Assignment) string {
	if a.Intent == "updateOnly" {
		return "required"
	}
	return a.Intent
}

// target is the assignment to one group, or to everyone.
func (r reach) target(group string) fleet.Target {
	t := fleet.Target{
		Intent: intentOf(r.Assignment), Group: group, Notify: r.Notify, Foreground: r.Delivery == "foreground",
		Filter: r.filter, Unfiltered: r.filter != "" && r.FilterMode == "exclude",
	}
	if g := r.Restart; g != nil {
		t.Restart = fleet.Restart{Grace: g.GraceMinutes, Countdown: g.CountdownMinutes, Snooze: g.SnoozeMinutes}
	}
	return t
}

// leftOut are the exclusions of the groups that the assignment names.
func (r reach) leftOut(intent string) []fleet.Target {
	var out []fleet.Target
	for _, g := range r.exclude {
		out = append(out, fleet.Target{Intent: intent, Group: g, Exclude: true})
	}
	return out
}

// stableTargets is the assignment of the stable slot to everyone, without the
// groups that are left out already and without one more. A slot that removes
// its release goes on doing so; one that only people of the tenant have assigned
// goes on as they said, without the groups. Restarts are left as they are: what the slot
// holds may be a release that does not restart.
func (r reach) stableTargets(now []fleet.Target, without ...string) []fleet.Target {
	if removes(now) {
		r.Intent = removal
	}
	out := r.allBut(now, without...)
	i := everyone(now)
	if i < 0 {
		return out[1:]
	}
	out[0].Restart = now[i].Restart
	return out
}

// allBut is the assignment to everyone but some groups, those that are left out
// now among them.
func (r reach) allBut(now []fleet.Target, without ...string) []fleet.Target {
	all := r.target(cmp.Or(r.Group, rollout.AllDevices))
	if i := everyone(now); i >= 0 {
		all.Opens = now[i].Opens // still to come, perhaps
	}
	excluded := slices.Concat(without, r.exclude)
	for _, t := range now {
		if t.Exclude {
			excluded = append(excluded, t.Group)
		}
	}
	slices.Sort(excluded)
	out := []fleet.Target{all}
	for _, g := range slices.Compact(excluded) {
		out = append(out, fleet.Target{Intent: all.Intent, Group: g, Exclude: true})
	}
	return out
}

// everyone is where packmill's targets of a stable slot name all devices or all
// users, or the group that stands for them where a console takes groups alone:
// the slot is for nobody else. It is -1 for nowhere.
func everyone(targets []fleet.Target) int {
	return slices.IndexFunc(targets, func(t fleet.Target) bool { return !t.Exclude })
}

// present are the ids of a membership's devices. One that has left the tenant
// stays silent.
func (w onTenant) present(ctx context.Context, m fleet.Membership) (ids []string, err error) {
	if w.devices == nil { // what takes a release back needs none of them
		if w.devices, err = w.c.devices(ctx, w.tenant); err != nil {
			return nil, err
		}
	}
	ids = make([]string, 0, len(m.Devices))
	for _, hash := range m.Devices {
		if d, ok := w.devices[hash]; ok {
			ids = append(ids, d.ID)
		}
	}
	return ids, nil
}

// usersOf makes the console's group of the users of a wave's devices.
func (w onTenant) usersOf(ctx context.Context, m fleet.Membership) (string, error) {
	at := string(m.Cycle) + " " + m.Wave
	if id, ok := w.users[at]; ok {
		return id, nil
	}
	finder, err := w.finder()
	if err != nil {
		return "", err
	}
	ids, err := w.present(ctx, m)
	if err != nil {
		return "", err
	}
	id, err := finder.UserGroup(ctx, rollout.GroupName(w.facts.Repo, w.facts.Record, m), ids)
	if err == nil {
		w.users[at] = id
	}
	return id, err
}
