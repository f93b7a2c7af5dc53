package factory_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// A findingConsole is a console that knows names, groups of users, and apps of
// the tenant's own.
type findingConsole struct {
	*memoryConsole
	lost    string // a name that is not there
	adopted []string
	users   []string // waves whose users were grouped
}

func (c *findingConsole) found(name string) (string, error) {
	if name == c.lost {
		return "", fleet.Errorf(fleet.Stalled, "console.find", name, "there is none")
	}
	return "id of " + name, nil
}

func (c *findingConsole) Filter(_ context.Context, name string) (string, error) { return c.found(name) }

func (c *findingConsole) Named(_ context.Context, name string, users bool) (string, error) {
	if users {
		name += " as users"
	}
	return c.found(name)
}

func (c *findingConsole) UserGroup(_ context.Context, wave string, _ []string) (string, error) {
	c.users = append(c.users, wave)
	return "users of " + wave, nil
}

func (c *findingConsole) Adopt(_ context.Context, id fleet.PackageID, app string) error {
	return c.step(func() {
		c.adopted = append(c.adopted, app)
		c.slots[string(id)+"/"+fleet.Stable] = &fleet.AppState{ID: app, Foreign: true}
	})
}

// finding is a world of one tenant whose console finds things, and that takes the
// package in some way.
func finding(t *testing.T, a fleet.Assignment) (*effectWorld, *findingConsole) {
	t.Helper()
	w := newEffectWorld(t, 1)
	c := &findingConsole{memoryConsole: w.consoles[w.tenants[0]]}
	w.Consoles = func(context.Context, fleet.Tenant) (factory.Console, error) { return c, nil }
	tenant := w.repo.Tenants[w.tenants[0]]
	tenant.Zone, tenant.Packages = "UTC", map[fleet.PackageID][]fleet.Assignment{thePkg: {a}}
	w.repo.Tenants[w.tenants[0]] = tenant
	return w, c
}

func (c *findingConsole) targets(slot string) []fleet.Target {
	if s := c.slots[string(thePkg)+"/"+slot]; s != nil {
		return s.Targets
	}
	return nil
}

// TestAssignmentArrives: filter, exclusions, delivery and restart of an
// assignment reach both slots, with the ids of what they name.
func TestAssignmentArrives(t *testing.T) {
	w, c := finding(t, fleet.Assignment{
		Intent: "updateOnly", Group: "all devices", Notify: "hideAll", Exclude: []string{"Tills", "Labs", "Tills"}, Filter: "Desks", FilterMode: "exclude", Delivery: "foreground",
		Restart: &fleet.RestartGrace{GraceMinutes: 60, CountdownMinutes: 10},
	})
	for _, rows := range w.ledger.rec.PlanRows {
		rows[0].LocalTime = true
	}
	c.slots[string(thePkg)+"/"+fleet.Stable] = &fleet.AppState{ID: "s", Targets: []fleet.Target{{Intent: "required", Group: "all devices"}}}
	w.carry(t, rollout.Deploy)
	wave := fleet.Target{
		Intent: "required", Group: "group everyone", Notify: "hideAll", Filter: "id of Desks", Unfiltered: true, Foreground: true, LocalTime: true,
		Restart: fleet.Restart{Grace: 60, Countdown: 10}, Opens: buildTime.AddDate(0, 0, 1), Deadline: buildTime.AddDate(0, 0, 2),
	}
	out := func(group string) fleet.Target {
		return fleet.Target{Intent: "required", Group: group, Exclude: true}
	}
	if got, want := c.targets(fleet.Candidate), []fleet.Target{wave, out("id of Labs"), out("id of Tills")}; !slices.Equal(got, want) {
		t.Errorf("candidate\n%+v, want\n%+v", got, want)
	}
	if got := said(c.targets(fleet.Stable)); got != "required all devices, required not group everyone, required not id of Labs, required not id of Tills" {
		t.Errorf("stable %s", got)
	}
	// What the stable slot holds may be a release that does not restart.
	if got := c.targets(fleet.Stable)[0]; got.Filter != "id of Desks" || got.Restart != (fleet.Restart{}) || !got.Foreground {
		t.Errorf("stable %+v", got)
	}
	if !c.told[0].UpdateOnly {
		t.Errorf("told %+v", c.told[0])
	}
	w.carry(t, rollout.Promote)
	if got := c.targets(fleet.Stable); said(got) != "required all devices, required not id of Labs, required not id of Tills" || got[0].Restart != wave.Restart {
		t.Errorf("promoted %+v", got)
	}
}

