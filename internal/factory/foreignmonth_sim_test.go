package factory_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/sim/graph"
)

// What a month brings beside the world's own apps: one for macOS, a configuration
// and a patch that Windows Update delivers.
const (
	macTool  = fleet.PackageID("acme/mac")
	baseline = fleet.PackageID("acme/baseline")
	thePatch = fleet.PackageID("acme/kb5068861")
)

// A month is a tenant that people work in by hand, and packages of every kind for
// it.
type month struct {
	*scaleWorld
	p         people
	s         scale
	app, next fleet.PackageID // Win32 apps; the second takes an app of the tenant's over
}

func newMonth(t *testing.T) *month {
	t.Helper()
	m := &month{s: scale{tenants: 1, packages: 2, devices: 5}}
	dir := ""
	m.s.change = func(o *graph.Options) {
		dir = o.Dir
		o.Tenants[0].Devices = append(o.Tenants[0].Devices, graph.Device{Name: "Mac-1", OS: "macOS", OSVersion: "15.1"})
		o.Updates.Patches = []graph.Patch{{
			KB: "KB5068861", Name: "2026.11 B Security Updates", Short: "2026.11 B", Released: time.Date(2026, 11, 10, 0, 0, 0, 0, time.UTC),
			Category: "security", Cadence: "monthly", Expeditable: true, Builds: map[string]string{"23H2": "22631.6199"},
		}}
	}
	m.scaleWorld = newScaleWorld(t, m.s)
	m.app, m.next = m.packages[0], m.packages[1]
	m.repo.Waves = []fleet.Wave{{Name: theWave, Gate: fleet.Gate{Signals: []string{fleet.SignalInstall, fleet.SignalBoot}}}}
	tenant := m.repo.Tenants[m.tenants[0]]
	tenant.Zone = "UTC"
	m.repo.Tenants[tenant.ID] = tenant

	mac := m.repo.Packages[macTool]
	in := mac.Installers["mac"]
	in.Detect = []fleet.Detect{{Operator: "=", Bundle: "com.example.hello"}}
	mac.Installers["mac"], mac.Rollback = in, rollout.BackNone
	m.repo.Packages[macTool] = mac
	m.repo.Packages[thePatch] = fleet.Package{ID: thePatch, Name: "KB5068861", Kind: "osPatch", Rollback: rollout.BackNone,
		Patch:    &fleet.OSPatch{KB: "KB5068861", Builds: map[string]string{"11-23H2": "22631.6199"}, Reboot: "always"},
		Releases: map[string]fleet.Release{"2026.11": {Counter: 1, Change: "security"}}}
	m.repo.Packages[baseline] = fleet.Package{ID: baseline, Name: "Baseline", Kind: "configuration", Rollback: rollout.BackPrevious, Releases: map[string]fleet.Release{},
		Settings: map[string]fleet.Setting{
			"policy": {CatalogPolicy: "files/policy.json"}, "ring": {DeviceConfiguration: "files/ring.json"}, "encrypted": {CompliancePolicy: "files/encrypted.json"},
			"registry": {Registry: []fleet.RegistryValue{{Key: `HKLM\SOFTWARE\X`, Value: "Y", Type: "dword", Data: fleet.NumberData(1), View: 64}}},
		}}
	m.built(macTool, "1.0")
	m.built(thePatch, "2026.11")
	m.configured("3")

	m.p = people{w: m.scaleWorld, dir: dir, made: map[string]bool{}}
	m.p.objects = slices.Sorted(maps.Keys(m.server.Installed(m.directory(tenant.ID), m.app, m.clock.Now())))
	return m
}

// built builds a release, and has waves bring its package.
func (m *month) built(id fleet.PackageID, version string) {
	m.t.Helper()
	built, err := m.Build(m.t.Context(), m.repo, id, version)
	if err != nil {
		m.t.Fatal(err)
	}
	m.rec.Builds = append(m.rec.Builds, built)
	if !slices.Contains(m.packages, id) {
		m.packages = append(m.packages, id)
	}
	m.s.packages = len(m.packages)
}

// configured merges a release of the configuration and builds it. What its payloads
// say is its version.
func (m *month) configured(version string) {
	m.t.Helper()
	pkg := m.repo.Packages[baseline]
	release, files := fleet.Release{Counter: len(pkg.Releases) + 1, Change: "new", Files: map[string]fleet.Digest{}}, map[string][]byte{}
	for name, text := range map[string]string{
		"files/policy.json": strings.ReplaceAll(examplePolicy, "edge_x", "edge_"+version),
		"files/ring.json":   `{"displayName": "Ring", "@odata.type": "#microsoft.graph.windowsUpdateForBusinessConfiguration", "qualityUpdatesDeferralPeriodInDays": ` + version + `}`,
		"files/encrypted.json": `{"@odata.type":"#microsoft.graph.windows10CompliancePolicy","displayName":"Encrypted","bitLockerEnabled":true,
			"scheduledActionsForRule":[{"ruleName":"PasswordRequired","scheduledActionConfigurations":[{"actionType":"block","gracePeriodHours":` + version + `}]}]}`,
	} {
		files[baseline.Dir()+"/"+name], release.Files[name] = []byte(text), fleet.DigestOf([]byte(text))
	}
	for key, s := range pkg.Settings {
		if name, digest := s.Inline(key); name != "" {
			release.Files[name] = digest
		}
	}
	main := m.repo.Commit
	commit, err := m.Git.Commit(m.t.Context(), gitrepo.CommitSpec{Parents: []string{main}, Files: files, Message: "x", Author: someone, When: buildTime})
	if err == nil {
		err = m.Git.SetBranch("main", main, commit)
	}
	if err != nil {
		m.t.Fatal(err)
	}
	m.repo.Commit = commit
	pkg.Releases = mapsWith(pkg.Releases, version, release)
	m.repo.Packages[baseline] = pkg
	m.built(baseline, version)
}

