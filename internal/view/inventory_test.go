package view

import (
	"bytes"
	"slices"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

func lines(t *testing.T, tables ...Table) string {
	t.Helper()
	var b bytes.Buffer
	for i := range tables {
		if err := tables[i].Text(&b); err != nil {
			t.Fatal(err)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// TestInventory draws the newest snapshots and what the catalog lacks.
func TestInventory(t *testing.T) {
	repo, rec := testRepo(), testRecord()
	rec.Inventory = append(rec.Inventory,
		fleet.InventoryRow{Tenant: "nordic/acme", Device: "d1", Platform: "windows", OSBuild: "10.0.26100.1", LastSeen: "2026-11-24", Attributes: map[string]string{"manufacturer": "Contoso", "model": "L14"}, At: day(25, 5)},
		fleet.InventoryRow{Tenant: "nordic/acme", Device: "d2", Platform: "windows", OSBuild: "10.0.26100.1", LastSeen: "2026-10-24", Attributes: map[string]string{"model": "T1"}, At: day(25, 5)},
		fleet.InventoryRow{Tenant: "nordic/acme", Device: "d3", Platform: "macos", OSBuild: "15.1", LastSeen: "2026-11-11", At: day(25, 5)})
	every := func(fleet.TenantID) bool { return true }
	golden(t, "inventory.txt", lines(t, InventoryTables(InventoryOf(repo, rec, every))...))
	v := UncataloguedOf(repo, rec, every)
	golden(t, "uncatalogued.txt", lines(t, UncataloguedTable(v)))
	want := []string{"the catalog has 1 program in use", "900 programs on few devices (1230 devices, added up) are only summed in the snapshots", "no programs are known of example-msp/own"}
	if got := UncataloguedNote(v); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	one := InventoryOf(repo, rec, func(id fleet.TenantID) bool { return id == "nordic/acme" })
	if len(one.Tenants) != 1 || one.Tenants[0].Devices != 3 || one.Tenants[0].Unseen != 1 || one.Tenants[0].Rest != 300 {
		t.Errorf("%+v", one)
	}
}
