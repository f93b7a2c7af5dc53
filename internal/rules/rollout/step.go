package rollout

import (
	"fmt"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/calendar"
)

// Step says what is due at now, in the order to do it, and what is not due
// yet. It only ever looks at facts: executing the actions, recording what came
// of them and asking again goes on until nothing is due. Asked twice about the
// same facts it says the same, which is what makes a killed run resumable.
func Step(f Facts, now time.Time) ([]Action, []Wait, error) {
	s := stepper{f: f, now: now}
	for _, commit := range f.Unrecorded {
		s.act(Action{Kind: RecordMerge, Commit: commit, Why: "a merge without a record in evidence"})
	}
	if len(f.Unrecorded) > 0 {
		return s.actions, nil, nil // approvals count once they are recorded
	}
	if err := s.mill(); err != nil {
		return nil, nil, err
	}
	cycles, err := Derive(f, now)
	if err != nil {
		return nil, nil, err
	}
	for i := range cycles {
		if cycles[i].Closed {
			s.promote(&cycles[i], true)
		} else {
			s.cycle(&cycles[i])
		}
	}
	return s.actions, s.waits, nil
}

type stepper struct {
	f       Facts
	now     time.Time
	actions []Action
	waits   []Wait
}

func (s *stepper) act(a Action) { s.actions = append(s.actions, a) }

func (s *stepper) wait(w Wait) { s.waits = append(s.waits, w) }

// mill is the part of the week before the cycle: detect, build, test,
// inventory, open.
func (s *stepper) mill() error {
	week := s.f.Repo.Week
	detect, err := calendar.Last(week, "detect", s.now)
	if err != nil {
		return err
	}
	if !s.beatSince("detect", detect) {
		s.act(Action{Kind: Detect, Why: "the week's detect step was at " + stamp(detect)})
	}
	s.builds()
	cutOff, err := calendar.Last(week, "cutOff", s.now)
	if err != nil {
		return err
	}
	return s.open(cutOff)
}

// beatSince reports whether a command ran at or after t.
func (s *stepper) beatSince(command string, t time.Time) bool {
	return slices.ContainsFunc(s.f.Record.Heartbeats, func(h fleet.Heartbeat) bool {
		return h.Command == command && !h.At.Before(t)
	})
}

// builds asks for the artifacts that rollouts need: of every package's newest
// release, and of the one before it, which is the way back. A configuration's
// files stand in git beside the release, so the one before was built in its
// own week or not at all.
func (s *stepper) builds() {
	for _, id := range s.f.Repo.PackageIDs() {
		pkg := s.f.Repo.Packages[id]
		newest, release, ok := pkg.Latest()
		if !ok || release.Baseline || !s.used(id) {
			continue
		}
		versions := []string{newest}
		if before, _, ok := pkg.Before(newest); ok && pkg.Rollback == "previous" && pkg.Kind != "configuration" {
			versions = []string{before, newest}
		}
		for _, v := range versions {
			built := BuiltOf(s.f.Record, id, v)
			switch {
			case built == nil:
				s.act(Action{Kind: Build, Packages: []fleet.PackageID{id}, Version: v, Why: "merged and not built"})
			case v == newest && !tested(s.f.Record, built):
				s.act(Action{Kind: Test, Packages: []fleet.PackageID{id}, Version: v, Artifact: built.Artifact, Why: "built and not tested"})
			}
		}
	}
}

// used reports whether any tenant has the package.
func (s *stepper) used(id fleet.PackageID) bool {
	for _, t := range s.f.Repo.Tenants {
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

// open asks for the cycle of the cut-off, once there is something to put into
// it and its first wave is still to come.
func (s *stepper) open(cutOff time.Time) error {
	id := calendar.CycleOf(s.f.Repo.Week, cutOff)
	if _, exists := s.f.Repo.Cycles[id]; exists {
		return nil
	}
	entries := Entries(s.f.Repo, s.f.Record)
	if len(entries) == 0 {
		return nil
	}
	steps, err := calendar.StepsOf(s.f.Repo.Week, id)
	if err != nil {
		return err
	}
	for _, w := range s.f.Repo.Waves {
		if opens := steps[w.Opens.Step]; !s.now.Before(opens) {
			s.wait(Wait{Cycle: id, Wave: w.Name, Kind: fleet.Waiting, Why: "missed: the wave would have opened at " + stamp(opens) + "; the releases go into the next cycle"})
			return nil
		}
		break
	}
	ready := true
	for _, t := range s.f.Repo.TenantIDs() {
		if s.f.Repo.Tenants[t].Intune != nil && !s.inventoried(t, cutOff) {
			ready = false
			s.act(Action{Kind: TakeInventory, Cycle: id, Tenant: t, Why: "a plan counts devices as of the cut-off"})
		}
	}
	if ready {
		s.act(Action{Kind: OpenCycle, Cycle: id, Why: fmt.Sprintf("cut-off was at %s, %d releases are ready", stamp(cutOff), len(entries))})
	}
	return nil
}

// inventoried reports whether a tenant's devices were read at the cut-off or
// in the day before it.
func (s *stepper) inventoried(t fleet.TenantID, cutOff time.Time) bool {
	return slices.ContainsFunc(s.f.Record.Inventory, func(r fleet.InventoryRow) bool {
		return r.Tenant == t && r.At.After(cutOff.Add(-24*time.Hour))
	})
}

// Entries are the releases that are ready to travel: the newest of each
// package that tenants use, no baseline, built, tested with no cell failed, in
// no cycle yet, and not revoked.
func Entries(repo *fleet.Repository, rec *fleet.Record) map[fleet.PackageID]fleet.Entry {
	out := map[fleet.PackageID]fleet.Entry{}
	s := stepper{f: Facts{Repo: repo, Record: rec}}
	for _, id := range repo.PackageIDs() {
		version, release, ok := repo.Packages[id].Latest()
		if !ok || release.Baseline || !s.used(id) || travelled(repo, id, version) {
			continue
		}
		built := BuiltOf(rec, id, version)
		if built == nil || !passed(TestsOf(rec, built.Artifact)) {
			continue
		}
		entry := fleet.Entry{Release: version, Artifact: built.Artifact}
		if _, revoked := repo.Revoked(id, entry); revoked {
			continue
		}
		out[id] = entry
	}
	return out
}

func travelled(repo *fleet.Repository, id fleet.PackageID, version string) bool {
	for _, c := range repo.Cycles {
		if c.Entries[id].Release == version {
			return true
		}
	}
	return false
}

// passed reports whether at least one cell ran and none failed.
func passed(tests []fleet.Tested) bool {
	ran := false
	for _, t := range tests {
		if t.Result == "failed" {
			return false
		}
		ran = ran || t.Result == "passed"
	}
	return ran
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04Z") }
