package graph_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/intune"
	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/edge/intune/readiness"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/event"
	"github.com/packmill/packmill/internal/sim/graph"
)

func (w *world) check(directory string) fleet.Readiness {
	w.t.Helper()
	api, _ := w.connection(directory)
	return readiness.Check(w.t.Context(), api, intune.Owner)
}

// said are the findings of a kind, joined.
func said(r fleet.Readiness, kind string) string {
	var out []string
	for _, f := range r.Findings {
		if f.Kind == kind {
			out = append(out, f.What+" → "+f.Next)
		}
	}
	return strings.Join(out, "\n")
}

// TestCheckChangesNothing looks at a tenant that has everything, twice, and finds
// the same.
func TestCheckChangesNothing(t *testing.T) {
	w := newWorld(t, nil)
	publish(t, w.client(nordic), fleet.Stable, "24.08")
	writes := 0
	w.when(func(event.Event) { writes++ })
	r := w.check(nordic)
	again := w.check(nordic)
	if fmt.Sprint(r) != fmt.Sprint(again) || writes > 0 {
		t.Errorf("%+v\n%+v\n%d writes", r, again, writes)
	}
	if r.State != fleet.ReadyYes || len(r.Findings)+len(r.Lacks)+len(r.Unused) > 0 || r.Apps != 1 || r.Ours != 1 || r.Devices.All != 10 || r.Devices.Windows != 10 {
		t.Errorf("%+v", r)
	}
	for _, name := range []string{fleet.FeatureScripts, fleet.FeatureArchitectures, fleet.FeatureCatalog, "configurationPolicies"} {
		if r.Features[name] != fleet.FeatureYes {
			t.Errorf("%s: %q", name, r.Features[name])
		}
	}
	for _, use := range []string{"intune", "remediations", "autopatch", "updates"} {
		if !r.Licences[use] {
			t.Errorf("no licence for %s", use)
		}
	}
	if r.Requests < 900 || r.Writes != 100 {
		t.Errorf("headroom %d, %d", r.Requests, r.Writes)
	}
}

// TestCheckFinds looks at tenants each of which lacks something.
func TestCheckFinds(t *testing.T) {
	all := func(without ...string) []string {
		var out []string
		for _, p := range msgraph.Permissions() {
			if !slices.Contains(without, p.Role) {
				out = append(out, p.Role)
			}
		}
		return out
	}
	for name, tt := range map[string]struct {
		tenant func(*graph.Tenant)
		state  string
		kind   string
		says   string
	}{
		"not consented": {func(c *graph.Tenant) { c.SignIn = 700016 }, fleet.ReadyRefused, "refused", "adminconsent?client_id=packmill"},
		"no permission": {func(c *graph.Tenant) { c.Roles = all("Group.ReadWrite.All") }, fleet.ReadyRefused, "refused",
			"permission Group.ReadWrite.All is missing: keep one group of devices for each wave → add Group.ReadWrite.All"},
		"no permission for members": {func(c *graph.Tenant) { c.Roles = append(all("Device.ReadWrite.All"), "Device.Read.All") }, fleet.ReadyRefused, "refused",
			"permission Device.ReadWrite.All is missing: know devices by the ids that groups take, and put them into groups → add Device.ReadWrite.All"},
		"no permission for probes": {func(c *graph.Tenant) { c.Roles = all("DeviceManagementScripts.ReadWrite.All") }, fleet.ReadyYes, "note", "DeviceManagementScripts.ReadWrite.All is missing"},
		"another permission":       {func(c *graph.Tenant) { c.Roles = append(all(), "Mail.Send") }, fleet.ReadyYes, "note", "Mail.Send is granted and not needed"},
		"a wider permission": {func(c *graph.Tenant) {
			c.Roles = append(all("DeviceManagementManagedDevices.Read.All"), "DeviceManagementManagedDevices.ReadWrite.All")
		}, fleet.ReadyYes, "note", ""},
		"no Intune":            {func(c *graph.Tenant) { c.Plans = []string{"AAD_PREMIUM"} }, fleet.ReadyStalled, "stalled", "includes Intune"},
		"no Enterprise":        {func(c *graph.Tenant) { c.Plans = []string{"INTUNE_A", "WINDOWSUPDATEFORBUSINESS_DEPLOYMENTSERVICE"} }, fleet.ReadyYes, "note", "no licence for remediations"},
		"no feature updates":   {func(c *graph.Tenant) { c.Lacks = []string{"/deviceManagement/windowsFeatureUpdateProfiles"} }, fleet.ReadyYes, "note", "no windowsFeatureUpdateProfiles yet"},
		"no expedited updates": {func(c *graph.Tenant) { c.Lacks = []string{"/deviceManagement/windowsQualityUpdateProfiles"} }, fleet.ReadyYes, "note", "no windowsQualityUpdateProfiles yet"},
		"no driver updates":    {func(c *graph.Tenant) { c.Lacks = []string{"/deviceManagement/windowsDriverUpdateProfiles"} }, fleet.ReadyYes, "note", "no windowsDriverUpdateProfiles yet"},
		"co-managed": {func(c *graph.Tenant) {
			c.Devices[0].Agent, c.Devices[0].Owned = "configurationManagerClientMdm", []string{"apps", "updates"}
		}, fleet.ReadyYes, "note", "1 of 10 devices get their apps from Configuration Manager: they are in no wave"},
		"a second person": {func(c *graph.Tenant) { c.Approvals = []string{"app", "script"} }, fleet.ReadyYes, "note", "Multi Admin Approval protects: app, script"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(o *graph.Options) { tt.tenant(&o.Tenants[0]) })
			r := w.check(nordic)
			if r.State != tt.state || !strings.Contains(said(r, tt.kind), tt.says) || tt.says == "" && len(r.Findings) > 0 {
				t.Errorf("%s: %+v", r.State, r.Findings)
			}
			if other := w.check(baltic); other.State != fleet.ReadyYes {
				t.Errorf("the other tenant: %+v", other)
			}
		})
	}
}

