package rehearsal

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// A Leg is what one wave of a cycle meant for one tenant.
type Leg struct {
	Wave     string         `json:"wave"`
	Tenant   fleet.TenantID `json:"tenant"`
	Packages int            `json:"packages"`
	Devices  int            `json:"devices"`
	Starts   time.Time      `json:"starts"` // the earliest start on a device
	Deadline time.Time      `json:"deadline"`
	Local    bool           `json:"local,omitempty"` // both are the tenant's local time
	Reports  fleet.Counts   `json:"reports"`         // of all packages, at the gate's last look
	Verdict  string         `json:"verdict"`         // of the gate on the tenant's packages: "3 pass, 1 fail"
	Ends     time.Time      `json:"ends,omitzero"`   // last change there that made it stable or took it back
	End      string         `json:"end"`             // released, taken back, both, open
}

// Timeline are the legs of a cycle, wave by wave in the order they started,
// tenants in the order of their ids.
func (r *Result) Timeline(id fleet.CycleID) []Leg {
	rec := r.State.facts.Record
	var out []Leg
	for _, s := range rec.Starts {
		if s.Cycle == id {
			out = append(out, r.legs(s)...)
		}
	}
	return out
}

func (r *Result) legs(s fleet.WaveStart) []Leg {
	rec := r.State.facts.Record
	legs := map[fleet.TenantID]*Leg{}
	for _, row := range rec.PlanRows[s.Plan] {
		l := legs[row.Tenant]
		if l == nil {
			l = &Leg{Wave: s.Wave, Tenant: row.Tenant, Starts: row.NotBefore, Deadline: row.Deadline, Local: row.LocalTime}
			legs[row.Tenant] = l
		}
		l.Packages++
		l.Devices = max(l.Devices, row.Devices)
		if row.NotBefore.Before(l.Starts) {
			l.Starts = row.NotBefore
		}
		if row.Deadline.After(l.Deadline) {
			l.Deadline = row.Deadline
		}
	}
	verdicts := map[fleet.PackageID]fleet.Verdict{}
	for _, v := range rec.Verdicts {
		if v.Cycle == s.Cycle && v.Wave == s.Wave {
			verdicts[v.Package] = v
		}
	}
	last := map[rollout.Slot]fleet.Report{}
	for _, x := range rec.Reports {
		if x.Cycle == s.Cycle && x.Wave == s.Wave {
			last[rollout.Slot{Tenant: x.Tenant, Package: x.Package}] = x
		}
	}
	decided := map[fleet.TenantID]map[string]int{}
	for at, x := range last {
		l := legs[at.Tenant]
		if l == nil {
			continue
		}
		l.Reports = l.Reports.Add(x.Counts)
		if decided[at.Tenant] == nil {
			decided[at.Tenant] = map[string]int{}
		}
		decided[at.Tenant][verdicts[at.Package].Decision]++
	}
	r.ends(s, legs)
	out := make([]Leg, 0, len(legs))
	for t, l := range legs {
		l.Verdict = told(decided[t])
		out = append(out, *l)
	}
	slices.SortFunc(out, func(a, b Leg) int { return cmp.Compare(a.Tenant, b.Tenant) })
	return out
}

// ends notes when and how what a wave brought to tenants came to its end.
func (r *Result) ends(s fleet.WaveStart, legs map[fleet.TenantID]*Leg) {
	how := map[fleet.TenantID]map[string]bool{}
	for _, x := range r.State.facts.Record.Receipts {
		l := legs[x.Tenant]
		if l == nil || x.Cycle != s.Cycle || x.Outcome != "done" || x.Action != "promote" && x.Action != "rollback" {
			continue
		}
		if how[x.Tenant] == nil {
			how[x.Tenant] = map[string]bool{}
		}
		how[x.Tenant][x.Action] = true
		if x.At.After(l.Ends) {
			l.Ends = x.At
		}
	}
	for t, l := range legs {
		switch released, back := how[t]["promote"], how[t]["rollback"]; {
		case released && back:
			l.End = "released, and one taken back"
		case released:
			l.End = "released"
		case back:
			l.End = "taken back"
		default:
			l.End = "open"
		}
	}
}

func told(decided map[string]int) string {
	out := ""
	for _, d := range []string{"pass", "fail", "inconclusive"} {
		if n := decided[d]; n > 0 {
			if out != "" {
				out += ", "
			}
			out += fmt.Sprintf("%d %s", n, d)
		}
	}
	return cmp.Or(out, "not judged")
}

// A Stop is a release that a rehearsed cycle halted.
type Stop struct {
	Package fleet.PackageID `json:"package"`
	Release string          `json:"release"`
	Wave    string          `json:"wave"`
	At      time.Time       `json:"at"`
	Rule    string          `json:"rule"`
	Back    int             `json:"back"` // tenants that went back
}

// Stops are the halts of a cycle, in order.
func (r *Result) Stops(id fleet.CycleID) []Stop {
	f := r.State.facts
	var out []Stop
	for _, v := range f.Record.Verdicts {
		if v.Cycle != id || v.Decision != "fail" {
			continue
		}
		s := Stop{Package: v.Package, Release: f.Repo.Cycles[id].Entries[v.Package].Release, Wave: v.Wave, At: v.At, Rule: v.Rule}
		for _, x := range f.Record.Receipts {
			if x.Cycle == id && x.Package == v.Package && x.Action == "rollback" && x.Outcome == "done" {
				s.Back++
			}
		}
		out = append(out, s)
	}
	return out
}
