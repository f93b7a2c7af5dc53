package factory_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// slotOf is what a slot of the first tenant's package holds and does, whenever
// that begins.
func (w *scaleWorld) slotOf(name string) string {
	w.t.Helper()
	w.dial()
	console, err := w.Consoles(w.t.Context(), w.repo.Tenants[w.tenants[0]])
	if err != nil {
		w.t.Fatal(err)
	}
	state, err := console.Observe(w.t.Context(), w.packages[0], name)
	if err != nil {
		w.t.Fatal(err)
	}
	return regexp.MustCompile(` (from|by) [^;]*`).ReplaceAllString(rollout.SlotText(state), "")
}

// TestReinstates: where leave said uninstall and that merge was reverted, devices
// end with what they had, whether the removal had reached them or not. Of six
// devices three are in a second wave that goes on, or was halted.
func TestReinstates(t *testing.T) {
	const cycle2 = fleet.CycleID("2026-W49")
	for _, c := range []struct {
		name         string
		halted, late bool   // the wave was; the removal had reached devices
		wave, others string // what devices have in the end
	}{
		{"armed", false, false, "24.10", "24.09"},
		{"carried out", false, true, "24.10", "24.09"},
		{"armed, after a halt", true, false, "24.10", "24.09"},
		{"carried out, after a halt", true, true, "", "24.09"}, // it is left out of the stable slot, as before
	} {
		t.Run(c.name, func(t *testing.T) {
			s := scale{tenants: 1, packages: 1, devices: 6}
			w := newScaleWorld(t, s)
			at := w.tenants[0]
			ids := slices.Sorted(maps.Keys(w.server.Installed(w.directory(at), w.packages[0], w.clock.Now())))
			w.must(rollout.Deploy, theCycle)
			w.must(rollout.Promote, theCycle)
			w.later(14 * day)
			w.release("24.10")
			w.wave(cycle2, theWave, s)
			members := &w.rec.Members[len(w.rec.Members)-1]
			members.Devices = nil
			for _, id := range ids[:3] {
				members.Devices = append(members.Devices, factory.HashDevice([]byte("key"), id))
			}
			w.must(rollout.Deploy, cycle2)
			w.later(4 * day)
			if c.halted {
				w.must(rollout.Withdraw, cycle2)
				w.later(time.Hour)
			}
			w.expect("before", ids, "24.10", "24.10", "24.09")
			candidate, stable := w.slotOf(fleet.Candidate), w.slotOf(fleet.Stable)

			tenant := w.repo.Tenants[at]
			tenant.Zone, tenant.Windows = "UTC", map[string]fleet.Window{"night": {On: []string{"Sat"}, From: "20:00", Until: "23:00", For: []string{"install"}}}
			w.repo.Tenants[at] = tenant
			w.must(rollout.Uninstall, cycle2)
			if c.late {
				w.later(14 * day)
				w.expect("uninstalled", ids, "", "", "")
			} else {
				w.later(time.Hour)
			}
			w.must(rollout.Reinstate, cycle2)
			if got := w.slotOf(fleet.Stable); got != stable {
				t.Errorf("the stable slot does %q, did %q", got, stable)
			}
			if got := w.slotOf(fleet.Candidate); got != candidate {
				t.Errorf("the candidate slot does %q, did %q", got, candidate)
			}
			if removed := w.server.Lives(w.clock.Now()).Removed; (removed > 0) != c.late {
				t.Errorf("%d removals", removed)
			}
			w.later(21 * day)
			w.expect("afterwards", ids, c.wave, c.wave, c.others)

			w.must(rollout.Reinstate, cycle2) // once more, when no call of the uninstall can begin
			if n := w.counts[at].writes.Load(); n != 0 {
				t.Errorf("there was nothing left to do: %d writes", n)
			}
		})
	}
}

