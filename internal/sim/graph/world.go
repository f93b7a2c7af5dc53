package graph

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// Install states as reports number them (resultantAppState).
const (
	notApplicable  = -1
	installed      = 1
	failedState    = 2
	notInstalled   = 3
	pendingInstall = 5
	errNotFound    = 0x80070002 // the system cannot find the file specified
	errInstall     = 0x80070643 // fatal error during installation
	errNotDetected = 0x87D1041C // the app was not detected after its installation
)

// A program is what a device has of a package.
type program struct {
	version  string // "" when it has nothing
	product  string // MSI product code, as far as known
	msi      string // MSI product version
	artifact fleet.Digest
	bundles  map[string]string // of macOS: id → version; nil for what was there before the world began
	stored   string            // id of an app of the store
}

// A status is what a device reported for an app.
type status struct {
	state   int
	version string
	code    uint32
	at      time.Time
	stale   bool // the app is no longer offered to the device: the row stays as it is
}

// A run is one device's life with one package.
type run struct {
	t    *tenant
	d    *device
	id   fleet.PackageID
	apps []*app // that ever were of this package, by id
	has  program
	told map[string]status // by app

	kin  []*run   // its life with packages that supersede each other, this one among them; nil where there are none
	past []string // versions it had before the present one
	did  Lives
}

// statuses computes what the service knows now of what devices reported for an
// app: each device as it was a while ago.
func (t *tenant) statuses(a *app, now time.Time) map[*device]status {
	out := map[*device]status{}
	e := a.at(now)
	if e == nil {
		return out
	}
	family := t.kinOf(e.Package)
	for i := range family {
		family[i].apps = slices.DeleteFunc(family[i].apps, func(other *app) bool { return other.kind().os != a.kind().os })
	}
	for _, d := range t.devices {
		if cmp.Or(d.OS, "Windows") != a.kind().os || d.comanaged("apps") || !d.enrolled(now) {
			continue // of another kind, or its apps come from elsewhere and nothing is reported
		}
		known := now.Add(-t.reportLag(d))
		r := t.lived(d, e.Package, family, known)
		if s, ok := r.told[a.ID]; ok {
			if last, alive := t.lastCheckIn(d, known); alive && !s.stale && last.After(s.at) {
				s.at = last // a later check-in found nothing to do
			}
			out[d] = s
		}
	}
	return out
}

