package graph_test

import (
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	waves "github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/sim/graph"
)

// TestCoManaged follows devices that Configuration Manager manages as well, from
// what the service tells of them to the waves they are in: those whose apps it
// owns would never install what is assigned, and are in none.
func TestCoManaged(t *testing.T) {
	w := newWorld(t, func(o *graph.Options) {
		d := o.Tenants[0].Devices
		d[0].Agent, d[0].Owned = "configurationManagerClientMdm", []string{"apps", "updates"}
		d[1].Agent, d[1].Owned = "configurationManagerClientMdm", []string{"updates"}
		d[2].Agent, d[2].Owned = "configurationManagerClient", []string{"apps", "updates"}
		d[3].Agent = "configurationManagerClientMdmEas"
	})
	c := w.client(nordic)
	list := must[[]fleet.Device](t)(c.Inventory(t.Context()))
	var rows []fleet.InventoryRow
	owners := map[string]int{}
	for _, d := range list {
		owners[d.Attributes[fleet.AppsOwner]+"/"+d.Attributes[fleet.UpdatesOwner]]++
		rows = append(rows, fleet.InventoryRow{Tenant: "nordic/birch", Device: d.ID, Platform: d.Platform, Attributes: d.Attributes, LastSeen: d.LastSeen.Format(time.DateOnly)})
	}
	const cm = fleet.ConfigurationManager
	if len(list) != 10 || owners[cm+"/"+cm] != 2 || owners["/"+cm] != 1 || owners["/"] != 7 {
		t.Fatalf("owners %v", owners)
	}
	all := waves.Assign([]fleet.Wave{{Name: "all", Order: 1}}, fleet.Tenant{ID: "nordic/birch"}, rows, "2026-W47", w.clock.Now())["all"]
	if len(all.Devices) != 8 || all.Elsewhere != 2 {
		t.Errorf("%d devices in the wave, %d elsewhere", len(all.Devices), all.Elsewhere)
	}
	publish(t, c, fleet.Stable, "24.08")
	assign(t, c, fleet.Stable, fleet.Target{Intent: "required", Group: "all devices"})
	w.clock.Set(w.clock.Now().Add(48 * time.Hour))
	if got := states(t, c, fleet.Stable); got["installed 24.08"] != 8 || len(got) != 1 {
		t.Errorf("reported: %v", got)
	}
}
