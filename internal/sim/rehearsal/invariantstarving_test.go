package rehearsal

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// reaches is how many weeks may go by until a release of a package that is
// released every week got to everybody.
const reaches = 5

// nobodyStarves is a package with a release a week whose last waves open so late
// that the next cycle is there, and takes their place: once by the rules alone,
// and once in rehearsed weeks with tenants that have windows.
func nobodyStarves(w *world) error {
	if err := w.passedOver(); err != nil {
		return err
	}
	in := Invented(Size{Tenants: 4, Packages: 1, Devices: 80})
	repo := cloned(in.Facts.Repo)
	repo.Week.Steps = maps.Clone(repo.Week.Steps)
	repo.Week.Steps["deploy"] = fleet.WeekStep{On: "Wed", At: "15:30"} // half an hour before the next cut-off
	for n, id := range repo.TenantIDs() {
		if n > 1 {
			setTenant(repo, id, func(t *fleet.Tenant) {
				t.Windows = map[string]fleet.Window{"night": {On: []string{"Thu"}, From: "20:00", Until: "23:00", For: []string{"install"}}}
			})
		}
	}
	in.Facts.Repo = repo
	s, m := NewState(w.blind(in)), Builtin()
	last, got := map[fleet.TenantID]time.Time{}, 0
	for n := range 12 {
		for end := s.Now.AddDate(0, 0, 7); s.Now.Before(end); s.Now = s.Now.Add(3 * time.Hour) {
			for merged := true; merged; { // what people merge, the next run sees at once
				err := w.once(s, m)
				if err == nil {
					merged, err = mergeOnThursday(s)
				}
				if err != nil {
					return err
				}
			}
		}
		s.mend(release(good, fmt.Sprintf("%d.0", n+3), n+3, "minor"))
		for _, c := range s.Calls {
			if c.Action == "assign" && !c.Made.Before(last[c.Tenant]) {
				last[c.Tenant] = c.Made
			}
		}
		for _, id := range repo.TenantIDs() {
			if got++; s.Now.Sub(later(last[id], in.Now)) > reaches*7*24*time.Hour {
				return fmt.Errorf("%s has had no release from %s to %s", id, last[id], s.Now)
			}
		}
	}
	over := 12 // releases that a tenant of the last wave never got
	for _, c := range s.Calls {
		if c.Action == "assign" && c.Tenant == "partner03/tenant0003" {
			over--
		}
	}
	if err := enough(4, over, "releases that were passed over"); err != nil {
		return err
	}
	return enough(40, got, "tenants and weeks")
}

// once is one run.
func (w *world) once(s *State, m Model) error {
	e := &Engine{Name: "run", State: s, Model: &m}
	w.arrange(e)
	for _, err := range e.Run() {
		if err != nil {
			return err
		}
	}
	return nil
}

// mergeOnThursday merges cycles and closings at once, and the approvals of last
// waves on Thursday morning. It reports whether there was anything to merge.
func mergeOnThursday(s *State) (merged bool, err error) {
	for _, p := range s.Pulls {
		slow := strings.HasPrefix(p.Branch, rollout.BranchApprove) && (s.Now.Weekday() != time.Thursday || s.Now.Hour() != 9)
		if !p.Merged.IsZero() || slow {
			continue
		}
		if err := s.Merge(p.Number, s.persons("")); err != nil {
			return merged, err
		}
		merged = true
	}
	return merged, nil
}

// passedOver is twenty weeks by the rules alone, with waves that take two.
func (w *world) passedOver() error {
	in := Invented(Size{Tenants: 3, Packages: 1, Devices: 30})
	repo, rec := cloned(in.Facts.Repo), *in.Facts.Record
	f := rollout.Facts{Repo: repo, Record: &rec}
	var open []fleet.CycleID
	last := 0
	for n := range 20 {
		now := on(11, 18, 14, 0).AddDate(0, 0, 7*n)
		cycles, err := w.derive(f, now)
		if err != nil {
			return err
		}
		for _, c := range cycles {
			e := c.Entry(good)
			if n >= slices.Index(open, c.ID)+2 && now.Sub(c.Cycle.CutOff) >= 14*24*time.Hour && !e.SupersededIn(&c.Waves[1]) && !c.Closed {
				last = n
				everybody(f, c, now)
			}
		}
		version := fmt.Sprintf("%d.0", n+2)
		release(good, version, n+2, "minor")(repo)
		rec.Builds = append(rec.Builds, fleet.Built{Package: good, Version: version, Artifact: artifactOf(good, version)})
		rec.Tests = append(rec.Tests, fleet.Tested{Package: good, Version: version, Artifact: artifactOf(good, version), Installer: "x64", Result: "passed"})
		if e, ok := w.entries(repo, &rec, now)[good]; ok {
			id := fleet.CycleOf(now)
			open = append(open, id)
			repo.Cycles[id] = fleet.Cycle{CutOff: now, Waves: []string{"dogfood", "everyone"}, Entries: map[fleet.PackageID]fleet.Entry{good: e}}
			approve(f, id, "dogfood", now)
			approve(f, id, "everyone", now) // what people will not approve takes nobody's place
			rec.Starts = append(rec.Starts, fleet.WaveStart{Cycle: id, Wave: "dogfood", Opens: now, At: now})
		}
		if n-last > reaches {
			return fmt.Errorf("no release reached everybody from week %d to week %d", last, n)
		}
	}
	return enough(8, len(open), "cycles")
}

// everybody lets the entry of a cycle get into its last wave, and closes it.
func everybody(f rollout.Facts, c rollout.CycleState, now time.Time) {
	for _, t := range f.Repo.TenantIDs() {
		f.Record.Intents = append(f.Record.Intents, fleet.Intent{
			ID: string(c.ID) + string(t), Cycle: c.ID, Wave: "everyone", Tenant: t, Package: good, Artifact: c.Entry(good).Entry.Artifact, Action: "assign", At: now,
		})
	}
	approve(f, c.ID, rollout.CloseGate, now)
}

func approve(f rollout.Facts, id fleet.CycleID, gate string, now time.Time) {
	file := fleet.ApprovalFile(id, gate)
	f.Repo.Blobs[file] = "approval"
	f.Repo.Approvals[id] = put(f.Repo.Approvals[id], gate, fleet.Approval{Cycle: id, Gate: gate, Decision: "approved", Plan: "p", ValidUntil: now.AddDate(1, 0, 0)})
	f.Record.Merges = append(f.Record.Merges, fleet.Merge{Commit: file, Approves: string(id) + "/" + gate, Plan: "p", ApprovalBlobs: map[string]string{file: "approval"}, Approvers: []string{"ada"}, At: now})
}

// uncounted looks at no cycle but the newest.
func uncounted(repo *fleet.Repository, rec *fleet.Record, cutOff time.Time) map[fleet.PackageID]fleet.Entry {
	repo = cloned(repo)
	if ids := repo.CycleIDs(); len(ids) > 1 {
		for _, id := range ids[:len(ids)-1] {
			delete(repo.Cycles, id)
		}
	}
	return rollout.Entries(repo, rec, cutOff)
}
