package graph_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/intune"
	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/edge/intune/policy"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/graphpolicy"
	"github.com/packmill/packmill/internal/sim/graph"
)

const baseline = fleet.PackageID("acme/baseline")

// policies is a new console for configurations, as a new process would make one.
func (w *world) policies(directory string) *policy.Console {
	w.t.Helper()
	api := dial(w.t, msgraph.Options{BaseURL: w.http.URL, Directory: directory, Token: w.token(directory), Transport: w.transport(), Clock: w.clock})
	apps := intune.New(api, intune.Options{TempDir: w.t.TempDir()})
	return &policy.Console{Client: apps, Policies: policy.New(api, apps)}
}

// payloads are those of one release of a configuration with every kind of part.
func payloads(t testing.TB, version string) map[string][]byte {
	t.Helper()
	days := map[string]string{"1.0": "3", "1.1": "5"}[version]
	choice := func(id, value string) string {
		return fmt.Sprintf(`{"settingInstance":{"@odata.type":"#microsoft.graph.deviceManagementConfigurationChoiceSettingInstance","settingDefinitionId":%q,
			"choiceSettingValue":{"@odata.type":"#microsoft.graph.deviceManagementConfigurationChoiceSettingValue","value":%q,"children":[]}}}`, id, id+"_"+value)
	}
	var settings []string
	for i := range 30 { // more than a page
		settings = append(settings, choice(fmt.Sprintf("edge_setting_%02d", i), days))
	}
	script, err := graphpolicy.HealthScript{DisplayName: "Proxy", Publisher: "Acme", Description: "d", Detection: []byte("exit 0 # " + version), Remediation: []byte("exit 0"), RunAsAccount: "system"}.JSON()
	if err != nil {
		t.Fatal(err)
	}
	ring := `"@odata.type":"#microsoft.graph.windowsUpdateForBusinessConfiguration","displayName":"Ring","description":"of Acme","qualityUpdatesDeferralPeriodInDays":` + days
	if version == "1.0" {
		ring += `,"deadlineGracePeriodInDays":2`
	}
	return map[string][]byte{
		fleet.PartCatalogPolicy:       []byte(`{"name":"Edge","description":"of Acme","platforms":"windows10","technologies":"mdm","settings":[` + strings.Join(settings, ",") + `]}`),
		fleet.PartDeviceConfiguration: []byte("{" + ring + "}"),
		fleet.PartCompliancePolicy: []byte(`{"@odata.type":"#microsoft.graph.windows10CompliancePolicy","displayName":"Encrypted","bitLockerEnabled":true,"passwordMinimumLength":` + days + `,
			"scheduledActionsForRule":[{"ruleName":"PasswordRequired","scheduledActionConfigurations":[{"actionType":"block","gracePeriodHours":` + days + `}]}]}`),
		fleet.PartProfile:      []byte("<plist>" + version + "</plist>"),
		fleet.PartHealthScript: script,
	}
}

func artifact(version string) fleet.Digest { return fleet.DigestOf([]byte("manifest " + version)) }

// configuration is a release with the parts of the given kinds, all by default.
func configuration(t testing.TB, slot, version string, kinds ...string) fleet.App {
	t.Helper()
	content := payloads(t, version)
	app := fleet.App{Package: baseline, Slot: slot, Name: "Baseline", Publisher: "Acme", Version: version, Artifact: artifact(version), Description: "d"}
	for _, kind := range []string{fleet.PartCatalogPolicy, fleet.PartDeviceConfiguration, fleet.PartCompliancePolicy, fleet.PartProfile, fleet.PartHealthScript} {
		if len(kinds) > 0 && !slices.Contains(kinds, kind) {
			continue
		}
		data := content[kind]
		app.Parts = append(app.Parts, fleet.Part{
			Setting: "the-" + strings.ToLower(kind), Kind: kind, Open: opener(data), Every: 8 * hour,
			File: fleet.BuiltFile{Name: kind, Digest: fleet.DigestOf(data), Size: int64(len(data))},
		})
	}
	app.Before = func(_ context.Context, a fleet.Digest, _, kind string) ([]byte, error) {
		for _, v := range []string{"1.0", "1.1"} {
			if artifact(v) == a {
				return payloads(t, v)[kind], nil
			}
		}
		return nil, errors.New("no such artifact")
	}
	return app
}

