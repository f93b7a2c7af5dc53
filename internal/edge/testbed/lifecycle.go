package testbed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/packmill/packmill/internal/fleet"
)

// StepDetect is the step in which a release is seen installed.
const StepDetect = "detect"

// The steps of a cell, in the order in which they run.
const (
	stepAbsent    = "absent"
	stepInstall   = "install"
	stepDetect    = StepDetect
	stepLaunch    = "launch"
	stepServices  = "services"
	stepErrors    = "errors"
	stepPorts     = "ports"
	stepAdds      = "adds"
	stepUninstall = "uninstall"
	stepGone      = "gone"
	stepLeftovers = "leftovers"

	stepUpgrade      = "upgrade"
	stepKeeps        = "keeps"
	stepDowngrade    = "downgrade"
	stepRollback     = "rollback"
	stepUpgradeOlder = "upgrade-older"
	stepNeighbours   = "neighbours"
)

// An endpoint is one fresh device. Its methods return a failure for what the
// package did wrong, skipped where the device cannot tell, and any other error
// for what went wrong with the device; the text is the step's detail.
type endpoint interface {
	install(ctx context.Context, it item) (string, error)
	uninstall(ctx context.Context, it item) (string, error)
	launch(ctx context.Context, it item, command string) (string, error)
	// present evaluates the item's detection rules.
	present(ctx context.Context, it item) (bool, string, error)
	// running fails unless all services run.
	running(ctx context.Context, services []string) (string, error)
	// complaints are errors that the system's own log got since the device was
	// opened, one a line.
	complaints(ctx context.Context) ([]string, error)
	// ports are the ports that something listens on: "tcp 0.0.0.0:80".
	ports(ctx context.Context) (survey, error)
	// survey is what lies on the device.
	survey(ctx context.Context) (survey, error)
	// alter changes settings as the device's user would: those that are declared,
	// or those that the installed item itself calls configuration. It tells which.
	alter(ctx context.Context, it item, declared []string) ([]string, error)
	// altered reports whether a change is still there.
	altered(ctx context.Context, setting string) (bool, error)
	close() error
}

// lifecycle takes a package through its life: on a device that never had it, on
// one that had the release before, on one that had the release before that, and
// on one with its neighbours. open gives a fresh device, whose programs write
// into the transcript. Where devices are apart, atOnce of them live at the same
// time; steps are listed in the order of the lives in any case.
func lifecycle(ctx context.Context, spec Spec, atOnce int, open func(context.Context, *transcript) (endpoint, error)) ([]fleet.TestStep, error) {
	lives := []func(*run){func(r *run) { r.device(r.fresh) }, (*run).upgraded}
	if spec.Older != nil {
		lives = append(lives, func(r *run) {
			r.device(func(d endpoint) {
				r.step(stepUpgradeOlder, func(ctx context.Context) (string, error) { return r.upgrade(ctx, d, *spec.Older) })
			})
		})
	}
	lives = append(lives, (*run).neighbours)
	runs := make([]*run, len(lives))
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, live := range lives {
		runs[i] = &run{ctx: ctx, spec: spec, log: &transcript{}, open: open}
		group.Go(func() error {
			live(runs[i])
			return runs[i].err
		})
		if atOnce == 1 && group.Wait() != nil {
			runs = runs[:i+1]
			break
		}
	}
	_ = group.Wait() // the errors are in the runs
	var steps []fleet.TestStep
	for _, r := range runs {
		steps = append(steps, r.steps...)
		if r.err != nil {
			return steps, r.err
		}
	}
	return steps, nil
}

// upgraded is the life on a device that had the release before, if there is one.
func (r *run) upgraded() {
	if r.spec.Previous == nil {
		r.skip(stepUpgrade, cmp.Or(r.spec.Without, "there is no release before"))
		r.skip(stepRollback, cmp.Or(r.spec.Without, "there is no release before"))
		return
	}
	r.device(r.used)
}

