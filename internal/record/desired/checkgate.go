package desired

import (
	"maps"
	"slices"

	"github.com/packmill/packmill/internal/fleet"
)

// gate checks what the fields of a wave's gate say to one another.
func (x *checks) gate(w fleet.Wave) {
	at := func(keys ...string) []string { return append(k("waves", w.Name, "gate"), keys...) }
	g := w.Gate
	for i, look := range g.Looks {
		switch {
		case look <= 0:
			x.fault(wavesFile, at("looks", index(i)), "is no age: a wave is looked at after it opened")
		case i > 0 && look <= g.Looks[i-1]:
			x.fault(wavesFile, at("looks", index(i)), "looks must rise")
		}
	}
	if n := len(g.Looks); n > 0 && g.ReportDeadline > g.Looks[n-1] {
		x.fault(wavesFile, at("reportDeadline"), "is after the last look, %s: no look would ever take a silent device for anything", g.Looks[n-1])
	}
	if g.ReportDeadline < 0 {
		x.fault(wavesFile, at("reportDeadline"), "is negative")
	}
	if g.Stop != nil {
		if g.Stop.Good >= g.Stop.Bad {
			x.fault(wavesFile, at("stop", "bad"), "%v %% is not above good, %v %%: the test could not tell them apart", g.Stop.Bad, g.Stop.Good)
		}
		if g.Stop.Every <= 0 {
			x.fault(wavesFile, at("stop", "every"), "is no interval")
		}
	}
	known := x.signals()
	for i, name := range g.Signals {
		if known != nil && !slices.Contains(known, name) {
			x.fault(wavesFile, at("signals", index(i)), "no package has a probe %q, and packmill brings none of that name%s", name, suggest(name, known))
		}
	}
}

// signals are the names of all signals there are: packmill's own, and the
// probes that packages declare. nil when a package could not be read: then
// nothing is known of its probes.
func (x *checks) signals() []string {
	for _, p := range x.places {
		if p.role == rolePackage && x.faulty[p.Path] {
			return nil
		}
	}
	all := map[string]bool{}
	for _, name := range fleet.BuiltInSignals() {
		all[name] = true
	}
	for _, p := range x.repo.Packages {
		for name := range p.Health {
			all[name] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}
