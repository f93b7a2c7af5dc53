package rollout_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

var at = time.Date(2026, 11, 18, 14, 0, 0, 0, time.UTC)

func devices(n int) []fleet.InventoryRow {
	out := make([]fleet.InventoryRow, n)
	for i := range out {
		out[i] = fleet.InventoryRow{Tenant: "p/t", Device: fmt.Sprintf("%032x", i), Platform: "windows", LastSeen: "2026-11-17"}
	}
	return out
}

func percent(name string, order int, share float64) fleet.Wave {
	return fleet.Wave{Name: name, Order: order, MinDevices: 1, Select: fleet.Select{Percent: &share}}
}

func TestEveryDeviceIsInExactlyOneWave(t *testing.T) {
	waves := []fleet.Wave{percent("pilot", 1, 5), percent("broad", 2, 25), percent("all", 3, 100)}
	for _, n := range []int{0, 1, 7, 100, 2000} {
		got := rollout.Assign(waves, fleet.Tenant{ID: "p/t"}, devices(n), "2026-W47", at)
		seen := map[string]string{}
		for wave, m := range got {
			for _, d := range m.Devices {
				if other, twice := seen[d.Device]; twice {
					t.Fatalf("%d devices: %s is in %s and in %s", n, d.Device, other, wave)
				}
				seen[d.Device] = wave
			}
		}
		if len(seen) != n {
			t.Errorf("%d devices: %d have a wave", n, len(seen))
		}
	}
}

func TestAssignmentIgnoresInventoryOrder(t *testing.T) {
	waves := []fleet.Wave{percent("pilot", 1, 10), percent("all", 2, 100)}
	list := devices(300)
	want := rollout.Assign(waves, fleet.Tenant{ID: "p/t"}, list, "2026-W47", at)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	got := rollout.Assign(waves, fleet.Tenant{ID: "p/t"}, list, "2026-W47", at)
	for name := range want {
		a, b := names(want[name]), names(got[name])
		if rollout.Root(a) != rollout.Root(b) {
			t.Errorf("wave %s has other members when the inventory comes in another order", name)
		}
	}
	other := rollout.Assign(waves, fleet.Tenant{ID: "p/t"}, list, "2026-W48", at)
	if rollout.Root(names(want["pilot"])) == rollout.Root(names(other["pilot"])) {
		t.Error("the same devices are first in two cycles: the salt has no effect")
	}
}

func names(m rollout.Members) []string {
	var out []string
	for _, d := range m.Devices {
		out = append(out, d.Device)
	}
	return out
}

func TestAssignSelects(t *testing.T) {
	own := fleet.Wave{Name: "dogfood", Order: 1, Select: fleet.Select{Tenants: map[string]fleet.Values{"role": {"own"}}}}
	finance := fleet.Wave{Name: "finance", Order: 2, Select: fleet.Select{Attributes: map[string]fleet.Values{"department": {"finance"}}}}
	all := fleet.Wave{Name: "all", Order: 3}
	list := devices(4)
	list[1].Attributes = map[string]string{"department": "finance"}
	list[2].LastSeen = "2026-10-01" // inactive
	list[3].LastSeen = "not a date"

	customer := fleet.Tenant{ID: "p/t", Labels: map[string]string{"role": "customer"}}
	got := rollout.Assign([]fleet.Wave{own, finance, all}, customer, list, "s", at)
	if n := len(got["dogfood"].Devices); n != 0 {
		t.Errorf("%d devices of a customer are in the dogfood wave", n)
	}
	if n := len(got["finance"].Devices); n != 1 || got["finance"].Devices[0].Device != list[1].Device {
		t.Errorf("finance has %d devices", n)
	}
	if n, inactive := len(got["all"].Devices), got["all"].Inactive; n != 1 || inactive != 2 {
		t.Errorf("all has %d devices and %d inactive ones, want 1 and 2", n, inactive)
	}
}

func TestSmallTenantsMeetMinDevices(t *testing.T) {
	pilot := percent("pilot", 1, 1)
	pilot.MinDevices = 3
	got := rollout.Assign([]fleet.Wave{pilot, percent("all", 2, 100)}, fleet.Tenant{ID: "p/t"}, devices(20), "s", at)
	if n := len(got["pilot"].Devices); n != 3 {
		t.Errorf("a pilot of 1 %% of 20 devices has %d devices, want its minimum of 3", n)
	}
}

func TestRoot(t *testing.T) {
	// SHA-256 of no bytes, and of 0x00 "a": RFC 6962, section 2.1.
	if got := rollout.Root(nil); got != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" {
		t.Errorf("root of no devices is %s", got)
	}
	if got := rollout.Root([]string{"a"}); got != "022a6979e6dab7aa5ae4c3e5e45f7e977112a7e63593820dbec1ec738a24f93c" {
		t.Errorf("root of one device is %s", got)
	}
	seen := map[string]int{}
	for n := 1; n < 40; n++ {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprint(i))
		}
		root := rollout.Root(list)
		if m, twice := seen[root]; twice {
			t.Errorf("%d and %d devices have one root", m, n)
		}
		seen[root] = n
		if root != rollout.Root(list) {
			t.Error("Root changed its argument")
		}
	}
}

// TestServedElsewhere leaves devices whose apps Configuration Manager owns out of
// every wave and out of what a share is of, and tells of them once.
func TestServedElsewhere(t *testing.T) {
	list := devices(100)
	for i := range list {
		if i%4 == 0 {
			list[i].Attributes = map[string]string{fleet.AppsOwner: fleet.ConfigurationManager}
		}
	}
	list[1].Attributes = map[string]string{fleet.UpdatesOwner: fleet.ConfigurationManager} // its apps are the console's
	waves := []fleet.Wave{percent("pilot", 1, 20), percent("all", 2, 100)}
	got := rollout.Assign(waves, fleet.Tenant{ID: "p/t"}, list, "2026-W47", at)
	if n, m := len(got["pilot"].Devices), len(got["all"].Devices); n != 15 || m != 60 {
		t.Errorf("%d devices in the pilot, %d in the rest, of 75", n, m)
	}
	if got["pilot"].Elsewhere != 25 || got["all"].Elsewhere != 0 {
		t.Errorf("%d and %d are told to be served elsewhere", got["pilot"].Elsewhere, got["all"].Elsewhere)
	}
	for name, m := range got {
		for _, d := range m.Devices {
			if rollout.ServedElsewhere(d) {
				t.Errorf("%s is in wave %s", d.Device, name)
			}
		}
	}
}
