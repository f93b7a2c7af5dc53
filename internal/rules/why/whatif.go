package why

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// A Comparison is what a change of desired state does to plans that nobody has
// started yet, by the same evidence.
type Comparison struct {
	Base    string       `json:"base"` // commit compared from
	Head    string       `json:"head"`
	Cycles  []CycleDiff  `json:"cycles"`  // open ones, and the one that follows
	Tenants []TenantDiff `json:"tenants"` // that differ
	Rows    []RowDiff    `json:"rows"`    // by cycle, tenant, package, wave
	Assumed []string     `json:"assumed"` // releases taken for built and tested, because they are not yet
}

// Empty reports whether nothing differs.
func (c Comparison) Empty() bool { return len(c.Rows) == 0 }

// A CycleDiff says what was compared of a cycle.
type CycleDiff struct {
	Cycle   fleet.CycleID `json:"cycle"`
	State   string        `json:"state"`   // open, next, opens (only head has it), gone (only base has it)
	Waves   []string      `json:"waves"`   // whose plans were compared
	Started []string      `json:"started"` // waves whose plan is settled, whatever main says
	Before  fleet.Summary `json:"before"`  // of all compared plans together
	After   fleet.Summary `json:"after"`
}

// A TenantDiff counts the differences of one tenant.
type TenantDiff struct {
	Tenant  fleet.TenantID `json:"tenant"`
	Added   int            `json:"added"`
	Removed int            `json:"removed"`
	Moved   int            `json:"moved"`   // to another wave
	Changed int            `json:"changed"` // dates, releases, devices
	Skipped int            `json:"skipped"` // left out before and after, for another reason
}

// What a row is.
const (
	Added   = "added"
	Removed = "removed"
	Moved   = "moved"
	Changed = "changed"
	Skipped = "skipped"
)

// A RowDiff is one difference: a row of a plan before and after, the zero row
// where there is none.
type RowDiff struct {
	What    string          `json:"what"`
	Cycle   fleet.CycleID   `json:"cycle"`
	Tenant  fleet.TenantID  `json:"tenant"`
	Package fleet.PackageID `json:"package"`
	Before  fleet.PlanRow   `json:"before"`
	After   fleet.PlanRow   `json:"after"`
	Differs []string        `json:"differs"` // fields: release, artifact, wave, notBefore, deadline, devices, why
	Was     string          `json:"was"`     // why it was left out
	Is      string          `json:"is"`      // why it is left out
}

// Compare tells the difference between the plans of one cycle before and after.
// A row that leaves one wave and comes in another has moved.
func Compare(id fleet.CycleID, before, after []fleet.Plan) []RowDiff {
	was, is := rowsOf(before), rowsOf(after)
	skippedWas, skippedIs := skipsOf(before), skipsOf(after)
	var out []RowDiff
	for _, k := range keysOf(was, is) {
		d := RowDiff{Cycle: id, Tenant: k.tenant, Package: k.pkg, Was: skippedWas[k], Is: skippedIs[k]}
		gone, come := apart(was[k], is[k])
		for _, wave := range slices.Sorted(maps.Keys(was[k])) {
			if row, stays := is[k][wave]; stays {
				one := d
				one.What, one.Before, one.After = Changed, was[k][wave], row
				if one.Differs = differs(one.Before, one.After); len(one.Differs) > 0 {
					out = append(out, one)
				}
			}
		}
		for n := range max(len(gone), len(come)) {
			one := d
			switch {
			case n < len(gone) && n < len(come):
				one.What, one.Before, one.After = Moved, gone[n], come[n]
				one.Differs = differs(one.Before, one.After)
			case n < len(gone):
				one.What, one.Before = Removed, gone[n]
			default:
				one.What, one.After = Added, come[n]
			}
			out = append(out, one)
		}
	}
	return append(out, skipDiffs(id, was, is, skippedWas, skippedIs)...)
}

type pairKey struct {
	tenant fleet.TenantID
	pkg    fleet.PackageID
}

func compareKeys(a, b pairKey) int {
	return cmp.Or(cmp.Compare(a.tenant, b.tenant), cmp.Compare(a.pkg, b.pkg))
}

// rowsOf are the rows of plans by pair and wave.
func rowsOf(plans []fleet.Plan) map[pairKey]map[string]fleet.PlanRow {
	out := map[pairKey]map[string]fleet.PlanRow{}
	for _, plan := range plans {
		for _, row := range plan.Rows {
			k := pairKey{row.Tenant, row.Package}
			if out[k] == nil {
				out[k] = map[string]fleet.PlanRow{}
			}
			out[k][row.Wave] = row
		}
	}
	return out
}

// skipsOf are the reasons why pairs are left out, each once.
func skipsOf(plans []fleet.Plan) map[pairKey]string {
	reasons := map[pairKey][]string{}
	for _, plan := range plans {
		for _, s := range plan.Skipped {
			k := pairKey{s.Tenant, s.Package}
			if !slices.Contains(reasons[k], s.Why) {
				reasons[k] = append(reasons[k], s.Why)
			}
		}
	}
	out := make(map[pairKey]string, len(reasons))
	for k, list := range reasons {
		out[k] = strings.Join(list, "; ")
	}
	return out
}

func keysOf[V any](a, b map[pairKey]V) []pairKey {
	all := map[pairKey]bool{}
	for k := range a {
		all[k] = true
	}
	for k := range b {
		all[k] = true
	}
	return slices.SortedFunc(maps.Keys(all), compareKeys)
}

