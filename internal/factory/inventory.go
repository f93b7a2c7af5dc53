package factory

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
)

// TakeInventory reads the devices of a tenant and writes them to evidence
// under keyed hashes: the key stays outside git, and when it is destroyed
// nobody can tell any more which device a row was.
func (f *Factory) TakeInventory(ctx context.Context, t fleet.Tenant) error {
	devices, err := f.devices(ctx, t)
	if err != nil {
		return err
	}
	now := f.Clock.Now()
	rows := make([]fleet.InventoryRow, 0, len(devices))
	for hash, d := range devices {
		rows = append(rows, fleet.InventoryRow{
			Tenant: t.ID, Device: hash, Platform: d.Platform, OSBuild: d.OSVersion, Attributes: d.Attributes,
			LastSeen: d.LastSeen.UTC().Format(time.DateOnly), At: now,
		})
	}
	slices.SortFunc(rows, func(a, b fleet.InventoryRow) int { return cmp.Compare(a.Device, b.Device) })
	return f.Ledger.Append(ctx, evidence.Shard(t.ID), evidence.InventoryDir(t.ID), rows)
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

// hashDevice is how evidence names a device: HMAC-SHA256 of its id under the
// tenant's key, 16 bytes in hex.
func hashDevice(key []byte, id string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}
