package rollout

import (
	"fmt"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// exposureHour is how far back a budget per hour looks.
const exposureHour = time.Hour

// ApproversNeeded is how many persons must approve the merge of a plan, and why
// so many; why is "" when it is the number that every merge takes. recent are
// the rows of the other plans that were approved within the hour before, each
// plan by itself: see RecentlyExposed.
//
// Waves do not overlap, so each plan exposes its devices anew; a device in the
// plans of two cycles counts twice, on the careful side.
func ApproversNeeded(trust fleet.Trust, plan fleet.Plan, recent [][]fleet.PlanRow) (n int, why string) {
	n = max(1, trust.Approvals)
	if trust.Exposure == nil {
		return n, ""
	}
	beyond := func(b *fleet.Budget, plans [][]fleet.PlanRow, what string) {
		if b == nil || b.Approvers <= n {
			return
		}
		devices, tenants := exposed(plans)
		switch {
		case b.Devices != nil && devices > *b.Devices:
			n, why = b.Approvers, fmt.Sprintf("%s exposes %d devices, more than %d", what, devices, *b.Devices)
		case b.Tenants != nil && tenants > *b.Tenants:
			n, why = b.Approvers, fmt.Sprintf("%s exposes %d tenants, more than %d", what, tenants, *b.Tenants)
		}
	}
	own := [][]fleet.PlanRow{plan.Rows}
	beyond(trust.Exposure.PerMerge, own, "this merge")
	beyond(trust.Exposure.PerHour, append(own, recent...), "what is merged within one hour")
	return n, why
}

// exposed are the devices and tenants of some plans. A device takes several
// packages of one plan, so only a tenant's largest row of it counts.
func exposed(plans [][]fleet.PlanRow) (devices, tenants int) {
	who := map[fleet.TenantID]bool{}
	for _, rows := range plans {
		most := map[fleet.TenantID]int{}
		for _, r := range rows {
			who[r.Tenant] = true
			most[r.Tenant] = max(most[r.Tenant], r.Devices)
		}
		for _, n := range most {
			devices += n
		}
	}
	return devices, len(who)
}

// RecentlyExposed are the rows of the plans whose approvals were merged within
// the hour up to at, but for that of one gate. A merged "no" exposes nobody.
func RecentlyExposed(rec *fleet.Record, id fleet.CycleID, gate string, at time.Time) [][]fleet.PlanRow {
	var out [][]fleet.PlanRow
	own := string(id) + "/" + gate
	for i := range rec.Merges {
		m := &rec.Merges[i]
		if m.Approves == "" || m.Approves == own || m.At.After(at) || !m.At.After(at.Add(-exposureHour)) || closes(m.Approves) || refuses(m) {
			continue
		}
		if rows := rec.PlanRows[m.Plan]; len(rows) > 0 {
			out = append(out, rows)
		}
	}
	return out
}

// closes reports whether what a merge approves is the end of a cycle: that
// names a plan, and exposes nothing.
func closes(approves string) bool {
	return len(approves) > len(CloseGate) && approves[len(approves)-len(CloseGate)-1:] == "/"+CloseGate
}

// refuses reports whether what a merge says of its gate is "no".
func refuses(m *fleet.Merge) bool {
	return slices.ContainsFunc(m.Rejects, func(r fleet.Rejection) bool {
		return r.Tenant == "" && string(r.Cycle)+"/"+r.Gate == m.Approves
	})
}

// exposureOf is ApproversNeeded for the approval of a gate as it was merged. Of
// one that is not merged yet, the hour is that of the newest merge: nothing
// later is known to have exposed anything.
func exposureOf(f Facts, id fleet.CycleID, gate string) (n int, why string) {
	if gate == CloseGate {
		return max(1, f.Repo.Operator.Trust.Approvals), ""
	}
	var at time.Time
	for i := range f.Record.Merges {
		at = later(at, f.Record.Merges[i].At)
	}
	plan := f.Plans[id][gate]
	if a, ok := f.Repo.Approvals[id][gate]; ok {
		if len(plan.Rows) == 0 {
			plan.Rows = f.Record.PlanRows[a.Plan]
		}
		if m := mergeOf(f, id, gate, a); m != nil {
			at = m.At
		}
	}
	return ApproversNeeded(f.Repo.Operator.Trust, plan, RecentlyExposed(f.Record, id, gate, at))
}
