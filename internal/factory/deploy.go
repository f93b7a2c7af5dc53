package factory

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/rules/setting"
)

// A visit is what one run keeps of a tenant while it makes changes there: the
// console, the devices, the groups it made sure of. It is empty until the first
// change opens it.
type visit struct {
	console Console
	devices map[string]fleet.Device // by keyed hash
	groups  map[string]string       // cycle and wave → id
	users   map[string]string       // the same → id of the group of its devices' users
}

// open opens a tenant's console and reads its devices, once a visit.
func (f *Factory) open(ctx context.Context, v *visit, t fleet.Tenant) error {
	if v.console != nil {
		return nil
	}
	console, err := f.Consoles(ctx, t)
	if err != nil {
		return err
	}
	*v = visit{console: console, groups: map[string]string{}, users: map[string]string{}}
	return nil
}

// make makes one change on a tenant's console and returns the artifact that
// the changed slot holds afterwards, and what both slots do.
func (c *campaign) make(ctx context.Context, v *visit, e rollout.Effect, i fleet.Intent) (fleet.Digest, map[string]string, error) {
	tenant := c.facts.Repo.Tenants[e.Tenant]
	if err := c.open(ctx, v, tenant); err != nil {
		return "", nil, err
	}
	if a, ok := v.console.(Adapter); ok {
		if r, known := c.ready[e.Tenant]; known {
			a.Adapt(r)
		}
	}
	console := fenced{byKind{v.console, c.facts.Repo}, c.Clock, i.NotAfter, slotStates{}, map[string]bool{}}
	w := onTenant{visit: v, console: console, c: c, facts: c.facts, tenant: tenant, e: e, intent: i}
	digest, err := w.act(ctx)
	return digest, console.states.left(console.blind), err
}

// leased is a context under which nothing is written any more once the intent's
// lease has ended, however many calls the change consists of and however often one
// of them is tried: from then on another run may do the opposite.
func (w onTenant) leased(ctx context.Context) context.Context {
	return fleet.While(ctx, func() error {
		if w.c.Clock.Now().After(w.intent.NotAfter) {
			return errExpired
		}
		return nil
	})
}

func (w onTenant) act(ctx context.Context) (fleet.Digest, error) {
	ctx = w.leased(ctx)
	if w.e.Adopts != "" && (w.e.Action == "assign" || w.e.Action == "promote") {
		if err := w.adopt(ctx); err != nil {
			return "", err
		}
	}
	switch w.e.Action {
	case "assign":
		if err := w.unmoved(ctx); err != nil {
			return "", err
		}
		return w.assign(ctx)
	case "withdraw":
		if err := w.empty(ctx, fleet.Candidate); err != nil {
			return "", err
		}
		return "", w.unwatch(ctx)
	case "rollback":
		digest, err := w.rollBack(ctx)
		if err != nil {
			return "", err
		}
		return digest, w.giveBack(ctx)
	case "promote":
		if err := w.unmoved(ctx); err != nil {
			return "", err
		}
		digest, err := w.promote(ctx)
		if err != nil {
			return "", err
		}
		return digest, w.unwatch(ctx)
	case "uninstall":
		return "", w.uninstallAll(ctx)
	case "reinstate":
		return "", w.reinstate(ctx)
	case "remove":
		return "", w.remove(ctx)
	case "restore":
		return "", w.restore(ctx)
	default:
		return "", fleet.Errorf(fleet.Internal, "factory.effect", w.e.Action, "no such action")
	}
}

// onTenant is one effect with everything it needs at hand.
type onTenant struct {
	*visit
	console Console // the visit's, as long as the intent's lease lasts
	c       *campaign
	facts   rollout.Facts
	tenant  fleet.Tenant
	e       rollout.Effect
	intent  fleet.Intent
	exact   bool // what is published is found in its own version alone
	back    bool // what is published takes the place of a later release
}

// assign brings the release into the candidate slot and assigns it to the
// wave's group. The group leaves the stable slot first: a device must never
// be told to have two versions of one package.
func (w onTenant) assign(ctx context.Context) (fleet.Digest, error) {
	devices, group, err := w.group(ctx)
	if err != nil {
		return "", err
	}
	assignment, err := w.audience(ctx)
	if err != nil {
		return "", err
	}
	if err := w.vacate(ctx); err != nil {
		return "", err
	}
	state, err := w.publish(ctx, fleet.Candidate, w.e.Entry)
	if err != nil {
		return "", err
	}
	if err := w.watch(ctx, devices); err != nil {
		return "", err
	}
	stable, err := w.console.Observe(ctx, w.e.Package, fleet.Stable)
	if err != nil {
		return "", err
	}
	if len(stable.Targets) > 0 || stable.Foreign { // one that a way back emptied stays empty
		if err := w.console.Assign(ctx, w.e.Package, fleet.Stable, assignment.stableTargets(stable.Targets, group)); err != nil {
			return "", err
		}
	}
	target := assignment.target(group)
	if rollout.Offered(w.facts.Repo, w.tenant, w.facts.Repo.Cycles[w.e.Cycle], w.e.Wave, w.e.Package, w.e.Entry.Release) {
		target.Intent = "available"
	}
	target.Opens, target.Deadline, target.LocalTime = w.e.Opens, w.e.Deadline, w.e.Local
	targets := slices.DeleteFunc(slices.Clone(state.Targets), func(t fleet.Target) bool { return t.Group == group || t.Exclude })
	targets = append(append(targets, target), assignment.leftOut(target.Intent)...)
	return state.Artifact, w.console.Assign(ctx, w.e.Package, fleet.Candidate, targets)
}

