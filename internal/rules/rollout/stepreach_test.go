package rollout_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// pilot makes the first wave a share of every tenant's devices, as the preset staged does.
func pilot(w *world) {
	p := 20.0
	w.repo.Waves[0].Select = fleet.Select{Percent: &p}
}

// TestNoPromotionOverAPin: a stable slot reaches all devices, and so a pin forbids it.
func TestNoPromotionOverAPin(t *testing.T) {
	w := newWorld(all(rolled, tenant(aalt, func(t *fleet.Tenant) {
		t.Policy.Pins = map[fleet.PackageID]fleet.PinnedTo{tool: {Version: "1.*", Reason: "x", Expires: on(30, 0, 0).AddDate(0, 1, 0)}}
	})))
	actions, _ := stepsOf(t, w, on(26, 6, 0))
	promotes(t, actions, "nordic/aalto pad", "nordic/berg pad", "us/own pad", "nordic/berg tool", "us/own tool")
}

// piloted is the week with both releases on a share of every tenant's devices, and
// the pilot passed.
func piloted() []fact {
	at := dogfoodAt.Add(-3 * time.Hour)
	facts := []fact{pilot, opened, start("dogfood", at)}
	for _, x := range []fleet.TenantID{own, aalt, berg} {
		facts = append(facts, did("assign", "dogfood", x, tool, at), did("assign", "dogfood", x, pad, at))
	}
	return append(facts, verdict("dogfood", pad, 6, "pass", dogfoodAt.Add(6*time.Hour)), verdict("dogfood", tool, 6, "pass", dogfoodAt.Add(6*time.Hour)))
}

// TestNoPromotionOfAPilotAlone: a tenant that took the pilot and not the last wave
// is not given the release on all its devices.
func TestNoPromotionOfAPilotAlone(t *testing.T) {
	facts := append(piloted(),
		approve("everyone", on(20, 12, 0)), beat("announce 2026-W47", announceAt), start("everyone", announceAt),
		// aalto's policy got an opt-out before its last wave could be assigned.
		tenant(aalt, func(t *fleet.Tenant) {
			t.Policy.OptOuts = map[fleet.PackageID]fleet.Because{tool: {Reason: "x", Expires: on(30, 0, 0).AddDate(0, 1, 0)}}
		}))
	for _, x := range []fleet.TenantID{own, berg} {
		facts = append(facts, did("assign", "everyone", x, tool, announceAt), did("assign", "everyone", x, pad, announceAt))
	}
	facts = append(facts, did("assign", "everyone", aalt, pad, announceAt), verdict("everyone", pad, 24, "pass", deployAt.Add(24*time.Hour)), verdict("everyone", tool, 24, "pass", deployAt.Add(24*time.Hour)))
	w := newWorld(all(facts...))
	actions, _ := stepsOf(t, w, on(26, 6, 0))
	promotes(t, actions, "nordic/aalto pad", "nordic/berg pad", "us/own pad", "nordic/berg tool", "us/own tool")
}

