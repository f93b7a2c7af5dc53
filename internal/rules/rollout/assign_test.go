package rollout_test

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// plainAssign is Assign as it is easiest to believe: every device hashed and
// ranked by its whole hash, every wave filled in rank order and sorted.
func plainAssign(waves []fleet.Wave, tenant fleet.Tenant, devices []fleet.InventoryRow, salt string, at time.Time) map[string]rollout.Members {
	type keyed struct {
		key [sha256.Size]byte
		row fleet.InventoryRow
	}
	ranked := make([]keyed, len(devices))
	for i, d := range devices {
		ranked[i] = keyed{sha256.Sum256([]byte("wave/v1\x00" + salt + "\x00" + string(tenant.ID) + "\x00" + d.Device)), d}
	}
	slices.SortFunc(ranked, func(a, b keyed) int {
		return cmp.Or(bytes.Compare(a.key[:], b.key[:]), cmp.Compare(a.row.Device, b.row.Device))
	})
	out := make(map[string]rollout.Members, len(waves))
	taken := make([]bool, len(ranked))
	for _, w := range waves {
		var m rollout.Members
		limit := len(ranked)
		if p := w.Select.Percent; p != nil && *p < 100 {
			limit = min(limit, max(int(math.Ceil(*p/100*float64(limit))), w.MinDevices))
		}
		for i, k := range ranked[:limit] {
			seen, err := time.Parse(time.DateOnly, k.row.LastSeen)
			switch {
			case taken[i] || !plainSelects(w.Select, tenant, k.row):
			case err != nil || at.Sub(seen) > 14*24*time.Hour:
				m.Inactive++
			default:
				taken[i] = true
				m.Devices = append(m.Devices, k.row)
			}
		}
		slices.SortFunc(m.Devices, func(a, b fleet.InventoryRow) int { return cmp.Compare(a.Device, b.Device) })
		out[w.Name] = m
	}
	return out
}

func plainSelects(s fleet.Select, t fleet.Tenant, d fleet.InventoryRow) bool {
	for k, want := range s.Tenants {
		have := map[string]string{"tenant": string(t.ID), "partner": t.ID.Partner()}
		if v, ok := have[k]; ok && v != want || !ok && t.Labels[k] != want {
			return false
		}
	}
	for k, want := range s.Attributes {
		have := map[string]string{"platform": d.Platform, "osBuild": d.OSBuild}
		if v, ok := have[k]; ok && v != want || !ok && d.Attributes[k] != want {
			return false
		}
	}
	return !s.Sites
}

// randomFleet is a tenant's inventory with everything that Assign looks at.
func randomFleet(r *rand.Rand, n int) []fleet.InventoryRow {
	out := make([]fleet.InventoryRow, n)
	for i := range out {
		d := fleet.InventoryRow{Tenant: "p/t", Device: fmt.Sprintf("%08x", i*7), Platform: []string{"windows", "linux"}[r.IntN(2)], OSBuild: fmt.Sprint(r.IntN(3))}
		if r.IntN(3) > 0 {
			d.Attributes = map[string]string{"department": []string{"it", "lab"}[r.IntN(2)]}
		}
		d.LastSeen = at.AddDate(0, 0, -r.IntN(20)).Format(time.DateOnly)
		if r.IntN(20) == 0 {
			d.LastSeen = []string{"", "yesterday", "2026-11-31"}[r.IntN(3)]
		}
		out[i] = d
	}
	if r.IntN(2) == 0 {
		r.Shuffle(n, func(i, j int) { out[i], out[j] = out[j], out[i] })
	}
	return out
}

func randomWaves(r *rand.Rand) []fleet.Wave {
	out := make([]fleet.Wave, 1+r.IntN(4))
	for i := range out {
		w := fleet.Wave{Name: fmt.Sprintf("wave%d", i), Order: i + 1, MinDevices: 1 + r.IntN(12)}
		if share := r.Float64() * 110; r.IntN(4) > 0 {
			w.Select.Percent = &share
		}
		switch r.IntN(5) {
		case 0:
			w.Select.Tenants = map[string]string{"role": []string{"own", "customer"}[r.IntN(2)]}
		case 1:
			w.Select.Tenants = map[string]string{"partner": []string{"p", "q"}[r.IntN(2)], "tenant": "p/t"}
		case 2:
			w.Select.Attributes = map[string]string{"department": "it", "platform": "windows"}
		case 3:
			w.Select.Sites = r.IntN(3) == 0
		}
		out[i] = w
	}
	return out
}

func TestAssignIsThePlainAlgorithm(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	tenant := fleet.Tenant{ID: "p/t", Labels: map[string]string{"role": "own"}}
	filled := 0
	for round := range 400 {
		waves, list, salt := randomWaves(r), randomFleet(r, r.IntN(200)), fmt.Sprint("cycle", round)
		want := plainAssign(waves, tenant, list, salt, at)
		got := rollout.Assign(waves, tenant, list, salt, at)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("round %d, %d devices, waves %+v:\n got %+v\nwant %+v", round, len(list), waves, got, want)
		}
		for _, m := range want {
			filled += min(1, len(m.Devices))
		}
	}
	if filled < 300 {
		t.Errorf("only %d waves had a device: the inputs try nothing", filled)
	}
}

// BenchmarkAssign puts a million devices into three waves and prints how many
// times faster that is than ranking whole hashes.
func BenchmarkAssign(b *testing.B) {
	list := devices(1_000_000)
	waves := []fleet.Wave{percent("pilot", 1, 1), percent("broad", 2, 25), percent("all", 3, 100)}
	for b.Loop() {
		rollout.Assign(waves, fleet.Tenant{ID: "p/t"}, list, "2026-W47", at)
	}
	took := b.Elapsed().Seconds() / float64(b.N)
	b.ReportMetric(took*1e9/float64(len(list)), "ns/device")
	started := time.Now()
	plainAssign(waves, fleet.Tenant{ID: "p/t"}, list, "2026-W47", at)
	b.ReportMetric(time.Since(started).Seconds()/took, "plain/this")
}