func configure(t testing.TB, c *policy.Console, app fleet.App) fleet.AppState {
	t.Helper()
	state, err := c.Publish(t.Context(), app, nil)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// edited finds the object of a part and changes it as a person would.
func (w *world) edited(collection, part string, props map[string]any) string {
	w.t.Helper()
	for _, v := range w.get("/beta/deviceManagement/" + collection + "?$top=1000")["value"].([]any) {
		o := v.(map[string]any)
		d, _ := o["description"].(string)
		if m, ok := policy.ParseMarker(d); ok && m.Setting == part && m.ID == o["id"] {
			id := m.ID
			if err := w.server.Edit(nordic, collection, id, props); err != nil {
				w.t.Fatal(err)
			}
			return id
		}
	}
	w.t.Fatalf("%s has no %s", collection, part)
	return ""
}

// TestConfigurationLives takes a configuration with every kind of part through a
// rollout: published, assigned to a wave, reported, promoted, taken back.
func TestConfigurationLives(t *testing.T) {
	w := newWorld(t, func(o *graph.Options) {
		o.ListLag = 1
		o.Tenants[0].Devices[9].OS = "macOS"
	})
	c := w.policies(nordic)
	devices := must[[]fleet.Device](t)(c.Inventory(t.Context()))
	group := must[string](t)(c.Group(t.Context(), "dogfood", ids(devices)[:4]))
	windows := []string{fleet.PartCatalogPolicy, fleet.PartDeviceConfiguration, fleet.PartCompliancePolicy, fleet.PartHealthScript}

	state := configure(t, c, configuration(t, fleet.Candidate, "1.0"))
	if state.Artifact != artifact("1.0") || state.Version != "1.0" || len(state.Targets) > 0 || len(state.Duplicates) > 0 {
		t.Errorf("published: %+v", state)
	}
	n := len(w.events)
	configure(t, w.policies(nordic), configuration(t, fleet.Candidate, "1.0"))
	if len(w.events) != n {
		t.Errorf("a second run made %v", w.events[n:])
	}
	// A remediation whose start is to come is kept back, and comes with its time.
	for _, opens := range []time.Time{monday, {}} {
		if err := c.Assign(t.Context(), baseline, fleet.Candidate, []fleet.Target{{Intent: "required", Group: group, Opens: opens}}); err != nil {
			t.Fatal(err)
		}
		for _, v := range w.get("/beta/deviceManagement/deviceHealthScripts")["value"].([]any) {
			path := "/beta/deviceManagement/deviceHealthScripts/" + v.(map[string]any)["id"].(string) + "/assignments"
			if n := len(w.get(path)["value"].([]any)); (n == 1) != opens.IsZero() {
				t.Errorf("opens %s: %d assignments of the remediation", opens, n)
			}
		}
	}
	w.clock.Set(w.clock.Now().Add(10 * time.Hour))
	// The profile is for macOS: no device of the wave ever reports of it.
	if got := count(t, c, baseline); got["installed"] != 4 || len(got) != 1 {
		t.Errorf("with a part for another platform: %v", got)
	}
	configure(t, c, configuration(t, fleet.Candidate, "1.1", windows...))
	if got := count(t, c, baseline); got["pending"] != 0 || got["installed"] != 0 {
		t.Errorf("of a release that came a moment ago: %v", got)
	}
	w.clock.Set(w.clock.Now().Add(10 * time.Hour))
	list := must[[]fleet.DeviceStatus](t)(w.policies(nordic).Statuses(t.Context(), baseline, fleet.Candidate))
	if len(list) != 4 || list[0].State != "installed" || list[0].Version != "1.1" || list[0].At.IsZero() || list[0].Device != slices.Min(ids(devices)[:4]) {
		t.Errorf("reported: %+v", list)
	}
	// The property that 1.1 no longer states is gone, that which nobody stated stays.
	ring := w.get("/beta/deviceManagement/deviceConfigurations/" + w.edited("deviceConfigurations", "the-deviceconfiguration", nil))
	if ring["deadlineGracePeriodInDays"] != nil || ring["qualityUpdatesDeferralPeriodInDays"] != 5.0 || ring["automaticUpdateMode"] != "userDefined" || ring["displayName"] != "Ring (candidate)" {
		t.Errorf("ring %v", ring)
	}
	if len(w.get("/beta/deviceManagement/deviceConfigurations")["value"].([]any)) != 1 {
		t.Error("the profile that 1.1 no longer has is still there")
	}

	configure(t, c, configuration(t, fleet.Stable, "1.1", windows...))
	all := []fleet.Target{{Intent: "required", Group: "all devices"}, {Intent: "required", Group: group, Exclude: true}}
	if err := c.Assign(t.Context(), baseline, fleet.Stable, all); err != nil {
		t.Fatal(err)
	}
	if err := c.Assign(t.Context(), baseline, fleet.Candidate, nil); err != nil {
		t.Fatal(err)
	}
	state = must[fleet.AppState](t)(w.policies(nordic).Observe(t.Context(), baseline, fleet.Stable))
	if len(state.Targets) != 2 || state.Artifact != artifact("1.1") {
		t.Errorf("promoted: %+v", state)
	}
	w.clock.Set(w.clock.Now().Add(26 * time.Hour))
	list = must[[]fleet.DeviceStatus](t)(c.Statuses(t.Context(), baseline, fleet.Stable))
	if len(list) != 5 { // ten, without the group's four and the Mac
		t.Errorf("stable is reported by %d devices", len(list))
	}
	removal := []fleet.Target{{Intent: "uninstall", Group: "all devices"}, {Intent: "uninstall", Group: group, Exclude: true}}
	if err := c.Assign(t.Context(), baseline, fleet.Stable, removal); err != nil {
		t.Fatal(err)
	}
	if state = must[fleet.AppState](t)(c.Observe(t.Context(), baseline, fleet.Stable)); len(state.Targets) > 0 {
		t.Errorf("removed: %+v", state)
	}
	if err := c.Assign(t.Context(), baseline, fleet.Stable, []fleet.Target{{Intent: "available", Group: group}}); fleet.KindOf(err) != fleet.Refused {
		t.Errorf("an offer: %v", err)
	}
	w.stop()
	w.start()
	if again := must[fleet.AppState](t)(w.policies(nordic).Observe(t.Context(), baseline, fleet.Stable)); again.Artifact != state.Artifact {
		t.Errorf("after a restart: %+v", again)
	}
}

// count counts what devices report of the candidate slot.
func count(t testing.TB, c *policy.Console, id fleet.PackageID) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, s := range must[[]fleet.DeviceStatus](t)(c.Statuses(t.Context(), id, fleet.Candidate)) {
		out[s.State]++
	}
	return out
}

