package factory_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// A lister is a console that tells devices; a grouper tells groups too.
type lister struct {
	factory.Console
	devices []fleet.Device
}

func (c lister) Inventory(context.Context) ([]fleet.Device, error) { return c.devices, nil }

type grouper struct {
	lister
	members map[string][]string
	asked   *[]string
	fails   error
}

func (c grouper) Members(_ context.Context, names []string) (map[string][]string, error) {
	*c.asked = append(*c.asked, names...)
	return c.members, c.fails
}

// Groups that waves select by are read with the devices, by the names they have
// in the tenant, and written by those of their folders. No other group is.
func TestInventoryReadsGroups(t *testing.T) {
	c := newCourt(t, "failed")
	devices := []fleet.Device{{ID: "pc-0", Attributes: map[string]string{"model": "L14"}}, {ID: "pc-1"}, {ID: "pc-2"}}
	repo := c.facts.Repo
	groups := map[string]fleet.Group{"finance": {Name: "SG-Finance"}, "pilots": {Name: "SG-Pilots"}, "sales": {Name: "SG-Sales"}}
	repo.Tenants[near] = fleet.Tenant{ID: near, Groups: groups}
	repo.Tenants[far] = fleet.Tenant{ID: far}
	repo.Waves[0].Select.Attributes = map[string]fleet.Values{"group": {"fin*", "!pilots"}}
	var names []string
	consoles := map[fleet.TenantID]factory.Console{
		near: grouper{lister{devices: devices}, map[string][]string{"SG-Finance": {"pc-0", "pc-1", "gone"}, "SG-Pilots": {"pc-1"}}, &names, nil}, far: lister{devices: devices},
	}
	c.Consoles = func(_ context.Context, t fleet.Tenant) (factory.Console, error) { return consoles[t.ID], nil }
	take := func() error {
		return c.TakeInventory(t.Context(), []fleet.Tenant{rollout.WithGroups(repo, near), rollout.WithGroups(repo, far)})
	}
	if err := take(); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(names, []string{"SG-Finance", "SG-Pilots"}) {
		t.Errorf("asked for the groups %q", names)
	}
	rec, err := c.Ledger.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[fleet.TenantID][]string{}
	for _, row := range rec.Inventory {
		got[row.Tenant] = append(got[row.Tenant], fmt.Sprint(row.Attributes))
	}
	for id := range got {
		slices.Sort(got[id])
	}
	want := map[fleet.TenantID][]string{
		near: {"map[]", "map[group:finance:member group:pilots:member]", "map[group:finance:member model:L14]"}, far: {"map[]", "map[]", "map[model:L14]"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if len(devices[0].Attributes) != 1 {
		t.Error("what the console told was changed")
	}

	// A tenant whose groups cannot be read has no inventory rather than one
	// without them: its devices would be in other waves. The others have.
	for what, console := range map[string]factory.Console{
		"the directory is down": grouper{lister{devices: devices}, nil, &names, errors.New("the directory is down")}, "cannot tell who is in a group": lister{devices: devices},
	} {
		consoles[near] = console
		before := len(rec.Inventory)
		clock := c.Clock.(*fleet.ManualClock)
		clock.Set(clock.Now().Add(time.Minute))
		err := take()
		if err == nil || !strings.Contains(err.Error(), what) || !strings.Contains(err.Error(), string(near)) {
			t.Errorf("%s: %v", what, err)
		}
		if rec, err = c.Ledger.Read(t.Context()); err != nil || len(rec.Inventory) != before+len(devices) {
			t.Errorf("%s: %d rows were added, want the other tenant's %d; %v", what, len(rec.Inventory)-before, len(devices), err)
		}
	}
}

// An awaiter is a console that knows enrolment status pages.
type awaiter struct {
	lister
	pages []fleet.Awaited
	fails error
}

func (c awaiter) Awaited(context.Context) ([]fleet.Awaited, error) { return c.pages, c.fails }

// TestInventoryTellsWhoWaits: what enrolment waits for is noted with the devices
// and is none of them; where it cannot be read the devices are all there.
func TestInventoryTellsWhoWaits(t *testing.T) {
	c := newCourt(t, "failed")
	c.Log = slog.New(slog.DiscardHandler)
	devices := lister{devices: []fleet.Device{{ID: "pc-0", Platform: "windows"}, {ID: "pc-1", Platform: "windows"}}}
	page := fleet.Awaited{Page: "Autopilot", Package: judged, Slot: fleet.Stable, App: "a"}
	consoles := map[fleet.TenantID]factory.Console{
		near: awaiter{lister: devices, pages: []fleet.Awaited{page}}, far: awaiter{lister: devices, fails: errors.New("may not be read")},
	}
	c.Consoles = func(_ context.Context, t fleet.Tenant) (factory.Console, error) { return consoles[t.ID], nil }
	if err := c.TakeInventory(t.Context(), []fleet.Tenant{{ID: near}, {ID: far}}); err != nil {
		t.Fatal(err)
	}
	rec, err := c.Ledger.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for _, row := range rec.Inventory {
		if len(row.Awaited) > 0 && row.Device == "" && row.Tenant == near && row.Awaited[0] == page {
			told++
		}
	}
	latest := rollout.LatestInventory(rec, time.Time{})
	if told != 1 || len(latest[near]) != 2 || len(latest[far]) != 2 {
		t.Errorf("told %d times, devices %+v", told, latest)
	}
}
