package factory

import (
	"context"
	"fmt"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/updates"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/patch"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// An Updater is a Console through which Windows Update is told who may have what:
// the siblings of Observe, Publish and Assign for packages that it delivers.
type Updater interface {
	ObserveUpdate(ctx context.Context, id fleet.PackageID, slot string) (fleet.AppState, error)
	// PublishUpdate makes the slot be about the app's patch or driver; nobody is
	// offered it yet.
	PublishUpdate(ctx context.Context, app fleet.App) (fleet.AppState, error)
	// AssignUpdate approves it for exactly the targets, which are groups; none
	// suspends it.
	AssignUpdate(ctx context.Context, id fleet.PackageID, slot string, targets []fleet.Target) error
}

// everyWindows is the name of the group that stands for all devices where a
// console takes groups alone. No wave is called like that: their names have no
// blanks.
const everyWindows = "all Windows devices"

// byKind is a console that does with a package what its kind asks for: apps go to
// the console, configurations to that for configurations, what Windows Update
// delivers is approved there. Whoever rolls out sees one console.
type byKind struct {
	Console
	repo *fleet.Repository
}

// of is the console that a package's slots are on, unless it is approved.
func (c byKind) of(id fleet.PackageID) Console {
	if conf, ok := c.Console.(Configurer); ok && c.repo.Packages[id].Kind == "configuration" {
		return conf.Configurations()
	}
	return c.Console
}

// tells reports whether a package's slots tell their targets as they were given:
// only Win32 apps have a start, a deadline and removals.
func (c byKind) tells(id fleet.PackageID) bool {
	p := c.repo.Packages[id]
	for _, in := range p.Installers {
		if in.Platform == "macos" || in.Type == "store" {
			return false
		}
	}
	return !p.ByWindowsUpdate() && p.Kind != "configuration"
}

// updater is what approves a package's release, nil where the package is an app.
func (c byKind) updater(id fleet.PackageID) (Updater, error) {
	if !c.repo.Packages[id].ByWindowsUpdate() {
		return nil, nil
	}
	u, ok := c.Console.(Updater)
	if !ok {
		return nil, fleet.Errorf(fleet.Invalid, "factory.update", string(id), "the tenant's console cannot approve what Windows Update delivers")
	}
	return u, nil
}

func (c byKind) Observe(ctx context.Context, id fleet.PackageID, slot string) (fleet.AppState, error) {
	u, err := c.updater(id)
	if err != nil {
		return fleet.AppState{}, err
	}
	if u != nil {
		return u.ObserveUpdate(ctx, id, slot)
	}
	return c.of(id).Observe(ctx, id, slot)
}

func (c byKind) Publish(ctx context.Context, app fleet.App, content fleet.Content) (fleet.AppState, error) {
	u, err := c.updater(app.Package)
	if err != nil {
		return fleet.AppState{}, err
	}
	if u != nil {
		return u.PublishUpdate(ctx, app)
	}
	return c.of(app.Package).Publish(ctx, app, content)
}

// Stop takes the assignments of a slot away.
func (c byKind) Stop(ctx context.Context, id fleet.PackageID, slot string) error {
	u, err := c.updater(id)
	if err != nil {
		return err
	}
	if u != nil {
		return u.AssignUpdate(ctx, id, slot, nil)
	}
	if s, ok := c.of(id).(Stopper); ok {
		return s.Stop(ctx, id, slot)
	}
	return c.of(id).Assign(ctx, id, slot, nil)
}

func (c byKind) Assign(ctx context.Context, id fleet.PackageID, slot string, targets []fleet.Target) error {
	u, err := c.updater(id)
	if err != nil {
		return err
	}
	if u == nil {
		return c.of(id).Assign(ctx, id, slot, targets)
	}
	groups := make([]fleet.Target, len(targets))
	for i, t := range targets {
		if t.Group == "all devices" && !t.Exclude {
			if t.Group, err = c.everyone(ctx); err != nil {
				return err
			}
		}
		if t.LocalTime { // its time has come: an update goes out no earlier
			t.LocalTime, t.Opens, t.Deadline = false, time.Time{}, time.Time{}
		}
		groups[i] = t
	}
	return u.AssignUpdate(ctx, id, slot, groups)
}

// everyone is the group of all the tenant's Windows devices, as the inventory
// tells them now. A device that comes later is in it from the next time on.
func (c byKind) everyone(ctx context.Context) (string, error) {
	devices, err := c.Console.Inventory(ctx)
	if err != nil {
		return "", err
	}
	var ids []string
	for _, d := range devices {
		if d.Platform == "windows" {
			ids = append(ids, d.ID)
		}
	}
	return c.Group(ctx, everyWindows, ids)
}

// Statuses are, of a patch, what the devices' builds say. Of a driver nobody tells
// anything: its devices stay silent, and people judge its waves.
func (c byKind) Statuses(ctx context.Context, id fleet.PackageID, slot string) ([]fleet.DeviceStatus, error) {
	pkg := c.repo.Packages[id]
	if !pkg.ByWindowsUpdate() {
		return c.of(id).Statuses(ctx, id, slot)
	}
	if pkg.Patch == nil {
		return nil, nil
	}
	devices, err := c.Console.Inventory(ctx)
	if err != nil {
		return nil, err
	}
	return patch.Statuses(devices, *pkg.Patch), nil
}

// blockedDrivers are the releases of the repository's drivers that the tenant's
// policy blocks now, in the order of packages and counters.
func (w onTenant) blockedDrivers() (out []fleet.DriverRelease) {
	repo := w.facts.Repo
	for _, id := range repo.PackageIDs() {
		pkg := repo.Packages[id]
		if pkg.Driver == nil {
			continue
		}
		for _, version := range pkg.Versions() {
			if _, _, blocked := w.tenant.Policy.BlocksDriver(id, version, w.c.Clock.Now()); blocked {
				out = append(out, fleet.DriverRelease{Class: pkg.Driver.Class, Version: version, Publisher: repo.Publishers[id.Publisher()].Name})
			}
		}
	}
	return out
}

// heldNote tells what a halt of updates cannot do: "" where none is among the
// packages.
func heldNote(repo *fleet.Repository, batch []rollout.Action) string {
	for _, a := range batch {
		for _, id := range a.Packages {
			if repo.Packages[id].ByWindowsUpdate() {
				return fmt.Sprintf("; Windows Update takes up to %d h to tell devices, and what they have by then stays", int(updates.HoldDelay.Hours()))
			}
		}
	}
	return ""
}