// checkIns are the check-ins until now at which something may be different from
// the check-in before: the first after each change of the world and each
// instant an assignment names.
func (r *run) checkIns(now time.Time) []time.Time {
	changes := []time.Time{r.d.Enrolled}
	groups, removes := map[string]bool{}, r.kin != nil
	for _, a := range r.apps {
		for i := range a.History {
			changes = append(changes, a.History[i].At)
			for _, d := range a.History[i].decoded() {
				groups[d.Target.GroupID] = true
				removes = removes || d.Intent == "uninstall"
				for _, past := range r.t.filterPast(d.Target.FilterID) {
					changes = append(changes, past.Modified)
				}
				if d.Settings != nil && d.Settings.Install != nil {
					s := d.Settings.Install
					changes = append(changes, r.d.local(s.Start, s.Local), r.d.local(s.Deadline, s.Local))
				}
			}
		}
	}
	for id := range groups {
		if g := r.t.groups[id]; g != nil {
			for _, m := range g.Log {
				if m.Object == r.d.object || m.Object == r.d.user || r.t.groups[m.Object] != nil {
					changes = append(changes, m.At)
				}
			}
		}
	}
	var out []time.Time
	for _, at := range changes {
		if at.IsZero() || at.After(now) {
			continue
		}
		if at.Before(r.d.Enrolled) {
			at = r.d.Enrolled
		}
		c, ok := r.t.nextCheckIn(r.d, at)
		if !ok || c.After(now) {
			continue
		}
		out = append(out, c)
		if !removes {
			continue
		}
		// What one app removed, another may have to bring the next time.
		if c, ok := r.t.nextCheckIn(r.d, c.Add(time.Second)); ok && !c.After(now) {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, time.Time.Compare)
	return slices.CompactFunc(out, time.Time.Equal)
}

// checkIn is one check-in: the device asks for its apps and does what they say,
// the stable slot's before the candidate's. Of an app that it is no longer
// offered, the service keeps what it last reported, as long as the app is there.
func (r *run) checkIn(at time.Time) {
	offers := r.standing(at)
	for _, a := range r.apps {
		if !slices.ContainsFunc(offers, func(o offer) bool { return o.app == a }) {
			delete(r.told, a.ID)
		}
	}
	slices.SortStableFunc(offers, func(a, b offer) int { return cmp.Compare(slotOrder(a.epoch.Slot), slotOrder(b.epoch.Slot)) })
	for _, o := range offers {
		intent, started, ok := r.wanted(o.epoch, at)
		if !ok {
			r.keep(o.app)
			continue
		}
		r.told[o.app.ID] = r.act(o.app, o.epoch, intent, started, at)
	}
}

// keep leaves what the device last reported for an app as it was.
func (r *run) keep(a *app) {
	if s, ok := r.told[a.ID]; ok {
		s.stale = true
		r.told[a.ID] = s
	}
}

func slotOrder(slot string) int {
	if slot == fleet.Candidate {
		return 1
	}
	return 0
}

// wanted is what an app's assignments want of the device: an exclusion beats
// everything that reaches the device in the same way, to have it beats to remove
// it, and the earliest start counts.
func (r *run) wanted(e *epoch, at time.Time) (intent string, started, ok bool) {
	var required, uninstall, available []assigned
	out := r.excluded(e, at)
	for _, d := range e.decoded() {
		way := r.hit(d.Target, at)
		switch {
		case d.Target.Type == exclusionTarget || way == missed || out[way]:
		case d.Intent == "required":
			required = append(required, d)
		case d.Intent == "uninstall":
			uninstall = append(uninstall, d)
		case way == byDevice: // the company portal offers apps to people, not to devices
		default:
			available = append(available, d)
		}
	}
	set, intent := required, "required"
	if len(set) == 0 {
		set, intent = uninstall, "uninstall"
	}
	if len(set) == 0 {
		return "available", false, len(available) > 0
	}
	for _, d := range set {
		if !at.Before(r.start(d, e)) {
			started = true
		}
	}
	return intent, started, true
}

// start is when the device acts on an assignment: at its start, or at its
// deadline where the user puts it off.
func (r *run) start(d assigned, e *epoch) time.Time {
	if d.Settings == nil || d.Settings.Install == nil {
		return time.Time{}
	}
	s := d.Settings.Install
	deadline := r.d.local(s.Deadline, s.Local)
	if !deadline.IsZero() && r.t.defers(r.d, e) {
		return deadline
	}
	return r.d.local(s.Start, s.Local)
}

// act detects, and installs or removes where that is wanted and due.
func (r *run) act(a *app, e *epoch, intent string, started bool, at time.Time) status {
	s := status{state: notInstalled, version: cmp.Or(e.Told, e.Version), at: at}
	if !r.d.allowed(e.Props) {
		s.state = notApplicable
		return s
	}
	overtaken := r.kin != nil && r.overtaken(a, at)
	if r.kin != nil && !overtaken && r.reigns(e, at) {
		r.supplant(e, "replace", at)
	}
	present := r.detects(e)
	switch {
	case intent == "uninstall" && present && started:
		r.remove()
	case intent == "uninstall" && present:
		s.state = pendingInstall
	case intent == "uninstall":
	case present:
		s.state = installed
	case overtaken:
	case !r.meets(e):
		s.state = notApplicable
	case intent == "available":
	case !started:
		s.state = pendingInstall
	default:
		s.state, s.code = r.install(e)
		if r.kin != nil && s.state == installed {
			r.supplant(e, "update", at)
		}
	}
	return s
}

// install runs the installer. A device on which a release breaks keeps what it
// had, and breaks again whenever it tries.
func (r *run) install(e *epoch) (int, uint32) {
	r.did.Failed++ // until it has not
	if e.Unable != "" {
		return failedState, errNotFound
	}
	if r.t.fails(r.d, e) {
		return failedState, errInstall
	}
	before := r.has
	r.has = program{version: e.Version, artifact: e.Artifact}
	r.has.product, r.has.msi = e.product()
	r.has.stored = text(e.Props, "packageIdentifier")
	if e.kind().os == "macOS" {
		r.has.bundles = e.installs(r.t.s.o.Pitfalls.BareBundles)
	}
	if !r.detects(e) {
		r.has = before
		return failedState, errNotDetected
	}
	r.did.Failed--
	r.did.Installed++
	if slices.Contains(r.past, e.Version) {
		r.did.Back++
	}
	r.past = append(r.past, before.version)
	return installed, 0
}

// allowed reports whether the app is for the device's architecture, and for its
// system.
func (d *device) allowed(props map[string]json.RawMessage) bool {
	if least := minimumOf(props); least != nil && slices.Compare(versionNumbers(d.OSVersion), least) < 0 {
		return false
	}
	list := text(props, "allowedArchitectures")
	if older := text(props, "applicableArchitectures"); list == "" && older != "none" {
		list = older
	}
	return list == "" || slices.Contains(strings.Split(list, ","), cmp.Or(d.Arch, "x64"))
}

// decoded are the epoch's assignments; they were checked when they were made.
func (e *epoch) decoded() []assigned {
	if e.wants == nil {
		e.wants = make([]assigned, 0, len(e.Assignments))
		for _, a := range e.Assignments {
			if d, err := parseAssigned(a.Body); err == nil {
				e.wants = append(e.wants, d)
			}
		}
	}
	return e.wants
}