// vacate unassigns a candidate slot that holds another release, before its
// content changes: the groups of an earlier cycle must not get what their wave
// was never opened for.
func (w onTenant) vacate(ctx context.Context) error {
	state, err := w.console.Observe(ctx, w.e.Package, fleet.Candidate)
	if err != nil || len(state.Targets) == 0 || state.Artifact == w.e.Entry.Artifact {
		return err
	}
	return w.console.Assign(ctx, w.e.Package, fleet.Candidate, nil)
}

// promote makes the stable slot hold the release for all devices and empties
// the candidate slot.
func (w onTenant) promote(ctx context.Context) (fleet.Digest, error) {
	if app := rollout.Unadopted(w.facts.Record, w.tenant.ID, w.e.Package, w.tenant.Adopt[w.e.Package]); app != "" && w.e.Adopts == "" {
		return "", fleet.Errorf(fleet.Stalled, "factory.adopt", string(w.e.Package), "%w: app %s is to become its stable slot, which no approved plan shows: the next cycle's does", fleet.ErrNotYet, app)
	}
	stable, err := w.console.Observe(ctx, w.e.Package, fleet.Stable)
	if err != nil {
		return "", err
	}
	artifact, err := w.fill(ctx, stable, w.e.Entry, nil)
	if err != nil {
		return "", err
	}
	return artifact, w.console.Assign(ctx, w.e.Package, fleet.Candidate, nil)
}

// fill makes the stable slot hold a release for all devices but those that
// keep leaves out, from the tenant's next window on: those that were in no wave
// have agreed to no other time. A slot that removes what it holds is emptied
// before its content changes, or it would remove this one; one that installs it is
// shut until that window.
func (w onTenant) fill(ctx context.Context, stable fleet.AppState, entry fleet.Entry, keep []fleet.Target) (fleet.Digest, error) {
	a, err := w.audience(ctx)
	if err != nil {
		return "", err
	}
	if removes(stable.Targets) {
		if err := w.empty(ctx, fleet.Stable); err != nil {
			return "", err
		}
	} else if err := w.shut(ctx, stable, entry); err != nil {
		return "", err
	}
	state, err := w.publish(ctx, fleet.Stable, entry)
	if err != nil {
		return "", err
	}
	opens, err := rollout.Soonest(w.facts.Repo.Week, w.tenant, w.c.Clock.Now())
	if err != nil {
		return "", err
	}
	targets := a.allBut(keep)
	targets[0].Opens = opens
	return state.Artifact, w.console.Assign(ctx, w.e.Package, fleet.Stable, targets)
}

// shut has the stable slot begin no earlier than in the tenant's next window, before
// it holds another release: nothing happens between its content and its assignment
// if the run is killed there, and devices would take the release at their next
// check-in. The content goes live some time before the lease ends, perhaps when the
// window that is open now has ended. Whom the slot is for does not change yet, and
// what has no start stays as it is: a console would take it from devices until then.
func (w onTenant) shut(ctx context.Context, stable fleet.AppState, entry fleet.Entry) error {
	pkg := w.facts.Repo.Packages[w.e.Package]
	if stable.Artifact == entry.Artifact || everyone(stable.Targets) < 0 || pkg.ByWindowsUpdate() || setAtOnce(pkg) {
		return nil
	}
	var opens time.Time
	for _, at := range []time.Time{w.c.Clock.Now(), w.intent.NotAfter} {
		soonest, err := rollout.Soonest(w.facts.Repo.Week, w.tenant, at)
		if err != nil {
			return err
		}
		if soonest.After(opens) {
			opens = soonest
		}
	}
	targets, later := slices.Clone(stable.Targets), false
	for i, t := range targets {
		if !t.Exclude && (t.LocalTime || t.Opens.Before(opens)) {
			targets[i].Opens, targets[i].Deadline, targets[i].LocalTime, later = opens, time.Time{}, false, true
		}
	}
	if opens.IsZero() || !later {
		return nil
	}
	return w.console.Assign(ctx, w.e.Package, fleet.Stable, targets)
}

