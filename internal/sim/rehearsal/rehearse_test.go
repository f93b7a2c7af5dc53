package rehearsal_test

import (
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/sim/rehearsal"
)

const w47 = fleet.CycleID("2026-W47")

// small is a fleet that a test gets through quickly.
func small() rehearsal.Input {
	return rehearsal.Invented(rehearsal.Size{Tenants: 12, Packages: 3, Devices: 1200})
}

// rehearsed is the result of a whole week.
func rehearsed(t *testing.T, m rehearsal.Model, o rehearsal.Options) *rehearsal.Result {
	t.Helper()
	o.Cycle = w47
	r, err := rehearsal.Rehearse(small(), m, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func story(r *rehearsal.Result) string {
	var b strings.Builder
	for _, e := range r.Events {
		b.WriteString(e.At.Format("02 15:04 ") + e.Text + "\n")
	}
	return b.String()
}

// TestWeek runs a week in which one release of three is bad.
func TestWeek(t *testing.T) {
	m := rehearsal.Builtin()
	m.Failing.Releases = map[string]float64{"vendor01/app001@2.0": 0.2}
	r := rehearsed(t, m, rehearsal.Options{})
	if !r.Closed {
		t.Errorf("the cycle is not closed: %s", r.Why)
	}
	got := story(r)
	for _, want := range []string{
		"Wave dogfood is frozen: 110 devices", "App 001 FAILS wave dogfood", "merges #2: Revoke vendor01/app001 2.0", "App 001 goes back to 1.0",
		"10 partners are told what comes at 14:00", "22 changes on 11 tenants", "Released to everyone: App 000 2.0, App 002 2.0.", "Close cycle 2026-W47",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the story does not say %q:\n%s", want, got)
		}
	}
	for at, h := range r.State.Tenants {
		if len(h.Candidate) > 0 {
			t.Errorf("%v still holds a candidate at the end: %v", at, h.Candidate)
		}
		if bad := at.Package == "vendor01/app001"; bad != (h.Stable.Release == "1.0") {
			t.Errorf("%v has the stable release %q", at, h.Stable.Release)
		}
	}
}

// TestRepeats proves that equal input gives equal output, and that a rehearsal
// leaves its input alone.
func TestRepeats(t *testing.T) {
	in, m := small(), rehearsal.Builtin()
	m.Failing.Others = 0.03
	var stories []string
	for range 2 {
		r, err := rehearsal.Rehearse(in, m, rehearsal.Options{Cycle: w47})
		if err != nil {
			t.Fatal(err)
		}
		stories = append(stories, story(r))
	}
	if stories[0] != stories[1] {
		t.Errorf("two rehearsals differ:\n%s\n%s", stories[0], stories[1])
	}
	if m.Seed++; true {
		r, err := rehearsal.Rehearse(in, m, rehearsal.Options{Cycle: w47})
		if err != nil {
			t.Fatal(err)
		}
		if len(in.Facts.Record.Receipts) > 0 || len(in.Facts.Repo.Cycles) > 0 {
			t.Error("the input has changed")
		}
		if counts(r) == "" {
			t.Error("nothing was judged")
		}
	}
}

func counts(r *rehearsal.Result) string {
	var b strings.Builder
	for _, v := range r.State.Facts().Record.Verdicts {
		b.WriteString(v.Wave + string(v.Package) + v.Decision)
	}
	return b.String()
}

// TestKilledAnywhere kills the runner once after every single change of a
// week, and each time the next runs bring every tenant to the same end.
func TestKilledAnywhere(t *testing.T) {
	m := rehearsal.Builtin()
	m.Failing.Releases = map[string]float64{"vendor01/app001@2.0": 0.2}
	in := rehearsal.Invented(rehearsal.Size{Tenants: 10, Packages: 2, Devices: 800})
	total := 0
	whole, err := rehearsal.Rehearse(in, m, rehearsal.Options{Cycle: w47, Watch: func(*rehearsal.State, rehearsal.Change) error { total++; return nil }})
	if err != nil {
		t.Fatal(err)
	}
	if total < 60 {
		t.Fatalf("a week has %d changes: the test looks at too few", total)
	}
	for at := 1; at <= total; at++ {
		n := 0
		r, err := rehearsal.Rehearse(in, m, rehearsal.Options{Cycle: w47, Die: func(rehearsal.Change) bool { n++; return n == at }})
		if err != nil {
			t.Fatalf("killed after change %d: %v", at, err)
		}
		if got, want := ending(r), ending(whole); got != want {
			t.Fatalf("killed after change %d of %d, the week ends in another way:\n%s\nwant\n%s", at, total, got, want)
		}
	}
}

// ending is what tenants hold at the end, and whether the cycle is closed.
func ending(r *rehearsal.Result) string {
	var b strings.Builder
	f := r.State.Facts()
	for _, t := range f.Repo.TenantIDs() {
		for _, p := range f.Repo.PackageIDs() {
			h := r.State.Tenants[rollout.Slot{Tenant: t, Package: p}]
			if h == nil {
				continue
			}
			b.WriteString(string(t) + " " + string(p) + " " + h.Stable.Release + strings.Repeat(" candidate", len(h.Candidate)) + "\n")
		}
	}
	if r.Closed {
		b.WriteString("closed")
	}
	return b.String()
}

// TestTwoRunners lets two engines take turns at one state, change by change.
func TestTwoRunners(t *testing.T) {
	m := rehearsal.Builtin()
	s := rehearsal.NewState(small())
	at := func(day, hour int) time.Time { return time.Date(2026, 11, day, hour, 0, 0, 0, time.UTC) }
	for _, now := range []time.Time{at(18, 5), at(18, 15), at(19, 4), at(19, 13), at(20, 11), at(20, 13), at(23, 6), at(24, 12), at(24, 14)} {
		s.Now = now
		race(t, &rehearsal.Engine{Name: "a", State: s, Model: &m}, &rehearsal.Engine{Name: "b", State: s, Model: &m})
		for _, p := range s.Pulls {
			if p.Merged.IsZero() {
				if err := s.Merge(p.Number, []string{"ada"}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for slot, h := range s.Tenants {
		if h.Stable.Release != "2.0" || len(h.Candidate) > 0 {
			t.Errorf("%v holds %+v", slot, h)
		}
	}
	if len(s.Tenants) != 36 {
		t.Errorf("%d slots were changed, want 36", len(s.Tenants))
	}
}

// race pulls two engines in turn until both are at rest.
func race(t *testing.T, a, b *rehearsal.Engine) {
	t.Helper()
	nextA, stopA := pull(a)
	nextB, stopB := pull(b)
	defer stopA()
	defer stopB()
	for more := true; more; {
		more = false
		for _, next := range []func() (rehearsal.Change, error, bool){nextA, nextB} {
			_, err, ok := next()
			if err != nil {
				t.Fatal(err)
			}
			more = more || ok
		}
	}
}

func pull(e *rehearsal.Engine) (next func() (rehearsal.Change, error, bool), stop func()) {
	return iter.Pull2(e.Run())
}
