package factory_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/rules/why"
)

// whatIfOf changes desired state on main and compares with the commit before.
func whatIfOf(t *testing.T, w *replayWorld, change func(r *fleet.Repository)) why.Comparison {
	t.Helper()
	base := w.main
	change(w.repo)
	head := w.commit()
	c, err := w.WhatIf(t.Context(), base, head)
	if err != nil {
		t.Fatal(err)
	}
	back, err := w.WhatIf(t.Context(), head, base)
	if err != nil || !back.Empty() {
		t.Errorf("what base has beyond head is told: %+v, %v", back.Rows, err)
	}
	return c
}

func lines(c why.Comparison) string {
	var out []string
	for _, d := range c.Cycles {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %v started%v", d.Cycle, d.State, d.Waves, d.Started)))
	}
	for _, r := range c.Rows {
		out = append(out, strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s %s>%s %v %s", r.What, r.Cycle, r.Tenant, r.Package, r.Before.Wave, r.After.Wave, r.Differs, r.Is)), " "))
	}
	return strings.Join(out, "\n")
}

func TestWhatIf(t *testing.T) {
	const both = "2026-W47 open [dogfood everyone] started[]\n2026-W48 next [dogfood everyone] started[]"
	pin := func(r *fleet.Repository) {
		a := r.Tenants["nordic/aalto"]
		a.Policy.Pins = map[fleet.PackageID]fleet.PinnedTo{replayTool: {Version: "1.*", Reason: "validated", Expires: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}}
		r.Tenants["nordic/aalto"] = a
	}
	for _, c := range []struct {
		name   string
		facts  func(w *replayWorld)
		change func(r *fleet.Repository)
		want   string
	}{
		{"nothing that plans rest on", nil, func(r *fleet.Repository) { r.Freezes["over"] = fleet.Freeze{} }, both},
		{"a hold", nil, func(r *fleet.Repository) {
			r.Holds["slow"] = fleet.Hold{Kind: "hold", Package: replayTool, Release: "2.0", Reason: "slow"}
		}, both + "\nremoved 2026-W47 nordic/aalto acme/tool everyone> [] hold slow: slow\nremoved 2026-W47 us/own acme/tool dogfood> [] hold slow: slow"},
		{"a hold that ends in time, a freeze that does not", nil, func(r *fleet.Repository) {
			ends, from := time.Date(2026, 11, 19, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
			r.Holds["slow"] = fleet.Hold{Kind: "hold", Package: replayTool, Release: "2.0", Reason: "slow", Expires: &ends}
			r.Freezes["sale"] = fleet.Freeze{From: from, Until: from.AddDate(0, 0, 9), Scope: "nonSecurity"}
		}, both + "\nremoved 2026-W47 nordic/aalto acme/pad everyone> [] frozen by sale until 2026-12-01\nremoved 2026-W47 nordic/aalto acme/tool everyone> [] frozen by sale until 2026-12-01"},
		{"a pin", nil, pin, both + "\nremoved 2026-W47 nordic/aalto acme/tool everyone> [] pinned to 1.* until 2027-01-01: validated"},
		{"a pin, after the wave has started", func(w *replayWorld) {
			w.append(evidence.Control, evidence.WavesDir(replayCycle), []fleet.WaveStart{{Cycle: replayCycle, Wave: "everyone", Plan: w.repo.Plans[replayCycle]["everyone"].Digest, At: w.clock.Now()}})
		}, pin, "2026-W47 open [dogfood] started[everyone]\n2026-W48 next [dogfood everyone] started[]"},
		{"another day", nil, func(r *fleet.Repository) { r.Week.Steps["deploy"] = fleet.WeekStep{On: "Tue", At: "14:00"} }, both +
			"\nchanged 2026-W47 nordic/aalto acme/pad everyone>everyone [notBefore deadline]\nchanged 2026-W47 nordic/aalto acme/tool everyone>everyone [notBefore deadline]"},
		{"another wave", nil, func(r *fleet.Repository) { r.Waves[0].Select.Tenants = map[string]fleet.Values{"role": {"customer"}} }, both +
			"\nmoved 2026-W47 nordic/aalto acme/pad everyone>dogfood [wave notBefore deadline]\nmoved 2026-W47 nordic/aalto acme/tool everyone>dogfood [wave notBefore deadline]" +
			"\nmoved 2026-W47 us/own acme/pad dogfood>everyone [wave notBefore deadline]\nmoved 2026-W47 us/own acme/tool dogfood>everyone [wave notBefore deadline]"},
		{"a release that nobody built", nil, func(r *fleet.Repository) {
			p := r.Packages[replayTool]
			p.Releases["3.0"] = fleet.Release{Counter: 3, Change: "minor", Installers: map[string]fleet.Download{"x64": {}}}
		}, both + "\nadded 2026-W48 nordic/aalto acme/tool >everyone []\nadded 2026-W48 us/own acme/tool >dogfood []"},
		{"a cycle that closes", nil, func(r *fleet.Repository) {
			r.Approvals[replayCycle] = map[string]fleet.Approval{"close": {Decision: "approved"}}
		}, both + "\nremoved 2026-W47 nordic/aalto acme/pad everyone> []\nremoved 2026-W47 nordic/aalto acme/tool everyone> []\nremoved 2026-W47 us/own acme/pad dogfood> []\nremoved 2026-W47 us/own acme/tool dogfood> []"},
		{"a tenant that leaves", nil, func(r *fleet.Repository) { delete(r.Tenants, "us/own") }, both + "\nremoved 2026-W47 us/own acme/pad dogfood> []\nremoved 2026-W47 us/own acme/tool dogfood> []"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newReplayWorld(t, 1)
			w.clock.Set(time.Date(2026, 11, 18, 14, 0, 0, 0, time.UTC))
			w.open()
			w.clock.Set(time.Date(2026, 11, 18, 15, 0, 0, 0, time.UTC))
			if c.facts != nil {
				c.facts(w)
			}
			got := whatIfOf(t, w, c.change)
			if lines(got) != c.want {
				t.Errorf("\n%s\nwant\n%s", lines(got), c.want)
			}
		})
	}
}

// TestWhatIfOpens compares a commit that opens the cycle: every row comes.
func TestWhatIfOpens(t *testing.T) {
	w := newReplayWorld(t, 1)
	w.clock.Set(time.Date(2026, 11, 18, 14, 0, 0, 0, time.UTC))
	base := w.main
	w.open()
	c, err := w.WhatIf(t.Context(), base, w.main)
	if err != nil || len(c.Rows) != 4 || c.Cycles[0].State != "opens" || c.Cycles[0].Before.Tenants != 0 || c.Cycles[0].After.Devices != 20 {
		t.Errorf("%s\n%+v, %v", lines(c), c.Cycles, err)
	}
	if len(c.Cycles) != 1 {
		t.Errorf("the cycle that opens is told as the next one, too: %+v", c.Cycles)
	}
}
