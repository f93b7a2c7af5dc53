package rollout

import (
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// Entries are the releases that are ready to travel in the cycle of a cut-off:
// the newest of each package that tenants use, no baseline, merged by the
// cut-off, built, tested on every platform it is delivered to with no cell
// failed, travelling in no open cycle, and not held. What a closed cycle left
// undone is carried on.
func Entries(repo *fleet.Repository, rec *fleet.Record, cutOff time.Time) map[fleet.PackageID]fleet.Entry {
	out := map[fleet.PackageID]fleet.Entry{}
	merged, revoked := mergedAt(rec), revocations(rec)
	for _, id := range repo.PackageIDs() {
		version, release, ok := repo.Packages[id].Latest()
		if !ok || release.Baseline || !used(repo, id) || merged[seen{id, version}].After(cutOff) {
			continue
		}
		built := BuiltOf(rec, id, version)
		if built == nil || !passed(repo.Packages[id], built, TestsOf(rec, built.Artifact)) {
			continue
		}
		entry, ok := onward(repo, rec, id, fleet.Entry{Release: version, Artifact: built.Artifact}, cutOff)
		if !ok || holdOn(repo, revoked, id, entry, cutOff) != nil || release.Change != "security" && starved(repo, rec, id) {
			continue
		}
		out[id] = entry
	}
	return out
}

// mergedAt is when the merge that brought a release was made. A release without
// one was there before anything was recorded.
func mergedAt(rec *fleet.Record) map[seen]time.Time {
	out := map[seen]time.Time{}
	for _, m := range rec.Merges {
		for _, name := range m.Releases {
			if id, version, ok := strings.Cut(name, "@"); ok {
				out[seen{fleet.PackageID(id), version}] = m.At
			}
		}
	}
	return out
}

// travelled reports whether a release is in a cycle already. One that no tenant
// was ever to take, in a cycle that people closed, may travel again.
func travelled(repo *fleet.Repository, rec *fleet.Record, id fleet.PackageID, entry fleet.Entry) bool {
	for name, c := range repo.Cycles {
		if c.Entries[id].Release != entry.Release {
			continue
		}
		taken := slices.ContainsFunc(rec.Intents, func(i fleet.Intent) bool { return i.Cycle == name && i.Package == id })
		closed, _, _ := approved(Facts{Repo: repo, Record: rec}, name, CloseGate, time.Time{}, true)
		if taken || closed == nil {
			return true
		}
	}
	return false
}

// used reports whether any tenant has the package.
func used(repo *fleet.Repository, id fleet.PackageID) bool {
	for _, t := range repo.Tenants {
		if _, ok := t.Packages[id]; ok {
			return true
		}
	}
	return false
}

// BuiltOf is the first recorded build of a release: the one that counts.
func BuiltOf(rec *fleet.Record, id fleet.PackageID, version string) *fleet.Built {
	for i := range rec.Builds {
		if b := &rec.Builds[i]; b.Package == id && b.Version == version {
			return b
		}
	}
	return nil
}

func tested(rec *fleet.Record, b *fleet.Built) bool {
	return slices.ContainsFunc(rec.Tests, func(t fleet.Tested) bool { return t.Artifact == b.Artifact })
}

// TestsOf are the test results of an artifact.
func TestsOf(rec *fleet.Record, artifact fleet.Digest) []fleet.Tested {
	var out []fleet.Tested
	for _, t := range rec.Tests {
		if t.Artifact == artifact {
			out = append(out, t)
		}
	}
	return out
}