// TestNamesThatAreNotThere: an assignment that cannot be found whole is made not
// at all, and a way back stops what is there all the same.
func TestNamesThatAreNotThere(t *testing.T) {
	w, c := finding(t, fleet.Assignment{Intent: "required", Group: "all devices", Exclude: []string{"Tills"}, Filter: "Desks"})
	for _, name := range []string{"Desks", "Tills"} {
		c.lost = name
		if made, _, err := w.run(t, rollout.Deploy); made != 0 || fleet.KindOf(err) != fleet.Stalled || c.uploads+c.assigns != 0 {
			t.Errorf("without %s: made %d with %d uploads, %d assignments, %v", name, made, c.uploads, c.assigns, err)
		}
	}
	c.lost = ""
	w.carry(t, rollout.Deploy)
	c.lost = "Desks"
	pkg := w.repo.Packages[thePkg]
	pkg.Rollback = rollout.BackUninstall
	w.repo.Packages[thePkg] = pkg
	built, then := w.ledger.rec.Builds[0], *w.ledger.rec
	_, _, err := w.CarryOut(t.Context(), rollout.Facts{Repo: w.repo, Record: &then}, []rollout.Action{{
		Kind: rollout.RollBack, Cycle: theCycle, Wave: theWave, Tenant: w.tenants[0], Packages: []fleet.PackageID{thePkg}, Version: built.Version, Artifact: built.Artifact,
	}})
	if fleet.KindOf(err) != fleet.Stalled || len(c.targets(fleet.Candidate)) != 0 {
		t.Errorf("a way back without the filter: %v, left %s", err, said(c.targets(fleet.Candidate)))
	}
}

// TestForUsers: what is for all users goes to a wave's users, and comes back from
// them.
func TestForUsers(t *testing.T) {
	w, c := finding(t, fleet.Assignment{Intent: "required", Group: "all users", Exclude: []string{"Managers"}})
	c.slots[string(thePkg)+"/"+fleet.Stable] = &fleet.AppState{ID: "s", Version: "24.08", Artifact: fleet.DigestOf([]byte("older")), Targets: []fleet.Target{{Intent: "required", Group: "all users"}}}
	w.carry(t, rollout.Deploy)
	if got := said(c.targets(fleet.Candidate)); got != "required users of everyone, required not id of Managers as users" {
		t.Errorf("candidate %s", got)
	}
	if got := said(c.targets(fleet.Stable)); got != "required all users, required not id of Managers as users, required not users of everyone" {
		t.Errorf("stable %s", got)
	}
	pkg := w.repo.Packages[thePkg]
	pkg.Rollback = rollout.BackUninstall
	w.repo.Packages[thePkg] = pkg
	w.carry(t, rollout.RollBack)
	if got := said(c.targets(fleet.Candidate)); got != "uninstall not id of Managers as users, uninstall users of everyone" {
		t.Errorf("the way back %s", got)
	}
	// A console that knows no users refuses, and nothing is assigned to devices.
	w, _ = finding(t, fleet.Assignment{Intent: "required", Group: "all users"})
	w.Consoles = func(context.Context, fleet.Tenant) (factory.Console, error) { return w.consoles[w.tenants[0]], nil }
	if made, _, err := w.run(t, rollout.Deploy); made != 0 || fleet.KindOf(err) != fleet.Invalid || w.consoles[w.tenants[0]].assigns != 0 {
		t.Errorf("made %d, %v", made, err)
	}
}