// TestMemberWants lets nobody put devices into a group who may only read them: the
// group is made, stays empty, and the error names what is missing.
func TestMemberWants(t *testing.T) {
	for role, may := range map[string]bool{"Device.Read.All": false, "Device.ReadWrite.All": true} {
		t.Run(role, func(t *testing.T) {
			w := newWorld(t, func(o *graph.Options) {
				o.Tenants[0].Roles = []string{role, "Group.ReadWrite.All", "DeviceManagementManagedDevices.Read.All"}
			})
			c := w.client(nordic)
			devices := must[[]fleet.Device](t)(c.Inventory(t.Context()))
			group, err := c.Group(t.Context(), "pilot", ids(devices[:2]))
			if may {
				if err != nil || len(w.members(group)) != 2 {
					t.Errorf("%v", err)
				}
				return
			}
			var refused *fleet.Error
			if !errors.As(err, &refused) || refused.Kind != fleet.Refused || !strings.Contains(refused.Hint, "Group.ReadWrite.All, Device.ReadWrite.All") {
				t.Errorf("%+v", refused)
			}
		})
	}
}

// TestCheckOfUnreachable says that nobody knows, and why, for a service that is
// down or forbids a part.
func TestCheckOfUnreachable(t *testing.T) {
	w := newWorld(t, func(o *graph.Options) {
		o.Fault = func(c graph.Call) graph.Fault {
			if c.Tenant == nordic && c.Operation == "organization.list" {
				return graph.Fault{Status: http.StatusInternalServerError}
			}
			return graph.Fault{}
		}
	})
	if r := w.check(nordic); r.State != fleet.ReadyUnreachable || !strings.Contains(said(r, "internal"), "stumbled") {
		t.Errorf("%+v", r)
	}
}

// TestCheckOfClocks compares clocks by what the service's answers say.
func TestCheckOfClocks(t *testing.T) {
	w := newWorld(t, nil)
	here := fleet.NewManualClock(w.clock.Now().Add(-2 * time.Hour / 24)) // five minutes behind
	api := dial(t, msgraph.Options{BaseURL: w.http.URL, Directory: nordic, Token: w.token(nordic), Transport: w.transport(), Clock: here})
	r := readiness.Check(t.Context(), api, intune.Owner)
	if r.Skew != 300 || r.State != fleet.ReadyStalled || !strings.Contains(said(r, "stalled"), "clock is 5m0s behind the service's") {
		t.Errorf("skew %d, %s: %s", r.Skew, r.State, said(r, "stalled"))
	}
}

