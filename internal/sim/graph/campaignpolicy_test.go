package graph_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/policy"
	"github.com/packmill/packmill/internal/edge/intune/updates"
	"github.com/packmill/packmill/internal/fleet"
)

// management is where policies are.
const management = "/beta/deviceManagement/"

// policyJobs are the work of a tenant's configurations and update profiles.
func policyJobs() []job {
	kinds := []string{fleet.PartCatalogPolicy, fleet.PartDeviceConfiguration, fleet.PartCompliancePolicy, fleet.PartHealthScript}
	configure := func(version string, targets func(group, vip string) []fleet.Target) func(context.Context, *world, []string, string) error {
		return func(ctx context.Context, w *world, devices []string, vip string) error {
			c := w.policies(nordic)
			if _, err := c.Publish(ctx, configuration(w.t, fleet.Candidate, version, kinds...), nil); err != nil {
				return err
			}
			group, err := c.Group(ctx, "dogfood", devices[:2])
			if err != nil {
				return err
			}
			return c.Assign(ctx, baseline, fleet.Candidate, targets(group, vip))
		}
	}
	wave := func(group, _ string) []fleet.Target { return to(group) }
	past := func(group, vip string) []fleet.Target {
		return append(to(group), fleet.Target{Intent: "required", Group: vip, Exclude: true})
	}
	update := func(work func(context.Context, *updates.Client, string) error) func(context.Context, *world, []string, string) error {
		return func(ctx context.Context, w *world, devices []string, _ string) error {
			group, err := w.client(nordic).Group(ctx, "dogfood", devices[:2])
			if err != nil {
				return err
			}
			return work(ctx, w.updates(nordic), group)
		}
	}
	return []job{
		{name: "configuration", do: configure("1.0", wave), then: interfereWithPolicies},
		{name: "its next release", do: configure("1.1", past)},
		{name: "its withdrawal", do: func(ctx context.Context, w *world, _ []string, _ string) error {
			return w.policies(nordic).Stop(ctx, baseline, fleet.Candidate)
		}},
		{name: "patch", do: update(patching)},
		{name: "halt", do: update(halting)},
		{name: "driver", do: update(lookingForDriver), then: func(w *world, _ string) { w.pass(25 * time.Hour) }},
		{name: "driver found", do: update(approvingDriver)},
	}
}

func approvingDriver(ctx context.Context, c *updates.Client, group string) error {
	if _, err := c.PublishUpdate(ctx, driverApp(fleet.Candidate)); err != nil {
		return err
	}
	return c.AssignUpdate(ctx, driverID, fleet.Candidate, to(group))
}

// lookingForDriver is the first run, which has the service look for the driver and
// comes to no more.
func lookingForDriver(ctx context.Context, c *updates.Client, group string) error {
	err := approvingDriver(ctx, c, group)
	if fleet.KindOf(err) == fleet.Waiting && err != nil && strings.Contains(err.Error(), "was found for the wave's devices") {
		return nil
	}
	return err
}