// apart are the rows of a pair in waves that only one side has, in the order of
// their instants.
func apart(was, is map[string]fleet.PlanRow) (gone, come []fleet.PlanRow) {
	for wave, row := range was {
		if _, stays := is[wave]; !stays {
			gone = append(gone, row)
		}
	}
	for wave, row := range is {
		if _, stayed := was[wave]; !stayed {
			come = append(come, row)
		}
	}
	order := func(a, b fleet.PlanRow) int {
		return cmp.Or(a.NotBefore.Compare(b.NotBefore), cmp.Compare(a.Wave, b.Wave))
	}
	slices.SortFunc(gone, order)
	slices.SortFunc(come, order)
	return gone, come
}

// skipDiffs are pairs that no plan has a row for, on either side, and that are
// left out for another reason now.
func skipDiffs(id fleet.CycleID, was, is map[pairKey]map[string]fleet.PlanRow, skippedWas, skippedIs map[pairKey]string) []RowDiff {
	var out []RowDiff
	for _, k := range keysOf(skippedWas, skippedIs) {
		if was[k] == nil && is[k] == nil && skippedWas[k] != skippedIs[k] {
			out = append(out, RowDiff{What: Skipped, Cycle: id, Tenant: k.tenant, Package: k.pkg, Was: skippedWas[k], Is: skippedIs[k]})
		}
	}
	return out
}

// differs names the fields in which two rows differ.
func differs(a, b fleet.PlanRow) []string {
	var out []string
	for _, f := range []struct {
		name string
		same bool
	}{
		{"from", a.From == b.From}, {"release", a.To == b.To}, {"artifact", a.Artifact == b.Artifact || a.To != b.To}, {"wave", a.Wave == b.Wave},
		{"notBefore", a.NotBefore.Equal(b.NotBefore) && a.LocalTime == b.LocalTime}, {"deadline", a.Deadline.Equal(b.Deadline) && a.LocalTime == b.LocalTime},
		{"devices", a.Devices == b.Devices}, {"why", a.Why == b.Why},
	} {
		if !f.same {
			out = append(out, f.name)
		}
	}
	return out
}

// Summed is what plans do together: devices count once a tenant.
func Summed(plans []fleet.Plan) fleet.Summary {
	var all fleet.Plan
	devices := map[fleet.TenantID]int{}
	for _, plan := range plans {
		all.Rows = append(all.Rows, plan.Rows...)
		most := map[fleet.TenantID]int{}
		for _, row := range plan.Rows {
			most[row.Tenant] = max(most[row.Tenant], row.Devices)
		}
		for t, n := range most {
			devices[t] += n // waves share no device
		}
	}
	s := all.Summary()
	s.Devices = 0
	for _, n := range devices {
		s.Devices += n
	}
	return s
}

// PerTenant counts differences by tenant, those with the most first.
func PerTenant(rows []RowDiff) []TenantDiff {
	count := map[fleet.TenantID]*TenantDiff{}
	for _, r := range rows {
		d := count[r.Tenant]
		if d == nil {
			d = &TenantDiff{Tenant: r.Tenant}
			count[r.Tenant] = d
		}
		switch r.What {
		case Added:
			d.Added++
		case Removed:
			d.Removed++
		case Moved:
			d.Moved++
		case Changed:
			d.Changed++
		default:
			d.Skipped++
		}
	}
	out := make([]TenantDiff, 0, len(count))
	for _, d := range count {
		out = append(out, *d)
	}
	slices.SortFunc(out, func(a, b TenantDiff) int {
		return cmp.Or(cmp.Compare(b.total(), a.total()), cmp.Compare(a.Tenant, b.Tenant))
	})
	return out
}

func (d TenantDiff) total() int { return d.Added + d.Removed + d.Moved + d.Changed + d.Skipped }

// Assume is evidence in which the newest release of every package is built and
// tested, and the releases that are so only by assumption: a change that brings
// a release is asked about before anything is built of it. What failed its tests
// stays failed.
func Assume(rec *fleet.Record, at time.Time, repos ...*fleet.Repository) (*fleet.Record, []string) {
	out := *rec
	out.Builds, out.Tests = slices.Clone(rec.Builds), slices.Clone(rec.Tests)
	var assumed []string
	for _, repo := range repos {
		for _, id := range repo.PackageIDs() {
			pkg := repo.Packages[id]
			version, release, ok := pkg.Latest()
			if !ok || release.Baseline || rollout.BuiltOf(&out, id, version) != nil && len(rollout.TestsOf(&out, rollout.BuiltOf(&out, id, version).Artifact)) > 0 {
				continue
			}
			built := rollout.BuiltOf(&out, id, version)
			if built == nil {
				built = &fleet.Built{Package: id, Version: version, Artifact: fleet.DigestJSON([]string{"what if", string(id), version}), At: at, Files: filesOf(pkg, release)}
				out.Builds = append(out.Builds, *built)
			}
			for _, f := range built.Files {
				out.Tests = append(out.Tests, fleet.Tested{Package: id, Version: version, Artifact: built.Artifact, Cell: "assumed", Installer: f.Installer, Result: "passed", At: at})
			}
			assumed = append(assumed, fmt.Sprintf("%s@%s", id, version))
		}
	}
	slices.Sort(assumed)
	return &out, slices.Compact(assumed)
}

// filesOf are the files that a build of a release would have, by installer and
// setting.
func filesOf(pkg fleet.Package, release fleet.Release) []fleet.BuiltFile {
	var out []fleet.BuiltFile
	for _, key := range slices.Sorted(maps.Keys(release.Installers)) {
		out = append(out, fleet.BuiltFile{Installer: key})
	}
	for _, key := range slices.Sorted(maps.Keys(pkg.Settings)) {
		out = append(out, fleet.BuiltFile{Installer: key})
	}
	return out
}
