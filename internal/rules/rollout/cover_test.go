package rollout_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// varied is an inventory in which some models and builds are common and many
// are rare.
func varied(r *rand.Rand, n int) []fleet.InventoryRow {
	out := devices(n)
	for i := range out {
		rare := func(values int) int { return int(float64(values) * math.Pow(r.Float64(), 4)) }
		out[i].OSBuild = fmt.Sprint("10.0.", rare(20))
		out[i].Attributes = map[string]string{"model": fmt.Sprint("model ", rare(60))}
		if r.IntN(30) == 0 {
			out[i].Attributes = nil // nobody knows
		}
	}
	return out
}

func covering(name string, order int, share float64) fleet.Wave {
	w := percent(name, order, share)
	w.Select.Cover = []string{"model", "osBuild"}
	return w
}

// shown are the devices whose model, and build, some member has.
func shown(members rollout.Members, all []fleet.InventoryRow) (out [2]int) {
	values := map[string]bool{}
	for _, d := range members.Devices {
		values["m "+d.Attributes["model"]], values["b "+d.OSBuild] = d.Attributes["model"] != "", true
	}
	for _, d := range all {
		if values["m "+d.Attributes["model"]] {
			out[0]++
		}
		if values["b "+d.OSBuild] {
			out[1]++
		}
	}
	return out
}

// A larger pilot stands for at least as much, and holds the smaller one; it is
// as large as one without covering, and stands for more; so it does whatever
// order the inventory comes in.
func TestCoverIsMonotone(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 8))
	better := 0
	for round := range 30 {
		list := varied(r, 50+r.IntN(500))
		salt := fmt.Sprint("cycle ", round)
		var before rollout.Members
		var least [2]int
		for share := 1.0; share <= 60; share += 3 {
			assign := func(w fleet.Wave) rollout.Members {
				return rollout.Assign([]fleet.Wave{w, percent("all", 2, 100)}, fleet.Tenant{ID: "p/t"}, list, salt, at)["pilot"]
			}
			pilot, plain := assign(covering("pilot", 1, share)), assign(percent("pilot", 1, share))
			if len(pilot.Devices) != len(plain.Devices) {
				t.Fatalf("round %d, %v %%: %d devices, and %d without covering", round, share, len(pilot.Devices), len(plain.Devices))
			}
			in := map[string]bool{}
			for _, d := range pilot.Devices {
				in[d.Device] = true
			}
			for _, d := range before.Devices {
				if !in[d.Device] {
					t.Fatalf("round %d, %v %%: %s has left the larger pilot", round, share, d.Device)
				}
			}
			now, without := shown(pilot, list), shown(plain, list)
			if now[0] < least[0] || now[1] < least[1] {
				t.Fatalf("round %d, %v %%: stands for %v devices, a smaller pilot did for %v", round, share, now, least)
			}
			if now[0]+now[1] > without[0]+without[1] {
				better++
			}
			before, least = pilot, now
			r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		}
	}
	if better < 300 {
		t.Errorf("covering showed more in %d of 600 pilots only", better)
	}
}

// Percentages of later waves count on as if nobody had changed places.
func TestCoverKeepsPercentages(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 9))
	for round := range 50 {
		list := varied(r, 100+r.IntN(900))
		waves := []fleet.Wave{covering("pilot", 1, 5), covering("broad", 2, 25), percent("half", 3, 50), percent("all", 4, 100)}
		got := rollout.Assign(waves, fleet.Tenant{ID: "p/t"}, list, fmt.Sprint(round), at)
		total := 0
		had := map[string]bool{}
		for _, w := range waves {
			for _, d := range got[w.Name].Devices {
				if had[d.Device] {
					t.Fatalf("round %d: %s is in two waves", round, d.Device)
				}
				had[d.Device] = true
			}
			total += len(got[w.Name].Devices)
			if want := int(math.Ceil(*w.Select.Percent / 100 * float64(len(list)))); total != want {
				t.Fatalf("round %d: %d of %d devices up to wave %s, want %d", round, total, len(list), w.Name, want)
			}
		}
	}
}

// The greedy choice on paper: model a has four devices, b three, c one; build 1
// has five, build 2 three. The first pick has a and 1 (nine devices' values),
// or none of it fits; the second b, with or without build 2.
func TestCoverOnPaper(t *testing.T) {
	list := devices(8)
	for i, v := range []string{"a 1", "a 1", "a 1", "a 1", "b 1", "b 2", "b 2", "c 2"} {
		list[i].Attributes, list[i].OSBuild = map[string]string{"model": v[:1]}, v[2:]
	}
	for share, want := range map[float64][2]int{12.5: {4, 5}, 25: {7, 8}, 37.5: {8, 8}, 50: {8, 8}} {
		for round := range 20 {
			got := rollout.Assign([]fleet.Wave{covering("pilot", 1, share)}, fleet.Tenant{ID: "p/t"}, list, fmt.Sprint(round), at)["pilot"]
			if is := shown(got, list); is != want {
				t.Errorf("%v %%: stands for %v devices by model and build, want %v", share, is, want)
			}
		}
	}
}

