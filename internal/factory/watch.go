package factory

import (
	"context"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/probe"
)

// watch has the devices of a wave's group tell how they are, before they get
// the release: nobody gets what nobody could see failing.
func (w onTenant) watch(ctx context.Context, group string) error {
	wave, _ := w.facts.Repo.Wave(w.e.Wave) // one that is gone from main has no gate: then what the package declares
	pkg := w.facts.Repo.Packages[w.e.Package]
	for _, name := range probe.Probes(wave.Gate, pkg) {
		declared := ""
		if p, own := pkg.Health[name]; own {
			text, err := w.c.script(pkg.ID, p.Script)
			if err != nil {
				return err
			}
			declared = text
		}
		script, err := probe.Script(pkg, w.e.Entry.Release, name, declared, w.began())
		if err != nil {
			return err
		}
		p := fleet.DeviceProbe{Package: pkg.ID, Name: name, Script: script, Every: probe.Every(pkg, name), Group: group}
		if err := w.console.Probe(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// unwatch removes the probes of a package whose candidate slot was emptied. A
// package that no gate looks at further than its installation has none.
func (w onTenant) unwatch(ctx context.Context) error {
	if !probe.Watched(w.facts.Repo.Waves, w.facts.Repo.Packages[w.e.Package]) {
		return nil
	}
	return w.console.Unprobe(ctx, w.e.Package)
}

// began is when the first wave of the effect's cycle was started: the scripts
// of a release are the same in all its waves.
func (w onTenant) began() time.Time {
	var first time.Time
	for _, s := range w.facts.Record.Starts {
		if s.Cycle == w.e.Cycle && (first.IsZero() || s.At.Before(first)) {
			first = s.At
		}
	}
	return first
}