// promotes checks that exactly these, each a tenant and a package, are made stable
// after the last wave.
func promotes(t *testing.T, actions []string, want ...string) {
	t.Helper()
	var got []string
	for _, a := range actions {
		if what, is := strings.CutPrefix(a, "W47 promote everyone "); is {
			got = append(got, strings.TrimSuffix(what, " 2.0"))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("promotes %q, want %q", got, want)
	}
}

// TestNoPromotionWithoutTheTenantsWord: nor is one that refused the last wave.
func TestNoPromotionWithoutTheTenantsWord(t *testing.T) {
	facts := append(piloted(),
		approve("everyone", on(20, 12, 0)), beat("announce 2026-W47", announceAt), start("everyone", announceAt),
		func(w *world) {
			w.repo.TenantApprovals = map[fleet.TenantID]map[fleet.CycleID]fleet.TenantApproval{aalt: {w47: {Cycle: w47, Decision: "rejected", Because: "we said no"}}}
		})
	for _, x := range []fleet.TenantID{own, berg} {
		facts = append(facts, did("assign", "everyone", x, tool, announceAt), did("assign", "everyone", x, pad, announceAt))
	}
	facts = append(facts, verdict("everyone", pad, 24, "pass", deployAt.Add(24*time.Hour)), verdict("everyone", tool, 24, "pass", deployAt.Add(24*time.Hour)))
	w := newWorld(all(facts...))
	actions, _ := stepsOf(t, w, on(26, 6, 0))
	promotes(t, actions, "nordic/berg pad", "us/own pad", "nordic/berg tool", "us/own tool")
}

// TestAPilotIsNotTheTenant: under a pilot that is a share of every tenant, a missed
// last wave is carried on for the other devices.
func TestAPilotIsNotTheTenant(t *testing.T) {
	facts := append(piloted(),
		approve(rollout.CloseGate, on(24, 18, 0)), func(w *world) {
			for _, x := range []fleet.TenantID{own, aalt, berg} {
				w.rec.Members = append(w.rec.Members, fleet.Membership{Cycle: w47, Wave: "dogfood", Tenant: x, Devices: []string{x.Slug() + "-00", x.Slug() + "-01"}})
			}
		})
	w := newWorld(all(facts...))
	cut := cutOffAt.AddDate(0, 0, 7)
	if e, ok := rollout.Entries(w.repo, w.rec, cut)[tool]; !ok {
		t.Errorf("20 %% of the devices have 2.0, the last wave was missed, and the release travels in no later cycle: %+v", e)
	}
	cycle := rollout.NewCycle(w.repo, w.rec, w48, cut, nil)
	lacking := map[fleet.TenantID]int{}
	for _, gate := range cycle.Waves { // another pilot than last week's
		plan, err := rollout.Plan(w.repo, w.rec, w48, cycle, gate)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range plan.Rows {
			if row.Package == tool {
				lacking[row.Tenant] += row.Devices
			}
		}
	}
	for _, x := range []fleet.TenantID{own, aalt, berg} {
		if lacking[x] != 8 {
			t.Errorf("%s: planned for %d devices, want the 8 that lack it", x, lacking[x])
		}
	}
}

// TestRowsAfterThePass: rows that could not go out before the gate passed still do.
func TestRowsAfterThePass(t *testing.T) {
	at := announceAt
	w := newWorld(all(dogfooded, approve("everyone", on(20, 12, 0)), beat("announce 2026-W47", at), start("everyone", at),
		did("assign", "everyone", berg, tool, at), did("assign", "everyone", berg, pad, at), did("assign", "everyone", aalt, pad, at),
		// aalto's window for tool opens after the pass
		verdict("everyone", pad, 24, "pass", deployAt.Add(24*time.Hour)), verdict("everyone", tool, 24, "pass", deployAt.Add(24*time.Hour))))
	actions, waits := stepsOf(t, w, deployAt.Add(24*time.Hour+time.Minute))
	t.Logf("%q %q", actions, waits)
	if !slices.ContainsFunc(actions, func(a string) bool { return strings.Contains(a, "deploy everyone nordic/aalto") }) && !slices.ContainsFunc(waits, func(a string) bool { return strings.Contains(a, "aalto") }) {
		t.Error("aalto's row of the approved plan is neither carried out nor waited for nor told of")
	}
}

// TestSupersededIsStillJudged: what a fix supersedes is looked at as long as devices
// take it.
func TestSupersededIsStillJudged(t *testing.T) {
	w := newWorld(all(rolling, next("security", announceAt.Add(time.Hour))))
	actions, waits := stepsOf(t, w, deployAt.Add(24*time.Hour+time.Minute))
	t.Logf("%q\n%q", actions, waits)
	if !slices.ContainsFunc(actions, func(a string) bool {
		return strings.HasPrefix(a, "W47 judge everyone") && strings.Contains(a, "tool") || strings.HasPrefix(a, "W47 withdraw") && strings.Contains(a, "tool")
	}) {
		t.Error("2.0 is armed or running on every tenant, and is neither withdrawn nor looked at any more")
	}
}

// TestNoDowngradeOverStable: a late row goes out over no newer release that became
// stable.
func TestNoDowngradeOverStable(t *testing.T) {
	at := announceAt
	over := deployAt.Add(2 * time.Hour)
	w := newWorld(all(dogfooded, approve("everyone", on(20, 12, 0)), beat("announce 2026-W47", at), start("everyone", at),
		did("assign", "everyone", berg, tool, at), did("assign", "everyone", berg, pad, at), did("assign", "everyone", aalt, pad, at),
		next("minor", deployAt.Add(time.Minute)), started48(over), did48("assign", aalt, over), did48("promote", aalt, over.Add(time.Hour))))
	// aalto has the wave's windows: late on purpose within an hour after merge
	w.repo.Waves[1].OnMissedWindow, w.repo.Waves[1].Within = "runIfWithin", fleet.Duration(12*time.Hour)
	actions, waits := stepsOf(t, w, over.Add(2*time.Hour))
	t.Logf("%q\n%q", actions, waits)
	for _, a := range actions {
		if strings.Contains(a, "W47 deploy everyone nordic/aalto tool") {
			t.Errorf("2.0 goes over 3.0, which is stable there: %s", a)
		}
	}
}

// TestLaneCutOffHoldsItsReleases: the lane's cut-off is a whole minute, after what
// was merged within it.
func TestLaneCutOffHoldsItsReleases(t *testing.T) {
	at := detectAt.Add(time.Hour + 30*time.Second)
	w := newWorld(all(inventory(detectAt, own, aalt, berg), beat("detect", detectAt), security(tool), merged(at, "acme/tool@2.0"), built(tool, "1.0"), built(tool, "2.0"), tested(tool, "2.0", "passed")))
	for i := range w.repo.Waves {
		w.repo.Waves[i].Lanes["cve"] = w.repo.Waves[i].Lanes["oob"]
	}
	for i := range w.rec.Tests {
		w.rec.Tests[i].At = at.Add(15 * time.Second)
	}
	list, _, err := rollout.Step(w.facts(t), at.Add(5*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		if a.Kind == rollout.OpenCycle {
			c := rollout.NewCycle(w.repo, w.rec, a.Cycle, a.CutOff, a.Packages)
			t.Logf("%+v", a)
			if len(c.Entries) == 0 {
				t.Errorf("the lane %s is opened without an entry", a.Cycle)
			}
		}
	}
}