func TestPlanTellsCoverage(t *testing.T) {
	cover := func(w *world) {
		pilot := covering("dogfood", 1, 20)
		pilot.Opens, pilot.Gate = w.repo.Waves[0].Opens, w.repo.Waves[0].Gate
		w.repo.Waves[0] = pilot
	}
	model := func(t fleet.TenantID, names ...string) fact {
		return func(w *world) {
			for i, name := range names {
				w.rec.Inventory = append(w.rec.Inventory, fleet.InventoryRow{Tenant: t, Device: fmt.Sprint(t.Slug(), i), Platform: "windows", OSBuild: "1", Attributes: map[string]string{"model": name},
					LastSeen: "2026-11-17", At: detectAt.Add(time.Hour)})
			}
		}
	}
	away := func(w *world) { w.rec.Inventory[len(w.rec.Inventory)-1].LastSeen = "2026-01-01" }
	facts := all(milled, cover, model(own, "a", "a", "a", "b", "c"), model(aalt, "a", "d", "d", "d", "d"), model(berg, "", "", "e"), away, carrying(w47, tool))
	w := newWorld(facts)
	plan, err := rollout.Plan(w.repo, w.then, w47, w.repo.Cycles[w47], "dogfood")
	if err != nil {
		t.Fatal(err)
	}
	// One device of each tenant: of own a, of which aalto has one too, of aalto d,
	// of berg one of which nobody knows the model. Model e is away.
	want := []fleet.Coverage{{Attribute: "model", Devices: 12, ShownDevices: 8, Values: 4, ShownValues: 2}, {Attribute: "osBuild", Devices: 12, ShownDevices: 12, Values: 1, ShownValues: 1}}
	if got := plan.Coverage; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	bare, err := rollout.Plan(w.repo, w.then, w47, w.repo.Cycles[w47], "everyone")
	if err != nil || bare.Coverage != nil {
		t.Errorf("a wave that covers nothing tells %+v, %v", bare.Coverage, err)
	}
	plain := plan
	plain.Coverage = nil
	if plain.Digest() == plan.Digest() {
		t.Error("the digest does not cover the coverage that people approve by")
	}
}

// The figures of a million devices at 1, 5, 25 and 100 percent: each wave adds
// what its percentage is above the one before.
func TestAMillionDevices(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second")
	}
	list := devices(1_000_000)
	waves := []fleet.Wave{percent("pilot", 1, 1), percent("early", 2, 5), percent("broad", 3, 25), percent("all", 4, 100)}
	got := rollout.Assign(waves, fleet.Tenant{ID: "p/t"}, list, "2026-W47", at)
	for name, want := range map[string]int{"pilot": 10_000, "early": 40_000, "broad": 200_000, "all": 750_000} {
		if n := len(got[name].Devices); n != want {
			t.Errorf("%s has %d devices, want %d: quotas are counted, not drawn", name, n, want)
		}
	}
	// Over many small tenants, devices are drawn: an attribute that a quarter of
	// them have is in the first wave about as often as anywhere.
	quarter := percent("quarter", 1, 25)
	quarter.Select.Attributes = map[string]fleet.Values{"model": {"a"}}
	for i := range list {
		if i%4 == 0 {
			list[i].Attributes = map[string]string{"model": "a"}
		}
	}
	n := float64(len(rollout.Assign([]fleet.Wave{quarter}, fleet.Tenant{ID: "p/t"}, list, "2026-W47", at)["quarter"].Devices))
	if deviation := math.Sqrt(250_000 * 0.25 * 0.75); math.Abs(n-62_500) > 5*deviation {
		t.Errorf("a quarter of 250,000 devices are %v, more than five deviations from 62,500", n)
	}
}