// policyCollections are those of configurations and update profiles, and how
// people fill them.
func policyCollections() map[string]map[string]any {
	script := map[string]any{"displayName": "disk", "publisher": "IT", "detectionScriptContent": "ZXhpdCAw", "runAsAccount": "system"}
	return map[string]map[string]any{
		"configurationPolicies": {"name": "Edge", "platforms": "windows10", "technologies": "mdm", "settings": []any{map[string]any{"settingInstance": map[string]any{
			"@odata.type": "#microsoft.graph.deviceManagementConfigurationChoiceSettingInstance", "settingDefinitionId": "edge_x",
			"choiceSettingValue": map[string]any{"@odata.type": "#microsoft.graph.deviceManagementConfigurationChoiceSettingValue", "value": "edge_x_1", "children": []any{}}}}}},
		"deviceConfigurations": {"@odata.type": "#microsoft.graph.windowsUpdateForBusinessConfiguration", "displayName": "Ring", "qualityUpdatesDeferralPeriodInDays": 3},
		"deviceCompliancePolicies": {"@odata.type": "#microsoft.graph.windows10CompliancePolicy", "displayName": "Encrypted", "bitLockerEnabled": true,
			"scheduledActionsForRule": []any{map[string]any{"ruleName": "PasswordRequired", "scheduledActionConfigurations": []any{map[string]any{"actionType": "block", "gracePeriodHours": 3}}}}},
		"deviceHealthScripts":          script,
		"windowsQualityUpdatePolicies": {"displayName": "packmill microsoft/kb5068861 (candidate)", "hotpatchEnabled": true},
		"windowsQualityUpdateProfiles": {"displayName": "Fast", "expeditedUpdateSettings": map[string]any{"qualityUpdateRelease": november.Released.Format(time.RFC3339), "daysUntilForcedReboot": 1}},
		"windowsFeatureUpdateProfiles": {"displayName": "24H2", "featureUpdateVersion": "Windows 11, version 24H2"},
		"windowsDriverUpdateProfiles":  {"displayName": "Drivers", "approvalType": "manual"},
	}
}

// populatePolicies fills the tenant with what its people made, and returns a group
// of theirs.
func populatePolicies(w *world) (vip string) {
	w.t.Helper()
	for _, nick := range []string{"dogfood", "vip"} {
		vip = w.do(http.MethodPost, groupsURL, map[string]any{"displayName": "packmill wave " + nick, "description": "made by hand", "mailNickname": nick, "mailEnabled": false, "securityEnabled": true})["id"].(string)
	}
	for name, body := range policyCollections() {
		body["description"] = "packmill: by hand"
		w.assignPolicy(name, w.do(http.MethodPost, management+name, body)["id"].(string), vip)
	}
	return vip
}

// assignPolicy assigns a policy to groups, as people do.
func (w *world) assignPolicy(collection, id string, groups ...string) {
	w.t.Helper()
	set := []any{}
	for _, g := range groups {
		set = append(set, map[string]any{"target": map[string]any{"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": g}})
	}
	name := "assignments"
	if collection == "deviceHealthScripts" {
		name = "deviceHealthScriptAssignments"
	}
	w.do(http.MethodPost, management+collection+"/"+id+"/assign", map[string]any{name: set})
}

// elsewhere is a group of people's that the directory does not list.
const elsewhere = "7f6e1c52-0000-4000-8000-00000000abcd"

// interfereWithPolicies lets people copy packmill's policies, and assign some of
// them as well.
func interfereWithPolicies(w *world, _ string) {
	w.t.Helper()
	for name, body := range policyCollections() {
		for _, o := range w.all(management + name) {
			if !ourPolicy(o) {
				continue
			}
			id := o["id"].(string)
			body["description"] = o["description"]
			w.do(http.MethodPost, management+name, body)
			if name != "configurationPolicies" && name != "deviceHealthScripts" {
				continue // those go with a later release
			}
			set := []any{map[string]any{"target": map[string]any{"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": elsewhere}}}
			for _, a := range w.list(management + name + "/" + id + "/assignments") {
				delete(a, "id")
				set = append(set, a)
			}
			key := "assignments"
			if name == "deviceHealthScripts" {
				key = "deviceHealthScriptAssignments"
			}
			w.do(http.MethodPost, management+name+"/"+id+"/assign", map[string]any{key: set})
		}
	}
}

// ourPolicy reports whether a policy bears packmill's marker, and is no copy.
func ourPolicy(o map[string]any) bool {
	description, _ := o["description"].(string)
	if m, ok := policy.ParseMarker(description); ok {
		return m.ID == "" || m.ID == o["id"]
	}
	m, ok := updates.ParseMarker(description)
	return ok && (m.ID == "" || m.ID == o["id"])
}