// fresh is the life on a device that never had the package.
func (r *run) fresh(d endpoint) {
	this := r.spec.item(r.spec.This)
	var before, listening survey
	r.step(stepAbsent, func(ctx context.Context) (_ string, err error) {
		if before, err = d.survey(ctx); err != nil {
			return "", err
		}
		if listening, err = d.ports(ctx); err != nil && !errors.As(err, new(skipped)) {
			return "", err
		}
		return "", expect(ctx, d, this, false)
	})
	r.step(stepInstall, func(ctx context.Context) (string, error) { return d.install(ctx, this) })
	r.step(stepDetect, func(ctx context.Context) (string, error) { return "", expect(ctx, d, this, true) })
	r.works(d, this)
	r.adds(d, before, listening)
	r.step(stepUninstall, func(ctx context.Context) (string, error) { return d.uninstall(ctx, this) })
	r.step(stepGone, func(ctx context.Context) (string, error) { return "", expect(ctx, d, this, false) })
	r.step(stepLeftovers, func(ctx context.Context) (string, error) {
		after, err := d.survey(ctx)
		if err != nil {
			return "", err
		}
		return found(after.added(before), "nothing is left")
	})
}

// works asks whether what was installed does what it should.
func (r *run) works(d endpoint, this item) {
	tests := r.spec.Package.Tests
	if tests.Launch == "" {
		r.skip(stepLaunch, "the package names nothing to launch")
	} else {
		r.step(stepLaunch, func(ctx context.Context) (string, error) { return d.launch(ctx, this, tests.Launch) })
	}
	if len(tests.Services) == 0 {
		r.skip(stepServices, "the package names no service")
	} else {
		r.step(stepServices, func(ctx context.Context) (string, error) { return d.running(ctx, tests.Services) })
	}
	r.step(stepErrors, func(ctx context.Context) (string, error) {
		lines, err := d.complaints(ctx)
		if err != nil {
			return "", err
		}
		if len(lines) > 0 {
			return "", failf("%d new errors in the system's log: %s", len(lines), strings.Join(lines, "; "))
		}
		return "the system's log has no new error", nil
	})
}

// adds reports what the installation added that acts by itself.
func (r *run) adds(d endpoint, before, listening survey) {
	r.step(stepPorts, func(ctx context.Context) (string, error) {
		now, err := d.ports(ctx)
		if err != nil {
			return "", err
		}
		return found(now.added(listening), "nothing new listens")
	})
	r.step(stepAdds, func(ctx context.Context) (string, error) {
		after, err := d.survey(ctx)
		if err != nil {
			return "", err
		}
		added := after.added(before)
		r.log.lines("added", added)
		return found(notable(added), fmt.Sprintf("%d files and values, no service, task or autostart entry", len(added)))
	})
}

// used is the life on a device that had the release before: upgraded, kept from
// going back by accident, and taken back on purpose.
func (r *run) used(d endpoint) {
	spec := r.spec
	this, previous := spec.item(spec.This), spec.item(*spec.Previous)
	var settings []string
	r.step(stepUpgrade, func(ctx context.Context) (_ string, err error) {
		return r.upgradeAfter(ctx, d, *spec.Previous, func(ctx context.Context) error {
			settings, err = d.alter(ctx, previous, spec.Package.Tests.Keeps)
			return err
		})
	})
	r.keeps(d, settings)
	if t := this.in.Type; t == "msi" || t == "rpm" || t == "exe" {
		r.step(stepDowngrade, func(ctx context.Context) (string, error) { return r.downgrade(ctx, d, previous, this) })
	}
	switch spec.Package.Rollback {
	case "previous":
		r.step(stepRollback, func(ctx context.Context) (string, error) {
			if _, err := d.uninstall(ctx, this); err != nil {
				return "", err
			}
			if _, err := d.install(ctx, previous); err != nil {
				return "", because("the release before does not install again", err)
			}
			return "to " + previous.Version, expect(ctx, d, previous, true)
		})
	case "uninstall":
		r.step(stepRollback, func(ctx context.Context) (string, error) {
			if _, err := d.uninstall(ctx, this); err != nil {
				return "", err
			}
			return "removed after the upgrade", expect(ctx, d, this, false)
		})
	default:
		r.skip(stepRollback, "the package declares no way back")
	}
}

// upgrade installs an older release, and this one over it.
func (r *run) upgrade(ctx context.Context, d endpoint, from Candidate) (string, error) {
	return r.upgradeAfter(ctx, d, from, func(context.Context) error { return nil })
}

