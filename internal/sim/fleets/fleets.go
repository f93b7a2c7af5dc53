package fleets

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
)

// A Fleet is desired and observed state in the middle of its second week: the
// first cycle is over and closed, of the second one the pilot passed its gate
// and soaks, and everyone is still to come.
type Fleet struct {
	Size   Size
	Repo   *fleet.Repository
	Record *fleet.Record
	Now    time.Time // an instant at which nothing is due
}

// Soaking is an instant at which nothing is due: the second week's pilot has
// passed its first look and soaks.
func Soaking() time.Time { return time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC) }

// New is a fleet in memory. Its object ids and chain heads are made up, what
// plans and decisions rest on is not.
func New(s Size) (*Fleet, error) {
	ctx := context.Background()
	m, err := newMill(ctx, s, "", nil)
	if err != nil {
		return nil, err
	}
	if err := m.weeks(ctx); err != nil {
		return nil, err
	}
	return &Fleet{Size: s, Repo: m.repo, Record: m.rec, Now: Soaking()}, nil
}

// A mill goes through the weeks of a fleet and notes what comes of them, in
// memory and, where there is one, in a repository on disk.
type mill struct {
	size Size
	repo *fleet.Repository
	rec  *fleet.Record
	now  time.Time
	disk *disk // nil: in memory alone
	// devices are the inventories of the tenants, by tenant: they change from
	// one week to the next only in when a device was last seen.
	devices map[fleet.TenantID][]fleet.InventoryRow
	batches int
	merges  int
}

func newMill(ctx context.Context, s Size, publicKey string, d *disk) (*mill, error) {
	repo, err := s.repository(ctx, s.files(publicKey))
	if err != nil {
		return nil, err
	}
	m := &mill{size: s, repo: repo, disk: d, devices: map[fleet.TenantID][]fleet.InventoryRow{}}
	m.rec = &fleet.Record{Heads: map[string]string{}, PlanRows: map[fleet.Digest][]fleet.PlanRow{}}
	for _, branch := range evidence.Branches() {
		m.rec.Heads[branch] = ""
	}
	for i := range s.Tenants {
		m.devices[s.tenant(i)] = s.inventory(i)
	}
	return m, nil
}

// inventory are the devices of a tenant, in the order of their hashes, without
// the dates. Rows of equal attributes share them.
func (s Size) inventory(i int) []fleet.InventoryRow {
	models := []string{"Latitude 5440", "EliteBook 840 G10", "ThinkPad T14", "Surface Laptop 5", "OptiPlex 7010"}
	departments := []string{"finance", "production", "sales", "it", "research", "logistics"}
	countries := []string{"FI", "SE", "US", "JP"}
	shared := make([]map[string]string, len(models)*len(departments))
	for n := range shared {
		shared[n] = map[string]string{"model": pick(models, n), "department": pick(departments, n/len(models)), "country": pick(countries, i)}
	}
	rows := make([]fleet.InventoryRow, s.devicesOf(i))
	for n := range rows {
		platform, build := "windows", pick([]string{"10.0.26100.2314", "10.0.22631.4460", "10.0.19045.5131"}, n)
		if n%20 == 19 {
			platform, build = "macos", "15.1.1"
		}
		rows[n] = fleet.InventoryRow{Tenant: s.tenant(i), Device: hash(32, "device", i, n), Platform: platform, OSBuild: build, Attributes: shared[(n*7+i)%len(shared)]}
	}
	slices.SortFunc(rows, func(a, b fleet.InventoryRow) int {
		if a.Device < b.Device {
			return -1
		}
		return 1
	})
	return rows
}

// tell adds rows to one folder of one branch, on disk at once or with others.
func (m *mill) tell(branch, dir string, rows any) evidence.Batch {
	m.batches++
	m.rec.Heads[branch] = hash(64, "head", m.rec.Heads[branch], m.batches)
	return evidence.Batch{Branch: branch, Dir: dir, Rows: rows}
}

// write puts batches on disk, where there is one, and takes over its heads.
func (m *mill) write(ctx context.Context, batches ...evidence.Batch) error {
	if m.disk == nil {
		return nil
	}
	m.disk.clock.Set(m.now)
	if err := m.disk.ledger.AppendAll(ctx, batches); err != nil {
		return err
	}
	heads, err := m.disk.ledger.Heads(ctx)
	if err != nil {
		return err
	}
	m.rec.Heads = heads
	return nil
}

// A shardDir is a folder of a shard.
type shardDir struct{ branch, dir string }

// shardBatches are batches of rows by shard and folder, in their order.
func shardBatches[T any](m *mill, rows map[shardDir][]T) []evidence.Batch {
	keys := slices.SortedFunc(maps.Keys(rows), func(a, b shardDir) int {
		if a.branch+" "+a.dir < b.branch+" "+b.dir {
			return -1
		}
		return 1
	})
	var out []evidence.Batch
	for _, k := range keys {
		out = append(out, m.tell(k.branch, k.dir, rows[k]))
	}
	return out
}