// With a fixed salt the same devices come first in every cycle, with the
// cycle's own others; a small percentage is within a larger one either way.
func TestSalts(t *testing.T) {
	list := devices(400)
	first := func(salt, cycle string, share float64) map[string]bool {
		w := percent("pilot", 1, share)
		w.Select.Salt = salt
		out := map[string]bool{}
		for _, d := range rollout.Assign([]fleet.Wave{w}, fleet.Tenant{ID: "p/t"}, list, cycle, at)["pilot"].Devices {
			out[d.Device] = true
		}
		return out
	}
	for _, salt := range []string{"", "cycle", "fixed"} {
		same := reflect.DeepEqual(first(salt, "2026-W47", 10), first(salt, "2026-W48", 10))
		if same != (salt == "fixed") {
			t.Errorf("salt %q: the same devices come first in two cycles: %v", salt, same)
		}
		for share := 5.0; share < 100; share += 5 {
			larger := first(salt, "2026-W47", share+5)
			for d := range first(salt, "2026-W47", share) {
				if !larger[d] {
					t.Fatalf("salt %q: %s is among %v %% and not among %v %%", salt, d, share, share+5)
				}
			}
		}
	}
	if !reflect.DeepEqual(first("", "2026-W47", 10), first("cycle", "2026-W47", 10)) {
		t.Error("without a salt it is not the cycle's")
	}
}

func TestSelectsByAttribute(t *testing.T) {
	list := devices(6)
	set := func(i int, build string, attributes map[string]string) {
		list[i].OSBuild, list[i].Attributes = build, attributes
	}
	set(0, "10.0.26100.2454", map[string]string{"model": "Surface Pro", "country": "SE", "group:finance": "member", "group:pilots": "member"})
	set(1, "10.0.26100.1", map[string]string{"model": "Surface Go", "department": "sales"})
	set(2, "10.0.22631.1", map[string]string{"model": "ThinkPad", "country": "NO", "group:sales": "member"})
	list[3].Platform = "macos"
	tenant := fleet.Tenant{ID: "nordic/aalto", Labels: map[string]string{"role": "customer", "country": "FI"}}
	all := "012345"
	for _, c := range []struct {
		tenants, attributes map[string]fleet.Values
		want                string
	}{
		{nil, nil, all},
		{nil, map[string]fleet.Values{"osBuild": {"10.0.26100.*"}}, "01"},
		{nil, map[string]fleet.Values{"model": {"Surface*", "!Surface Go*"}}, "0"},
		{nil, map[string]fleet.Values{"model": {"!Surface*"}}, "2345"},
		{nil, map[string]fleet.Values{"model": {"*"}}, "012"},
		{nil, map[string]fleet.Values{"country": {"FI"}}, "1345"}, // the tenant's, where the device tells none
		{nil, map[string]fleet.Values{"country": {"SE", "NO"}}, "02"},
		{nil, map[string]fleet.Values{"department": {"sales"}, "platform": {"windows"}}, "1"},
		{nil, map[string]fleet.Values{"platform": {"macos", "linux"}}, "3"},
		{nil, map[string]fleet.Values{"group": {"finance"}}, "0"},
		{nil, map[string]fleet.Values{"group": {"finance", "sales"}}, "02"},
		{nil, map[string]fleet.Values{"group": {"finance", "!pilots"}}, ""},
		{nil, map[string]fleet.Values{"group": {"!finance"}}, "12345"},
		{nil, map[string]fleet.Values{"group": {"*"}}, "02"},
		{map[string]fleet.Values{"partner": {"nordic", "baltic"}}, nil, all},
		{map[string]fleet.Values{"partner": {"baltic"}}, nil, ""},
		{map[string]fleet.Values{"tenant": {"nordic/*", "!nordic/berg"}}, nil, all},
		{map[string]fleet.Values{"role": {"!own"}}, nil, all},
		{map[string]fleet.Values{"role": {"!customer"}}, nil, ""},
		{map[string]fleet.Values{"tier": {"!gold"}}, nil, all},
	} {
		w := fleet.Wave{Name: "w", Select: fleet.Select{Tenants: c.tenants, Attributes: c.attributes}}
		got := ""
		for _, d := range rollout.Assign([]fleet.Wave{w}, tenant, list, "s", at)["w"].Devices {
			got += d.Device[len(d.Device)-1:]
		}
		if got != c.want {
			t.Errorf("%v %v: devices %q, want %q", c.tenants, c.attributes, got, c.want)
		}
	}
}

func TestInactivityIsAWavesRule(t *testing.T) {
	list := devices(4)
	for i, days := range []int{0, 6, 15, 31} {
		list[i].LastSeen = at.AddDate(0, 0, -days).Format(time.DateOnly)
	}
	for days, want := range map[int]int{0: 2, 5: 1, 7: 2, 14: 2, 16: 3, 365: 4} {
		w := fleet.Wave{Name: "w", InactiveAfterDays: days}
		got := rollout.Assign([]fleet.Wave{w}, fleet.Tenant{ID: "p/t"}, list, "s", at)["w"]
		if len(got.Devices) != want || got.Inactive != 4-want {
			t.Errorf("%d days: %d devices and %d inactive, want %d and %d", days, len(got.Devices), got.Inactive, want, 4-want)
		}
	}
}