// upgradeAfter is upgrade with something done between the two.
func (r *run) upgradeAfter(ctx context.Context, d endpoint, from Candidate, between func(context.Context) error) (string, error) {
	this, older := r.spec.item(r.spec.This), r.spec.item(from)
	if _, err := d.install(ctx, older); err != nil {
		return "", because("the release before does not install", err)
	}
	if err := expect(ctx, d, older, true); err != nil {
		return "", because("after the release before", err)
	}
	if err := expect(ctx, d, this, false); err != nil {
		return "", because("with the release before in place", err)
	}
	if err := between(ctx); err != nil {
		return "", err
	}
	text, err := d.install(ctx, this)
	if err != nil {
		return text, err
	}
	return "from " + from.Version, expect(ctx, d, this, true)
}

// keeps asks whether the settings that were altered before the upgrade still are.
func (r *run) keeps(d endpoint, settings []string) {
	if len(settings) == 0 && r.broken == "" {
		r.skip(stepKeeps, "not looked at: the package names no setting, and brings none that is known as one")
		return
	}
	r.step(stepKeeps, func(ctx context.Context) (string, error) {
		for _, s := range settings {
			still, err := d.altered(ctx, s)
			if err != nil {
				return "", err
			}
			if !still {
				return "", failf("the upgrade undid what was set in %s", s)
			}
		}
		return strings.Join(settings, ", "), nil
	})
}

// downgrade installs the release before over this one, as an old assignment
// would. It should not take; where it does, people are told.
func (r *run) downgrade(ctx context.Context, d endpoint, previous, this item) (string, error) {
	_, refused := d.install(ctx, previous)
	if refused != nil && !errors.As(refused, new(failure)) {
		return "", refused
	}
	stays, _, err := d.present(ctx, this)
	if err != nil {
		return "", err
	}
	back, _, err := d.present(ctx, previous)
	switch {
	case err != nil:
		return "", err
	case stays && !back && refused != nil:
		return fmt.Sprintf("%s does not install over it: %v", previous.Version, refused), nil
	case stays && !back:
		return previous.Version + " says that it installs over it, and changes nothing", nil
	}
	// What comes next starts from this release again.
	if _, err := d.install(ctx, this); err != nil {
		return "", because("after "+previous.Version+" had replaced it", err)
	}
	if err := expect(ctx, d, this, true); err != nil {
		return "", because("after "+previous.Version+" had replaced it", err)
	}
	return "", reported{previous.Version + " installs over it: nothing but the assignment keeps devices from going back"}
}

// neighbours installs the packages that must stay alive first.
func (r *run) neighbours() {
	if len(r.spec.Neighbours) == 0 {
		return
	}
	for _, n := range r.spec.Neighbours {
		if n.Candidate == nil {
			r.broken = ""
			r.skip(stepNeighbours, fmt.Sprintf("not looked at: %s: %s", n.ID, n.Without))
			return
		}
	}
	this := r.spec.item(r.spec.This)
	r.device(func(d endpoint) {
		r.step(stepNeighbours, func(ctx context.Context) (string, error) {
			var names []string
			for _, n := range r.spec.Neighbours {
				if _, err := d.install(ctx, n.item()); err != nil {
					return "", because(string(n.ID)+" does not install", err)
				}
				names = append(names, string(n.ID)+" "+n.Candidate.Version)
			}
			for _, does := range []struct {
				what string
				do   func(context.Context, item) (string, error)
			}{{"without it", nil}, {"after its installation", d.install}, {"after its removal", d.uninstall}} {
				if does.do != nil {
					if _, err := does.do(ctx, this); err != nil {
						return "", because("beside its neighbours", err)
					}
				}
				for _, n := range r.spec.Neighbours {
					if err := expect(ctx, d, n.item(), true); err != nil {
						return "", because(fmt.Sprintf("%s %s", n.ID, does.what), err)
					}
				}
			}
			return strings.Join(names, ", "), nil
		})
	})
}

func (n Neighbour) item() item { return item{*n.Candidate, n.ID, n.Installer} }

// expect checks that detection says want about a release.
func expect(ctx context.Context, e endpoint, it item, want bool) error {
	present, why, err := e.present(ctx, it)
	switch {
	case err != nil:
		return err
	case present == want:
		return nil
	case want:
		return failf("%s is not detected: %s", it.Version, why)
	default:
		return failf("%s is detected already: %s", it.Version, why)
	}
}

// because puts a failure into its place; other errors stay as they are.
func because(where string, err error) error {
	var f failure
	if errors.As(err, &f) {
		return failf("%s: %s", where, f.text)
	}
	return err
}
