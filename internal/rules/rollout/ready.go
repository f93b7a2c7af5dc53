package rollout

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// Unready says why a package would be left out of a cycle that a cut-off opens
// in a lane now (NewCycle): of what its newest release lacks the first thing. It
// is "" when the package would travel.
func Unready(repo *fleet.Repository, rec *fleet.Record, lane string, id fleet.PackageID, cutOff time.Time) string {
	pkg := repo.Packages[id]
	version, release, ok := pkg.Latest()
	switch {
	case !ok:
		return "it has no release"
	case release.Baseline:
		return "its newest release " + version + " is a baseline: the fleet had it before packmill came"
	case !used(repo, id):
		return "no tenant has it under packages"
	case !belongs(lane, release):
		return fmt.Sprintf("%s is a %s release: the lane %s takes %s releases", version, cmp.Or(release.Change, "nondescript"), lane, travelsIn(lane))
	}
	if why := unmilled(rec, pkg, version, cutOff); why != "" {
		return version + " " + why
	}
	built := BuiltOf(rec, id, version)
	entry := fleet.Entry{Release: version, Artifact: built.Artifact}
	if h := holdOn(repo, revocations(rec), id, entry, cutOff); h != nil {
		return version + " " + heldBy(h)
	}
	onward, ok := onward(repo, rec, id, entry, cutOff)
	switch {
	case !ok || lane != fleet.LaneWeek && onward.CarriedFrom != "":
		return version + " " + under(repo, rec, id, entry)
	case release.Change != "security" && starved(repo, rec, id):
		return "its newer releases were passed over too often: the one that is under way reaches everybody first"
	}
	return ""
}

// travelsIn is what change a release has to bring to belong into a lane.
func travelsIn(lane string) string {
	return map[string]string{fleet.LaneSecurity: "security", fleet.LaneNew: "new"}[lane]
}

func heldBy(h *fleet.Hold) string {
	word := map[string]string{revocation: "is revoked", "safeguardHold": "is held by a safeguard hold"}[h.Kind]
	return cmp.Or(word, "is held") + ": " + h.Reason
}

// unmilled says what a release lacks of what the mill does before a cut-off.
func unmilled(rec *fleet.Record, pkg fleet.Package, version string, cutOff time.Time) string {
	built := BuiltOf(rec, pkg.ID, version)
	if at := mergedAt(rec)[seen{pkg.ID, version}]; at.After(cutOff) {
		return "was merged at " + at.UTC().Format(time.RFC3339) + ", after the cut-off " + cutOff.UTC().Format(time.RFC3339)
	}
	if built == nil {
		return "is not built"
	}
	tests := TestsOf(rec, built.Artifact)
	if len(tests) == 0 && !allCellless(pkg, built) {
		return "is not tested"
	}
	var bad []string
	for _, t := range tests {
		if t.Result == "failed" {
			bad = append(bad, t.Cell)
		}
	}
	if len(bad) > 0 {
		slices.Sort(bad)
		return "failed its tests: " + strings.Join(slices.Compact(bad), ", ")
	}
	return lacking(pkg, built, tests)
}

// under says which cycle a release is in already, the newest of several.
func under(repo *fleet.Repository, rec *fleet.Record, id fleet.PackageID, entry fleet.Entry) string {
	var in fleet.CycleID
	for _, name := range repo.CycleIDs() {
		if repo.Cycles[name].Entries[id].Release == entry.Release && (in == "" || !repo.Cycles[name].CutOff.Before(repo.Cycles[in].CutOff)) {
			in = name
		}
	}
	switch {
	case !closedCycle(repo, rec, in):
		return "travels in " + string(in)
	case failedOnce(rec, entry.Artifact):
		return "failed a gate in " + string(in)
	case refused(repo, in):
		return "was refused in " + string(in)
	}
	return "travelled in " + string(in) + ": what that left undone goes on with the week"
}
