package graph

import (
	"cmp"
	"time"
)

// settle gives a device its primary user. Devices that name the same one share
// that user.
func (t *tenant) settle(d *device) {
	if d.Shared {
		return
	}
	name := cmp.Or(d.User, "user of "+d.Name)
	d.user = t.s.guid(t.Directory, "user", name)
	t.users[d.user] = name
}

// enrolled reports whether the device is there at an instant.
func (d *device) enrolled(at time.Time) bool { return !at.Before(d.Enrolled) }

// principal is the name that a user signs in with.
func principal(user string) string {
	if user == "" {
		return ""
	}
	return user[:8] + "@example.org"
}

// userObject is a user as a member of a group.
func userObject(id, name string) map[string]any {
	return map[string]any{"@odata.type": "#microsoft.graph.user", "id": id, "displayName": name, "userPrincipalName": principal(id)}
}

// A way is how a target reaches a device.
type way int

const (
	missed   way = iota
	byDevice     // as the device it is
	byUser       // through its primary user
)

// hit is how a target reaches the device at an instant. Exclusions have no
// filter, so what it would say of them is not asked.
func (r *run) hit(target target, at time.Time) way {
	reached := missed
	switch g := r.t.groups[target.GroupID]; {
	case target.Type == allDevicesTarget:
		reached = byDevice
	case target.Type == allUsersTarget && r.d.user != "":
		reached = byUser
	case g == nil:
	case r.t.within(g, r.d.object, at, map[string]bool{}):
		reached = byDevice
	case r.d.user != "" && r.t.within(g, r.d.user, at, map[string]bool{}):
		reached = byUser
	}
	if reached != missed && !r.t.passes(r.d, target, at) {
		return missed
	}
	return reached
}

// excluded are the ways by which the device is left out of an app's assignments.
// Leaving out users does nothing for a device that is named as a device, nor the
// other way round: Microsoft does not support such a mix, and this is what comes
// of it.
func (r *run) excluded(e *epoch, at time.Time) map[way]bool {
	out := map[way]bool{}
	for _, d := range e.decoded() {
		if d.Target.Type == exclusionTarget {
			out[r.hit(d.Target, at)] = true
		}
	}
	return out
}
