package rollout_test

import (
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestModel visits every state of the model with Step as it is, and two runners
// that may both stall anywhere: with a release that works, one that breaks
// devices, and a first wave without devices. However they stall and die, the end
// is the same, and no invariant fails on the way.
//
// What is covered: both runners may be interrupted between reading, writing
// intents, every call and every receipt; main may move, time pass and the release
// be revoked at any of these moments; and twice a runner is killed between a call
// and its receipt, or is told that its call failed. From every state of that both
// may be killed for good, and another one finishes the work. There is one release
// only: what releases do to each other on one tenant is for other tests.
func TestModel(t *testing.T) {
	for _, c := range []struct {
		name       string
		bad, empty bool
		states     int // at least
		ends       []string
	}{
		{"a release that works", false, false, 1_000_000, []string{"released", "taken back"}},
		{"a release that breaks devices", true, false, 100_000, []string{"taken back"}},
		{"nobody in the first wave", false, true, 200_000, []string{"released", "taken back"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newModel(c.bad, c.empty, broken{})
			m.slow, m.mishaps, m.apart = 2, 2, true
			if testing.Short() {
				m.mishaps, c.states = 0, c.states/5
			}
			began := time.Now()
			e := m.explore()
			if e.wrong != nil {
				t.Fatal(e.text())
			}
			t.Logf("%d states, %d different facts, %.0f s", e.states, len(m.steps), time.Since(began).Seconds())
			if ends := slices.Sorted(maps.Keys(e.ends)); !slices.Equal(ends, c.ends) || e.states < c.states {
				t.Errorf("%d states end %v, want %d that end %v: the model explores too little", e.states, ends, c.states, c.ends)
			}
		})
	}
}

// TestModelApart shows that nothing is lost where tenants are looked at one at a
// time: all that is left of any state of both is visited there, and Step says the
// same.
func TestModelApart(t *testing.T) {
	for _, c := range []struct {
		name       string
		bad, empty bool
		slow       int
		mishaps    int8
	}{
		{"a release that works", false, false, 1, 1},
		{"a release that breaks devices", true, false, 2, 0},
		{"nobody in the first wave", false, true, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			apart := newModel(c.bad, c.empty, broken{})
			apart.slow, apart.mishaps, apart.apart = c.slow, c.mishaps, true
			known := apart.explore().known
			both := newModel(c.bad, c.empty, broken{})
			both.slow, both.mishaps = c.slow, c.mishaps
			stopped, missing := 0, 0
			both.each = func(s *mState) {
				if !s.stopped() {
					return
				}
				stopped++
				for i := range s.tenants {
					alone, wrong := both.alone(s, i)
					if a, b := both.on(s, i), both.on(&alone, i); wrong != nil || !reflect.DeepEqual(a, b) {
						t.Errorf("of both Step says %+v, of tenant %d alone %+v (%+v)", a, i, b, wrong)
					}
					_, must := known[alone.key()]
					for r := range alone.runners {
						alone.runners[r].moved = false // it may find that main has moved all the same
					}
					if _, may := known[alone.key()]; !must && !may {
						missing++
					}
				}
			}
			if e := both.explore(); e.wrong != nil {
				t.Fatal(e.text())
			}
			if stopped < 1000 || missing > 0 {
				t.Errorf("of %d states in which the release is stopped, %d are not visited one tenant at a time", stopped, missing)
			}
			t.Logf("%d states of one tenant or not stopped stand for %d of both", len(known), stopped)
		})
	}
}

// TestModelAtRandom walks through the model with both runners interrupted
// anywhere, killed more often, and told that calls failed, both tenants looked at
// together: more than can be visited.
func TestModelAtRandom(t *testing.T) {
	for _, single := range []bool{false, true} {
		m := newModel(false, false, broken{})
		m.slow, m.mishaps, m.suspicious, m.single = 2, 4, true, single
		m.walk(t, rand.New(rand.NewPCG(26, 47)))
	}
}

// walk walks at random, and holds Step to saying the same of every state before
// and after it is tidied.
func (m *model) walk(t *testing.T, r *rand.Rand) {
	ends := map[string]int{}
	for range 2500 {
		s := m.begin()
		var trace []string
		for range 10 + r.IntN(70) {
			next := m.successors(&s)
			n := next[r.IntN(len(next))]
			if r.IntN(4) > 0 { // time and revocations come seldom enough to get anywhere
				n = next[len(next)-1-r.IntN(min(2, len(next)))]
			}
			trace = append(trace, n.label)
			if n.wrong != nil {
				t.Fatalf("invariant %d: %s\n\t%s", n.wrong.number, n.wrong.what, strings.Join(trace, "\n\t"))
			}
			s = n.state
		}
		s.runners, s.mishaps = [2]mRunner{}, 0
		s.tidy()
		end, wrong := m.drain(s)
		if wrong != nil {
			t.Fatalf("invariant %d: %s\n\t%s", wrong.number, wrong.what, strings.Join(trace, "\n\t"))
		}
		ends[end]++
	}
	t.Logf("%d different facts, ends %v", len(m.steps), ends)
	if ends["released"] < 100 || ends["taken back"] < 100 {
		t.Errorf("ends %v: the walks see too little", ends)
	}
}

// TestModelFindsWhatIsBroken switches guards off one at a time: a check that
// cannot fail proves nothing.
func TestModelFindsWhatIsBroken(t *testing.T) {
	for _, c := range []struct {
		name    string
		bad     bool
		broken  broken
		numbers []int // one of these invariants must fail
	}{
		{"rollbacks wait for no lease", false, broken{noLease: true}, []int{7, 8}},
		{"rollbacks take a receipt for the end of a lease", false, broken{receiptsEnd: true}, []int{7, 8}},
		{"rollbacks cover receipts alone", false, broken{fromReceipts: true}, []int{7}},
		{"runners call however late", false, broken{noExpiry: true}, []int{7, 8}},
		{"evidence of other artifacts and times counts", false, broken{staleCounts: true}, []int{3, 22}},
		{"the second gate needs no approval", false, broken{ungated: true}, []int{2}},
		{"a fail verdict counts as a pass", true, broken{noFails: true}, []int{5}},
		{"what is carried out counts from its receipt", false, broken{fromReceipt: true}, []int{7, 8, 22}},
		{"withdrawals are made once", true, broken{emptiedOnce: true}, []int{27}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newModel(c.bad, false, c.broken)
			m.slow, m.apart = 2, true
			e := m.explore()
			if e.wrong == nil {
				t.Fatalf("%d states, and no invariant failed", e.states)
			}
			if !slices.Contains(c.numbers, e.wrong.number) {
				t.Errorf("want one of %v, %s", c.numbers, e.text())
			}
			t.Log(e.text())
		})
	}
}
