package rollout

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/calendar"
)

// Plan is what opening one gate of a cycle does: a row for every tenant and
// package the wave reaches, and what it leaves out. Its instant is the
// cut-off; approvals are no input, so that the plan an approval names is the
// plan that is recomputed when it is applied. rec must be evidence as of the
// heads the plan records.
func Plan(repo *fleet.Repository, rec *fleet.Record, id fleet.CycleID, cycle fleet.Cycle, gate string) (fleet.Plan, error) {
	wave, err := WaveOf(repo, id, gate)
	if err != nil {
		return fleet.Plan{}, err
	}
	opens, err := calendar.Opens(repo.Week, id, cycle.CutOff, wave)
	if err != nil {
		return fleet.Plan{}, err
	}
	zone, err := calendar.Zone(repo.Week.Zone)
	if err != nil {
		return fleet.Plan{}, err
	}
	members, err := MembersOf(repo, rec, id, cycle, gate)
	if err != nil {
		return fleet.Plan{}, err
	}
	p := planner{repo: repo, id: id, cycle: cycle, wave: wave, opens: opens, zone: zone, known: firstSeen(rec), rec: rec, awaited: awaited(rec), carried: map[fleet.PackageID]holding{}}
	for pkg, e := range cycle.Entries {
		if e.CarriedFrom != "" {
			p.carried[pkg] = holders(rec, pkg, e.Artifact)
		}
	}
	plan := fleet.Plan{Cycle: id, Gate: gate, CutOff: cycle.CutOff, Rows: []fleet.PlanRow{}, Skipped: []fleet.PlanSkip{}, Evidence: maps.Clone(rec.Heads)}
	before := frozenBefore(rec, gate)
	for _, tenant := range repo.TenantIDs() {
		t := repo.Tenants[tenant]
		stay, rows, users := p.stay(t), len(plan.Rows), false
		if why := servedElsewhere(members[tenant].Elsewhere); why != "" {
			plan.Skipped = append(plan.Skipped, fleet.PlanSkip{Tenant: tenant, Why: why})
		}
		for _, pkg := range slices.Sorted(maps.Keys(cycle.Entries)) {
			if _, wanted := t.Packages[pkg]; !wanted {
				continue
			}
			if row, why := p.row(t, pkg, members[tenant], stay); why == "" {
				plan.Rows, users = append(plan.Rows, row), users || row.Users
			} else if why != notInWave {
				plan.Skipped = append(plan.Skipped, fleet.PlanSkip{Tenant: tenant, Package: pkg, Why: why})
			}
		}
		if len(plan.Rows) > rows {
			g := groupChange(t, before[tenant], members[tenant])
			g.Users = users
			plan.Groups = append(plan.Groups, g)
		}
	}
	plan.Blobs = closure(repo, cycle)
	plan.Coverage = coverage(repo, rec, cycle, wave, members)
	return plan, nil
}

// notInWave marks what is neither a row nor worth a line: the tenant has no
// device in this wave, or has had a carried release since an earlier cycle.
const notInWave = "no device in this wave"

// servedElsewhere says how many devices of a tenant are left out of the waves, whatever
// the package, "" for none.
func servedElsewhere(n int) string {
	switch n {
	case 0:
		return ""
	case 1:
		return "1 device is in no wave: Configuration Manager owns its apps workload"
	}
	return fmt.Sprintf("%d devices are in no wave: Configuration Manager owns their apps workload", n)
}

type planner struct {
	repo  *fleet.Repository
	id    fleet.CycleID
	cycle fleet.Cycle
	wave  fleet.Wave
	opens time.Time
	zone  *time.Location // of the week
	known map[seen]time.Time
	rec   *fleet.Record

	awaited map[Slot]string
	// carried are those whom a carried entry has reached already.
	carried map[fleet.PackageID]holding
}

// row is the plan's row for one package on one tenant, or why there is none.
func (p planner) row(t fleet.Tenant, id fleet.PackageID, members Members, stay stay) (fleet.PlanRow, string) {
	pkg := p.repo.Packages[id]
	entry := p.cycle.Entries[id]
	lacking := members.Devices
	if has, carried := p.carried[id]; carried {
		lacking = has.without(t.ID, lacking)
	}
	devices := countOn(pkg, meant(t, id, lacking))
	if devices == 0 {
		return fleet.PlanRow{}, notInWave
	}
	release := pkg.Releases[entry.Release]
	published := p.published(id, entry.Release, release)
	if why := cmp.Or(Excluded(p.id, t, id, entry, release, published, p.opens), unserved(t, pkg), blocked(t, pkg, entry.Release, p.opens), unmet(t, pkg), stay.why); why != "" {
		return fleet.PlanRow{}, why
	}
	until := stay.until
	if until.IsZero() {
		until = deadline(p.id, p.wave, t.Policy, release, published, p.opens)
	}
	before, _, _ := pkg.Before(entry.Release)
	row := fleet.PlanRow{
		Tenant: t.ID, Package: id, From: before, To: entry.Release, Artifact: entry.Artifact, Wave: p.wave.Name, Devices: devices,
		NotBefore: stay.opens, Deadline: until, Grace: grace(t.Policy, release),
		Users: ForUsers(t, id), Adopts: Unadopted(p.rec, t.ID, id, t.Adopt[id]), Awaited: p.awaited[Slot{t.ID, id}], Why: why(t, pkg, release, firstTime(p.repo, p.cycle, p.wave.Name, id, entry.Release)),
	}
	if p.wave.Opens.Zone == "tenant" {
		row.LocalTime = true
		row.NotBefore, row.Deadline = reading(row.NotBefore, stay.zone), reading(row.Deadline, stay.zone)
	}
	return row, ""
}