// group makes the console's group of the effect's wave hold the frozen
// membership. group is what the package is assigned to: the group of the users of
// those devices where the tenant takes it for users.
func (w onTenant) group(ctx context.Context) (devices, group string, err error) {
	m := rollout.MembershipOf(w.facts.Record, w.e.Cycle, w.e.Wave, w.tenant.ID)
	if m == nil {
		return "", "", fleet.Errorf(fleet.Internal, "factory.group", string(w.tenant.ID), "wave %s has no frozen membership here", w.e.Wave)
	}
	if devices, err = w.groupOf(ctx, *m); err != nil || !rollout.ForUsers(w.tenant, w.e.Package) {
		return devices, devices, err
	}
	group, err = w.usersOf(ctx, *m)
	return devices, group, err
}

func (w onTenant) groupOf(ctx context.Context, m fleet.Membership) (string, error) {
	at := string(m.Cycle) + " " + m.Wave
	if id, ok := w.groups[at]; ok {
		return id, nil
	}
	ids, err := w.present(ctx, m)
	if err != nil {
		return "", err
	}
	id, err := w.console.Group(ctx, rollout.GroupName(w.facts.Repo, w.facts.Record, m), ids)
	if err == nil {
		w.groups[at] = id
	}
	return id, err
}

// publish makes a slot hold a release's artifact, after checking that the
// artifact is the one that was built, tested and signed.
func (w onTenant) publish(ctx context.Context, slot string, entry fleet.Entry) (fleet.AppState, error) {
	pkg := w.facts.Repo.Packages[w.e.Package]
	built := rollout.BuiltOf(w.facts.Record, w.e.Package, entry.Release)
	if built == nil || built.Artifact != entry.Artifact {
		return fleet.AppState{}, fleet.Errorf(fleet.Refused, "factory.publish", string(w.e.Package), "evidence has no build of %s with artifact %s", entry.Release, entry.Artifact.Short())
	}
	if err := w.c.provenance(*built); err != nil {
		return fleet.AppState{}, err
	}
	apps, err := w.apps(ctx, pkg, slot, *built)
	if err != nil {
		return fleet.AppState{}, err
	}
	var state fleet.AppState
	for _, app := range apps { // one for each platform, and the slot's state after the last
		state, err = w.console.Publish(ctx, app, func() (io.ReadCloser, error) { return w.c.Store.Open(ctx, app.File) })
		if err != nil {
			return fleet.AppState{}, err
		}
	}
	return state, nil
}

// keepWindows has devices keep to the tenant's windows themselves: a console
// knows a start and a deadline, and no end of a window.
func (w onTenant) keepWindows(app *fleet.App) (err error) {
	repo := w.facts.Repo
	offered := w.assignment().Intent == "available" || rollout.Offered(repo, w.tenant, repo.Cycles[w.e.Cycle], w.e.Wave, w.e.Package, w.e.Entry.Release)
	app.RebootsOnly = w.tenant.Policy.Reboot == "windowOnly"
	app.Windows, app.Shut, err = rollout.DeviceWindows(repo.Week, w.tenant, w.intent.At, offered)
	return err
}

// script is a package's script as main has it, the same that asApproved
// compared with what was approved.
func (c *campaign) script(id fleet.PackageID, name string) (string, error) {
	c.texts.Lock()
	defer c.texts.Unlock()
	at := id.Dir() + "/" + name
	if text, known := c.scripts[at]; known {
		return text, nil // hundreds of tenants ask for the same few
	}
	text, err := c.readFile(c.facts.Repo.Commit, id, name)
	if err == nil {
		c.scripts[at] = text
	}
	return text, err
}

// takenAsApp reports whether a built file of a setting is the one that is
// installed like a program: the others are payloads of other kinds.
func takenAsApp(f fleet.BuiltFile) bool { return partKind(f.MediaType) == "" }

// detectText is the script of a detection rule: the package's own, or that of a
// setting whose scripts packmill writes.
func (c *campaign) detectText(pkg fleet.Package, key, name string) (string, error) {
	s, isSetting := pkg.Settings[key]
	if inline, _ := s.Inline(key); !isSetting || inline == "" {
		text, err := c.script(pkg.ID, name)
		if err != nil {
			return "", err
		}
		return text, setting.Readable(name, []byte(text))
	}
	content := map[string][]byte{}
	for _, name := range s.Payload() {
		text, err := c.script(pkg.ID, name)
		if err != nil {
			return "", err
		}
		content[name] = []byte(text)
	}
	pair, err := setting.Write(pkg.ID, key, s, content)
	return string(pair.Detect), err
}

// settingInstaller is how a configuration by scripts is installed: remediate
// installs, revert removes, detect detects.
func settingInstaller(s fleet.Setting) fleet.Installer {
	detect := setting.DetectName
	if s.Scripts != nil {
		detect = s.Scripts.Detect
	}
	return fleet.Installer{
		Platform: "windows", Arch: "x64", Type: "script", Scope: "machine", RunAs: "system", InUse: "wait", Restart: "never", Minutes: 60,
		Detect: []fleet.Detect{{Operator: "=", Script: detect}},
	}
}