// TestAdoption: the first assignment that an approved plan shows with it makes
// the tenant's app the slot, leaves the wave out of what people assigned it to,
// and its receipt names it; what no plan shows is not done, killed or not.
func TestAdoption(t *testing.T) {
	const app = "0b1c2d3e-1111-4222-8333-444455556666"
	for dies := range 8 {
		w, c := finding(t, fleet.Assignment{Intent: "required", Group: "all devices"})
		tenant := w.repo.Tenants[w.tenants[0]]
		tenant.Adopt = map[fleet.PackageID]string{thePkg: app}
		w.repo.Tenants[w.tenants[0]] = tenant
		for _, rows := range w.ledger.rec.PlanRows {
			rows[0].Adopts = app
		}
		w.fate.dies = dies
		if _, _, err := w.run(t, rollout.Deploy); (dies == 0) != (err == nil) {
			if w.fate.steps >= dies {
				t.Fatalf("dies at %d: %v", dies, err)
			}
		}
		w.fate.dies = 0
		if _, _, err := w.run(t, rollout.Deploy); err != nil {
			t.Fatal(err)
		}
		if got := said(c.targets(fleet.Stable)); got != "required not group everyone" {
			t.Errorf("dies at %d: the app that people assigned does %q", dies, got)
		}
		last := w.ledger.rec.Receipts[len(w.ledger.rec.Receipts)-1]
		if last.Adopted != app || last.Outcome != "done" || len(c.adopted) == 0 {
			t.Errorf("dies at %d: %+v, adopted %v", dies, last, c.adopted)
		}
		n := len(c.adopted)
		w.carry(t, rollout.Promote)
		if len(c.adopted) != n || said(c.targets(fleet.Stable)) != "required all devices" {
			t.Errorf("dies at %d: promoted to %q, adopted %v", dies, said(c.targets(fleet.Stable)), c.adopted)
		}
	}
	w, c := finding(t, fleet.Assignment{Intent: "required", Group: "all devices"})
	tenant := w.repo.Tenants[w.tenants[0]]
	tenant.Adopt = map[fleet.PackageID]string{thePkg: app}
	w.repo.Tenants[w.tenants[0]] = tenant
	w.carry(t, rollout.Deploy)
	if len(c.adopted) != 0 {
		t.Error("an app was adopted that no plan shows")
	}
	built, then := w.ledger.rec.Builds[0], *w.ledger.rec
	_, _, err := w.CarryOut(t.Context(), rollout.Facts{Repo: w.repo, Record: &then}, []rollout.Action{{
		Kind: rollout.Promote, Cycle: theCycle, Wave: theWave, Tenant: w.tenants[0], Packages: []fleet.PackageID{thePkg}, Version: built.Version, Artifact: built.Artifact,
	}})
	if fleet.KindOf(err) != fleet.Stalled || !strings.Contains(err.Error(), app) || c.targets(fleet.Stable) != nil {
		t.Errorf("a promotion before its adoption: %v", err)
	}
}

// TestAdoptedFirst: a package's first release is stopped, and not removed, on a
// tenant whose devices had the program from its own app; elsewhere it is removed.
func TestAdoptedFirst(t *testing.T) {
	for app, want := range map[string]string{"0b1c2d3e-1111-4222-8333-444455556666": "", "": "uninstall group everyone"} {
		w, c := finding(t, fleet.Assignment{Intent: "required", Group: "all devices"})
		pkg := w.repo.Packages[thePkg]
		for version, r := range pkg.Releases {
			if version != w.ledger.rec.Builds[0].Version {
				delete(pkg.Releases, version)
				continue
			}
			r.Change = "new"
			pkg.Releases[version] = r
		}
		pkg.Rollback = rollout.BackPrevious
		w.repo.Packages[thePkg] = pkg
		tenant := w.repo.Tenants[w.tenants[0]]
		if app != "" {
			tenant.Adopt = map[fleet.PackageID]string{thePkg: app}
		}
		w.repo.Tenants[w.tenants[0]] = tenant
		for _, rows := range w.ledger.rec.PlanRows {
			rows[0].Adopts = app
		}
		w.carry(t, rollout.Deploy)
		w.carry(t, rollout.RollBack)
		if got := said(c.targets(fleet.Candidate)); got != want {
			t.Errorf("app %q: the candidate does %q, want %q", app, got, want)
		}
	}
}