// policyTexts are the texts of all policies, packmill's without ids and times and
// the others' to the byte: each with who it is for, and what is below it. names are
// the collections of packmill's, by id.
func (w *world) policyTexts() (ours, theirs []string, names map[string]string) {
	w.t.Helper()
	names = map[string]string{}
	done := w.statuses()
	for name := range policyCollections() {
		at := management + name
		for _, o := range w.all(at) {
			id, form := o["id"].(string), whole
			if ourPolicy(o) {
				names[id], form = name, flat
			}
			text := name + " " + form(o) + " " + done[id]
			switch name {
			case "configurationPolicies":
				for _, s := range w.list(at + "/" + id + "/settings?$top=999") {
					text += "\n" + name + " has " + form(s)
				}
			case "deviceCompliancePolicies":
				text += "\n" + name + " holds " + form(w.one(at+"/"+id+"?$expand=scheduledActionsForRule($expand=scheduledActionConfigurations)"))
			case "deviceHealthScripts":
				text += "\n" + name + " holds " + form(w.one(at+"/"+id))
			}
			for _, a := range w.list(at + "/" + id + "/assignments") {
				text += "\n" + name + " is for " + form(a)
			}
			if names[id] == "" {
				theirs = append(theirs, text)
			} else {
				ours = append(ours, text)
			}
		}
	}
	return ours, theirs, names
}

// one reads an object past the checker and the world's faults.
func (w *world) one(path string) (out map[string]any) {
	w.t.Helper()
	rec := w.past(http.MethodGet, path, "")
	for range 9 { // what is new is not found at first
		if rec.Code != http.StatusNotFound {
			break
		}
		rec = w.past(http.MethodGet, path, "")
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil || rec.Code != http.StatusOK {
		w.t.Fatalf("%s: %d %s", path, rec.Code, rec.Body)
	}
	return out
}

func whole(o map[string]any) string {
	data, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// statuses are what was last done with the updates of each profile: the service
// keeps it, and tells it of drivers alone.
func (w *world) statuses() map[string]string {
	w.t.Helper()
	data, err := os.ReadFile(filepath.Join(w.opts.Dir, nordic, "journal.jsonl"))
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string]string{}
	for line := range bytes.Lines(data) {
		var c struct {
			ID     string
			Entity struct {
				State struct {
					History []struct{ Status map[string]string }
				}
			}
		}
		if !bytes.Contains(line, []byte(`"History"`)) || json.Unmarshal(line, &c) != nil {
			continue
		}
		if h := c.Entity.State.History; len(h) > 0 {
			out[c.ID] = fmt.Sprint(h[len(h)-1].Status)
		}
	}
	return out
}

// applied is when packmill says that it applied a part: later, where it had to
// wait.
var applied = regexp.MustCompile(`\\"at\\":\d+`)

// policyLook is what packmill has of configurations and update profiles, without
// ids and times that depend on how it came about; and everything in the tenant that
// is not packmill's, with what people assigned of packmill's policies.
func (w *world) policyLook() (picture, string) {
	w.t.Helper()
	ours, theirs, names := w.policyTexts()
	theirs = append(theirs, fmt.Sprint(strings.Count(strings.Join(ours, ""), elsewhere), " assignments of theirs"))
	for _, g := range w.all(groupsURL) {
		id := g["id"].(string)
		var members []string
		for _, m := range w.list(groupsURL + "/" + id + "/members") {
			members = append(members, m["id"].(string))
		}
		if !ourGroup(g) {
			theirs = append(theirs, "group "+whole(g)+fmt.Sprint(members))
			continue
		}
		names[id] = fmt.Sprint(g["displayName"])
		ours = append(ours, fmt.Sprintf("group %v %v %v members %v", g["displayName"], g["description"], g["mailNickname"], members))
	}
	text := strings.Join(ours, "\n")
	for id, name := range names {
		text = strings.ReplaceAll(text, id, "<"+name+">")
	}
	lines := strings.Split(applied.ReplaceAllString(text, ""), "\n")
	slices.Sort(lines)
	slices.Sort(theirs)
	return picture{strings.Join(lines, "\n")}, strings.Join(theirs, "\n")
}
