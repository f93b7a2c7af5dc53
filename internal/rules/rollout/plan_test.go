package rollout_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// plan computes the plan of a gate in a world with the cycle's entries.
func (w *world) plan(t *testing.T, gate string) fleet.Plan {
	t.Helper()
	cycle := fleet.Cycle{CutOff: cutOffAt, Waves: []string{"dogfood", "everyone"}, Entries: map[fleet.PackageID]fleet.Entry{
		tool: {Release: "2.0", Artifact: artifact(tool, "2.0")}, pad: {Release: "2.0", Artifact: artifact(pad, "2.0")},
	}}
	plan, err := rollout.Plan(w.repo, w.rec, w47, cycle, gate)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// rows are a plan's rows and skips in lines to compare.
func rows(p fleet.Plan) []string {
	var out []string
	for _, r := range p.Rows {
		local := ""
		if r.LocalTime {
			local = " local"
		}
		if r.Grace > 0 {
			local += fmt.Sprintf(" grace %gh", r.Grace.Std().Hours())
		}
		out = append(out, fmt.Sprintf("%s %s %s→%s %d devices %s–%s%s: %s", r.Tenant, strings.TrimPrefix(string(r.Package), "acme/"), r.From, r.To, r.Devices,
			r.NotBefore.Format("02T15:04Z07:00"), r.Deadline.Format("02T15:04Z07:00"), local, r.Why))
	}
	for _, s := range p.Skipped {
		out = append(out, fmt.Sprintf("%s %s skipped: %s", s.Tenant, strings.TrimPrefix(string(s.Package), "acme/"), s.Why))
	}
	return out
}

func published(id fleet.PackageID, change string, at time.Time, fixes ...string) fact {
	return edit(id, func(p *fleet.Package) {
		p.Releases = map[string]fleet.Release{"1.0": {Counter: 1}, "2.0": {Counter: 2, Change: change, Published: &at, Fixes: fixes}}
	})
}

func policy(id fleet.TenantID, change func(p *fleet.Policy)) fact {
	return tenant(id, func(t *fleet.Tenant) { change(&t.Policy) })
}

// assignments replaces what the tenant says of tool.
func assignments(id fleet.TenantID, list ...fleet.Assignment) fact {
	return tenant(id, func(t *fleet.Tenant) {
		t.Packages = map[fleet.PackageID][]fleet.Assignment{pad: t.Packages[pad], tool: list}
	})
}

func TestPlanRows(t *testing.T) {
	onlyPad := "us/own pad 1.0→2.0 10 devices 19T07:00Z–20T11:00Z: required on all devices"
	row := func(rest string) []string { return []string{onlyPad, "us/own tool " + rest} }
	skip := func(why string) []string { return []string{onlyPad, "us/own tool skipped: " + why} }
	plain := row("1.0→2.0 10 devices 19T07:00Z–20T11:00Z: required on all devices")
	critical := policy(own, func(p *fleet.Policy) { p.CriticalWithinHours = 72 })
	optOut := func(until time.Time) fact {
		return policy(own, func(p *fleet.Policy) {
			p.OptOuts = map[fleet.PackageID]fleet.Because{tool: {Reason: "migration", Expires: until}}
		})
	}
	pin := func(glob string, until time.Time) fact {
		return policy(own, func(p *fleet.Policy) {
			p.Pins = map[fleet.PackageID]fleet.PinnedTo{tool: {Version: glob, Reason: "laboratory", Expires: until}}
		})
	}
	deferral := policy(own, func(p *fleet.Policy) { p.NonSecurityDeferDays = 10 })
	within := func(deferral int, days float64) fact {
		return policy(own, func(p *fleet.Policy) { p.NonSecurityDeferDays, p.NonSecurityWithinDays = deferral, days })
	}
	graces := func(fixes, others float64) fact {
		return policy(own, func(p *fleet.Policy) { p.CriticalGraceHours, p.NonSecurityGraceHours = fixes, others })
	}
	saw := func(id fleet.PackageID, at time.Time) fact {
		return func(w *world) {
			w.rec.Detections = append(w.rec.Detections, fleet.Detection{Package: id, Found: "2.0", At: at.AddDate(0, 0, 7)}, fleet.Detection{Package: id, Found: "2.0", At: at})
		}
	}
	for _, c := range []struct {
		name  string
		facts fact
		want  []string
	}{
		{"every wanted package on the tenants of the wave", milled, plain},
		{"a package the tenant does not want is not worth a line", all(milled, tenant(own, func(t *fleet.Tenant) {
			t.Packages = map[fleet.PackageID][]fleet.Assignment{pad: t.Packages[pad]}
		})), []string{onlyPad}},
		{"a first release comes from nothing", all(milled, edit(tool, func(p *fleet.Package) { p.Releases = map[string]fleet.Release{"2.0": {Counter: 2}} })),
			row("→2.0 10 devices 19T07:00Z–20T11:00Z: required on all devices")},
		{"fixes are named", all(milled, published(tool, "security", on(16, 0, 0), "CVE-2026-1", "CVE-2026-2")),
			row("1.0→2.0 10 devices 19T07:00Z–20T11:00Z: required on all devices, fixes CVE-2026-1 CVE-2026-2")},
		{"what it takes the place of is named", all(milled, edit(tool, func(p *fleet.Package) {
			p.Supersedes = map[fleet.PackageID]string{"acme/old": "replace", "acme/older": "update"}
		})), row("1.0→2.0 10 devices 19T07:00Z–20T11:00Z: required on all devices, supersedes acme/old (replace), supersedes acme/older (update)")},
		{"only devices that the package has something for count", all(milled, func(w *world) { w.rec.Inventory[0].Platform = "macos" }),
			[]string{strings.Replace(onlyPad, "10 devices", "9 devices", 1), strings.Replace(plain[1], "10 devices", "9 devices", 1)}},
		{"devices that get their apps elsewhere are in no wave, and told", all(milled, func(w *world) {
			w.rec.Inventory[0].Attributes = map[string]string{fleet.AppsOwner: fleet.ConfigurationManager}
		}), []string{
			strings.Replace(onlyPad, "10 devices", "9 devices", 1), strings.Replace(plain[1], "10 devices", "9 devices", 1),
			"us/own  skipped: 1 device is in no wave: Configuration Manager owns its apps workload",
		}},
		{"nothing for Windows, no row", all(milled, edit(tool, func(p *fleet.Package) {
			p.Installers = map[string]fleet.Installer{"deb": {Platform: "linux"}}
		})), []string{onlyPad}},
		{"settings by scripts travel as a package", all(milled, edit(tool, func(p *fleet.Package) {
			p.Installers, p.Settings = nil, map[string]fleet.Setting{"proxy": {Scripts: &fleet.SettingScripts{}}}
		})), plain},
		{"settings by a profile do not", all(milled, edit(tool, func(p *fleet.Package) {
			p.Installers, p.Settings = nil, map[string]fleet.Setting{"proxy": {Profile: "p.xml"}}
		})), []string{onlyPad}},
		{"an opt-out", all(milled, optOut(on(30, 0, 0))), skip("opted out until 2026-11-30: migration")},
		{"one that ends when the wave opens", all(milled, optOut(dogfoodAt)), plain},
		{"a pin to another version", all(milled, pin("1.*", on(30, 0, 0))), skip("pinned to 1.* until 2026-11-30: laboratory")},
		{"a pin that the release matches", all(milled, pin("2.*", on(30, 0, 0))), plain},
		{"a pin that is over", all(milled, pin("1.*", dogfoodAt)), plain},
		{"a pin that is no pattern keeps everything out", all(milled, pin("[", on(30, 0, 0))), skip("pinned to [ until")},
		{"a deferral from the vendor's day", all(milled, deferral, published(tool, "minor", on(10, 0, 0))), skip("deferred by policy until 2026-11-20")},
		{"one that is over", all(milled, deferral, published(tool, "minor", on(9, 0, 0))), plain},
		{"a fix is not deferred", all(milled, deferral, published(tool, "security", on(18, 0, 0))), plain},
		{"a deferral from the day the version was first seen", all(milled, deferral, saw(tool, on(10, 0, 0))), skip("deferred by policy until 2026-11-20")},
		{"no deferral where no day is known", all(milled, deferral), plain},
		{"groups only", all(milled, assignments(own, fleet.Assignment{Intent: "required", Group: "laboratory"})), skip("assigned to groups only")},
		{"the assignment to all devices counts", all(milled, assignments(own, fleet.Assignment{Intent: "required", Group: "laboratory"}, fleet.Assignment{Intent: "available", Group: "all devices"})),
			row("1.0→2.0 10 devices 19T07:00Z–20T11:00Z: available on all devices")},
		{"a fix is due in the policy's hours", all(milled, critical, published(tool, "security", on(16, 10, 0))), row("1.0→2.0 10 devices 19T07:00Z–19T10:00Z: required on all devices")},
		{"but never before the wave opens", all(milled, critical, published(tool, "security", on(12, 0, 0))), row("1.0→2.0 10 devices 19T07:00Z–19T07:00Z: required on all devices")},
		{"nor after the last look", all(milled, critical, published(tool, "security", on(18, 0, 0))), plain},
		{"its clock starts when it was first seen if the vendor says nothing", all(milled, security(tool), critical, saw(tool, on(16, 10, 0))), row("1.0→2.0 10 devices 19T07:00Z–19T10:00Z: required on all devices")},
		{"what is no fix is due by the last look", all(milled, critical, published(tool, "minor", on(10, 0, 0))), plain},
		{"what is no fix is due in the policy's days after its deferral", all(milled, within(8, 1), published(tool, "minor", on(10, 10, 0))), row("1.0→2.0 10 devices 19T07:00Z–19T10:00Z: required on all devices")},
		{"or when the wave opens, if they are over", all(milled, within(2, 1), published(tool, "minor", on(10, 10, 0))), row("1.0→2.0 10 devices 19T07:00Z–19T07:00Z: required on all devices")},
		{"a fix is not due by them", all(milled, within(8, 1), published(tool, "security", on(10, 10, 0))), plain},
		{"a device that comes late has the grace of fixes", all(milled, critical, graces(2, 3), published(tool, "security", on(12, 0, 0))), []string{strings.Replace(onlyPad, ":00Z:", ":00Z grace 3h:", 1), "us/own tool 1.0→2.0 10 devices 19T07:00Z–19T09:00Z grace 2h: required on all devices"}},
		{"or that of others", all(milled, graces(2, 3), within(2, 1), published(tool, "minor", on(10, 10, 0))), []string{strings.Replace(onlyPad, ":00Z:", ":00Z grace 3h:", 1), "us/own tool 1.0→2.0 10 devices 19T07:00Z–19T10:00Z grace 3h: required on all devices"}},
		{"which shortens no deadline", all(milled, graces(2, 3)), []string{strings.Replace(onlyPad, ":00Z:", ":00Z grace 3h:", 1), strings.Replace(plain[1], ":00Z:", ":00Z grace 3h:", 1)}},
		{"a window ends before any grace", all(milled, graces(0, 90), installs(own, "09:00", "12:00", "Thu")),
			[]string{"us/own pad 1.0→2.0 10 devices 19T07:00Z–19T10:00Z grace 90h", "us/own tool 1.0→2.0 10 devices 19T07:00Z–19T10:00Z grace 90h"}},
		{"each tenant's own time, in its window", all(milled, installs(own, "10:00", "12:00", "Thu"), func(w *world) { w.repo.Waves[0].Opens.Zone = "tenant" }, tenant(own, func(t *fleet.Tenant) { t.Zone = "Asia/Tokyo" })),
			[]string{"us/own pad 1.0→2.0 10 devices 19T10:00Z–19T12:00Z local: required on all devices", "us/own tool 1.0→2.0 10 devices 19T10:00Z–19T12:00Z local: required on all devices"}},
		{"a window that is shut on the week's holidays", all(milled, installs(own, "09:00", "12:00", "Thu", "Fri"), tenant(own, func(t *fleet.Tenant) {
			w := t.Windows["w"]
			w.Holidays = "shut"
			t.Windows = map[string]fleet.Window{"w": w}
		}), func(w *world) {
			w.repo.Week.Holidays = &fleet.Holidays{Add: map[string]string{"2026-11-19": "a day off"}}
		}),
			[]string{"us/own pad 1.0→2.0 10 devices 20T07:00Z–20T10:00Z: required on all devices", "us/own tool 1.0→2.0 10 devices 20T07:00Z–20T10:00Z: required on all devices"}},
		{"each tenant's own time", all(milled, func(w *world) { w.repo.Waves[0].Opens.Zone = "tenant" }),
			[]string{"us/own pad 1.0→2.0 10 devices 19T09:00Z–20T13:00Z local: required on all devices", "us/own tool 1.0→2.0 10 devices 19T09:00Z–20T13:00Z local: required on all devices"}},
		{"an inventory of after the cut-off, by a late runner", all(milled, func(w *world) {
			for i := range w.rec.Inventory {
				w.rec.Inventory[i].At = cutOffAt.Add(7 * time.Minute)
			}
		}), plain},
		{"the newest inventory alone", all(milled, func(w *world) { // which is one of no device
			w.rec.Inventory = append(w.rec.Inventory, fleet.InventoryRow{Tenant: own, At: cutOffAt})
		}), nil},
		{"an inventory taken twice at one instant counts once", all(milled, inventory(detectAt, own)), plain},
		{"devices that went silent before are left out", all(milled, func(w *world) { w.rec.Inventory[3].LastSeen = "2026-11-03" }),
			[]string{strings.Replace(onlyPad, "10 devices", "9 devices", 1), strings.Replace(plain[1], "10 devices", "9 devices", 1)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := rows(newWorld(c.facts).plan(t, "dogfood"))
			if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
				t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

// TestPlanOfALane defers nothing: a lane is opened because something is not to
// wait.
func TestPlanOfALane(t *testing.T) {
	w := newWorld(milled, policy(own, func(p *fleet.Policy) { p.NonSecurityDeferDays = 10 }), published(tool, "minor", on(17, 0, 0)))
	lane := fleet.LaneWave{After: fleet.Duration(time.Hour), Looks: []fleet.Duration{fleet.Duration(time.Hour)}}
	w.repo.Waves[0].Lanes = map[string]fleet.LaneWave{"cve": lane, "oob": lane, "new": lane}
	cycle := fleet.Cycle{CutOff: cutOffAt, Waves: []string{"dogfood"}, Entries: map[fleet.PackageID]fleet.Entry{tool: {Release: "2.0", Artifact: artifact(tool, "2.0")}}}
	for id, want := range map[fleet.CycleID]string{
		w47: "us/own tool skipped: deferred by policy until 2026-11-27", "2026-W47-cve-01": "us/own tool 1.0→2.0", "2026-W47-oob-01": "us/own tool 1.0→2.0", "2026-W47-new-01": "us/own tool 1.0→2.0",
	} {
		plan, err := rollout.Plan(w.repo, w.rec, id, cycle, "dogfood")
		if got := rows(plan); err != nil || len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("%s: %q, %v, want %s", id, got, err, want)
		}
	}
	opted := w.repo.Tenants[own]
	opted.Policy.OptOuts = map[fleet.PackageID]fleet.Because{tool: {Reason: "migration", Expires: on(30, 0, 0)}}
	if why := rollout.Excluded("2026-W47-cve-01", opted, tool, cycle.Entries[tool], fleet.Release{}, time.Time{}, dogfoodAt); !strings.HasPrefix(why, "opted out") {
		t.Errorf("a lane passes an opt-out: %q", why)
	}
}

func TestPlanOfTheLastWave(t *testing.T) {
	w := newWorld(milled)
	got := rows(w.plan(t, "everyone"))
	want := []string{
		"nordic/aalto pad 1.0→2.0 10 devices 23T12:00Z–24T12:00Z: required on all devices", "nordic/aalto tool 1.0→2.0 10 devices 23T12:00Z–24T12:00Z: required on all devices",
		"nordic/berg pad 1.0→2.0 10 devices 23T12:00Z–24T12:00Z: required on all devices", "nordic/berg tool 1.0→2.0 10 devices 23T12:00Z–24T12:00Z: required on all devices",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
	if s := w.plan(t, "everyone").Summary(); s != (fleet.Summary{Packages: 2, Tenants: 2, Devices: 20, Deadline: on(24, 12, 0)}) {
		t.Errorf("summary %+v", s)
	}
}

func TestPlanRefuses(t *testing.T) {
	w := newWorld(milled)
	cycle := fleet.Cycle{CutOff: cutOffAt, Waves: []string{"dogfood", "gone"}}
	for name, plan := range map[string]func() (fleet.Plan, error){
		"a gate that is no wave": func() (fleet.Plan, error) { return rollout.Plan(w.repo, w.rec, w47, cycle, "nobody") },
		"a wave that is gone":    func() (fleet.Plan, error) { return rollout.Plan(w.repo, w.rec, w47, cycle, "dogfood") },
		"no cycle's name":        func() (fleet.Plan, error) { return rollout.Plan(w.repo, w.rec, "W47", cycle, "dogfood") },
	} {
		if _, err := plan(); fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An approval names a digest. It must change with everything the plan was made
// from, and with nothing else.
func TestPlanDigest(t *testing.T) {
	digest := func(facts ...fact) fleet.Digest {
		return newWorld(append([]fact{milled}, facts...)...).plan(t, "everyone").Digest()
	}
	blob := func(name string) fact { return func(w *world) { w.repo.Blobs[name] = "changed" } }
	base := digest()
	for _, name := range []string{
		"tenants/nordic/aalto/tenant.cue", "tenants/nordic/partner.cue", "tenants/us/own/tenant.cue", "schedules/week.cue", "schedules/waves.cue",
		"catalog/acme/tool/package.cue", "catalog/acme/tool/2.0.cue", "catalog/acme/pad/2.0.cue",
	} {
		if digest(blob(name)) == base {
			t.Errorf("the digest is the same when %s is another", name)
		}
	}
	for _, name := range []string{
		"catalog/acme/tool/1.0.cue", "catalog/acme/tool/3.0.cue", "catalog/acme/publisher.cue", "catalog/acme/other/package.cue", "catalog/acme/toolbox/package.cue", "catalog/matrices.cue",
		"schedules/holds/a.cue", "schedules/freezes/a.cue", "schedules/cycles/2026-W47/cycle.cue", "schedules/cycles/2026-W47/approvals/dogfood.cue", "tenants/operator.cue",
		"tenants/nordic/aalto/approvals/2026-W47.cue", "tenants/nordic/logo.png", "README.md",
	} {
		if digest(blob(name)) != base {
			t.Errorf("the digest is another when %s is another", name)
		}
	}
	for name, change := range map[string]fact{
		"the evidence it rests on": func(w *world) { w.rec.Heads["evidence/control"] = "h1" },
		"a device more": func(w *world) {
			w.rec.Inventory = append(w.rec.Inventory, fleet.InventoryRow{Tenant: berg, Device: "new", Platform: "windows", LastSeen: "2026-11-17", At: detectAt})
		},
		"a pin": policy(berg, func(p *fleet.Policy) {
			p.Pins = map[fleet.PackageID]fleet.PinnedTo{tool: {Version: "1.*", Expires: on(30, 0, 0)}}
		}),
	} {
		if digest(change) == base {
			t.Errorf("the digest is the same with %s", name)
		}
	}
	if newWorld(milled).plan(t, "dogfood").Digest() == base {
		t.Error("two gates have one digest")
	}
	for name, change := range map[string]fact{"a hold": hold("tool", "hold", tool), "a freeze": freeze("all", on(1, 0, 0), on(30, 0, 0)), "an approver more": func(w *world) { w.repo.Operator.Trust.Approvals = 2 }} {
		if digest(change) != base {
			t.Errorf("%s changes the digest: a stop while a wave runs would void what was approved", name)
		}
	}
}

// The same facts give the same bytes: in whatever order inventories came, in
// whatever order maps are walked, in whatever zone the machine is.
func TestPlanIsTheSameBytes(t *testing.T) {
	r := rand.New(rand.NewPCG(47, 2026))
	var want []byte
	for round := range 50 {
		w := newWorld(milled, func(w *world) {
			share := 30.0
			w.repo.Waves[1].Select.Percent = &share
			list := w.rec.Inventory
			r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			w.repo.Blobs, w.repo.Tenants = rebuilt(r, w.repo.Blobs), rebuilt(r, w.repo.Tenants)
			zone := time.FixedZone("elsewhere", r.IntN(86400)-43200)
			for i := range list {
				list[i].At = list[i].At.In(zone)
			}
		})
		for _, gate := range []string{"dogfood", "everyone"} {
			got, err := json.Marshal(w.plan(t, gate))
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case gate == "dogfood":
			case round == 0:
				want = got
			case string(got) != string(want):
				t.Fatalf("round %d:\n%s\nwant\n%s", round, got, want)
			}
		}
	}
	if len(want) < 500 {
		t.Errorf("the plan is only %s", want)
	}
}

// rebuilt is the map filled in another order.
func rebuilt[K ~string, V any](r *rand.Rand, m map[K]V) map[K]V {
	keys := slices.Sorted(maps.Keys(m))
	r.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	out := map[K]V{}
	for _, k := range keys {
		out[k] = m[k]
	}
	return out
}