// TestConfigurationFails: a release that breaks on devices is reported so, by
// each kind.
func TestConfigurationFails(t *testing.T) {
	for _, kind := range []string{fleet.PartCatalogPolicy, fleet.PartDeviceConfiguration, fleet.PartCompliancePolicy, fleet.PartHealthScript} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t, func(o *graph.Options) {
				o.FailureRate = func(id fleet.PackageID, _ string, _ fleet.Digest) float64 {
					return map[bool]float64{true: 1}[id == baseline]
				}
			})
			c := w.policies(nordic)
			configure(t, c, configuration(t, fleet.Candidate, "1.0", kind))
			if err := c.Assign(t.Context(), baseline, fleet.Candidate, []fleet.Target{{Intent: "required", Group: "all devices"}}); err != nil {
				t.Fatal(err)
			}
			w.clock.Set(w.clock.Now().Add(10 * time.Hour))
			if got := count(t, c, baseline); got["failed"] != 10 {
				t.Errorf("reported: %v", got)
			}
		})
	}
}

// TestMovedIsNotOverwritten: what a person changed of each kind stops the next
// release before its first write, and is undone where main says so.
func TestMovedIsNotOverwritten(t *testing.T) {
	setting := json.RawMessage(`[{"settingInstance":{"@odata.type":"#microsoft.graph.deviceManagementConfigurationChoiceSettingInstance","settingDefinitionId":"added",
		"choiceSettingValue":{"@odata.type":"#microsoft.graph.deviceManagementConfigurationChoiceSettingValue","value":"x","children":[]}}}]`)
	for kind, tt := range map[string]struct {
		collection string
		props      map[string]any
		path       string
	}{
		fleet.PartCatalogPolicy:       {"configurationPolicies", map[string]any{"settings": setting}, "settings/added"},
		fleet.PartDeviceConfiguration: {"deviceConfigurations", map[string]any{"qualityUpdatesDeferralPeriodInDays": 14}, "qualityUpdatesDeferralPeriodInDays"},
		fleet.PartCompliancePolicy:    {"deviceCompliancePolicies", map[string]any{"bitLockerEnabled": false}, "bitLockerEnabled"},
		fleet.PartProfile:             {"deviceConfigurations", map[string]any{"payload": "eA=="}, "payload"},
		fleet.PartHealthScript:        {"deviceHealthScripts", map[string]any{"detectionScriptContent": "ZXhpdCAx"}, "detectionScriptContent"},
	} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t, nil)
			configure(t, w.policies(nordic), configuration(t, fleet.Stable, "1.0"))
			w.edited(tt.collection, "the-"+strings.ToLower(kind), tt.props)
			n := len(w.events)
			for _, version := range []string{"1.0", "1.1"} {
				_, err := w.policies(nordic).Publish(t.Context(), configuration(t, fleet.Stable, version), nil)
				if fleet.KindOf(err) != fleet.Stalled || !strings.Contains(err.Error(), tt.path) {
					t.Errorf("%s over it: %v", version, err)
				}
			}
			if len(w.events) != n {
				t.Errorf("it was written: %v", w.events[n:])
			}
			app := configuration(t, fleet.Stable, "1.1")
			app.Restore = true
			if state := configure(t, w.policies(nordic), app); state.Artifact != artifact("1.1") {
				t.Errorf("restored: %+v", state)
			}
			configure(t, w.policies(nordic), configuration(t, fleet.Stable, "1.1"))
		})
	}
}

