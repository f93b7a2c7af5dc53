package rollout_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// TestFleetWide: waves carry out what is for everyone, devices before users.
func TestFleetWide(t *testing.T) {
	lab, all, users := fleet.Assignment{Group: "laboratory"}, fleet.Assignment{Group: "all devices"}, fleet.Assignment{Group: "all users"}
	for name, c := range map[string]struct {
		list []fleet.Assignment
		want string // "" for none
	}{
		"none": {nil, ""}, "a group": {[]fleet.Assignment{lab}, ""}, "users": {[]fleet.Assignment{lab, users}, "all users"},
		"devices": {[]fleet.Assignment{users, lab, all}, "all devices"},
	} {
		got := rollout.FleetWide(c.list)
		if (got == nil) != (c.want == "") || got != nil && got.Group != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// planIn is the plan of a gate in a world in which both packages may travel and the operator's own
// tenant takes tool in some way.
func planIn(t *testing.T, gate string, facts ...fact) fleet.Plan {
	t.Helper()
	return newWorld(append([]fact{milled}, facts...)...).plan(t, gate)
}

// TestPlanTells: a row says when it reaches users, what it adopts, until a receipt
// says that it did, and who waits for the slots.
func TestPlanTells(t *testing.T) {
	const app = "0b1c2d3e-1111-4222-8333-444455556666"
	adopt := tenant(own, func(t *fleet.Tenant) { t.Adopt = map[fleet.PackageID]string{tool: app} })
	done := func(outcome string) fact {
		return func(w *world) {
			w.rec.Receipts = append(w.rec.Receipts, fleet.Receipt{Tenant: own, Package: tool, Action: "assign", Outcome: outcome, Adopted: app, At: on(16, 0, 0)})
		}
	}
	waits := func(before time.Duration, list ...fleet.Awaited) fact {
		return func(w *world) {
			i := slices.IndexFunc(w.rec.Inventory, func(r fleet.InventoryRow) bool { return r.Tenant == own })
			w.rec.Inventory = append(w.rec.Inventory, fleet.InventoryRow{Tenant: own, Awaited: list, At: w.rec.Inventory[i].At.Add(-before)})
		}
	}
	page := func(name, slot string) fleet.Awaited {
		return fleet.Awaited{Page: name, Package: tool, Slot: slot, App: "app-of-" + slot}
	}
	for name, c := range map[string]struct {
		facts []fact
		want  fleet.PlanRow
	}{
		"nothing":              {nil, fleet.PlanRow{}},
		"users":                {[]fact{assignments(own, fleet.Assignment{Intent: "required", Group: "all users"})}, fleet.PlanRow{Users: true}},
		"adopts":               {[]fact{adopt}, fleet.PlanRow{Adopts: app}},
		"has adopted":          {[]fact{adopt, done("done")}, fleet.PlanRow{}},
		"has tried":            {[]fact{adopt, done("failed")}, fleet.PlanRow{Adopts: app}},
		"a page waits":         {[]fact{waits(0, page("Z", "stable"), page("A", "candidate"), page("Z", "stable"))}, fleet.PlanRow{Awaited: `"A" waits for candidate, app-of-candidate; "Z" waits for stable, app-of-stable`}},
		"a page waited before": {[]fact{waits(time.Hour, page("Z", "stable"))}, fleet.PlanRow{}},
	} {
		plan := planIn(t, "dogfood", c.facts...)
		i := -1
		for n := range plan.Rows {
			if plan.Rows[n].Tenant == own && plan.Rows[n].Package == tool {
				i = n
			}
		}
		if i < 0 {
			t.Errorf("%s: no row in %v", name, rows(plan))
			continue
		}
		r := plan.Rows[i]
		if got := (fleet.PlanRow{Users: r.Users, Adopts: r.Adopts, Awaited: r.Awaited}); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// TestLeftOutDevices are not counted in a row.
func TestLeftOutDevices(t *testing.T) {
	plan := planIn(t, "dogfood",
		tenant(own, func(t *fleet.Tenant) { t.Groups = map[string]fleet.Group{"tills": {Name: "All tills"}} }),
		assignments(own, fleet.Assignment{Intent: "required", Group: "all devices", Exclude: []string{"All tills"}}),
		func(w *world) {
			n := 0
			for i := range w.rec.Inventory {
				if r := &w.rec.Inventory[i]; r.Tenant == own && n < 3 {
					r.Attributes, n = map[string]string{fleet.GroupPrefix + "tills": "member"}, n+1
				}
			}
		})
	got := strings.Join(rows(plan), "\n")
	if !strings.Contains(got, "us/own tool 1.0→2.0 7 devices") || !strings.Contains(got, "us/own pad 1.0→2.0 10 devices") {
		t.Errorf("rows\n%s", got)
	}
}

// TestGroupsOfAPlan: what becomes of a wave's group, against the last time that it
// was frozen.
func TestGroupsOfAPlan(t *testing.T) {
	var all []string
	plan := planIn(t, "dogfood", func(w *world) {
		for _, r := range w.rec.Inventory {
			if r.Tenant == own {
				all = append(all, r.Device)
			}
		}
	})
	if want := []fleet.GroupChange{{Tenant: own, Devices: 10, Joining: 10}}; !reflect.DeepEqual(plan.Groups, want) {
		t.Errorf("the first time %+v", plan.Groups)
	}
	before := func(cycle string, devices ...string) fact {
		return func(w *world) {
			w.rec.Members = append(w.rec.Members, fleet.Membership{Cycle: fleet.CycleID(cycle), Wave: "dogfood", Tenant: own, Devices: devices},
				fleet.Membership{Cycle: fleet.CycleID(cycle), Wave: "everyone", Tenant: own, Devices: []string{"zz"}})
		}
	}
	plan = planIn(t, "dogfood", before("2026-W45"), before("2026-W46", "zz-gone", all[3], all[0], "a-gone"),
		assignments(own, fleet.Assignment{Intent: "required", Group: "all users"}))
	if want := []fleet.GroupChange{{Tenant: own, Users: true, Devices: 10, Joining: 8, Leaving: 2}}; !reflect.DeepEqual(plan.Groups, want) {
		t.Errorf("the second time %s", fmt.Sprintf("%+v", plan.Groups))
	}
}

// TestGroupsThatAreRead: an inventory asks for the groups that waves select by and
// for those that assignments leave out, and for no other.
func TestGroupsThatAreRead(t *testing.T) {
	w := newWorld(milled, tenant(own, func(t *fleet.Tenant) {
		t.Groups = map[string]fleet.Group{"tills": {Name: "All tills"}, "labs": {Name: "Labs"}, "sales": {Name: "Sales"}}
	}), assignments(own, fleet.Assignment{Group: "all users", Exclude: []string{"All tills"}}, fleet.Assignment{Group: "Sales", Exclude: []string{"Labs"}}))
	if got := rollout.WithGroups(w.repo, own).Groups; !reflect.DeepEqual(got, map[string]fleet.Group{"tills": {Name: "All tills"}}) {
		t.Errorf("groups %v", got)
	}
}