// reading is what clocks in zone show at t, written as if it were UTC: how an
// instant that is meant in every tenant's own time is carried.
func reading(t time.Time, zone *time.Location) time.Time {
	l := t.In(zone)
	return time.Date(l.Year(), l.Month(), l.Day(), l.Hour(), l.Minute(), l.Second(), 0, time.UTC)
}

// A seen is a version of a package.
type seen struct {
	pkg     fleet.PackageID
	version string
}

// firstSeen is when each version was first seen upstream.
func firstSeen(rec *fleet.Record) map[seen]time.Time {
	out := map[seen]time.Time{}
	for _, d := range rec.Detections {
		k := seen{d.Package, d.Found}
		if at, ok := out[k]; !ok || d.At.Before(at) {
			out[k] = d.At
		}
	}
	return out
}

// published is when the clock of deferrals and deadlines starts: when the
// vendor published, else when the version was first seen; the zero time when
// neither is known. It is in UTC, whatever offset a file states: days are counted
// from it, and a machine in a zone with that offset would count them by its own
// clocks.
func (p planner) published(id fleet.PackageID, version string, r fleet.Release) time.Time {
	if r.Published != nil {
		return r.Published.UTC()
	}
	return p.known[seen{id, version}].UTC()
}

// Excluded says which pin, opt-out or deferral keeps a release from a tenant
// in a cycle, "" when none does: the release was published, or first seen, at
// one instant, and the wave opens at another. Holds and freezes are no part of
// a plan: they stop a wave while it runs, and must be able to without voiding
// what was approved.
func Excluded(cycle fleet.CycleID, t fleet.Tenant, id fleet.PackageID, e fleet.Entry, r fleet.Release, published, opens time.Time) string {
	if veto, _ := vetoed(t, id, e.Release, opens); veto != "" {
		return veto
	}
	if days := deferral(cycle, t.Policy, r); !published.IsZero() && days > 0 {
		if until := published.AddDate(0, 0, days); opens.Before(until) {
			return fmt.Sprintf("deferred by policy until %s", until.Format(time.DateOnly))
		}
	}
	return ""
}

// deferral is the days a policy holds a release back in a cycle: only what
// fixes nothing, and only in the weekly cycle. A lane is opened because
// something is not to wait.
func deferral(cycle fleet.CycleID, policy fleet.Policy, r fleet.Release) int {
	if r.Change == "security" || cycle.Lane() != fleet.LaneWeek {
		return 0
	}
	return policy.NonSecurityDeferDays
}

// vetoed says why a tenant does not take a release at an instant, and until
// when, "" when it does.
func vetoed(t fleet.Tenant, id fleet.PackageID, version string, at time.Time) (why string, until time.Time) {
	if out, ok := t.Policy.OptOuts[id]; ok && at.Before(out.Expires) {
		return fmt.Sprintf("opted out until %s: %s", out.Expires.Format(time.DateOnly), out.Reason), out.Expires
	}
	if pin, ok := t.Policy.Pins[id]; ok && at.Before(pin.Expires) {
		if match, err := path.Match(pin.Version, version); err != nil || !match {
			return fmt.Sprintf("pinned to %s until %s: %s", pin.Version, pin.Expires.Format(time.DateOnly), pin.Reason), pin.Expires
		}
	}
	switch _, named := t.Packages[id]; {
	case !named:
		return "it is no longer under packages in the tenant's file", time.Time{}
	case t.Leave[id] == LeaveUninstall:
		return "it leaves the tenant", time.Time{}
	}
	if FleetWide(t.Packages[id]) == nil {
		return "assigned to groups only; waves reach packages assigned to all devices or all users", time.Time{}
	}
	return "", time.Time{}
}

// deadline is when devices must have a release: by the gate's last look; or
// earlier where the policy says so, within its hours after a security release
// was published or first seen, within its days after the deferral of another
// one; but never before the wave opens, and never sooner after that than the
// policy's grace.
func deadline(cycle fleet.CycleID, w fleet.Wave, policy fleet.Policy, r fleet.Release, published, opens time.Time) time.Time {
	end := opens
	for _, look := range w.Gate.Looks {
		if t := opens.Add(look.Std()); t.After(end) {
			end = t
		}
	}
	if limit := policyLimit(cycle, policy, r, published); !limit.IsZero() && limit.Before(end) {
		end = later(limit, opens)
	}
	return later(end, opens.Add(grace(policy, r).Std())).UTC()
}