// TestReinstateFinds ends a removal whatever it finds of it: nothing, or what nobody saw.
func TestReinstateFinds(t *testing.T) {
	for name, c := range map[string]struct {
		before func(w *scaleWorld)
		stable string // what it does afterwards, "" for as before
	}{
		"an uninstall that was never called": {func(*scaleWorld) {}, ""},
		"an uninstall whose receipt was lost": {func(w *scaleWorld) {
			w.must(rollout.Uninstall, theCycle)
			w.rec.Receipts = w.rec.Receipts[:len(w.rec.Receipts)-1]
		}, ""},
		"an uninstall that came behind the first end": {func(w *scaleWorld) {
			w.must(rollout.Uninstall, theCycle)
			w.rec.Receipts = w.rec.Receipts[:len(w.rec.Receipts)-1]
			stalled := *w.rec
			w.must(rollout.Reinstate, theCycle)
			w.dial()
			if made, _, err := w.CarryOut(w.t.Context(), rollout.Facts{Repo: w.repo, Record: &stalled}, w.newest(rollout.Uninstall, theCycle)); made != 1 || err != nil {
				w.t.Fatalf("made %d: %v", made, err)
			}
			if got := w.slotOf(fleet.Stable); !strings.Contains(got, "; uninstall ") {
				w.t.Fatalf("the late call did nothing: %q", got)
			}
		}, ""},
		"a release that is revoked": {func(w *scaleWorld) {
			w.must(rollout.Uninstall, theCycle)
			w.repo.Holds = map[string]fleet.Hold{"bad": {Kind: "revocation", Package: w.packages[0], Release: "24.09", Reason: "bad"}}
		}, "uninstall"},
		"a group that is to be left out and is gone": {func(w *scaleWorld) {
			w.must(rollout.Uninstall, theCycle)
			tenant := w.repo.Tenants[w.tenants[0]]
			tenant.Packages = map[fleet.PackageID][]fleet.Assignment{w.packages[0]: {{Intent: "required", Group: rollout.AllDevices, Exclude: []string{"Tills"}}}}
			w.repo.Tenants[tenant.ID] = tenant
		}, "nobody"},
	} {
		w := newScaleWorld(t, scale{tenants: 1, packages: 1, devices: 2})
		w.must(rollout.Deploy, theCycle)
		w.must(rollout.Promote, theCycle)
		before := w.slotOf(fleet.Stable)
		c.before(w)
		armed := w.slotOf(fleet.Stable)
		want := map[string]string{"": before, "uninstall": armed, "nobody": regexp.MustCompile(`;.*`).ReplaceAllString(before, "")}[c.stable]
		w.dial()
		made, _, err := w.carry(t.Context(), w.newest(rollout.Reinstate, theCycle))
		if lost := c.stable == "nobody"; lost != (err != nil) || lost != (made == 0) {
			t.Errorf("%s: made %d: %v", name, made, err)
		}
		if got := w.slotOf(fleet.Stable); got != want {
			t.Errorf("%s: the stable slot does %q, want %q", name, got, want)
		}
	}
}

// TestReinstatesNoStopped: a wave's devices get nothing again that was stopped
// meanwhile, and the removal ends all the same.
func TestReinstatesNoStopped(t *testing.T) {
	for name, c := range map[string]struct {
		stop func(w *scaleWorld)
		want string
	}{
		"nothing": {func(*scaleWorld) {}, "required"},
		"held": {func(w *scaleWorld) {
			w.repo.Holds = map[string]fleet.Hold{"wait": {Kind: "hold", Package: w.packages[0], Release: "24.09", Reason: "wait"}}
		}, ""},
		"failed": {func(w *scaleWorld) {
			w.rec.Verdicts = []fleet.Verdict{{Cycle: theCycle, Wave: theWave, Package: w.packages[0], Artifact: w.rec.Builds[0].Artifact, Decision: "fail"}}
		}, ""},
		"withdrawn": {func(w *scaleWorld) { w.must(rollout.Withdraw, theCycle) }, ""},
		"revoked": {func(w *scaleWorld) {
			w.repo.Holds = map[string]fleet.Hold{"bad": {Kind: "revocation", Package: w.packages[0], Release: "24.09", Reason: "bad"}}
		}, "uninstall"}, // the way back decides
	} {
		w := newScaleWorld(t, scale{tenants: 1, packages: 1, devices: 2})
		w.must(rollout.Deploy, theCycle)
		w.must(rollout.Uninstall, theCycle)
		if got := w.slotOf(fleet.Candidate); !strings.Contains(got, "; uninstall ") {
			t.Fatalf("%s: uninstalled, it does %q", name, got)
		}
		c.stop(w)
		w.must(rollout.Reinstate, theCycle)
		got := w.slotOf(fleet.Candidate)
		if _, targets, _ := strings.Cut(got, "; "); !strings.HasPrefix(targets, c.want) || (targets == "") != (c.want == "") {
			t.Errorf("%s: it does %q, want %q", name, got, c.want)
		}
	}
}

// TestReinstatesConfiguration: what is in force is removed by being nobody's, and
// everybody's again if it was so before; what is installed is uninstalled.
func TestReinstatesConfiguration(t *testing.T) {
	for name, c := range map[string]struct {
		without []string
		gone    []string // intents of the stable slot after an uninstall
	}{
		"policies alone":         {[]string{"registry"}, nil},
		"policies and a program": {nil, []string{"uninstall"}},
	} {
		w, _ := settingWave(t, c.without...)
		w.clock.Set(buildTime.AddDate(0, 0, 1))
		here := []string{"required"}
		for i, step := range []struct {
			kind string
			want []string
		}{
			{rollout.Deploy, nil}, {rollout.Promote, here}, {rollout.Uninstall, c.gone}, {rollout.Reinstate, here}, {rollout.Reinstate, here},
			{rollout.Uninstall, c.gone}, {rollout.Reinstate, here},
		} {
			if rest, _, err := w.carrySetting(t, step.kind); len(rest) != 1 || err != nil {
				t.Fatalf("%s: %s: %v %v", name, step.kind, rest, err)
			}
			console, err := w.Consoles(t.Context(), fleet.Tenant{})
			if err != nil {
				t.Fatal(err)
			}
			state, err := console.(factory.Configurer).Configurations().Observe(t.Context(), aBaseline, fleet.Stable)
			if err != nil || i > 0 && state.ID == "" {
				t.Fatalf("%s: %+v, %v", name, state, err)
			}
			var got []string
			for _, target := range state.Targets {
				got = append(got, target.Intent)
			}
			if !slices.Equal(got, step.want) {
				t.Errorf("%s: after %d, %s, the stable slot does %q, want %q", name, i, step.kind, got, step.want)
			}
		}
	}
}
