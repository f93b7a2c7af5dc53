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
