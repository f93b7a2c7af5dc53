package why_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/why"
)

// BenchmarkExplain explains one pair among 500 tenants with 100 packages and 100
// devices each, in an open cycle that carries every package.
func BenchmarkExplain(b *testing.B) {
	w := newWorld(func(w *world) {
		base, pkg := w.Repo.Tenants[aalt], w.Repo.Packages[tool]
		w.Repo.Packages = maps.Clone(w.Repo.Packages)
		for p := range 98 {
			id := fleet.PackageID(fmt.Sprintf("acme/app%03d", p))
			pkg.ID = id
			w.Repo.Packages[id] = pkg
		}
		all := map[fleet.PackageID][]fleet.Assignment{}
		for id := range w.Repo.Packages {
			all[id] = []fleet.Assignment{{Intent: "required", Group: "all devices"}}
		}
		for t := range 497 {
			base.ID, base.Packages = fleet.TenantID(fmt.Sprintf("p/t%03d", t)), all
			w.Repo.Tenants[base.ID] = base
			for n := range 100 {
				w.Record.Inventory = append(w.Record.Inventory, fleet.InventoryRow{Tenant: base.ID, Device: fmt.Sprintf("%03d", n), Platform: "windows", LastSeen: "2026-11-17", At: on(18, 4, 0)})
			}
		}
	}, open)
	for b.Loop() {
		if _, err := why.Explain(w.Facts, aalt, tool, on(18, 15, 0)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCompare compares two plans of 50,000 rows in which every tenant's
// dates differ.
func BenchmarkCompare(b *testing.B) {
	var before, after fleet.Plan
	for t := range 500 {
		for p := range 100 {
			row := row(fleet.TenantID(fmt.Sprintf("p/t%03d", t)), fleet.PackageID(fmt.Sprintf("acme/app%03d", p)), "everyone")
			before.Rows = append(before.Rows, row)
			row.Deadline = row.Deadline.AddDate(0, 0, 1)
			after.Rows = append(after.Rows, row)
		}
	}
	for b.Loop() {
		if rows := why.Compare(w47, []fleet.Plan{before}, []fleet.Plan{after}); len(why.PerTenant(rows)) != 500 {
			b.Fatal("tenants are missing")
		}
	}
}
