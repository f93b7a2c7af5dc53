package rollout_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// A laneRun drives a cycle in a lane: it does what Step says, and lets people
// approve a wave some hours after it was to open.
type laneRun struct {
	*world
	id     fleet.CycleID
	late   time.Duration // of people, after a wave's opening
	people []string
	now    time.Time
	log    []string
}

// proposed puts a cycle on main, as its pull request does.
func proposed(w *world, id fleet.CycleID, c fleet.Cycle) {
	then := *w.rec
	then.Heads = maps.Clone(w.rec.Heads)
	w.then = &then
	w.repo.Cycles[id], w.repo.Plans[id] = c, map[string]fleet.PlanRecord{}
	for _, gate := range c.Waves {
		plan, err := rollout.Plan(w.repo, w.then, id, c, gate)
		if err != nil {
			panic(err)
		}
		w.repo.Plans[id][gate] = fleet.PlanRecord{Digest: plan.Digest(), Inputs: plan.Evidence}
		w.rec.PlanRows[plan.Digest()] = plan.Rows
	}
}

// approves merges the approval of a gate.
func (r *laneRun) approves(t *testing.T, gate string) {
	t.Helper()
	approval(r.id, gate, r.now)(r.world)
	a := r.repo.Approvals[r.id][gate]
	opens := r.now
	if gate != rollout.CloseGate {
		var err error
		if opens, err = rollout.WaveOpens(r.repo, r.id, r.repo.Cycles[r.id], gate); err != nil {
			t.Fatal(err)
		}
	}
	a.ValidUntil = opens.Add(rollout.ApprovalLasts)
	r.repo.Approvals[r.id][gate] = a
	r.rec.Merges[len(r.rec.Merges)-1].Approvers = r.people
}

// does carries an action out, and notes it.
func (r *laneRun) does(t *testing.T, a rollout.Action) {
	t.Helper()
	effect := func(action string) {
		for _, p := range a.Packages {
			did(action, a.Wave, a.Tenant, p, r.now)(r.world)
			r.rec.Intents[len(r.rec.Intents)-1].Cycle, r.rec.Receipts[len(r.rec.Receipts)-1].Cycle = r.id, r.id
		}
	}
	switch a.Kind {
	case rollout.StartWave:
		opens, err := rollout.WaveOpens(r.repo, r.id, r.repo.Cycles[r.id], a.Wave)
		if err != nil {
			t.Fatal(err)
		}
		r.rec.Starts = append(r.rec.Starts, fleet.WaveStart{Cycle: r.id, Wave: a.Wave, Opens: opens, Plan: r.repo.Plans[r.id][a.Wave].Digest, At: r.now})
	case rollout.Deploy:
		effect("assign")
	case rollout.Promote:
		effect("promote")
	case rollout.RollBack:
		effect("rollback")
	case rollout.Withdraw:
		effect("withdraw")
	case rollout.Announce:
		beat("announce "+string(r.id), r.now)(r.world)
	case rollout.TakeInventory:
		inventory(r.now, a.Tenant)(r.world)
		return
	case rollout.Judge:
		for _, p := range a.Packages {
			verdict(a.Wave, p, int(a.Look.Std().Hours()), "pass", r.now)(r.world)
			r.rec.Verdicts[len(r.rec.Verdicts)-1].Cycle = r.id
		}
	case rollout.ProposeApproval, rollout.ProposeClose:
		return // people are next
	default:
		t.Fatalf("%s: %+v", r.now, a)
	}
	r.log = append(r.log, told(a))
}

// until runs every quarter of an hour until the cycle is closed or an instant
// is over.
func (r *laneRun) until(t *testing.T, end time.Time) {
	t.Helper()
	for ; r.now.Before(end); r.now = r.now.Add(15 * time.Minute) {
		for round := 0; ; round++ {
			actions, _, err := rollout.Step(r.facts(t), r.now)
			if err != nil || round > 20 {
				t.Fatalf("%s: %v, %v", r.now, actions, err)
			}
			n := len(r.log)
			for _, a := range actions {
				if a.Cycle == r.id || a.Kind == rollout.TakeInventory {
					r.does(t, a)
				}
			}
			if n == len(r.log) {
				if r.answers(t, actions) {
					return
				}
				break
			}
		}
	}
}

