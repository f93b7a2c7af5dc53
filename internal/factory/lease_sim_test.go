package factory_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/sim/graph"
)

// A leaseWorld is a tenant whose stable slot holds 24.09, and the operation of the
// service that outlasts the lease of whoever asks for it: once, after some that do
// not, and perhaps with an answer that has him ask again.
type leaseWorld struct {
	*scaleWorld
	slow, failing string
	first         atomic.Int64 // of these operations do not
	slept         atomic.Bool
}

const leaseCycle = fleet.CycleID("2026-W49")

func newLeaseWorld(t *testing.T) *leaseWorld {
	t.Helper()
	w := &leaseWorld{}
	s := scale{tenants: 1, packages: 1, devices: 2, change: func(o *graph.Options) {
		o.Fault = func(c graph.Call) graph.Fault {
			if c.Operation == w.slow && w.first.Add(-1) < 0 && w.slept.CompareAndSwap(false, true) {
				w.later(rollout.Lease + time.Minute)
				if c.Operation == w.failing {
					return graph.Fault{Status: http.StatusServiceUnavailable}
				}
			}
			return graph.Fault{}
		}
	}}
	w.scaleWorld = newScaleWorld(t, s)
	w.must(rollout.Deploy, theCycle)
	w.must(rollout.Promote, theCycle)
	w.later(14 * day)
	w.release("24.10")
	w.wave(leaseCycle, theWave, s)
	return w
}

func (w *leaseWorld) slot(slot string) fleet.AppState {
	w.t.Helper()
	w.dial()
	console, err := w.Consoles(w.t.Context(), w.repo.Tenants[w.tenants[0]])
	if err != nil {
		w.t.Fatal(err)
	}
	state, err := console.Observe(w.t.Context(), w.packages[0], slot)
	if err != nil {
		w.t.Fatal(err)
	}
	return state
}

// expires has a change outlast its lease and asks what came of it.
func (w *leaseWorld) expires(kind, slow, failing string) {
	w.t.Helper()
	w.slow, w.failing = slow, failing
	w.dial()
	made, again, err := w.carry(w.t.Context(), w.newest(kind, leaseCycle))
	last := w.rec.Receipts[len(w.rec.Receipts)-1]
	if made != 0 || len(again) != 1 || err != nil || last.Outcome != "expired" || !w.slept.Load() {
		w.t.Errorf("made %d, %d again: %v, the receipt says %s", made, len(again), err, last.Outcome)
	}
}

// TestLateContentDoesNotGoLive: a promotion whose upload outlasts its lease changes
// nothing that devices see. The next one goes on from what was uploaded.
func TestLateContentDoesNotGoLive(t *testing.T) {
	w := newLeaseWorld(t)
	w.expires(rollout.Promote, "blob.blocklist", "")
	if state := w.slot(fleet.Stable); state.Version != "24.09" {
		t.Errorf("stable is %+v", state)
	}
	w.dial()
	if made, again, err := w.carry(t.Context(), w.newest(rollout.Promote, leaseCycle)); made != 1 || len(again) > 0 || err != nil {
		t.Fatalf("made %d, %d again: %v", made, len(again), err)
	}
	if n := w.counts[w.tenants[0]].blobs.Load(); n > 0 || w.slot(fleet.Stable).Version != "24.10" {
		t.Errorf("%d uploads, stable is %+v", n, w.slot(fleet.Stable))
	}
}

// TestLateAssignmentIsNotSentAgain: an assignment that the service puts off until
// its lease has ended is not sent again: a withdrawal may have come since.
func TestLateAssignmentIsNotSentAgain(t *testing.T) {
	w := newLeaseWorld(t)
	w.first.Store(1) // the group leaves the stable slot
	w.expires(rollout.Deploy, "app.assign", "app.assign")
	if targets := w.slot(fleet.Candidate).Targets; len(targets) != 0 {
		t.Errorf("the candidate is assigned: %+v", targets)
	}
}
