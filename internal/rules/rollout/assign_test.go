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
	orders := map[string][]fleet.InventoryRow{"": plainOrder(tenant, devices, salt), "fixed": plainOrder(tenant, devices, "fixed")}
	orders["cycle"] = orders[""]
	out := make(map[string]rollout.Members, len(waves))
	taken := map[string]bool{}
	for _, w := range waves {
		var m rollout.Members
		ranked := orders[w.Select.Salt]
		limit := len(ranked)
		if p := w.Select.Percent; p != nil && *p < 100 {
			limit = min(limit, max(int(math.Ceil(*p/100*float64(limit))), w.MinDevices))
		}
		if len(w.Select.Cover) > 0 {
			plainCover(w, tenant, ranked, limit, func(d fleet.InventoryRow) bool {
				return !taken[d.Device] && plainSelects(w.Select, tenant, d) && plainActive(w, d, at)
			})
		}
		for _, d := range ranked[:limit] {
			switch {
			case taken[d.Device] || !plainSelects(w.Select, tenant, d):
			case !plainActive(w, d, at):
				m.Inactive++
			default:
				taken[d.Device] = true
				m.Devices = append(m.Devices, d)
			}
		}
		slices.SortFunc(m.Devices, func(a, b fleet.InventoryRow) int { return cmp.Compare(a.Device, b.Device) })
		out[w.Name] = m
	}
	return out
}

func plainOrder(tenant fleet.Tenant, devices []fleet.InventoryRow, salt string) []fleet.InventoryRow {
	key := func(d fleet.InventoryRow) []byte {
		sum := sha256.Sum256([]byte("wave/v1\x00" + salt + "\x00" + string(tenant.ID) + "\x00" + d.Device))
		return sum[:]
	}
	keys := map[string][]byte{}
	for _, d := range devices {
		keys[d.Device] = key(d)
	}
	return slices.SortedFunc(slices.Values(devices), func(a, b fleet.InventoryRow) int {
		return cmp.Or(bytes.Compare(keys[a.Device], keys[b.Device]), cmp.Compare(a.Device, b.Device))
	})
}

func plainActive(w fleet.Wave, d fleet.InventoryRow, at time.Time) bool {
	seen, err := time.Parse(time.DateOnly, d.LastSeen)
	return err == nil && at.Sub(seen) <= time.Duration(cmp.Or(w.InactiveAfterDays, 14))*24*time.Hour
}

// plainCover reorders ranked so that the wave shows most: as long as some
// eligible device would show more, the one that shows the most, and the last in
// rank of those that show nothing gives way to it.
func plainCover(w fleet.Wave, tenant fleet.Tenant, ranked []fleet.InventoryRow, limit int, eligible func(fleet.InventoryRow) bool) {
	weight, budget := map[string]int{}, 0
	values := func(d fleet.InventoryRow) (out []string) {
		for _, name := range w.Select.Cover {
			if v := plainAttribute(tenant, d, name); v != "" {
				out = append(out, name+"="+v)
			}
		}
		return out
	}
	for i, d := range ranked {
		if !eligible(d) {
			continue
		}
		if i < limit {
			budget++
		}
		for _, v := range values(d) {
			weight[v]++
		}
	}
	var order []string
	for len(order) < budget {
		best, most := -1, 0
		for i, d := range ranked {
			sum := 0
			for _, v := range values(d) {
				sum += weight[v]
			}
			if eligible(d) && sum > most {
				best, most = i, sum
			}
		}
		if best < 0 {
			break
		}
		order = append(order, ranked[best].Device)
		for _, v := range values(ranked[best]) {
			weight[v] = 0
		}
	}
	give := limit - 1
	for _, name := range order {
		i := slices.IndexFunc(ranked, func(d fleet.InventoryRow) bool { return d.Device == name })
		if i < limit {
			continue
		}
		for !eligible(ranked[give]) || slices.Contains(order, ranked[give].Device) {
			give--
		}
		ranked[i], ranked[give] = ranked[give], ranked[i]
	}
}

