package view

import (
	"cmp"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// A place is one package in one wave.
type place struct {
	wave string
	pkg  fleet.PackageID
}

// A share is one package on one tenant in one wave.
type share struct {
	place
	tenant fleet.TenantID
}

// An effect is one change on a tenant. An intent that ran out of time and the
// one that took its place are one.
type effect struct {
	share
	action   string
	artifact fleet.Digest
}

// An index is one cycle's part of a record, by what it is about. Facts about
// other artifacts than the cycle's are left out: evidence counts only for the
// exact artifact.
type index struct {
	newest, oldest time.Time
	started        map[string]int // wave → devices
	waveTenants    map[string]map[fleet.TenantID]bool
	verdicts       map[place]fleet.Verdict // newest
	counts         map[place]fleet.Counts  // newest report of each tenant, added
	reached        map[place]int           // members on tenants with an intent
	reports        map[share]fleet.Report
	intents        map[share]fleet.Intent  // assign
	receipts       map[share]fleet.Receipt // assign
	back           map[share]fleet.Receipt // withdraw, rollback
	effects        map[effect]bool         // of any action → a receipt says done
	members        map[string]map[fleet.TenantID]int
	tests          map[fleet.PackageID][]fleet.Tested
	built          map[fleet.PackageID]fleet.Built
}

func indexOf(c Cycle) *index {
	x := &index{
		started: map[string]int{}, waveTenants: map[string]map[fleet.TenantID]bool{}, verdicts: map[place]fleet.Verdict{},
		counts: map[place]fleet.Counts{}, reached: map[place]int{}, reports: map[share]fleet.Report{},
		intents: map[share]fleet.Intent{}, receipts: map[share]fleet.Receipt{}, back: map[share]fleet.Receipt{},
		effects: map[effect]bool{}, members: map[string]map[fleet.TenantID]int{}, tests: map[fleet.PackageID][]fleet.Tested{}, built: map[fleet.PackageID]fleet.Built{},
	}
	entries := c.Repo.Cycles[c.ID].Entries
	x.readRollout(c.Record, c.ID, entries)
	x.readEffects(c.Record, c.ID)
	x.readWork(c.Record, entries)
	x.readAges(c.Record)
	for s, r := range x.reports {
		x.counts[s.place] = x.counts[s.place].Add(r.Counts)
	}
	for s := range x.intents {
		x.reached[s.place] += x.members[s.wave][s.tenant]
	}
	return x
}

func (x *index) readRollout(rec *fleet.Record, id fleet.CycleID, entries map[fleet.PackageID]fleet.Entry) {
	for _, s := range rec.Starts {
		if s.Cycle == id {
			x.started[s.Wave] = s.Devices
		}
	}
	for _, m := range rec.Members {
		if m.Cycle == id {
			if x.members[m.Wave] == nil {
				x.members[m.Wave] = map[fleet.TenantID]int{}
			}
			x.members[m.Wave][m.Tenant] = len(m.Devices)
		}
	}
	for _, i := range rec.Intents {
		if i.Cycle != id || i.Action != "assign" || entries[i.Package].Artifact != i.Artifact {
			continue
		}
		x.intents[share{place{i.Wave, i.Package}, i.Tenant}] = i
		if x.waveTenants[i.Wave] == nil {
			x.waveTenants[i.Wave] = map[fleet.TenantID]bool{}
		}
		x.waveTenants[i.Wave][i.Tenant] = true
	}
	for _, r := range rec.Receipts {
		at := share{place{r.Wave, r.Package}, r.Tenant}
		switch {
		case r.Cycle != id || entries[r.Package].Artifact != r.Artifact:
		case r.Action == "assign":
			x.receipts[at] = r
		case r.Action == "withdraw" || r.Action == "rollback":
			x.back[at] = r
		}
	}
	for _, r := range rec.Reports {
		if r.Cycle == id && entries[r.Package].Artifact == r.Artifact {
			x.reports[share{place{r.Wave, r.Package}, r.Tenant}] = r
		}
	}
	for _, v := range rec.Verdicts {
		if v.Cycle == id && entries[v.Package].Artifact == v.Artifact {
			x.verdicts[place{v.Wave, v.Package}] = v
		}
	}
}

// readEffects counts as the audit does: assignments, promotions and ways back.
func (x *index) readEffects(rec *fleet.Record, id fleet.CycleID) {
	byIntent := map[string]effect{}
	for _, i := range rec.Intents {
		if i.Cycle == id {
			e := effect{share{place{i.Wave, i.Package}, i.Tenant}, i.Action, i.Artifact}
			byIntent[i.ID] = e
			if _, known := x.effects[e]; !known {
				x.effects[e] = false // no receipt yet
			}
		}
	}
	for _, r := range rec.Receipts {
		if e, ok := byIntent[r.Intent]; ok && r.Cycle == id && r.Outcome == "done" {
			x.effects[e] = true
		}
	}
}

func (x *index) readWork(rec *fleet.Record, entries map[fleet.PackageID]fleet.Entry) {
	for _, t := range rec.Tests {
		if entries[t.Package].Artifact == t.Artifact && t.Artifact != "" {
			x.tests[t.Package] = append(x.tests[t.Package], t)
		}
	}
	for _, list := range x.tests {
		slices.SortStableFunc(list, func(a, b fleet.Tested) int {
			return cmp.Or(cmp.Compare(a.Cell, b.Cell), cmp.Compare(a.Installer, b.Installer), a.At.Compare(b.At))
		})
	}
	for _, b := range rec.Builds {
		if entries[b.Package].Artifact == b.Artifact && b.Artifact != "" {
			x.built[b.Package] = b
		}
	}
}

// readAges finds the newest fact, and the oldest among the tenants' newest
// inventories: how old what the page tells may be.
func (x *index) readAges(rec *fleet.Record) {
	seen := func(t time.Time) {
		if t.After(x.newest) {
			x.newest = t
		}
	}
	for _, v := range rec.Verdicts {
		seen(v.At)
	}
	for _, v := range rec.Receipts {
		seen(v.At)
	}
	for _, v := range rec.Reports {
		seen(v.At)
	}
	for _, v := range rec.Merges {
		seen(v.At)
	}
	for _, v := range rec.Detections {
		seen(v.At)
	}
	for _, v := range rec.Heartbeats {
		seen(v.At)
	}
	inventories := map[fleet.TenantID]time.Time{}
	for _, r := range rec.Inventory {
		if r.At.After(inventories[r.Tenant]) {
			inventories[r.Tenant] = r.At
		}
	}
	for _, t := range inventories {
		if x.oldest.IsZero() || t.Before(x.oldest) {
			x.oldest = t
		}
	}
}

// tenants are the tenants the cycle reached, those with failures first.
func (x *index) tenants(repo *fleet.Repository) []BoardTenant {
	byID := map[fleet.TenantID]*BoardTenant{}
	packages := map[fleet.TenantID]map[fleet.PackageID]bool{}
	for s := range x.intents {
		t := byID[s.tenant]
		if t == nil {
			t = &BoardTenant{Tenant: s.tenant, Name: cmp.Or(repo.Tenants[s.tenant].Name, string(s.tenant))}
			for _, members := range x.members {
				t.Devices += members[s.tenant]
			}
			byID[s.tenant], packages[s.tenant] = t, map[fleet.PackageID]bool{}
		}
		packages[s.tenant][s.pkg] = true
		t.Counts = t.Counts.Add(x.reports[s].Counts)
	}
	for e, done := range x.effects {
		t := byID[e.tenant]
		if t == nil {
			continue
		}
		t.Intents++
		if done {
			t.Receipts++
		}
	}
	out := make([]BoardTenant, 0, len(byID))
	for id, t := range byID {
		t.Packages = len(packages[id])
		out = append(out, *t)
	}
	slices.SortFunc(out, func(a, b BoardTenant) int {
		return cmp.Or(cmp.Compare(b.Counts.Failed, a.Counts.Failed), cmp.Compare(b.Counts.Silent, a.Counts.Silent), cmp.Compare(a.Tenant, b.Tenant))
	})
	return out
}
