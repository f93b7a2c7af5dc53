package factory

import (
	"context"
	"io"
	"slices"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// A visit is what one run keeps of a tenant while it makes changes there: the
// console, the devices, the groups it made sure of. It is empty until the first
// change opens it.
type visit struct {
	console Console
	devices map[string]fleet.Device // by keyed hash
	groups  map[string]string       // wave → id
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
	devices, err := f.devices(ctx, t)
	if err != nil {
		return err
	}
	*v = visit{console: console, devices: devices, groups: map[string]string{}}
	return nil
}

// make makes one change on a tenant's console and returns the artifact that
// the changed slot holds afterwards.
func (c *campaign) make(ctx context.Context, v *visit, e rollout.Effect, i fleet.Intent) (fleet.Digest, error) {
	tenant := c.facts.Repo.Tenants[e.Tenant]
	if err := c.open(ctx, v, tenant); err != nil {
		return "", err
	}
	w := onTenant{
		visit: v, console: fenced{v.console, c.Clock, i.NotAfter}, c: c, facts: c.facts, tenant: tenant, e: e, intent: i,
	}
	switch e.Action {
	case "assign":
		return w.assign(ctx)
	case "withdraw":
		if err := w.console.Assign(ctx, e.Package, fleet.Candidate, nil); err != nil {
			return "", err
		}
		return "", w.unwatch(ctx)
	case "rollback":
		digest, err := w.rollBack(ctx)
		if err != nil {
			return "", err
		}
		return digest, w.unwatch(ctx)
	case "promote":
		digest, err := w.promote(ctx)
		if err != nil {
			return "", err
		}
		return digest, w.unwatch(ctx)
	default:
		return "", fleet.Errorf(fleet.Internal, "factory.effect", e.Action, "no such action")
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
}

// assign brings the release into the candidate slot and assigns it to the
// wave's group. The group leaves the stable slot first: a device must never
// be told to have two versions of one package.
func (w onTenant) assign(ctx context.Context) (fleet.Digest, error) {
	group, err := w.group(ctx)
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
	if err := w.watch(ctx, group); err != nil {
		return "", err
	}
	assignment := w.assignment()
	stable, err := w.console.Observe(ctx, w.e.Package, fleet.Stable)
	if err != nil {
		return "", err
	}
	if stable.ID != "" {
		if err := w.console.Assign(ctx, w.e.Package, fleet.Stable, w.stableTargets(assignment, stable.Targets, group)); err != nil {
			return "", err
		}
	}
	intent := intentOf(assignment)
	if rollout.Offered(w.facts.Repo, w.facts.Repo.Cycles[w.e.Cycle], w.e.Wave, w.e.Package, w.e.Entry.Release) {
		intent = "available"
	}
	targets := slices.DeleteFunc(slices.Clone(state.Targets), func(t fleet.Target) bool { return t.Group == group })
	targets = append(targets, fleet.Target{
		Intent: intent, Group: group, Opens: w.e.Opens, Deadline: w.e.Deadline, LocalTime: w.e.Local, Notify: assignment.Notify,
	})
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

// stableTargets is the assignment of the stable slot to all devices, without
// the groups that are left out already and without one more.
func (w onTenant) stableTargets(a fleet.Assignment, now []fleet.Target, without ...string) []fleet.Target {
	all := fleet.Target{Intent: intentOf(a), Group: "all devices", Notify: a.Notify}
	if i := slices.IndexFunc(now, func(t fleet.Target) bool { return t.Group == all.Group && !t.Exclude }); i >= 0 {
		all.Opens = now[i].Opens // still to come, perhaps
	}
	out := []fleet.Target{all}
	excluded := append([]string{}, without...)
	for _, t := range now {
		if t.Exclude && !slices.Contains(excluded, t.Group) {
			excluded = append(excluded, t.Group)
		}
	}
	slices.Sort(excluded)
	for _, g := range excluded {
		out = append(out, fleet.Target{Intent: intentOf(a), Group: g, Exclude: true})
	}
	return out
}

// promote makes the stable slot hold the release for all devices and empties
// the candidate slot.
func (w onTenant) promote(ctx context.Context) (fleet.Digest, error) {
	state, err := w.publish(ctx, fleet.Stable, w.e.Entry)
	if err != nil {
		return "", err
	}
	if err := w.everywhere(ctx); err != nil {
		return "", err
	}
	return state.Artifact, w.console.Assign(ctx, w.e.Package, fleet.Candidate, nil)
}

// everywhere assigns the stable slot to all devices, from the tenant's next
// window on: those that were in no wave have agreed to no other time.
func (w onTenant) everywhere(ctx context.Context) error {
	opens, err := rollout.Soonest(w.facts.Repo.Week, w.tenant, w.c.Clock.Now())
	if err != nil {
		return err
	}
	targets := w.stableTargets(w.assignment(), nil)
	targets[0].Opens = opens
	return w.console.Assign(ctx, w.e.Package, fleet.Stable, targets)
}

// rollBack goes the way back that the package declares.
func (w onTenant) rollBack(ctx context.Context) (fleet.Digest, error) {
	way := rollout.WayBackOf(w.facts.Repo, w.facts.Record, w.tenant.ID, w.e.Package, w.e.Entry)
	switch way.Mode {
	case rollout.BackUninstall:
		return "", w.uninstall(ctx)
	case rollout.BackPrevious:
		return w.previous(ctx, way)
	default: // stop, and wait for the next release
		return "", w.console.Assign(ctx, w.e.Package, fleet.Candidate, nil)
	}
}

// uninstall turns the candidate's assignments into removals.
func (w onTenant) uninstall(ctx context.Context) error {
	opens, err := rollout.Soonest(w.facts.Repo.Week, w.tenant, w.c.Clock.Now())
	if err != nil {
		return err
	}
	var targets []fleet.Target
	for _, s := range w.facts.Record.Starts {
		if s.Cycle != w.e.Cycle {
			continue
		}
		m := rollout.MembershipOf(w.facts.Record, s.Cycle, s.Wave, w.tenant.ID)
		if m == nil {
			continue
		}
		group, err := w.groupOf(ctx, *m)
		if err != nil {
			return err
		}
		targets = append(targets, fleet.Target{Intent: "uninstall", Group: group, Opens: opens, Notify: "showReboot"})
	}
	return w.console.Assign(ctx, w.e.Package, fleet.Candidate, targets)
}

// previous withdraws the candidate and gives all devices the release that this
// tenant had last and that was good: those that took the newer one go back.
func (w onTenant) previous(ctx context.Context, way rollout.WayBack) (fleet.Digest, error) {
	if way.To.Release == "" {
		return "", fleet.Errorf(fleet.Stalled, "factory.rollback", string(w.e.Package), "%s: a person must say what takes its place", way.Why)
	}
	if err := w.console.Assign(ctx, w.e.Package, fleet.Candidate, nil); err != nil {
		return "", err
	}
	state, err := w.publish(ctx, fleet.Stable, way.To)
	if err != nil {
		return "", err
	}
	return state.Artifact, w.everywhere(ctx)
}

// assignment is the package's assignment to all devices on the tenant.
func (w onTenant) assignment() fleet.Assignment {
	for _, a := range w.tenant.Packages[w.e.Package] {
		if a.Group == "all devices" {
			return a
		}
	}
	return fleet.Assignment{Intent: "required", Group: "all devices", Notify: "showReboot"}
}

// intentOf is the console's word for an assignment's intent: an update of what
// is installed is required where it is.
func intentOf(a fleet.Assignment) string {
	if a.Intent == "updateOnly" {
		return "required"
	}
	return a.Intent
}

// group makes the console's group of the effect's wave hold the frozen
// membership.
func (w onTenant) group(ctx context.Context) (string, error) {
	if m := rollout.MembershipOf(w.facts.Record, w.e.Cycle, w.e.Wave, w.tenant.ID); m != nil {
		return w.groupOf(ctx, *m)
	}
	return "", fleet.Errorf(fleet.Internal, "factory.group", string(w.tenant.ID), "wave %s has no frozen membership here", w.e.Wave)
}

func (w onTenant) groupOf(ctx context.Context, m fleet.Membership) (string, error) {
	if id, ok := w.groups[m.Wave]; ok {
		return id, nil
	}
	ids := make([]string, 0, len(m.Devices))
	for _, hash := range m.Devices {
		if d, ok := w.devices[hash]; ok { // one that has left the tenant stays silent
			ids = append(ids, d.ID)
		}
	}
	id, err := w.console.Group(ctx, m.Wave, ids)
	if err == nil {
		w.groups[m.Wave] = id
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
	if err := checkProvenance(w.facts.Repo, *built); err != nil {
		return fleet.AppState{}, err
	}
	app, err := w.app(ctx, pkg, slot, *built)
	if err != nil {
		return fleet.AppState{}, err
	}
	return w.console.Publish(ctx, app, func() (io.ReadCloser, error) { return w.c.Store.Open(ctx, app.File) })
}

// app describes a release to the console: the one Windows file of the
// artifact, x64 before others.
func (w onTenant) app(ctx context.Context, pkg fleet.Package, slot string, built fleet.Built) (fleet.App, error) {
	app := fleet.App{
		Package: pkg.ID, Slot: slot, Name: pkg.Name, Publisher: w.facts.Repo.Publishers[pkg.ID.Publisher()].Name,
		Description: pkg.Description, Version: built.Version, Artifact: built.Artifact, Generation: w.intent.Generation,
	}
	if app.Description == "" {
		app.Description = pkg.Name
	}
	release := pkg.Releases[built.Version]
	for _, file := range built.Files {
		installer, ok := pkg.Installers[file.Installer]
		if !ok {
			setting, isSetting := pkg.Settings[file.Installer]
			if !isSetting || setting.Scripts == nil {
				continue
			}
			installer = settingInstaller(setting)
		}
		if installer.Platform == "windows" && (app.File.Name == "" || installer.Arch == "x64") {
			app.File, app.Installer, app.Download = file, installer, release.Installers[file.Installer]
		}
	}
	if app.File.Name == "" {
		return app, fleet.Errorf(fleet.Refused, "factory.publish", string(pkg.ID), "artifact %s holds nothing for Windows", built.Artifact.Short())
	}
	for _, d := range app.Installer.Detect {
		if d.Script != "" {
			text, err := w.c.script(pkg.ID, d.Script)
			if err != nil {
				return app, err
			}
			app.DetectText = text
		}
	}
	return app, nil
}

// script is a package's script as main has it, the same that asApproved
// compared with what was approved.
func (c *campaign) script(id fleet.PackageID, name string) (string, error) {
	c.git.Lock()
	defer c.git.Unlock()
	return c.readFile(c.facts.Repo.Commit, id, name)
}

// settingInstaller is how a configuration by scripts is installed: remediate
// installs, revert removes, detect detects.
func settingInstaller(s fleet.Setting) fleet.Installer {
	return fleet.Installer{
		Platform: "windows", Arch: "x64", Type: "script", Scope: "machine", RunAs: "system", InUse: "wait", Restart: "never", Minutes: 60,
		Detect: []fleet.Detect{{Operator: "=", Script: s.Scripts.Detect}},
	}
}
