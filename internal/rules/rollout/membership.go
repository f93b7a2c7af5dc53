package rollout

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// activeFor is how recently a device must have been seen, before a wave is
// frozen, to take part in it. A device that went silent later stays a member
// and counts as silent: it is never excluded afterwards.
const activeFor = 14 * 24 * time.Hour

// Members are the devices of one wave on one tenant, and how many devices the
// wave would have had but for being inactive.
type Members struct {
	Devices  []fleet.InventoryRow
	Inactive int
}

// Assign puts every device of a tenant into the first wave, in order, that
// selects it, as of the instant at. salt decides who comes first under a
// percentage: the cycle's id rotates early adopters from week to week.
func Assign(waves []fleet.Wave, tenant fleet.Tenant, devices []fleet.InventoryRow, salt string, at time.Time) map[string]Members {
	out := make(map[string]Members, len(waves))
	ranked := rank(tenant.ID, devices, salt)
	taken := make([]bool, len(ranked))
	for _, w := range waves {
		var m Members
		limit := quota(w, len(ranked))
		for i, d := range ranked {
			switch {
			case i >= limit:
			case taken[i] || !selects(w.Select, tenant, d):
			case !active(d, at):
				m.Inactive++
			default:
				taken[i] = true
				m.Devices = append(m.Devices, d)
			}
		}
		slices.SortFunc(m.Devices, func(a, b fleet.InventoryRow) int { return cmp.Compare(a.Device, b.Device) })
		out[w.Name] = m
	}
	return out
}

// rank orders devices by salted hash: the first n are the first n under every
// percentage, so that waves nest.
func rank(tenant fleet.TenantID, devices []fleet.InventoryRow, salt string) []fleet.InventoryRow {
	type keyed struct {
		key [sha256.Size]byte
		row fleet.InventoryRow
	}
	keys := make([]keyed, len(devices))
	for i, d := range devices {
		keys[i] = keyed{sha256.Sum256([]byte("wave/v1\x00" + salt + "\x00" + string(tenant) + "\x00" + d.Device)), d}
	}
	slices.SortFunc(keys, func(a, b keyed) int {
		return cmp.Or(bytes.Compare(a.key[:], b.key[:]), cmp.Compare(a.row.Device, b.row.Device))
	})
	out := make([]fleet.InventoryRow, len(keys))
	for i, k := range keys {
		out[i] = k.row
	}
	return out
}

// quota is how many devices, by rank, a wave's percentage reaches.
func quota(w fleet.Wave, n int) int {
	if w.Select.Percent == nil || *w.Select.Percent >= 100 {
		return n
	}
	share := int(math.Ceil(*w.Select.Percent / 100 * float64(n)))
	return min(n, max(share, w.MinDevices))
}

func selects(s fleet.Select, tenant fleet.Tenant, d fleet.InventoryRow) bool {
	for k, want := range s.Tenants {
		if tenantLabel(tenant, k) != want {
			return false
		}
	}
	for k, want := range s.Attributes {
		if attribute(d, k) != want {
			return false
		}
	}
	return !s.Sites
}

// tenantLabel is a label of the tenant; "tenant" and "partner" name it itself.
func tenantLabel(t fleet.Tenant, key string) string {
	switch key {
	case "tenant":
		return string(t.ID)
	case "partner":
		return t.ID.Partner()
	default:
		return t.Labels[key]
	}
}

func attribute(d fleet.InventoryRow, key string) string {
	switch key {
	case "platform":
		return d.Platform
	case "osBuild":
		return d.OSBuild
	default:
		return d.Attributes[key]
	}
}

func active(d fleet.InventoryRow, at time.Time) bool {
	seen, err := time.Parse(time.DateOnly, d.LastSeen)
	return err == nil && at.Sub(seen) <= activeFor
}

// Root is the Merkle root over device hashes in their order, hex SHA-256:
// leaves are H(0x00 ‖ device), nodes H(0x01 ‖ left ‖ right), an odd node goes
// up as it is (RFC 6962 writes the same prefixes). An empty list has the root
// of no bytes.
func Root(devices []string) string {
	if len(devices) == 0 {
		sum := sha256.Sum256(nil)
		return hex.EncodeToString(sum[:])
	}
	level := make([][]byte, len(devices))
	for i, d := range devices {
		sum := sha256.Sum256(append([]byte{0}, d...))
		level[i] = sum[:]
	}
	for len(level) > 1 {
		next := level[:0]
		for i := 0; i < len(level); i += 2 {
			if i+1 == len(level) {
				next = append(next, level[i])
				break
			}
			sum := sha256.Sum256(slices.Concat([]byte{1}, level[i], level[i+1]))
			next = append(next, sum[:])
		}
		level = next
	}
	return hex.EncodeToString(level[0])
}

// LatestInventory is each tenant's newest inventory not later than at.
func LatestInventory(rec *fleet.Record, at time.Time) map[fleet.TenantID][]fleet.InventoryRow {
	newest := map[fleet.TenantID]time.Time{}
	for _, r := range rec.Inventory {
		if !r.At.After(at) && r.At.After(newest[r.Tenant]) {
			newest[r.Tenant] = r.At
		}
	}
	out := map[fleet.TenantID][]fleet.InventoryRow{}
	for _, r := range rec.Inventory {
		if r.At.Equal(newest[r.Tenant]) {
			out[r.Tenant] = append(out[r.Tenant], r)
		}
	}
	return out
}