// answers lets people merge what waits for them when they are there, and reports
// whether that closed the cycle.
func (r *laneRun) answers(t *testing.T, actions []rollout.Action) bool {
	t.Helper()
	for _, a := range actions {
		switch {
		case a.Cycle != r.id:
		case a.Kind == rollout.ProposeClose:
			r.approves(t, rollout.CloseGate)
			return true
		case a.Kind == rollout.ProposeApproval:
			opens, err := rollout.WaveOpens(r.repo, r.id, r.repo.Cycles[r.id], a.Wave)
			if err != nil {
				t.Fatal(err)
			}
			if !r.now.Before(opens.Add(r.late)) {
				r.approves(t, a.Wave)
			}
		}
	}
	return false
}

func laneOf(t *testing.T, w *world, id fleet.CycleID, late time.Duration, overrides *fleet.Overrides, people ...string) *laneRun {
	t.Helper()
	c := rollout.NewCycle(w.repo, w.rec, id, readyAt, nil)
	c.Overrides = overrides
	proposed(w, id, c)
	r := &laneRun{world: w, id: id, late: late, people: people, now: readyAt}
	r.approves(t, c.Waves[0])
	return r
}

// TestSecurityLaneToItsEnd: a fix goes through every wave of its lane to the
// stable slots, also where people come hours after a wave was to open.
func TestSecurityLaneToItsEnd(t *testing.T) {
	for _, late := range []time.Duration{0, 5 * time.Hour, 20 * time.Hour} {
		r := laneOf(t, newWorld(fixReady), cve, late, nil, "ines")
		r.until(t, on(25, 0, 0))
		var starts, promoted []string
		for _, line := range r.log {
			if strings.HasPrefix(line, "start ") {
				starts = append(starts, line)
			}
			if strings.HasPrefix(line, "promote ") {
				promoted = append(promoted, line)
			}
		}
		if want := []string{"start dogfood", "start pilot", "start everyone"}; !slices.Equal(starts, want) {
			t.Errorf("people %s late: %q, want %q", late, starts, want)
		}
		if want := []string{"promote everyone nordic/aalto tool 2.0", "promote everyone nordic/berg tool 2.0", "promote everyone us/own tool 2.0"}; !slices.Equal(promoted, want) {
			t.Errorf("people %s late: %q, want %q", late, promoted, want)
		}
		if r.repo.Approvals[cve][rollout.CloseGate].Decision != "approved" {
			t.Errorf("people %s late: the cycle is not closed by %s: %q", late, r.now, r.log)
		}
		for _, s := range r.rec.Starts[1:] {
			if opens := s.Opens.Add(late); s.At.Before(s.Opens.Add(-3*24*time.Hour)) || late > 0 && s.At.Before(opens) || s.At.After(opens.Add(24*time.Hour)) {
				t.Errorf("people %s late: %s started at %s, to open at %s", late, s.Wave, s.At, s.Opens)
			}
		}
	}
}

// TestFreezePassedByTwo: through a freeze a fix goes with its override and two
// persons, and neither without the one nor without the other.
func TestFreezePassedByTwo(t *testing.T) {
	override := &fleet.Overrides{Freezes: []string{"winter"}, Reason: "exploited"}
	for _, c := range []struct {
		name      string
		overrides *fleet.Overrides
		people    []string
		starts    int
	}{
		{"no override", nil, []string{"ines", "oskar"}, 0},
		{"another freeze's", &fleet.Overrides{Freezes: []string{"summer"}, Reason: "exploited"}, []string{"ines", "oskar"}, 0},
		{"one person", override, []string{"ines"}, 0},
		{"both", override, []string{"ines", "oskar"}, 3},
	} {
		r := laneOf(t, newWorld(all(fixReady, freeze("all", on(16, 0, 0), on(30, 0, 0)))), cve, 0, c.overrides, c.people...)
		r.until(t, on(22, 0, 0))
		if len(r.rec.Starts) != c.starts {
			t.Errorf("%s: %d waves started, want %d: %q", c.name, len(r.rec.Starts), c.starts, r.log)
		}
		if c.starts == 0 && len(r.rec.Intents) != 0 {
			t.Errorf("%s: %d changes on tenants", c.name, len(r.rec.Intents))
		}
	}
}