func plainAttribute(t fleet.Tenant, d fleet.InventoryRow, name string) string {
	have := map[string]string{"platform": d.Platform, "osBuild": d.OSBuild}
	if v, ok := have[name]; ok {
		return v
	}
	if v := d.Attributes[name]; v != "" || name != "country" {
		return v
	}
	return t.Labels["country"]
}

func plainSelects(s fleet.Select, t fleet.Tenant, d fleet.InventoryRow) bool {
	for k, want := range s.Tenants {
		have := map[string]string{"tenant": string(t.ID), "partner": t.ID.Partner()}
		v, ok := have[k]
		if !ok {
			v = t.Labels[k]
		}
		if !slices.Contains(want, v) {
			return false
		}
	}
	for k, want := range s.Attributes {
		if !slices.Contains(want, plainAttribute(t, d, k)) {
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
			d.Attributes = map[string]string{"department": []string{"it", "lab"}[r.IntN(2)], "model": fmt.Sprint("m", r.IntN(12)), "country": []string{"", "FI"}[r.IntN(2)]}
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
		switch r.IntN(6) {
		case 0:
			w.Select.Tenants = map[string]fleet.Values{"role": {[]string{"own", "customer"}[r.IntN(2)]}}
		case 1:
			w.Select.Tenants = map[string]fleet.Values{"partner": {[]string{"p", "q"}[r.IntN(2)], "r"}, "tenant": {"p/t"}}
		case 2:
			w.Select.Attributes = map[string]fleet.Values{"department": {"it"}, "platform": {"windows"}}
		case 3:
			w.Select.Attributes = map[string]fleet.Values{"country": {"FI", "SE"}}
		case 4:
			w.Select.Sites = r.IntN(3) == 0
		}
		w.Select.Salt = []string{"", "cycle", "fixed"}[r.IntN(3)]
		w.InactiveAfterDays = []int{0, 5, 30}[r.IntN(3)]
		w.Select.Cover = [][]string{nil, {"model"}, {"model", "osBuild"}, {"platform", "department", "country", "model"}}[r.IntN(4)]
		out[i] = w
	}
	return out
}

func TestAssignIsThePlainAlgorithm(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	tenant := fleet.Tenant{ID: "p/t", Labels: map[string]string{"role": "own", "country": "SE"}}
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

// BenchmarkFigureAssign puts a million devices into three waves and prints how many
// times faster that is than ranking whole hashes. With a covering pilot, there
// are 400 models and 60 builds.
func BenchmarkFigureAssign(b *testing.B) {
	list := devices(1_000_000)
	varied := slices.Clone(list)
	for i := range varied {
		varied[i].OSBuild = fmt.Sprint("10.0.", i%60)
		varied[i].Attributes = map[string]string{"model": fmt.Sprint("model ", i%401*(i%7)/7)}
	}
	covering := percent("pilot", 1, 1)
	covering.Select.Cover = []string{"model", "osBuild"}
	for name, c := range map[string]struct {
		pilot fleet.Wave
		list  []fleet.InventoryRow
	}{"plain": {percent("pilot", 1, 1), list}, "cover": {covering, varied}} {
		b.Run(name, func(b *testing.B) {
			waves := []fleet.Wave{c.pilot, percent("broad", 2, 25), percent("all", 3, 100)}
			for b.Loop() {
				rollout.Assign(waves, fleet.Tenant{ID: "p/t"}, c.list, "2026-W47", at)
			}
			took := b.Elapsed().Seconds() / float64(b.N)
			b.ReportMetric(took, "s")
			b.ReportMetric(1, "bound-s")
			b.ReportMetric(took*1e9/float64(len(list)), "ns/device")
			if name == "plain" {
				started := time.Now()
				plainAssign(waves, fleet.Tenant{ID: "p/t"}, c.list, "2026-W47", at)
				b.ReportMetric(time.Since(started).Seconds()/took, "plain/this")
			}
		})
	}
}
