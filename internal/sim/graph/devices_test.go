package graph_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/graph"
)

// armed starts a world of n devices with 24.08 in stable and 24.09 armed in the
// candidate slot for Monday 14:00 in Helsinki, for all devices.
func armed(t *testing.T, n int, change func(*graph.Options), opens, deadline time.Time, local bool) *world {
	t.Helper()
	w := newWorld(t, func(o *graph.Options) {
		o.Lag = 0
		o.Tenants = []graph.Tenant{{Directory: nordic, Devices: devices(n)}}
		if change != nil {
			change(o)
		}
	})
	c := w.client(nordic)
	publish(t, c, fleet.Stable, "24.08")
	assign(t, c, fleet.Stable, fleet.Target{Intent: "required", Group: "all devices"})
	w.clock.Set(monday.Add(-2 * time.Hour))
	group := must[string](t)(c.Group(t.Context(), "everyone", ids(must[[]fleet.Device](t)(c.Inventory(t.Context())))))
	publish(t, c, fleet.Candidate, "24.09")
	assign(t, c, fleet.Candidate, fleet.Target{Intent: "required", Group: group, Opens: opens, Deadline: deadline, LocalTime: local})
	assign(t, c, fleet.Stable, fleet.Target{Intent: "required", Group: "all devices"}, fleet.Target{Intent: "required", Group: group, Exclude: true})
	return w
}

func breaks(rate float64) func(*graph.Options) {
	return func(o *graph.Options) {
		o.FailureRate = func(id fleet.PackageID, version string, _ fleet.Digest) float64 {
			if id == pkg && version == "24.09" {
				return rate
			}
			return 0
		}
	}
}

func TestFailureRate(t *testing.T) {
	w := armed(t, 500, breaks(0.2), monday, time.Time{}, false)
	w.clock.Set(monday.Add(2 * time.Hour))
	c := w.client(nordic)
	got := states(t, c, fleet.Candidate)
	if failed := got["failed 24.09"]; failed < 70 || failed > 130 || failed+got["installed 24.09"] != 500 {
		t.Errorf("%v of 500 devices, want about a fifth failed", got)
	}
	for _, s := range must[[]fleet.DeviceStatus](t)(c.Statuses(t.Context(), pkg, fleet.Candidate)) {
		if (s.State == "failed") != (s.Error == "0x80070643") {
			t.Fatalf("status %+v", s)
		}
		if s.At.Before(monday) || s.At.After(w.clock.Now()) {
			t.Fatalf("a report from %v", s.At)
		}
	}
}

func TestSilence(t *testing.T) {
	w := armed(t, 500, func(o *graph.Options) { o.Silence = 0.1 }, monday, time.Time{}, false)
	w.clock.Set(monday.Add(2 * time.Hour))
	c := w.client(nordic)
	got := states(t, c, fleet.Candidate)
	if n := got["installed 24.09"]; n < 420 || n > 480 || len(got) != 1 {
		t.Errorf("%v, want about 450 devices", got)
	}
	late := 0
	for _, d := range must[[]fleet.Device](t)(c.Inventory(t.Context())) {
		if w.clock.Now().Sub(d.LastSeen) > 3*time.Hour {
			late++
		}
	}
	if late != 500-got["installed 24.09"] {
		t.Errorf("%d devices were not seen, %d reported", late, got["installed 24.09"])
	}
	// They come back, most of them the week after.
	w.clock.Set(monday.AddDate(0, 0, 28))
	if n := states(t, c, fleet.Candidate)["installed 24.09"]; n < 490 {
		t.Errorf("%d devices four weeks later", n)
	}
}

