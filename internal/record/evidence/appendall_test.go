package evidence

import (
	"errors"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

func TestAppendAllIsOnePushAndReadsBack(t *testing.T) {
	w := newWorld(t, newMemGit(newMemGit(nil)), newKey(t))
	pushes := 0
	w.git.onPush = func(string) { pushes++ }
	batches := []Batch{
		{Control, HeartbeatDir, []fleet.Heartbeat{{Command: "one", At: start()}}},
		{Control, HeartbeatDir, []fleet.Heartbeat{{Command: "two", At: start()}}},
		{Shard("p/t"), InventoryDir("p/t"), []fleet.InventoryRow{{Tenant: "p/t", Device: "00", LastSeen: "2026-11-17", At: start()}}},
		{Control, HeartbeatDir, []fleet.Heartbeat{}},
	}
	for range 2 { // a second time writes nothing
		if err := w.AppendAll(t.Context(), batches); err != nil {
			t.Fatal(err)
		}
	}
	if pushes != 2 {
		t.Errorf("%d branches were pushed, want control and one shard once", pushes)
	}
	rec, err := w.Read(t.Context())
	if err != nil || len(rec.Heartbeats) != 2 || rec.Heartbeats[0].Command != "one" || len(rec.Inventory) != 1 {
		t.Errorf("read back %d heartbeats and %d devices, %v", len(rec.Heartbeats), len(rec.Inventory), err)
	}
}

func TestAppendAllRefusesWhatAppendRefuses(t *testing.T) {
	w := newWorld(t, newMemGit(newMemGit(nil)), newKey(t))
	err := w.AppendAll(t.Context(), []Batch{{Shard("p/t"), HeartbeatDir, []fleet.Heartbeat{{Command: "x", At: start()}}}})
	var e *fleet.Error
	if !errors.As(err, &e) || e.Kind != fleet.Refused {
		t.Errorf("a heartbeat on a tenant's shard gives %v", err)
	}
}

// Two writers have read the same. The first to append has the word; the other
// must read what it said before it may.
func TestAppendNextWantsToHaveReadEverything(t *testing.T) {
	remote := newMemGit(nil)
	key := newKey(t)
	one, two := newWorld(t, newMemGit(remote), key), newWorld(t, newMemGit(remote), key)
	says := func(shards ...string) []Batch {
		out := []Batch{{Control, HeartbeatDir, []fleet.Heartbeat{{Command: shards[0], At: start()}}}}
		for _, id := range shards {
			out = append(out, Batch{Shard(fleet.TenantID(id)), InventoryDir(fleet.TenantID(id)), []fleet.InventoryRow{{Tenant: fleet.TenantID(id), Device: "00", At: start()}}})
		}
		return out
	}
	for _, w := range []world{one, two} {
		if _, err := w.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 2 { // what it appended itself is known
		if err := one.AppendNext(t.Context(), says("p/t", string(rune('a'+i))+"/t")); err != nil {
			t.Fatal(err)
		}
	}
	if err := two.AppendNext(t.Context(), says("p/t")); !errors.Is(err, ErrOvertaken) {
		t.Errorf("behind what it has not read: %v", err)
	}
	// That its clone has fetched it does not mean that anybody has read it.
	for _, branch := range Branches() {
		if err := two.git.Fetch(t.Context(), branch); err != nil {
			t.Fatal(err)
		}
	}
	if err := two.AppendNext(t.Context(), says("p/t")); !errors.Is(err, ErrOvertaken) {
		t.Errorf("behind what it fetched and has not read: %v", err)
	}
	if err := two.Append(t.Context(), Control, HeartbeatDir, []fleet.Heartbeat{{Command: "x", At: start()}}); err != nil {
		t.Errorf("what needs to know nothing: %v", err)
	}
	if err := two.AppendNext(t.Context(), says("p/t")); !errors.Is(err, ErrOvertaken) {
		t.Errorf("behind its own append after what it has not read: %v", err)
	}
	rec, err := two.Read(t.Context())
	if err != nil || len(rec.Inventory) != 3 {
		t.Fatalf("%d devices, %v: the refused are there", len(rec.Inventory), err)
	}
	if err := two.AppendNext(t.Context(), says("p/u")); err != nil {
		t.Errorf("after it has read: %v", err)
	}
}
