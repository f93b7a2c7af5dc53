package rollout

import (
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
// Devices of a wave are in the order of their ids.
func Assign(waves []fleet.Wave, tenant fleet.Tenant, devices []fleet.InventoryRow, salt string, at time.Time) map[string]Members {
	out := make(map[string]Members, len(waves))
	order := byDevice(devices)
	active := activity(devices, at)
	ranks := ranking{tenant: tenant.ID, salt: salt, devices: devices}
	taken := make([]bool, len(devices))
	for _, w := range waves {
		if !selectsTenant(w.Select, tenant) {
			out[w.Name] = Members{}
			continue
		}
		first := ranks.first(quota(w, len(devices)))
		var m Members
		members := make([]int32, 0, len(devices))
		for n := range devices {
			i := n
			if order != nil {
				i = int(order[n])
			}
			switch {
			case taken[i] || !first.has(i) || !selectsDevice(w.Select, &devices[i]):
			case !active[i]:
				m.Inactive++
			default:
				taken[i] = true
				members = append(members, int32(i))
			}
		}
		if len(members) > 0 {
			m.Devices = make([]fleet.InventoryRow, len(members))
			for n, i := range members {
				m.Devices[n] = devices[i]
			}
		}
		out[w.Name] = m
	}
	return out
}

// byDevice is the order of devices by id, nil if they are in it already, as
// inventories are written.
func byDevice(devices []fleet.InventoryRow) []int32 {
	if slices.IsSortedFunc(devices, func(a, b fleet.InventoryRow) int { return cmp.Compare(a.Device, b.Device) }) {
		return nil
	}
	order := make([]int32, len(devices))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(devices[a].Device, devices[b].Device) })
	return order
}

// activity is, for each device, whether it was seen recently enough. The same
// few dates come again and again: each is read once.
func activity(devices []fleet.InventoryRow, at time.Time) []bool {
	out := make([]bool, len(devices))
	known := map[string]bool{}
	for i := range devices {
		date := devices[i].LastSeen
		recent, ok := known[date]
		if !ok {
			seen, err := time.Parse(time.DateOnly, date)
			recent = err == nil && at.Sub(seen) <= activeFor
			known[date] = recent
		}
		out[i] = recent
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

func selectsTenant(s fleet.Select, tenant fleet.Tenant) bool {
	for k, want := range s.Tenants {
		if tenant.Label(k) != want {
			return false
		}
	}
	return !s.Sites
}

func selectsDevice(s fleet.Select, d *fleet.InventoryRow) bool {
	for k, want := range s.Attributes {
		if attribute(d, k) != want {
			return false
		}
	}
	return true
}

func attribute(d *fleet.InventoryRow, key string) string {
	switch key {
	case "platform":
		return d.Platform
	case "osBuild":
		return d.OSBuild
	default:
		return d.Attributes[key]
	}
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
