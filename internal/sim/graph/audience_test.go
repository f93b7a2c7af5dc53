package graph_test

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/event"
	"github.com/packmill/packmill/internal/sim/graph"
)

// TestUpdateOnly: devices that have some version get the release, by whatever
// rule it is found there; all others never do, and say that it is not for them.
func TestUpdateOnly(t *testing.T) {
	for name, detect := range map[string]fleet.Detect{
		"product":  {Operator: "=", MSIProduct: true},
		"registry": {Operator: ">=", Registry: &fleet.RegistryRule{Key: `HKLM\SOFTWARE\7-Zip`, Value: "Version", View: 64}},
		"key":      {Operator: "=", Registry: &fleet.RegistryRule{Key: `HKLM\SOFTWARE\7-Zip`, View: 64}},
		"file":     {Operator: ">=", File: &fleet.FileRule{Path: `%ProgramFiles%\7-Zip\7z.exe`, Version: true}},
	} {
		w := newWorld(t, func(o *graph.Options) {
			for i := range 4 {
				o.Tenants[0].Devices[i].Installed = map[fleet.PackageID]string{pkg: "23.01"}
			}
		})
		c := w.client(nordic)
		app, content := release(t, fleet.Stable, "24.09", 5000)
		app.UpdateOnly, app.Installer.Detect = true, []fleet.Detect{detect}
		app.Download.MSI.UpgradeCode = "{23170F69-40C1-2702-0000-000004000000}"
		if _, err := c.Publish(t.Context(), app, content); err != nil {
			t.Fatal(err)
		}
		assign(t, c, fleet.Stable, fleet.Target{Intent: "required", Group: "all devices"})
		w.clock.Set(monday.Add(48 * time.Hour))
		if got := states(t, c, fleet.Stable); got["installed 24.09"] != 4 || got["exempt 24.09"] != 6 {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// people are devices of three users, one of whom has two, and one that is
// nobody's.
func people(o *graph.Options) {
	all := devices(5)
	for i, user := range []string{"Ada", "Ada", "Bo", "Cy", ""} {
		all[i].User, all[i].Shared = user, user == ""
	}
	o.Tenants[0].Devices = all
}

// named are the directory ids of devices, by name.
func (w *world) named() map[string]string {
	out := map[string]string{}
	for _, d := range w.get("/v1.0/devices?$top=999")["value"].([]any) {
		d := d.(map[string]any)
		out[d["displayName"].(string)] = d["id"].(string)
	}
	return out
}

// TestUserGroups: a wave's user group holds the users of its devices and nobody
// else, so that each of their devices gets what is theirs; the device group of
// the same wave is another one.
func TestUserGroups(t *testing.T) {
	w := newWorld(t, people)
	c := w.client(nordic)
	id := w.named()
	members := func(group string) []string {
		var out []string
		for _, m := range w.get("/v1.0/groups/" + group + "/members")["value"].([]any) {
			m := m.(map[string]any)
			out = append(out, m["@odata.type"].(string)+" "+m["displayName"].(string))
		}
		slices.Sort(out)
		return out
	}
	devices := must[string](t)(c.Group(t.Context(), "pilot", []string{id["PC-0000"], id["PC-0004"]}))
	users := must[string](t)(c.UserGroup(t.Context(), "pilot", []string{id["PC-0000"], id["PC-0002"], id["PC-0004"]}))
	if devices == users {
		t.Fatal("one group for devices and users")
	}
	if got := members(users); !slices.Equal(got, []string{"#microsoft.graph.user Ada", "#microsoft.graph.user Bo"}) {
		t.Errorf("users %v", got)
	}
	publish(t, c, fleet.Candidate, "24.09")
	assign(t, c, fleet.Candidate, fleet.Target{Intent: "required", Group: users})
	w.clock.Set(monday)
	if got := states(t, c, fleet.Candidate); got["installed 24.09"] != 3 {
		t.Errorf("Ada's two devices and Bo's: %v", got)
	}
	again := w.client(nordic)
	if got := must[string](t)(again.UserGroup(t.Context(), "pilot", []string{id["PC-0003"]})); got != users {
		t.Errorf("a second run made group %s beside %s", got, users)
	}
	if got := members(users); !slices.Equal(got, []string{"#microsoft.graph.user Cy"}) {
		t.Errorf("users afterwards %v", got)
	}
	if got := must[string](t)(again.Group(t.Context(), "pilot", nil)); got != devices {
		t.Errorf("the device group is %s, was %s", got, devices)
	}
	publish(t, c, fleet.Stable, "24.08")
	assign(t, c, fleet.Stable, fleet.Target{Intent: "required", Group: "all users"}, fleet.Target{Intent: "required", Group: users, Exclude: true})
	w.clock.Set(monday.Add(48 * time.Hour))
	if got := states(t, again, fleet.Stable); got["installed 24.08"] != 3 || len(got) != 1 {
		t.Errorf("all users but Cy: %v", got)
	}
}

// TestKindsNeverMix: users and devices do not go into one set, whoever made the
// groups.
func TestKindsNeverMix(t *testing.T) {
	w := newWorld(t, people)
	c := w.client(nordic)
	id := w.named()
	devices := must[string](t)(c.Group(t.Context(), "pilot", []string{id["PC-0000"]}))
	users := must[string](t)(c.UserGroup(t.Context(), "pilot", []string{id["PC-0000"]}))
	bo := w.get("/v1.0/groups/" + users + "/members")["value"].([]any)[0].(map[string]any)["id"].(string)
	w.made("Tills", id["PC-0004"])
	w.made("Managers", bo)
	w.made("All sorts", bo, id["PC-0001"])
	w.made("Twice")
	w.made("Twice")
	publish(t, c, fleet.Stable, "24.08")
	in := func(group string) fleet.Target { return fleet.Target{Intent: "required", Group: group} }
	out := func(group string) fleet.Target {
		return fleet.Target{Intent: "required", Group: group, Exclude: true}
	}
	tills, managers := must[string](t)(c.Named(t.Context(), "Tills", false)), must[string](t)(c.Named(t.Context(), "Managers", true))
	for name, targets := range map[string][]fleet.Target{
		"all devices without users":             {in("all devices"), out(users)},
		"all users without devices":             {in("all users"), out(devices)},
		"all devices and users":                 {in("all devices"), in("all users")},
		"a wave of devices, a wave of users":    {in(devices), in(users)},
		"a wave of devices without their users": {in(devices), out(managers)},
		"all users without their devices":       {in("all users"), out(tills)},
	} {
		for _, client := range []string{"same", "fresh"} {
			c := c
			if client == "fresh" && !strings.Contains(name, "their") {
				c = w.client(nordic)
			}
			if err := c.Assign(t.Context(), pkg, fleet.Stable, targets); fleet.KindOf(err) != fleet.Invalid || !strings.Contains(err.Error(), "never both") {
				t.Errorf("%s, %s client: %v", name, client, err)
			}
		}
	}
	assign(t, c, fleet.Stable, in("all devices"), out(devices), out(tills))
	assign(t, c, fleet.Stable, in("all users"), out(users), out(managers))
	for name, users := range map[string]bool{"Tills": true, "Managers": false, "All sorts": true, "Twice": true, "Nobody's": true} {
		if id, err := c.Named(t.Context(), name, users); fleet.KindOf(err) != fleet.Stalled {
			t.Errorf("%s for users %v: %q, %v", name, users, id, err)
		}
	}
}

// TestUserGroupKilled kills the making of a user group at each event: the next
// run has one group of the right members.
func TestUserGroupKilled(t *testing.T) {
	for kill := 1; kill <= 4; kill++ {
		w := newWorld(t, people)
		id := w.named()
		ctx, cancel := context.WithCancel(t.Context())
		seen := 0
		w.when(func(event.Event) {
			if seen++; seen == kill {
				cancel()
			}
		})
		wave := []string{id["PC-0000"], id["PC-0002"], id["PC-0003"]}
		_, _ = w.client(nordic).UserGroup(ctx, "pilot", wave)
		w.when(nil)
		cancel()
		group := must[string](t)(w.client(nordic).UserGroup(t.Context(), "pilot", wave))
		if n := len(w.get("/v1.0/groups/" + group + "/members")["value"].([]any)); n != 3 {
			t.Errorf("killed at %d: %d users", kill, n)
		}
		if n := len(w.get("/v1.0/groups")["value"].([]any)); n != 1 {
			t.Errorf("killed at %d: %d groups", kill, n)
		}
	}
}

// TestEnrolledInMidCycle: a device that comes while a wave is under way gets what
// the stable slot holds, is in no wave, and says nothing of the release that is
// judged.
func TestEnrolledInMidCycle(t *testing.T) {
	w := newWorld(t, func(o *graph.Options) {
		o.Tenants[0].Devices = append(o.Tenants[0].Devices, graph.Device{Name: "NEW", OSVersion: "10.0.22631", Enrolled: monday.Add(24 * time.Hour)})
	})
	c := w.client(nordic)
	publish(t, c, fleet.Stable, "24.08")
	assign(t, c, fleet.Stable, fleet.Target{Intent: "required", Group: "all devices"})
	w.clock.Set(monday)
	before := ids(must[[]fleet.Device](t)(c.Inventory(t.Context())))
	if len(before) != 10 {
		t.Fatalf("%d devices before it came", len(before))
	}
	wave := must[string](t)(c.Group(t.Context(), "pilot", before[:4]))
	publish(t, c, fleet.Candidate, "24.09")
	assign(t, c, fleet.Stable, fleet.Target{Intent: "required", Group: "all devices"}, fleet.Target{Intent: "required", Group: wave, Exclude: true})
	assign(t, c, fleet.Candidate, fleet.Target{Intent: "required", Group: wave})
	w.clock.Set(monday.Add(20 * time.Hour))
	judged := must[[]fleet.DeviceStatus](t)(c.Statuses(t.Context(), pkg, fleet.Candidate))

	w.clock.Set(monday.Add(48 * time.Hour))
	after := ids(must[[]fleet.Device](t)(c.Inventory(t.Context())))
	fresh := after[slices.IndexFunc(after, func(id string) bool { return !slices.Contains(before, id) })]
	if len(after) != 11 {
		t.Fatalf("%d devices afterwards", len(after))
	}
	// The second wave of the cycle was frozen before it came, and is made now.
	must[string](t)(c.Group(t.Context(), "pilot", before[:4]))
	for _, slot := range []string{fleet.Stable, fleet.Candidate} {
		of := must[[]fleet.DeviceStatus](t)(c.Statuses(t.Context(), pkg, slot))
		i := slices.IndexFunc(of, func(s fleet.DeviceStatus) bool { return s.Device == fresh })
		switch {
		case slot == fleet.Candidate && (i >= 0 || len(of) != len(judged)):
			t.Errorf("the release that is judged has %d devices, had %d", len(of), len(judged))
		case slot == fleet.Stable && (i < 0 || of[i].State != "installed" || of[i].Version != "24.08"):
			t.Errorf("the new device has not got the stable release: %+v", of)
		}
	}
}

// page makes an enrolment status page as somebody in the tenant would.
func (w *world) page(name string, apps ...string) string {
	w.t.Helper()
	return w.do(http.MethodPost, "/beta/deviceManagement/deviceEnrollmentConfigurations", map[string]any{
		"@odata.type": "#microsoft.graph.windows10EnrollmentCompletionPageConfiguration", "displayName": cmp.Or(name, "All users and all devices"),
		"selectedMobileAppIds": apps, "showInstallationProgress": true,
	})["id"].(string)
}

// TestOfferedToDevices: what is offered is there for people to choose; devices
// hear nothing of it, whatever group they are in.
func TestOfferedToDevices(t *testing.T) {
	for name, want := range map[string]int{"devices": 0, "all devices": 0, "users": 3, "all users": 4} {
		w := newWorld(t, people)
		c := w.client(nordic)
		id := w.named()
		var first []string
		for _, device := range slices.Sorted(maps.Keys(id))[:3] {
			first = append(first, id[device])
		}
		publish(t, c, fleet.Candidate, "24.09")
		group, err := name, error(nil)
		switch name {
		case "devices":
			group, err = c.Group(t.Context(), "pilot", first)
		case "users":
			group, err = c.UserGroup(t.Context(), "pilot", first)
		}
		if err != nil {
			t.Fatal(err)
		}
		assign(t, c, fleet.Candidate, fleet.Target{Intent: "available", Group: group})
		w.clock.Set(monday.Add(48 * time.Hour))
		told := 0
		for _, n := range states(t, c, fleet.Candidate) {
			told += n
		}
		if told != want {
			t.Errorf("%s: %d devices tell of it, want %d", name, told, want)
		}
	}
}