// A course is what one week does with packages: what it deploys, and what becomes
// of that, in this order. What has a start on devices is deployed before it, the
// rest when it has come.
type course struct {
	early, due []fleet.PackageID
	then       []act
}

type act struct {
	kind string
	pkg  fleet.PackageID
}

func (m *month) courses() []course {
	return []course{
		{[]fleet.PackageID{m.app}, []fleet.PackageID{macTool, baseline, thePatch},
			[]act{{rollout.Promote, m.app}, {rollout.Withdraw, macTool}, {rollout.Promote, baseline}, {rollout.Withdraw, thePatch}}},
		{[]fleet.PackageID{m.app}, []fleet.PackageID{macTool, baseline, thePatch},
			[]act{{rollout.Withdraw, m.app}, {rollout.Promote, macTool}, {rollout.Promote, baseline}, {rollout.RollBack, baseline}, {rollout.Promote, thePatch}}},
		{[]fleet.PackageID{m.app, m.next}, nil, []act{{rollout.Promote, m.app}, {rollout.RollBack, m.app}, {rollout.Promote, m.next}}},
		{[]fleet.PackageID{m.app}, []fleet.PackageID{baseline}, []act{{rollout.Promote, m.app}, {rollout.Withdraw, baseline}}},
	}
}

// looked is what every run asks of a tenant besides.
func (m *month) looked() {
	m.t.Helper()
	ctx, console := m.t.Context(), m.console()
	_, err := console.Health(ctx, m.app)
	if err == nil {
		_, err = console.Statuses(ctx, m.app, fleet.Stable)
	}
	if err == nil {
		_, err = console.(factory.Configurer).Configurations().Statuses(ctx, baseline, fleet.Stable)
	}
	if err == nil {
		_, err = console.(factory.AppLister).Apps(ctx)
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *month) console() factory.Console {
	m.t.Helper()
	console, err := m.Consoles(m.t.Context(), m.repo.Tenants[m.tenants[0]])
	if err != nil {
		m.t.Fatal(err)
	}
	return console
}

// slot is what a slot of a package of any kind holds.
func (m *month) slot(id fleet.PackageID, name string) (state fleet.AppState) {
	m.t.Helper()
	m.dial()
	console, err := m.console(), error(nil)
	switch {
	case m.repo.Packages[id].ByWindowsUpdate():
		state, err = console.(factory.Updater).ObserveUpdate(m.t.Context(), id, name)
	case m.repo.Packages[id].Kind == "configuration":
		state, err = console.(factory.Configurer).Configurations().Observe(m.t.Context(), id, name)
	default:
		state, err = console.Observe(m.t.Context(), id, name)
	}
	if err != nil {
		m.t.Fatal(err)
	}
	return state
}

// A stillness is what people have, before something that must not change it: all
// that the service tells of it, and every change that it ever stored.
type stillness struct {
	objects int
	told    map[string]string
	stored  [][]byte
}

func (m *month) still() (s stillness) {
	m.t.Helper()
	s.objects, s.told = m.p.told()
	s.stored = m.p.stored()
	return s
}

// same compares to the byte.
func (m *month) same(when string, was stillness) {
	m.t.Helper()
	is := m.still()
	if len(is.stored) != len(was.stored) || is.objects != was.objects || len(is.told) != len(was.told) {
		m.t.Errorf("%s: the service stored %d changes of foreign objects, of which there were %d and are %d", when, len(is.stored)-len(was.stored), was.objects, is.objects)
	}
	for i, line := range is.stored {
		if i >= len(was.stored) || !bytes.Equal(line, was.stored[i]) {
			m.t.Errorf("%s: a change of %s", when, line)
		}
	}
	for path, text := range was.told {
		if is.told[path] != text {
			m.t.Errorf("%s: %s was\n%s\nand is\n%s", when, path, text, is.told[path])
		}
	}
}

// week lets a cycle run its course.
func (m *month) week(cycle fleet.CycleID, c course, deployed func()) {
	m.t.Helper()
	for _, id := range c.early {
		m.makes(rollout.Deploy, cycle, id)
	}
	m.later(6*time.Hour + 5*time.Minute) // of the rows' start (scaleWorld.wave)
	for _, id := range c.due {
		m.makes(rollout.Deploy, cycle, id)
	}
	deployed()
	m.later(2 * day)
	for _, a := range c.then {
		m.makes(a.kind, cycle, a.pkg)
		m.later(day)
	}
	m.looked()
	m.later(day / 2)
}

// TestMonthLeavesForeignObjectsAlone: four weekly cycles bring apps for Windows and
// macOS, a configuration of every kind and a patch to a tenant that has 200 apps and
// policies of its own; releases are promoted, halted and taken back, and one app is
// handed over. The service has not stored one change of the others, and tells them
// as before to the byte; also an app that people gave to packmill's own group, and
// copies they made of packmill's policies. What people assigned to packmill's own
// objects stays.
func TestMonthLeavesForeignObjectsAlone(t *testing.T) {
	m := newMonth(t)
	p := m.p
	apps, groups := p.furnish()
	adopted, was := apps[foreignApps], m.still()
	if was.objects != 201 || len(was.stored) < 400 {
		t.Fatalf("%d objects, %d changes", was.objects, len(was.stored))
	}
	gift := target("group", groups[7])
	var ours fleet.AppState
	for n, c := range m.courses() {
		cycle := fleet.CycleID(fmt.Sprintf("2026-W%d", 48+n))
		if n > 0 {
			m.release(fmt.Sprintf("24.%d", 10+n))
		}
		if slices.Contains(c.due, baseline) && n > 0 {
			m.configured(fmt.Sprint(3 + n))
		}
		m.wave(cycle, theWave, m.s)
		if slices.Contains(c.early, m.next) {
			m.same("before the adoption", was)
			m.handOver(cycle, adopted)
			was = m.still()
		}
		m.week(cycle, c, func() {
			if n > 0 {
				return
			}
			// People give an app of theirs to packmill's group, one of theirs groups
			// packmill's app and policies, and copy those.
			m.same("in the first wave", was)
			ours = m.slot(m.app, fleet.Candidate)
			p.assign(apps[3], target("group", ours.Targets[0].Group))
			set := append(p.list(appsAt+"/"+ours.ID+"/assignments"), map[string]any{"@odata.type": "#microsoft.graph.mobileAppAssignment", "intent": "available", "target": gift})
			p.post(appsAt+"/"+ours.ID+"/assign", map[string]any{"mobileAppAssignments": set})
			if n := p.copyOurs(groups); n < 5 {
				t.Errorf("only %d policies of packmill's", n)
			}
			was = m.still()
		})
		m.same(string(cycle), was)
	}
	if was.objects < 205 {
		t.Errorf("%d objects in the end", was.objects)
	}
	m.came(adopted)
	m.release("24.14")
	m.wave("2026-W52", theWave, m.s)
	m.makes(rollout.Deploy, "2026-W52", m.app)
	m.same("in the fifth wave", was)
	if set := p.list(appsAt + "/" + ours.ID + "/assignments"); !slices.ContainsFunc(set, func(a map[string]any) bool { return fmt.Sprint(a["target"]) == fmt.Sprint(gift) }) {
		t.Errorf("what people assigned to packmill's app is gone: %v", set)
	}
}

// handOver has the cycle's plan make an app of the tenant's a package's stable slot.
// It is not foreign any more.
func (m *month) handOver(cycle fleet.CycleID, app string) {
	tenant := m.repo.Tenants[m.tenants[0]]
	tenant.Adopt = map[fleet.PackageID]string{m.next: app}
	m.repo.Tenants[tenant.ID] = tenant
	rows := m.rec.PlanRows[fleet.DigestOf([]byte("plan of "+string(cycle)))]
	for i := range rows {
		if rows[i].Package == m.next {
			rows[i].Adopts = app
		}
	}
	delete(m.p.made, app)
}

// came checks that the month was one: what every package was to come to.
func (m *month) came(adopted string) {
	m.t.Helper()
	for id, want := range map[fleet.PackageID]string{m.app: "24.13", m.next: "24.09", macTool: "1.0", baseline: "3", thePatch: "2026.11"} {
		state := m.slot(id, fleet.Stable)
		if state.Version != want || len(state.Targets) == 0 || len(state.Duplicates) > 0 {
			m.t.Errorf("the stable slot of %s is %+v, want %s", id, state, want)
		}
		if id == m.next && state.ID != adopted {
			m.t.Errorf("%s is app %s, adopted was %s", id, state.ID, adopted)
		}
	}
	if state := m.slot(baseline, fleet.Candidate); state.Version != "6" || len(state.Targets) != 0 {
		m.t.Errorf("the halted configuration is %+v", state)
	}
	for device, version := range m.server.Installed(m.directory(m.tenants[0]), m.app, m.clock.Now()) {
		if version != "24.13" {
			m.t.Errorf("%s has %q after the month", device, version)
		}
	}
	if notes := m.p.apps()[adopted]; !strings.HasPrefix(notes, appNotes(foreignApps)) {
		m.t.Errorf("the adopted app's notes are %q", notes)
	}
}
