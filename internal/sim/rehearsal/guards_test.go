package rehearsal_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/sim/rehearsal"
)

// late is a story in which a runner stalls between its intents and its calls,
// while the release is revoked and taken back: what then happens shows whether
// the guards of the runner hold.
func late(t *testing.T, without rehearsal.Guards) (*rehearsal.State, fleet.PackageID) {
	t.Helper()
	const bad = fleet.PackageID("vendor01/app001")
	m := rehearsal.Builtin()
	s := rehearsal.NewState(rehearsal.Invented(rehearsal.Size{Tenants: 3, Packages: 2, Devices: 300}))
	at := func(day, hour, minute int) time.Time { return time.Date(2026, 11, day, hour, minute, 0, 0, time.UTC) }
	runs := func(now time.Time) {
		s.Now = now
		for _, err := range (&rehearsal.Engine{Name: "b", State: s, Model: &m}).Run() {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	merge := func() {
		for _, p := range s.Pulls {
			if p.Merged.IsZero() {
				if err := s.Merge(p.Number, []string{"ada"}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	runs(at(18, 5, 0))
	runs(at(18, 15, 0))
	merge()
	s.Now = at(19, 4, 0)
	next, stop := pull(&rehearsal.Engine{Name: "a", State: s, Model: &m, Without: without})
	defer stop()
	for {
		c, err, ok := next()
		if err != nil || !ok {
			t.Fatalf("the runner never writes intents: %v", err)
		}
		if c.Kind == rehearsal.Intents {
			break // it stalls here
		}
	}
	s.Hold("revoke-app", fleet.Hold{Kind: "revocation", Package: bad, Release: "2.0", Reason: "bad"})
	runs(at(19, 4, 5))  // withdraws
	runs(at(19, 4, 40)) // and goes back, once the lease of the stalled runner is over
	for more := true; more; {
		_, err, ok := next()
		if err != nil {
			t.Fatal(err)
		}
		more = ok
	}
	return s, bad
}

// wrongs are the calls that took a release to a tenant after its way back was
// done, and those that no intent in evidence was for.
func wrongs(s *rehearsal.State, bad fleet.PackageID) (out []string) {
	back := map[fleet.TenantID]bool{}
	intents := map[string]bool{}
	for _, i := range s.Facts().Record.Intents {
		intents[i.ID] = true
	}
	for _, c := range s.Calls {
		switch {
		case !intents[c.ID]:
			out = append(out, "a call without an intent")
		case c.Action == "rollback" && c.Package == bad:
			back[c.Tenant] = true
		case c.Action == "assign" && c.Package == bad && back[c.Tenant]:
			out = append(out, "a call after the way back")
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestGuards takes the guards away: what each of them is for happens when it is
// gone, and with all of them in place nothing does.
func TestGuards(t *testing.T) {
	for _, c := range []struct {
		name    string
		without rehearsal.Guards
		want    string
	}{
		{"all there", rehearsal.Guards{}, ""},
		{"main is not looked at again, the lease holds", rehearsal.Guards{Again: true}, ""},
		{"neither", rehearsal.Guards{Again: true, Lease: true}, "a call after the way back"},
		{"no intents", rehearsal.Guards{Again: true, Lease: true, Intent: true}, "a call without an intent"},
	} {
		s, bad := late(t, c.without)
		got := strings.Join(wrongs(s, bad), ", ")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestStep replaces the decision: a Step that forgets to withdraw leaves armed
// what was halted.
func TestStep(t *testing.T) {
	m := rehearsal.Builtin()
	m.Failing.Releases = map[string]float64{"vendor01/app001@2.0": 0.3}
	m.People = []rehearsal.Person{{Branch: rollout.BranchRevert, Never: true}, {Approves: "A", Merges: "B"}}
	held := func(o rehearsal.Options) int {
		n := 0
		for at, h := range rehearsed(t, m, o).State.Tenants {
			if at.Package == "vendor01/app001" {
				n += len(h.Candidate)
			}
		}
		return n
	}
	forgets := func(f rollout.Facts, now time.Time) ([]rollout.Action, []rollout.Wait, error) {
		actions, waits, err := rollout.Step(f, now)
		return slices.DeleteFunc(actions, func(a rollout.Action) bool { return a.Kind == rollout.Withdraw }), waits, err
	}
	if n := held(rehearsal.Options{}); n != 0 {
		t.Errorf("%d assignments stay after a halt", n)
	}
	if n := held(rehearsal.Options{Engine: func(e *rehearsal.Engine) { e.Step = forgets }}); n == 0 {
		t.Error("a Step that never withdraws leaves nothing assigned: the test sees nothing")
	}
}

// TestOutage cuts a tenant off while its wave is deployed and judged.
func TestOutage(t *testing.T) {
	m := rehearsal.Builtin()
	at := func(day, hour int) time.Time { return time.Date(2026, 11, day, hour, 0, 0, 0, time.UTC) }
	m.Outages = []rehearsal.Outage{{Tenant: "partner01/tenant0001", From: at(23, 0), Until: at(23, 9)}}
	r := rehearsed(t, m, rehearsal.Options{})
	if !strings.Contains(story(r), "deploy did not wholly succeed") || !r.Closed {
		t.Errorf("closed %v, and the story:\n%s", r.Closed, story(r))
	}
	for _, c := range r.State.Calls {
		if c.Tenant == "partner01/tenant0001" && c.Made.After(at(23, 0)) && c.Made.Before(at(23, 9)) {
			t.Errorf("a tenant that is cut off is changed at %s", c.Made)
		}
	}
	m.Outages[0].Until = at(30, 0) // through the gate's only look
	if r := rehearsed(t, m, rehearsal.Options{}); !strings.Contains(story(r), "too few reports to judge") && !strings.Contains(story(r), "everyone after 24 h") {
		t.Errorf("the gate says nothing:\n%s", story(r))
	}
}

// TestWatchEnds proves that a watcher's error ends a rehearsal.
func TestWatchEnds(t *testing.T) {
	broken := errors.New("invariant 5")
	_, err := rehearsal.Rehearse(small(), rehearsal.Builtin(), rehearsal.Options{Cycle: w47, Watch: func(s *rehearsal.State, c rehearsal.Change) error {
		if c.Kind == rehearsal.CallMade {
			return fmt.Errorf("%s: %w", c.Call.Action, broken)
		}
		return nil
	}})
	if !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}
