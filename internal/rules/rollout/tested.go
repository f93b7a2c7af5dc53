package rollout

import (
	"cmp"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/calendar"
)

// passed reports whether a cell passed on each platform the artifact is
// delivered to, and none failed.
func passed(pkg fleet.Package, built *fleet.Built, tests []fleet.Tested) bool {
	return !failed(tests) && len(untested(pkg, built, tests)) == 0
}

func failed(tests []fleet.Tested) bool {
	return slices.ContainsFunc(tests, func(t fleet.Tested) bool { return t.Result == "failed" })
}

// Untested are the platforms, sorted, that an artifact is delivered to without a
// cell that passed there, "" for any where tenants can get nothing of it.
func Untested(pkg fleet.Package, built *fleet.Built, tests []fleet.Tested) []string {
	return untested(pkg, built, tests)
}

// Cellless says what of an artifact no cell can test, and why, "" where nothing is.
func Cellless(pkg fleet.Package, built *fleet.Built) string {
	if pkg.ByWindowsUpdate() {
		return "Windows Update alone delivers it, and its first wave is its test"
	}
	var out []string
	for _, f := range built.Files {
		if !cellless(pkg, f.Installer) {
			continue
		}
		why := "is set by a console alone"
		switch pkg.Installers[f.Installer].Type {
		case "store":
			why = "is installed by its store alone"
		case "dmg":
			why = "is a disk image, which Macs alone open"
		}
		out = append(out, f.Installer+" "+why)
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), ", ")
}

// untested are the platforms, sorted, that an artifact is delivered to without
// a cell that passed there. What passes on Linux says nothing of the installer
// that Windows devices get. An artifact that tenants can get nothing of needs
// one cell that passed, on whichever platform: that is the platform "". What
// Windows Update delivers, or a console alone can set, has no bytes that a cell
// could install: its first wave is its test.
func untested(pkg fleet.Package, built *fleet.Built, tests []fleet.Tested) []string {
	if pkg.ByWindowsUpdate() {
		return nil
	}
	done := map[string]bool{}
	for _, t := range tests {
		if t.Result == "passed" {
			done[platformOf(pkg, t.Installer)], done[""] = true, true
		}
	}
	var delivered []string
	for _, f := range built.Files {
		if p := platformOf(pkg, f.Installer); p != "" && Serves(pkg, p) && !cellless(pkg, f.Installer) {
			delivered = append(delivered, p)
		}
	}
	if len(delivered) == 0 && !allCellless(pkg, built) {
		delivered = []string{""}
	}
	slices.Sort(delivered)
	return slices.DeleteFunc(slices.Compact(delivered), func(p string) bool { return done[p] })
}

// cellless reports whether no cell can test a file: an app of a store is nobody's
// to install elsewhere, a disk image is opened on Macs alone, what a console sets
// is on no device before. Its first wave is its test.
func cellless(pkg fleet.Package, installer string) bool {
	kind := pkg.Installers[installer].Type
	return kind == "store" || kind == "dmg" || pkg.Settings[installer].Console() != ""
}

// allCellless reports whether an artifact is nothing but that.
func allCellless(pkg fleet.Package, built *fleet.Built) bool {
	return len(built.Files) > 0 && !slices.ContainsFunc(built.Files, func(f fleet.BuiltFile) bool { return !cellless(pkg, f.Installer) })
}

// platformOf is the platform of what a file or a cell is of: an installer, or a
// setting of a configuration that is installed like one. It is "" when the
// package has no such thing.
func platformOf(pkg fleet.Package, installer string) string {
	if in, ok := pkg.Installers[installer]; ok {
		return in.Platform
	}
	return pkg.Settings[installer].Platform()
}

// lacking tells people of a release whose tests are over and which may enter no
// cycle all the same, because a platform it is delivered to went untested.
func (s *stepper) lacking(pkg fleet.Package, built *fleet.Built) {
	why := lacking(pkg, built, TestsOf(s.f.Record, built.Artifact))
	if why == "" || travelled(s.f.Repo, s.f.Record, pkg.ID, fleet.Entry{Release: built.Version, Artifact: built.Artifact}) {
		return
	}
	cycle, err := calendar.CycleAt(s.f.Repo.Week, s.now)
	if err != nil {
		return // a week without a cut-off has no cycles to stay out of
	}
	s.wait(Wait{Cycle: cycle, Kind: fleet.Stalled, Why: string(pkg.ID) + " " + built.Version + " stays out of every cycle: " + why})
}

// lacking says what keeps a tested release without a failed cell out of every
// cycle: the cells that were skipped where one has to pass. It is "" when
// nothing does.
func lacking(pkg fleet.Package, built *fleet.Built, tests []fleet.Tested) string {
	if failed(tests) {
		return ""
	}
	var out []string
	for _, p := range untested(pkg, built, tests) {
		var cells []string
		for _, t := range tests {
			if t.Result != "skipped" || p != "" && platformOf(pkg, t.Installer) != p {
				continue
			}
			cell := t.Cell
			if len(t.Steps) > 0 && t.Steps[0].Detail != "" {
				cell += " (" + t.Steps[0].Detail + ")"
			}
			cells = append(cells, cell)
		}
		slices.Sort(cells)
		where := cmp.Or(p, "any platform")
		if len(cells) == 0 {
			out = append(out, "no cell of its matrix tests it on "+where)
		} else {
			out = append(out, "no cell passed on "+where+", skipped: "+strings.Join(slices.Compact(cells), ", "))
		}
	}
	return strings.Join(out, "; ")
}