// TestWithdrawnBeforeStart is the invariant that after a halt no armed
// assignment fires.
func TestWithdrawnBeforeStart(t *testing.T) {
	w := armed(t, 50, nil, monday, monday.Add(time.Hour), false)
	w.clock.Set(monday.Add(-time.Minute))
	c := w.client(nordic)
	assign(t, c, fleet.Candidate)
	assign(t, c, fleet.Stable, fleet.Target{Intent: "required", Group: "all devices"})
	w.clock.Set(monday.AddDate(0, 0, 3))
	if got, want := states(t, c, fleet.Candidate), map[string]int{"pending 24.09": 50}; !maps.Equal(got, want) {
		t.Errorf("candidate %v, want what was told before: %v", got, want)
	}
	if got, want := states(t, c, fleet.Stable), map[string]int{"installed 24.08": 50}; !maps.Equal(got, want) {
		t.Errorf("stable %v, want %v", got, want)
	}
}

// TestHaltInTheMiddle withdraws while some devices have installed: those that
// had not checked in never do, and the others go back to the stable release.
func TestHaltInTheMiddle(t *testing.T) {
	w := armed(t, 60, nil, monday, time.Time{}, false)
	w.clock.Set(monday.Add(30 * time.Minute))
	c := w.client(nordic)
	got := states(t, c, fleet.Candidate)
	done := got["installed 24.09"]
	if done < 10 || done > 50 || done+got["pending 24.09"] != 60 {
		t.Fatalf("half an hour in: %v", got)
	}
	assign(t, c, fleet.Candidate)
	w.clock.Set(monday.Add(3 * time.Hour))
	if after := states(t, c, fleet.Candidate); !maps.Equal(after, got) {
		t.Errorf("candidate %v, want what was told before: %v", after, got)
	}
	assign(t, c, fleet.Stable, fleet.Target{Intent: "required", Group: "all devices"})
	w.clock.Set(monday.Add(6 * time.Hour))
	if got, want := states(t, c, fleet.Stable), map[string]int{"installed 24.08": 60}; !maps.Equal(got, want) {
		t.Errorf("stable %v, want %v", got, want)
	}
}

// TestNewerIsEnough detects with >=: a device with a later version is left alone.
func TestNewerIsEnough(t *testing.T) {
	w := newWorld(t, func(o *graph.Options) {
		all := devices(3)
		all[0].Installed = map[fleet.PackageID]string{pkg: "24.10"}
		all[1].Installed = map[fleet.PackageID]string{pkg: "24.07"}
		all[2].Arch = "arm64"
		o.Tenants = []graph.Tenant{{Directory: nordic, Devices: all}}
	})
	c := w.client(nordic)
	app, content := release(t, fleet.Stable, "24.09", 3000)
	app.Installer.Detect = []fleet.Detect{{Operator: ">=", Registry: &fleet.RegistryRule{Key: `HKLM\SOFTWARE\7-Zip`, Value: "Version", View: 64}}}
	must[fleet.AppState](t)(c.Publish(t.Context(), app, content))
	assign(t, c, fleet.Stable, fleet.Target{Intent: "required", Group: "all devices"})
	w.clock.Set(w.clock.Now().Add(2 * time.Hour))
	if got, want := states(t, c, fleet.Stable), map[string]int{"installed 24.09": 2, "exempt 24.09": 1}; !maps.Equal(got, want) {
		t.Errorf("statuses %v, want %v", got, want)
	}
	assign(t, c, fleet.Stable, fleet.Target{Intent: "uninstall", Group: "all devices"})
	w.clock.Set(w.clock.Now().Add(2 * time.Hour))
	if got, want := states(t, c, fleet.Stable), map[string]int{"absent 24.09": 2, "exempt 24.09": 1}; !maps.Equal(got, want) {
		t.Errorf("after the removal %v, want %v", got, want)
	}
}