// TestCheckOfPages finds an enrolment status page that waits for what most
// devices are not offered.
func TestCheckOfPages(t *testing.T) {
	w := newWorld(t, nil)
	w.page("", publish(t, w.client(nordic), fleet.Stable, "24.08").ID)
	if r := w.check(nordic); r.State != fleet.ReadyYes || len(r.Pages) != 1 || !slices.Equal(r.Pages[0].Ours, []string{string(pkg) + " stable"}) {
		t.Errorf("%s: %+v", r.State, r.Pages)
	}
	w.page("Kiosks", publish(t, w.client(nordic), fleet.Candidate, "24.09").ID)
	if r := w.check(nordic); r.State != fleet.ReadyStalled || !strings.Contains(said(r, "stalled"), "waits for "+string(pkg)+" candidate") {
		t.Errorf("%s: %+v", r.State, r.Findings)
	}
}

// TestCheckOfApprovals lists what of packmill's waits for a second person.
func TestCheckOfApprovals(t *testing.T) {
	w := guarded(t)
	app, content := release(t, fleet.Candidate, "24.08", 5000)
	if _, err := w.client(nordic).Publish(fleet.WithReason(t.Context(), "assign it"), app, content); !errors.Is(err, fleet.ErrAwaitsApproval) {
		t.Fatal(err)
	}
	r := w.check(nordic)
	if r.State != fleet.ReadyStalled || len(r.Pending) != 1 || r.Pending[0].Reason != "assign it" || !strings.Contains(said(r, "stalled"), "waits for an approver: assign it") {
		t.Errorf("%s: %+v %s", r.State, r.Pending, said(r, "stalled"))
	}
	if _, err := w.server.Decide(nordic, "approved", ""); err != nil {
		t.Fatal(err)
	}
	if r := w.check(nordic); r.State != fleet.ReadyYes || !strings.Contains(said(r, "note"), "made by the next run") {
		t.Errorf("%s: %s", r.State, said(r, "note"))
	}
}

// TestWithoutArchitectures publishes in a tenant that refuses every request with
// a list of architectures, after a look has found that its apps have none.
func TestWithoutArchitectures(t *testing.T) {
	w := newWorld(t, func(o *graph.Options) { o.Tenants[0].Lacks = []string{fleet.FeatureArchitectures} })
	w.do(http.MethodPost, "/beta/deviceAppManagement/mobileApps", map[string]any{
		"@odata.type": "#microsoft.graph.win32LobApp", "displayName": "Somebody's", "publisher": "Somebody", "fileName": "x", "setupFilePath": "x",
		"installCommandLine": "x", "uninstallCommandLine": "x", "applicableArchitectures": "x64", "minimumSupportedWindowsRelease": "1607",
		"installExperience": map[string]any{"runAsAccount": "system"}, "description": "x",
		"rules": []any{map[string]any{"@odata.type": "#microsoft.graph.win32LobAppProductCodeRule", "ruleType": "detection", "productCode": "{1}"}},
	})
	for range 3 { // until it is listed everywhere
		w.check(nordic)
	}
	r := w.check(nordic)
	if r.Features[fleet.FeatureArchitectures] != fleet.FeatureNo {
		t.Fatalf("features %v", r.Features)
	}
	app, content := release(t, fleet.Stable, "24.08", 5000)
	if _, err := w.client(nordic).Publish(t.Context(), app, content); fleet.KindOf(err) != fleet.Invalid || err == nil {
		t.Errorf("with a list: %v", err)
	}
	c := w.client(nordic)
	c.Adapt(r)
	state, err := c.Publish(t.Context(), app, content)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.get("/beta/deviceAppManagement/mobileApps/" + state.ID); got["applicableArchitectures"] != "x64" || got["allowedArchitectures"] != nil {
		t.Errorf("%v", got)
	}
}