// TestNothingCarriedInLanes: what a closed cycle left undone goes on with the
// week, also where it is a fix.
func TestNothingCarriedInLanes(t *testing.T) {
	w := newWorld(all(security(tool), milled, carrying(w47, tool, pad), intent("assign", "dogfood", own, tool, dogfoodAt), intent("assign", "dogfood", own, pad, dogfoodAt),
		approve(rollout.CloseGate, on(24, 12, 0)), urgent, inLane("oob")))
	cutOff := cutOffAt.AddDate(0, 0, 7)
	week := rollout.NewCycle(w.repo, w.rec, w48, cutOff, nil)
	if week.Entries[tool].CarriedFrom != w47 || week.Entries[pad].CarriedFrom != w47 {
		t.Fatalf("the week carries %+v", week.Entries)
	}
	for _, id := range []fleet.CycleID{"2026-W48-cve-01", "2026-W48-oob-01", "2026-W48-new-01"} {
		if c := rollout.NewCycle(w.repo, w.rec, id, cutOff, nil); len(c.Entries) != 0 {
			t.Errorf("%s carries %+v", id, c.Entries)
		}
	}
	if why := rollout.Unready(w.repo, w.rec, "cve", tool, cutOff); why != "2.0 travelled in 2026-W47: what that left undone goes on with the week" {
		t.Errorf("%q", why)
	}
	actions, _, err := rollout.Step(w.facts(t), cutOff.Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(actions, func(a rollout.Action) bool { return a.Kind == rollout.OpenCycle && a.Cycle.Lane() != fleet.LaneWeek }) {
		t.Errorf("%+v", actions)
	}
}

// inLane lets the waves of the week take part in a lane.
func inLane(lane string) fact {
	return func(w *world) {
		for i := range w.repo.Waves {
			if v := &w.repo.Waves[i]; !v.LanesOnly {
				v.Lanes = maps.Clone(v.Lanes)
				if v.Lanes == nil {
					v.Lanes = map[string]fleet.LaneWave{}
				}
				v.Lanes[lane] = fleet.LaneWave{After: fleet.Duration(time.Duration(i) * time.Hour), Soak: fleet.Duration(2 * time.Hour), Looks: []fleet.Duration{fleet.Duration(2 * time.Hour)}}
			}
		}
	}
}

// TestLaneOfNewPackagesToItsEnd: a package that tenants did not have is offered
// first and required by the last wave, and its way back is to remove it.
func TestLaneOfNewPackagesToItsEnd(t *testing.T) {
	const id = fleet.CycleID("2026-W47-new-01")
	w := newWorld(all(fixReady, inLane("new"), edit(pad, func(p *fleet.Package) {
		p.Releases = map[string]fleet.Release{"2.0": {Counter: 1, Change: "new"}}
	})))
	r := laneOf(t, w, id, 2*time.Hour, nil, "ines")
	c := w.repo.Cycles[id]
	if !slices.Equal(c.Waves, []string{"dogfood", "everyone"}) || len(c.Entries) != 1 {
		t.Fatalf("%+v", c)
	}
	people := fleet.Tenant{Packages: map[fleet.PackageID][]fleet.Assignment{pad: {{Intent: "required", Group: rollout.AllUsers}}}}
	if !rollout.Offered(w.repo, people, c, "dogfood", pad, "2.0") || rollout.Offered(w.repo, people, c, "everyone", pad, "2.0") {
		t.Error("it is not offered to people first, or not required in the end")
	}
	if rollout.Offered(w.repo, w.repo.Tenants[own], c, "dogfood", pad, "2.0") {
		t.Error("it is offered to devices, which cannot choose")
	}
	for _, tenant := range []fleet.TenantID{own, aalt, berg} {
		if way := rollout.WayBackOf(w.repo, w.rec, tenant, pad, c.Entries[pad]); way.Mode != rollout.BackUninstall {
			t.Errorf("%s: %+v", tenant, way)
		}
	}
	r.until(t, on(25, 0, 0))
	if len(r.rec.Starts) != 2 || !slices.Contains(r.log, "promote everyone nordic/berg pad 2.0") {
		t.Fatalf("%q", r.log)
	}
	n := len(r.log)
	revoke(pad)(w)
	r.now = on(26, 0, 0)
	r.until(t, on(26, 2, 0))
	backs := slices.DeleteFunc(slices.Clone(r.log[n:]), func(line string) bool { return !strings.HasPrefix(line, "roll-back ") })
	if want := []string{"roll-back nordic/aalto pad 2.0", "roll-back nordic/berg pad 2.0", "roll-back us/own pad 2.0"}; !slices.Equal(backs, want) {
		t.Errorf("%q, want %q", backs, want)
	}
}

// TestUnready says of each thing a release can lack that it does.
func TestUnready(t *testing.T) {
	for _, c := range []struct {
		name  string
		lane  string
		facts fact
		want  string
	}{
		{"nothing", "cve", all(), ""},
		{"what is no fix", "cve", edit(tool, func(p *fleet.Package) { p.Releases["2.0"] = fleet.Release{Counter: 2, Change: "minor"} }), "2.0 is a minor release: the lane cve takes security releases"},
		{"what is not new", "new", all(), "2.0 is a security release: the lane new takes new releases"},
		{"any in the lane of repairs", "oob", all(), ""},
		{"a baseline", "oob", edit(tool, func(p *fleet.Package) { delete(p.Releases, "2.0") }), "its newest release 1.0 is a baseline"},
		{"what nobody has", "cve", func(w *world) {
			for id := range w.repo.Tenants {
				tenant(id, func(t *fleet.Tenant) { delete(t.Packages, tool) })(w)
			}
		}, "no tenant has it"},
		{"what is not built", "cve", func(w *world) { w.rec.Builds = nil }, "2.0 is not built"},
		{"what is not tested", "cve", func(w *world) { w.rec.Tests = nil }, "2.0 is not tested"},
		{"what failed", "cve", tested(tool, "2.0", "failed"), "2.0 failed its tests: windows-11"},
		{"what was merged later", "cve", merged(on(17, 9, 45), "acme/tool@2.0"), "2.0 was merged at 2026-11-17T09:45:00Z, after the cut-off"},
		{"what is held", "cve", hold("tool", "hold", tool), "2.0 is held: a reason"},
		{"what a vendor holds", "cve", hold("tool", "safeguardHold", tool), "2.0 is held by a safeguard hold: a reason"},
		{"what is revoked", "cve", revoke(tool), "2.0 is revoked: a reason"},
		{"what travels", "cve", func(w *world) {
			proposed(w, cve, rollout.NewCycle(w.repo, w.rec, cve, readyAt, nil))
		}, "2.0 travels in 2026-W47-cve-01"},
	} {
		w := newWorld(all(fixReady, c.facts))
		got := rollout.Unready(w.repo, w.rec, c.lane, tool, readyAt)
		if !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		// Whatever is said, the cycle is made of the same.
		if _, in := rollout.NewCycle(w.repo, w.rec, rollout.NextLane(w.repo, c.lane, readyAt), readyAt, []fleet.PackageID{tool}).Entries[tool]; in != (got == "") {
			t.Errorf("%s: %q, and in the cycle: %t", c.name, got, in)
		}
	}
}
