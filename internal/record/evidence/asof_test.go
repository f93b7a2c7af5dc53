package evidence

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// TestReadAsOf appends facts at random, some within one second, and reads
// evidence as of every instant at which it was read live: it is the same, heads
// included.
func TestReadAsOf(t *testing.T) {
	type read struct {
		made, at time.Time // of the newest batch, and of reading
		rec      *fleet.Record
	}
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 26))
		w := newWorld(t, newMemGit(nil), newKey(t))
		now := start()
		var lived []read
		for n := range 30 {
			now = now.Add(time.Duration(rnd.IntN(5000)) * time.Millisecond)
			w.clock.Set(now)
			tenant := fleet.TenantID(fmt.Sprintf("nordic/t%d", rnd.IntN(4)))
			if rnd.IntN(3) == 0 {
				w.append(t, Control, HeartbeatDir, beat(n))
			} else {
				w.append(t, Shard(tenant), IntentsDir(week, "w"), intent(tenant, fmt.Sprint("i", n)))
			}
			made := now
			if end := now.Truncate(time.Second).Add(time.Second); rnd.IntN(2) == 0 {
				now = end
			}
			lived = append(lived, read{made, now, w.read(t)})
		}
		for i, r := range lived {
			if i+1 < len(lived) && !lived[i+1].made.Truncate(time.Second).After(r.at) {
				continue // what follows within the second belongs to the instant as well
			}
			got, err := w.ReadAsOf(t.Context(), r.at)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, r.rec) {
				t.Fatalf("seed %d: as of %s it was\n%+v\nread live\n%+v", seed, r.at, got, r.rec)
			}
		}
	}
}

// TestReadAsOfBefore reads the time before there was any evidence.
func TestReadAsOfBefore(t *testing.T) {
	w := newWorld(t, newMemGit(nil), newKey(t))
	w.append(t, Control, HeartbeatDir, beat(1))
	got, err := w.ReadAsOf(t.Context(), start().Add(-time.Second))
	if err != nil || len(got.Heartbeats) != 0 || got.Heads[Control] != "" {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err = w.ReadAsOf(t.Context(), start()); err != nil || len(got.Heartbeats) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}