// TestLocalTime opens at 14:00 on each device's own clock.
func TestLocalTime(t *testing.T) {
	zones := []string{"Pacific/Auckland", "Europe/Helsinki", "UTC", "America/New_York"}
	w := armed(t, 40, func(o *graph.Options) {
		all := o.Tenants[0].Devices
		for i := range all {
			all[i].Zone = zones[i%4]
		}
	}, time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC), time.Time{}, true)
	c := w.client(nordic)
	for _, tt := range []struct {
		at   time.Time
		want int
	}{
		{time.Date(2026, 11, 23, 11, 59, 0, 0, time.UTC), 10}, // 14:00 in Auckland was at 01:00 UTC
		{time.Date(2026, 11, 23, 13, 59, 0, 0, time.UTC), 20}, // in Helsinki at 12:00
		{time.Date(2026, 11, 23, 15, 1, 0, 0, time.UTC), 30},
		{time.Date(2026, 11, 23, 18, 59, 0, 0, time.UTC), 30},
		{time.Date(2026, 11, 23, 20, 1, 0, 0, time.UTC), 40}, // in New York at 19:00
	} {
		w.clock.Set(tt.at)
		if got := states(t, c, fleet.Candidate)["installed 24.09"]; got != tt.want {
			t.Errorf("%v: %d devices, want %d", tt.at, got, tt.want)
		}
	}
	target := must[fleet.AppState](t)(c.Observe(t.Context(), pkg, fleet.Candidate)).Targets[0]
	if !target.LocalTime || !target.Opens.Equal(time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC)) {
		t.Errorf("target %+v", target)
	}
}

// TestDeferring has users who wait for the deadline.
func TestDeferring(t *testing.T) {
	w := armed(t, 200, func(o *graph.Options) { o.Deferring = 0.5 }, monday, monday.AddDate(0, 0, 1), false)
	c := w.client(nordic)
	w.clock.Set(monday.Add(2 * time.Hour))
	if n := states(t, c, fleet.Candidate)["installed 24.09"]; n < 70 || n > 130 {
		t.Errorf("%d of 200 devices before the deadline", n)
	}
	w.clock.Set(monday.Add(26 * time.Hour))
	if n := states(t, c, fleet.Candidate)["installed 24.09"]; n != 200 {
		t.Errorf("%d of 200 devices after it", n)
	}
}

// TestSameSeedSameWorld and another one another.
func TestSameSeedSameWorld(t *testing.T) {
	live := func(seed int64) string {
		w := armed(t, 100, func(o *graph.Options) { breaks(0.3)(o); o.Seed, o.Silence, o.Lag = seed, 0.1, 3 }, monday, time.Time{}, false)
		w.clock.Set(monday.Add(2 * time.Hour))
		c := w.client(nordic)
		return fmt.Sprintf("%v %+v", must[[]fleet.DeviceStatus](t)(c.Statuses(t.Context(), pkg, fleet.Candidate)), must[[]fleet.Device](t)(c.Inventory(t.Context())))
	}
	one, two, other := live(1), live(1), live(2)
	if one != two || one == other {
		t.Errorf("equal seeds agree: %v, others differ: %v", one == two, one != other)
	}
}

// TestReopened opens the world again over its folder, with a line that a crash
// cut off.
func TestReopened(t *testing.T) {
	w := armed(t, 30, breaks(0.3), monday, time.Time{}, false)
	before := must[fleet.AppState](t)(w.client(nordic).Observe(t.Context(), pkg, fleet.Candidate))
	w.stop()
	journal := filepath.Join(w.opts.Dir, nordic, "journal.jsonl")
	data := must[[]byte](t)(os.ReadFile(journal))
	if err := os.WriteFile(journal, append(bytes.Clone(data), `{"k":"app","id":"half`...), 0o644); err != nil {
		t.Fatal(err)
	}
	w.start()
	c := w.client(nordic)
	if after := must[fleet.AppState](t)(c.Observe(t.Context(), pkg, fleet.Candidate)); !reflect.DeepEqual(before, after) {
		t.Errorf("%+v, then %+v", before, after)
	}
	w.clock.Set(monday.Add(2 * time.Hour))
	if got := states(t, c, fleet.Candidate); got["installed 24.09"]+got["failed 24.09"] != 30 {
		t.Errorf("statuses %v", got)
	}
	if state := publish(t, c, fleet.Stable, "24.10"); state.Version != "24.10" {
		t.Errorf("state %+v", state)
	}
	if err := os.WriteFile(journal, []byte("no line of ours\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := graph.New(w.opts); err == nil {
		t.Error("a journal that is none was taken")
	}
}
