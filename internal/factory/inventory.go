package factory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
)

// TakeInventory reads the devices of tenants and writes them to evidence under
// keyed hashes: the key stays outside git, and when it is destroyed nobody can
// tell any more which device a row was. Of the tenants' groups, those that are
// given are read. A tenant that cannot be read does not keep the others back.
// What programs the devices have is noted too where the console tells it, in rows
// of their own; nothing waits for it.
func (f *Factory) TakeInventory(ctx context.Context, tenants []fleet.Tenant) error {
	rows, apps := map[place][]fleet.InventoryRow{}, map[place][]fleet.AppRow{}
	var failures []error
	now := f.Clock.Now()
	all, errs := make([]map[string]fleet.Device, len(tenants)), make([]error, len(tenants))
	f.sideBySide(len(tenants), "tenants' inventories", func(i int) {
		if all[i], errs[i] = f.devices(ctx, tenants[i]); errs[i] != nil {
			errs[i] = fmt.Errorf("inventory of %s: %w", tenants[i].ID, errs[i])
		} else if err := f.inGroups(ctx, tenants[i], all[i]); err != nil {
			errs[i] = fmt.Errorf("groups of %s: %w", tenants[i].ID, err)
		}
	})
	for i, t := range tenants {
		devices := all[i]
		if errs[i] != nil {
			failures = append(failures, errs[i])
			continue
		}
		at := place{evidence.Shard(t.ID), evidence.InventoryDir(t.ID)}
		if len(devices) == 0 { // that there are none is a fact too
			rows[at] = append(rows[at], fleet.InventoryRow{Tenant: t.ID, At: now})
		}
		for _, hash := range slices.Sorted(maps.Keys(devices)) {
			d := devices[hash]
			rows[at] = append(rows[at], fleet.InventoryRow{
				Tenant: t.ID, Device: hash, Platform: d.Platform, OSBuild: d.OSVersion, Attributes: d.Attributes,
				LastSeen: d.LastSeen.UTC().Format(time.DateOnly), At: now,
			})
		}
		at.dir = evidence.AppsDir(t.ID)
		apps[at] = append(apps[at], f.apps(ctx, t, now)...)
	}
	return errors.Join(append(failures, f.Ledger.AppendAll(ctx, append(batches(rows), batches(apps)...)))...)
}

// sideBySide does something n times, as many at once as tenants are served side
// by side, and tells how far it is.
func (f *Factory) sideBySide(n int, what string, do func(i int)) {
	var all sync.WaitGroup
	var ended atomic.Int64
	free := make(chan struct{}, max(f.Parallel, 1))
	for i := range n {
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			do(i)
			f.progress(int(ended.Add(1)), n, what)
		})
	}
	all.Wait()
}

// devices are a tenant's devices by keyed hash.
func (f *Factory) devices(ctx context.Context, t fleet.Tenant) (map[string]fleet.Device, error) {
	console, err := f.Consoles(ctx, t)
	if err != nil {
		return nil, err
	}
	list, err := console.Inventory(ctx)
	if err != nil {
		return nil, err
	}
	key, err := f.HashKey(t.ID)
	if err != nil {
		return nil, err
	}
	out := make(map[string]fleet.Device, len(list))
	for _, d := range list {
		out[hashDevice(key, d.ID)] = d
	}
	return out, nil
}

// A GroupReader is a Console that knows who is in a tenant's own groups.
type GroupReader interface {
	// Members are the ids of the devices in each group, by the group's name in
	// the tenant. A name that means no group, or several, is left out.
	Members(ctx context.Context, names []string) (map[string][]string, error)
}

// inGroups notes at each device in which of the tenant's groups it is.
func (f *Factory) inGroups(ctx context.Context, t fleet.Tenant, devices map[string]fleet.Device) error {
	if len(t.Groups) == 0 {
		return nil
	}
	console, err := f.Consoles(ctx, t)
	if err != nil {
		return err
	}
	reader, ok := console.(GroupReader)
	if !ok {
		return fleet.Errorf(fleet.Invalid, "factory.inventory", string(t.ID), "its console cannot tell who is in a group, and waves select by groups")
	}
	var names []string
	for _, folder := range slices.Sorted(maps.Keys(t.Groups)) {
		names = append(names, t.Groups[folder].Name)
	}
	members, err := reader.Members(ctx, names)
	if err != nil {
		return err
	}
	in := map[string][]string{} // device → folders
	for folder, g := range t.Groups {
		for _, id := range members[g.Name] {
			in[id] = append(in[id], folder)
		}
	}
	for hash, d := range devices {
		if len(in[d.ID]) == 0 {
			continue
		}
		d.Attributes = maps.Clone(d.Attributes)
		if d.Attributes == nil {
			d.Attributes = map[string]string{}
		}
		for _, folder := range in[d.ID] {
			d.Attributes[fleet.GroupPrefix+folder] = "member"
		}
		devices[hash] = d
	}
	return nil
}

// hashDevice is how evidence names a device.
func hashDevice(key []byte, id string) string { return fleet.HashDevice(key, id) }