// TestForeignConfigurationsStay: a tenant with objects of its own, copies of
// packmill's among them, and assignments of its own on packmill's, keeps all of
// them as they are.
func TestForeignConfigurationsStay(t *testing.T) {
	w := newWorld(t, nil)
	c := w.policies(nordic)
	configure(t, c, configuration(t, fleet.Stable, "1.0"))
	foreign := map[string]string{}
	for _, collection := range []string{"configurationPolicies", "deviceConfigurations", "deviceCompliancePolicies", "deviceHealthScripts"} {
		for _, v := range w.get("/beta/deviceManagement/" + collection)["value"].([]any) {
			id := v.(map[string]any)["id"].(string)
			part := w.get("/beta/deviceManagement/" + collection + "/" + id)
			copied := w.copyOf(collection, part) // as the portal's "duplicate"
			foreign[collection+"/"+copied] = fmt.Sprint(w.get("/beta/deviceManagement/" + collection + "/" + copied))
		}
	}
	// A person assigns one of packmill's to a group of the tenant's own.
	id := w.edited("deviceConfigurations", "the-deviceconfiguration", nil)
	own := `{"target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":"11111111-2222-4333-8444-555555555555"}}`
	w.send("POST", "/beta/deviceManagement/deviceConfigurations/"+id+"/assign", `{"assignments":[`+own+`]}`, http.StatusOK)
	for _, version := range []string{"1.0", "1.1", "1.0"} {
		configure(t, w.policies(nordic), configuration(t, fleet.Stable, version))
		if err := w.policies(nordic).Assign(t.Context(), baseline, fleet.Stable, []fleet.Target{{Intent: "required", Group: "all devices"}}); err != nil {
			t.Fatal(err)
		}
		if err := w.policies(nordic).Assign(t.Context(), baseline, fleet.Stable, nil); err != nil {
			t.Fatal(err)
		}
	}
	for path, before := range foreign {
		if after := fmt.Sprint(w.get("/beta/deviceManagement/" + path)); after != before {
			t.Errorf("%s was\n%s\nand is\n%s", path, before, after)
		}
	}
	left := w.get("/beta/deviceManagement/deviceConfigurations/" + id + "/assignments")["value"].([]any)
	if len(left) != 1 || !strings.Contains(fmt.Sprint(left), "11111111-2222") {
		t.Errorf("assignments %v", left)
	}
	ours, others, err := w.policies(nordic).Policies.All(t.Context())
	if err != nil || len(ours) != 5 || len(others) != 5 {
		t.Errorf("%d of ours, %d of others, %v", len(ours), len(others), err)
	}
}

// copyOf creates an object like another one, by a person's hand.
func (w *world) copyOf(collection string, part map[string]any) string {
	w.t.Helper()
	id := part["id"].(string)
	for _, name := range []string{"id", "createdDateTime", "lastModifiedDateTime", "version", "settingCount", "isAssigned", "creationSource", "supportsScopeTags", "isGlobalScript", "roleScopeTagIds"} {
		delete(part, name)
	}
	switch collection {
	case "configurationPolicies":
		part["settings"] = []any{map[string]any{"settingInstance": w.get("/beta/deviceManagement/" + collection + "/" + id + "/settings")["value"].([]any)[0].(map[string]any)["settingInstance"]}}
	case "deviceCompliancePolicies":
		part["scheduledActionsForRule"] = []any{map[string]any{"scheduledActionConfigurations": []any{map[string]any{"actionType": "block"}}}}
	}
	data, err := json.Marshal(part)
	if err != nil {
		w.t.Fatal(err)
	}
	var made struct{ ID string }
	if err := json.Unmarshal(w.send("POST", "/beta/deviceManagement/"+collection, string(data), http.StatusCreated), &made); err != nil {
		w.t.Fatal(err)
	}
	return made.ID
}

// send makes a request past the client.
func (w *world) send(method, path, body string, want int) []byte {
	w.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+w.server.Token(nordic))
	rec := httptest.NewRecorder()
	w.server.ServeHTTP(rec, r)
	if rec.Code != want {
		w.t.Fatalf("%s %s: %d %s", method, path, rec.Code, rec.Body)
	}
	return rec.Body.Bytes()
}
