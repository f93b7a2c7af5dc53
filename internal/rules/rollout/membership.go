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

// Members are the devices of one wave on one tenant, how many devices the wave
// would have had but for being inactive, and how many it is the first to select
// of those whose apps Configuration Manager owns: a console delivers nothing to
// these, so they are in no wave and in no share of one.
type Members struct {
	Devices   []fleet.InventoryRow
	Inactive  int
	Elsewhere int
}

// Assign puts every device of a tenant into the first wave, in order, that
// selects it, as of the instant at. salt is the cycle's id: it decides who comes
// first under a percentage, unless the wave's order is a fixed one. Devices of a
// wave are in the order of their ids.
func Assign(waves []fleet.Wave, tenant fleet.Tenant, devices []fleet.InventoryRow, salt string, at time.Time) map[string]Members {
	a := newAssignment(tenant, devices, salt, at)
	out := make(map[string]Members, len(waves))
	for _, w := range waves {
		out[w.Name] = a.wave(w)
	}
	return out
}

// An assignment is a tenant's devices while they are put into waves.
type assignment struct {
	tenant  fleet.Tenant
	devices []fleet.InventoryRow
	at      time.Time
	cycle   string
	order   []int32 // by id, nil if the devices are in it already
	taken   []bool
	active  map[int][]bool      // by days
	ranks   map[string]*ranking // by salt

	elsewhere []fleet.InventoryRow // not yet selected, of those that others serve
}

func newAssignment(tenant fleet.Tenant, devices []fleet.InventoryRow, cycle string, at time.Time) *assignment {
	devices, elsewhere := apart(devices)
	return &assignment{
		elsewhere: elsewhere,
		tenant:    tenant, devices: devices, at: at, cycle: cycle, order: byDevice(devices), taken: make([]bool, len(devices)),
		active: map[int][]bool{}, ranks: map[string]*ranking{},
	}
}

// apart splits off the devices whose apps Configuration Manager owns.
func apart(devices []fleet.InventoryRow) (served, elsewhere []fleet.InventoryRow) {
	if !slices.ContainsFunc(devices, ServedElsewhere) {
		return devices, nil
	}
	for _, d := range devices {
		if ServedElsewhere(d) {
			elsewhere = append(elsewhere, d)
		} else {
			served = append(served, d)
		}
	}
	return served, elsewhere
}

// ServedElsewhere reports whether a device gets its apps from Configuration
// Manager.
func ServedElsewhere(d fleet.InventoryRow) bool {
	return d.Attributes[fleet.AppsOwner] == fleet.ConfigurationManager
}

// wave takes the devices of the next wave.
func (a *assignment) wave(w fleet.Wave) Members {
	var m Members
	if !selectsTenant(w.Select, a.tenant) {
		return m
	}
	active := a.activeFor(w)
	ranks := a.ranking(w.Select.Salt)
	first := ranks.first(quota(w, len(a.devices)))
	selects := deviceSelector(w.Select, a.tenant)
	a.elsewhere = slices.DeleteFunc(a.elsewhere, func(d fleet.InventoryRow) bool {
		if selects(&d) {
			m.Elsewhere++
			return true
		}
		return false
	})
	members := make([]int32, 0, len(a.devices))
	for n := range a.devices {
		i := n
		if a.order != nil {
			i = int(a.order[n])
		}
		switch {
		case a.taken[i] || !first.has(i) || !selects(&a.devices[i]):
		case !active[i]:
			m.Inactive++
		default:
			members = append(members, int32(i))
		}
	}
	if len(w.Select.Cover) > 0 && !first.everyone() {
		members = a.covering(w, ranks, members, func(i int) bool { return !a.taken[i] && active[i] && selects(&a.devices[i]) })
	}
	if len(members) > 0 {
		m.Devices = make([]fleet.InventoryRow, len(members))
	}
	for n, i := range members {
		a.taken[i] = true
		m.Devices[n] = a.devices[i]
	}
	return m
}

// activeFor is, for each device, whether it was seen recently enough for a wave.
func (a *assignment) activeFor(w fleet.Wave) []bool {
	days := inactiveAfter(w)
	if a.active[days] == nil {
		a.active[days] = activity(a.devices, a.at, time.Duration(days)*24*time.Hour)
	}
	return a.active[days]
}

// inactiveAfter is after how many days unseen, before a wave is frozen, a device
// takes no part in it. A device that went silent later stays a member and
// counts as silent: it is never excluded afterwards.
func inactiveAfter(w fleet.Wave) int {
	return cmp.Or(w.InactiveAfterDays, fleet.DefaultInactiveAfterDays)
}

// ranking is the order of the devices under a wave's salt.
func (a *assignment) ranking(salt string) *ranking {
	key := a.cycle
	if salt == fleet.SaltFixed {
		key = fleet.SaltFixed // no cycle is called so
	}
	if a.ranks[key] == nil {
		a.ranks[key] = &ranking{tenant: a.tenant.ID, salt: key, devices: a.devices}
	}
	return a.ranks[key]
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

// activity is, for each device, whether it was seen within a time before at. The
// same few dates come again and again: each is read once.
func activity(devices []fleet.InventoryRow, at time.Time, within time.Duration) []bool {
	out := make([]bool, len(devices))
	known := map[string]bool{}
	for i := range devices {
		date := devices[i].LastSeen
		recent, ok := known[date]
		if !ok {
			seen, err := time.Parse(time.DateOnly, date)
			recent = err == nil && at.Sub(seen) <= within
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
