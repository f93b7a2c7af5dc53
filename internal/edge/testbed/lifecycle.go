package testbed

import (
	"cmp"
	"context"
	"errors"

	"github.com/packmill/packmill/internal/fleet"
)

// The steps of a cell, in order.
const (
	stepAbsent    = "absent"
	stepInstall   = "install"
	stepDetect    = "detect"
	stepLaunch    = "launch"
	stepUpgrade   = "upgrade"
	stepRollback  = "rollback"
	stepUninstall = "uninstall"
	stepGone      = "gone"
)

// An endpoint is one fresh device. Its methods return a failure for what the
// package did wrong, skipped where the device cannot tell, and any other error
// for what went wrong with the device; the text is the step's detail.
type endpoint interface {
	install(ctx context.Context, c Candidate) (string, error)
	uninstall(ctx context.Context, c Candidate) (string, error)
	launch(ctx context.Context, command string) (string, error)
	// present evaluates the installer's detection rules for one release.
	present(ctx context.Context, c Candidate) (bool, string, error)
	close() error
}

// lifecycle takes a package through its life: on one device that never had it,
// and, where there is a release before, on a second one that had that. open
// gives a fresh device.
func lifecycle(ctx context.Context, spec Spec, open func(context.Context) (endpoint, error)) ([]fleet.TestStep, error) {
	fresh, err := open(ctx)
	if err != nil {
		return nil, err
	}
	run := &run{ctx: ctx}
	run.step(stepAbsent, func() (string, error) { return "", expect(ctx, fresh, spec.This, false) })
	run.step(stepInstall, func() (string, error) { return fresh.install(ctx, spec.This) })
	run.step(stepDetect, func() (string, error) { return "", expect(ctx, fresh, spec.This, true) })
	if command := spec.Package.Tests.Launch; command == "" {
		run.skip(stepLaunch, "the package names nothing to launch")
	} else {
		run.step(stepLaunch, func() (string, error) { return fresh.launch(ctx, command) })
	}
	broken := run.broken
	run.broken = "" // the other device is not touched by what failed on this one
	upgrade(ctx, run, spec, open)
	run.broken = broken
	run.step(stepUninstall, func() (string, error) { return fresh.uninstall(ctx, spec.This) })
	run.step(stepGone, func() (string, error) { return "", expect(ctx, fresh, spec.This, false) })
	return run.steps, errors.Join(run.err, fresh.close())
}

// upgrade is the life on the second device: the release before, then this one,
// then back again where the package promises that way.
func upgrade(ctx context.Context, run *run, spec Spec, open func(context.Context) (endpoint, error)) {
	back := spec.Package.Rollback == "previous"
	if spec.Previous == nil {
		why := cmp.Or(spec.Without, "there is no release before")
		run.skip(stepUpgrade, why)
		if back {
			run.skip(stepRollback, why)
		}
		return
	}
	if run.err != nil {
		return
	}
	used, err := open(ctx)
	if err != nil {
		run.err = err
		return
	}
	run.step(stepUpgrade, func() (string, error) {
		if _, err := used.install(ctx, *spec.Previous); err != nil {
			return "", because("the release before does not install", err)
		}
		if err := expect(ctx, used, *spec.Previous, true); err != nil {
			return "", because("after the release before", err)
		}
		if err := expect(ctx, used, spec.This, false); err != nil {
			return "", because("with the release before in place", err)
		}
		text, err := used.install(ctx, spec.This)
		if err != nil {
			return text, err
		}
		return "from " + spec.Previous.Version, expect(ctx, used, spec.This, true)
	})
	if back {
		run.step(stepRollback, func() (string, error) {
			if _, err := used.uninstall(ctx, spec.This); err != nil {
				return "", err
			}
			if _, err := used.install(ctx, *spec.Previous); err != nil {
				return "", because("the release before does not install again", err)
			}
			return "to " + spec.Previous.Version, expect(ctx, used, *spec.Previous, true)
		})
	}
	run.err = errors.Join(run.err, used.close())
}

// expect checks that detection says want about a release.
func expect(ctx context.Context, e endpoint, c Candidate, want bool) error {
	present, why, err := e.present(ctx, c)
	switch {
	case err != nil:
		return err
	case present == want:
		return nil
	case want:
		return failf("%s is not detected: %s", c.Version, why)
	default:
		return failf("%s is detected already: %s", c.Version, why)
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

// A run collects steps. After a failed step the others on the same device are
// skipped; after an error nothing more is done.
type run struct {
	ctx    context.Context
	steps  []fleet.TestStep
	broken string // name of the step that failed
	err    error
}

func (r *run) step(name string, do func() (string, error)) {
	switch {
	case r.err != nil:
		return
	case r.broken != "":
		r.skip(name, "after the failed step "+r.broken)
		return
	case r.ctx.Err() != nil:
		r.err = r.ctx.Err()
		return
	}
	text, err := do()
	var f failure
	var none skipped
	switch {
	case errors.As(err, &none):
		r.skip(name, none.why)
	case err == nil:
		r.steps = append(r.steps, fleet.TestStep{Name: name, Result: "passed", Detail: opening(text)})
	case errors.As(err, &f):
		r.broken = name
		r.steps = append(r.steps, fleet.TestStep{Name: name, Result: "failed", Detail: detail(f.text)})
	default:
		r.err = err
	}
}

func (r *run) skip(name, why string) {
	if r.err == nil {
		r.steps = append(r.steps, fleet.TestStep{Name: name, Result: "skipped", Detail: why})
	}
}
