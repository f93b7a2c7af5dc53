package rollout

import (
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// LatestInventory is each tenant's newest inventory not later than at, of all
// when at is zero. A device that it tells twice of, because two runs took it at
// one instant, counts once; a tenant that was read and has no device is there
// with none. Rows are shared with rec where that is possible: do not change
// them.
func LatestInventory(rec *fleet.Record, at time.Time) map[fleet.TenantID][]fleet.InventoryRow {
	type run struct{ from, to int }
	rows := rec.Inventory
	newest := map[fleet.TenantID][]run{}
	for from := 0; from < len(rows); {
		first := &rows[from]
		to := from + 1
		for to < len(rows) && rows[to].Tenant == first.Tenant && rows[to].At.Equal(first.At) {
			to++
		}
		if known := newest[first.Tenant]; at.IsZero() || !first.At.After(at) {
			switch {
			case len(known) == 0 || first.At.After(rows[known[0].from].At):
				newest[first.Tenant] = []run{{from, to}}
			case first.At.Equal(rows[known[0].from].At):
				newest[first.Tenant] = append(known, run{from, to})
			}
		}
		from = to
	}
	out := make(map[fleet.TenantID][]fleet.InventoryRow, len(newest))
	for t, runs := range newest {
		var all []fleet.InventoryRow
		for _, r := range runs {
			if all == nil {
				all = rows[r.from:r.to:r.to]
			} else {
				all = append(all, rows[r.from:r.to]...)
			}
		}
		out[t] = distinct(all)
	}
	return out
}

// distinct is a tenant's inventory with each device once, and without the row
// that says there is none.
func distinct(rows []fleet.InventoryRow) []fleet.InventoryRow {
	ordered := true
	for i := range rows {
		if rows[i].Device == "" || i > 0 && rows[i].Device <= rows[i-1].Device {
			ordered = false
			break
		}
	}
	if ordered {
		return rows
	}
	seen := make(map[string]bool, len(rows))
	return slices.DeleteFunc(slices.Clone(rows), func(r fleet.InventoryRow) bool {
		again := r.Device == "" || seen[r.Device]
		seen[r.Device] = true
		return again
	})
}

// MembersOf are the devices of one wave of a cycle, by tenant, from the newest
// inventories in rec: evidence as of the heads that the cycle's plan names.
// That may be an inventory taken after the cut-off, by a runner that was late.
func MembersOf(repo *fleet.Repository, rec *fleet.Record, id fleet.CycleID, cycle fleet.Cycle, gate string) (map[fleet.TenantID]Members, error) {
	waves, err := wavesOf(repo, id, cycle)
	if err != nil {
		return nil, err
	}
	inventory := LatestInventory(rec, time.Time{})
	out := make(map[fleet.TenantID]Members, len(repo.Tenants))
	for tenant, t := range repo.Tenants {
		out[tenant] = Assign(waves, t, inventory[tenant], string(id), cycle.CutOff)[gate]
	}
	return out, nil
}
