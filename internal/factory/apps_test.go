package factory_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
)

// A shelf is a console that tells devices and programs.
type shelf struct {
	lister
	apps  []fleet.DetectedApp
	fails error
}

func (c shelf) Apps(context.Context) ([]fleet.DetectedApp, error) { return c.apps, c.fails }

// TestInventoryKeepsPrograms keeps those on most devices and sums the rest, takes
// addresses out of names, and lets no program keep an inventory back.
func TestInventoryKeepsPrograms(t *testing.T) {
	c := newCourt(t, "failed")
	var apps []fleet.DetectedApp
	for i := range 300 {
		apps = append(apps, fleet.DetectedApp{Name: fmt.Sprintf("Tool %03d", i), Version: "1", Platform: "windows", Devices: 1 + i%3})
	}
	apps = append(apps, fleet.DetectedApp{Name: "Reader for ada@aurora.example", Devices: 500}, fleet.DetectedApp{Name: strings.Repeat("long ", 100), Devices: 400})
	devices := lister{devices: []fleet.Device{{ID: "pc-0"}}}
	consoles := map[fleet.TenantID]factory.Console{near: shelf{devices, apps, nil}, far: shelf{devices, nil, errors.New("not granted")}}
	c.Consoles = func(_ context.Context, t fleet.Tenant) (factory.Console, error) { return consoles[t.ID], nil }
	if err := c.TakeInventory(t.Context(), []fleet.Tenant{{ID: near}, {ID: far}}); err != nil {
		t.Fatal(err)
	}
	rec, err := c.Ledger.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(rec.Inventory) != 2 || len(rec.Apps) != 201 {
		t.Fatalf("%d devices, %d programs", len(rec.Inventory), len(rec.Apps))
	}
	sum := 0
	for _, r := range rec.Apps {
		sum += r.Devices
		if r.Tenant != near || strings.Contains(r.Name, "ada") || len(r.Name) > 130 {
			t.Errorf("%+v", r)
		}
	}
	if rest := rec.Apps[200]; rest.Name != "" || rest.Rest != 102 || sum != 600+900 {
		t.Errorf("%+v, %d in all", rest, sum)
	}
	if rec.Apps[0].Devices != 500 || rec.Apps[1].Devices != 400 {
		t.Errorf("%+v", rec.Apps[:2])
	}
}