// policyLimit is the instant by which a policy wants a release on the last
// device, the zero time when it sets none or nobody knows when the release
// came out.
func policyLimit(cycle fleet.CycleID, policy fleet.Policy, r fleet.Release, published time.Time) time.Time {
	switch {
	case published.IsZero():
		return time.Time{}
	case r.Change == "security" && policy.CriticalWithinHours > 0:
		return published.Add(hours(policy.CriticalWithinHours))
	case r.Change != "security" && policy.NonSecurityWithinDays > 0:
		return published.AddDate(0, 0, deferral(cycle, policy, r)).Add(hours(24 * policy.NonSecurityWithinDays))
	default:
		return time.Time{}
	}
}

// grace is how long a device has at least that is first reached late.
func grace(policy fleet.Policy, r fleet.Release) fleet.Duration {
	if r.Change == "security" {
		return fleet.Duration(hours(policy.CriticalGraceHours))
	}
	return fleet.Duration(hours(policy.NonSecurityGraceHours))
}

func hours(n float64) time.Duration { return time.Duration(n * float64(time.Hour)) }

func why(t fleet.Tenant, pkg fleet.Package, r fleet.Release, first bool) string {
	a := FleetWide(t.Packages[pkg.ID])
	text := a.Intent + " on " + a.Group
	switch {
	case first && ForUsers(t, pkg.ID):
		text = "offered on " + a.Group + ", for its users to choose"
	case first && a.Intent == "required":
		text += ", and not offered first: that can be done for users alone"
	}
	if len(r.Fixes) > 0 {
		text += ", fixes " + strings.Join(r.Fixes, " ")
	}
	for _, old := range slices.Sorted(maps.Keys(pkg.Supersedes)) {
		text += ", supersedes " + string(old) + " (" + pkg.Supersedes[old] + ")"
	}
	return text
}

// countOn is how many of the devices the package has an installer for.
func countOn(pkg fleet.Package, devices []fleet.InventoryRow) int {
	n, platform, served := 0, "", false
	for i := range devices { // neighbours mostly share a platform
		if p := devices[i].Platform; p != platform {
			platform, served = p, Serves(pkg, p)
		}
		if served {
			n++
		}
	}
	return n
}

// Serves reports whether a package has something that a console can deliver to
// devices of a platform: programs for Windows and macOS; settings by scripts are
// delivered as a package too.
//
// It knows no processors: an inventory does not tell them. A slot holds one
// file, that for x64 where a release has several, and the console offers it to
// x64 alone. So arm64 devices are counted in plans and memberships, get
// nothing, and stay silent in a gate's sample until they say that the app is not
// for them.
func Serves(pkg fleet.Package, platform string) bool {
	for _, s := range pkg.Settings {
		if s.Console() != "" && s.Console() == platform {
			return true
		}
	}
	if platform == "macos" {
		for _, i := range pkg.Installers {
			if i.Platform == platform && knowsNoStart(i) {
				return true
			}
		}
	}
	if platform != "windows" {
		return false
	}
	if pkg.ByWindowsUpdate() {
		return true
	}
	for _, i := range pkg.Installers {
		if i.Platform == platform {
			return true
		}
	}
	for _, s := range pkg.Settings {
		if s.Platform() == platform {
			return true
		}
	}
	return false
}

// wavesOf are the waves a cycle travels through, in the order of the waves
// file. With the error of one that is not there any more, that has its name
// alone.
func wavesOf(repo *fleet.Repository, id fleet.CycleID, c fleet.Cycle) ([]fleet.Wave, error) {
	out := make([]fleet.Wave, 0, len(c.Waves))
	var gone error
	for _, name := range c.Waves {
		w, err := WaveOf(repo, id, name)
		if err != nil {
			w, gone = fleet.Wave{Name: name}, cmp.Or(gone, err)
		}
		out = append(out, w)
	}
	slices.SortStableFunc(out, func(a, b fleet.Wave) int { return cmp.Compare(a.Order, b.Order) })
	return out, gone
}

// closure are the blobs a plan was computed from: the files whose change makes
// it another plan. Unrelated merges leave it, and so the approvals, alone.
func closure(repo *fleet.Repository, c fleet.Cycle) map[string]string {
	out := map[string]string{}
	for name, blob := range repo.Blobs {
		if inClosure(name, c) {
			out[name] = blob
		}
	}
	return out
}

func inClosure(name string, c fleet.Cycle) bool {
	switch {
	case name == "schedules/week.cue", name == "schedules/waves.cue":
		return true
	case strings.HasPrefix(name, "tenants/"):
		_, _, answer := fleet.TenantApprovalOf(name)
		return strings.HasSuffix(name, ".cue") && !answer && name != "tenants/operator.cue"
	}
	for id, e := range c.Entries {
		dir := id.Dir()
		if name == dir+"/package.cue" || name == id.Release(e.Release) {
			return true
		}
	}
	return false
}
