package factory_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// Where people keep what packmill has things of as well.
const (
	managedAt    = "/beta/deviceManagement/"
	categoriesAt = "/beta/deviceAppManagement/mobileAppCategories"
	filtersAt    = managedAt + "assignmentFilters"
)

// A policyKind is a kind of policy that people make beside apps: how many of them,
// and what one is.
type policyKind struct {
	set   string // its collection, below deviceManagement
	count int
	group bool // it is assigned to groups alone
	body  func(n int) map[string]any
}

// policyKinds are 129 policies. Some speak of packmill, or are called like its own.
func policyKinds() []policyKind {
	named := func(name, kind string, rest map[string]any) func(int) map[string]any {
		return func(n int) map[string]any {
			out := map[string]any{name: fmt.Sprintf("%s %d", []string{"Edge", "packmill acme/baseline (stable)", "Ring"}[n%3], n), "description": []string{"packmill: by hand", "of the service desk", ""}[n%3]}
			if kind != "" {
				out["@odata.type"] = kind
			}
			for key, value := range rest {
				out[key] = value
			}
			return out
		}
	}
	const instance = "#microsoft.graph.deviceManagementConfigurationChoiceSettingInstance"
	script := named("displayName", "#microsoft.graph.deviceHealthScript", map[string]any{
		"publisher": "packmill", "detectionScriptContent": "ZXhpdCAw", "runAsAccount": "system", "enforceSignatureCheck": false, "runAs32Bit": false, "roleScopeTagIds": []string{"0"},
	})
	return []policyKind{
		{"configurationPolicies", 30, false, named("name", "", map[string]any{"platforms": "windows10", "technologies": "mdm", "settings": []any{
			map[string]any{"settingInstance": map[string]any{"@odata.type": instance, "settingDefinitionId": "edge_x",
				"choiceSettingValue": map[string]any{"@odata.type": strings.Replace(instance, "Instance", "Value", 1), "value": "edge_x_1", "children": []any{}}}},
		}})},
		{"deviceConfigurations", 15, false, named("displayName", "#microsoft.graph.windowsUpdateForBusinessConfiguration", map[string]any{"qualityUpdatesDeferralPeriodInDays": 3})},
		{"deviceConfigurations", 15, false, named("displayName", "#microsoft.graph.macOSCustomConfiguration", map[string]any{"payloadName": "x", "payloadFileName": "x.mobileconfig", "payload": "PHBsaXN0Lz4="})},
		{"deviceCompliancePolicies", 20, false, named("displayName", "#microsoft.graph.windows10CompliancePolicy", map[string]any{"bitLockerEnabled": true, "scheduledActionsForRule": []any{
			map[string]any{"ruleName": "PasswordRequired", "scheduledActionConfigurations": []any{map[string]any{"actionType": "block", "gracePeriodHours": 12}}},
		}})},
		{"deviceHealthScripts", 29, false, script},
		{"windowsQualityUpdatePolicies", 6, true, named("displayName", "", map[string]any{"hotpatchEnabled": true, "approvalSettings": []any{
			map[string]any{"windowsQualityUpdateCadence": "monthly", "windowsQualityUpdateCategory": "security", "approvalMethodType": "automatic", "deferredDeploymentInDay": 2},
		}})},
		{"windowsQualityUpdateProfiles", 3, true, named("displayName", "", map[string]any{"expeditedUpdateSettings": map[string]any{"qualityUpdateRelease": "2026-11-10T00:00:00Z", "daysUntilForcedReboot": 1}})},
		{"windowsFeatureUpdateProfiles", 5, true, named("displayName", "", map[string]any{"featureUpdateVersion": "Windows 11, version 24H2"})},
		{"windowsDriverUpdateProfiles", 6, true, named("displayName", "", map[string]any{"approvalType": "manual"})},
	}
}

// policySets are the collections of policies, each once.
func policySets() (out []string) {
	seen := map[string]bool{}
	for _, k := range policyKinds() {
		if !seen[k.set] {
			out = append(out, k.set)
		}
		seen[k.set] = true
	}
	return out
}

// policy makes one, and assigns it: to a group past another one and to all, to a
// group, or to nobody.
func (p people) policy(k policyKind, n int, body map[string]any, groups []string) string {
	p.w.t.Helper()
	at := managedAt + k.set
	id := p.post(at, body)
	targets := []map[string]any{target("group", groups[n%len(groups)]), target("exclusionGroup", groups[(n+1)%len(groups)])}
	if !k.group && n%2 == 0 {
		targets = append(targets, target("allDevices", ""))
	}
	if n%4 == 3 {
		return id
	}
	var set []any
	for _, t := range targets {
		a := map[string]any{"target": t}
		if k.set == "deviceHealthScripts" {
			a["@odata.type"], a["runRemediationScript"] = "#microsoft.graph.deviceHealthScriptAssignment", false
			a["runSchedule"] = map[string]any{"@odata.type": "#microsoft.graph.deviceHealthScriptDailySchedule", "interval": 1, "time": "1:0", "useUtc": false}
		}
		set = append(set, a)
	}
	name := "assignments"
	if k.set == "deviceHealthScripts" {
		name = "deviceHealthScriptAssignments"
	}
	p.post(at+"/"+id+"/assign", map[string]any{name: set})
	return id
}

// foreignApps are how many apps people have beside those policies.
const foreignApps = 71

// furnish makes 20 groups with members, filters and categories, foreignApps apps
// and one more, and the policies, assigned in several ways. Some are called like
// packmill's own, or speak of it. The last app is nobody's: it is handed over later.
func (p people) furnish() (apps, groups []string) {
	for n := range 20 {
		name := fmt.Sprintf("Staff %d", n)
		if n == 0 {
			name = "packmill wave " + theWave
		}
		id := p.post(groupsAt, map[string]any{"displayName": name, "description": "packmill: not ours", "mailEnabled": false, "mailNickname": fmt.Sprintf("packmill-%d", n), "securityEnabled": true})
		groups = append(groups, id)
		for _, object := range p.objects[:1+n%len(p.objects)] {
			p.post(groupsAt+"/"+id+"/members/$ref", map[string]any{"@odata.id": p.w.web.URL + "/v1.0/directoryObjects/" + object})
		}
	}
	var filters, categories []string
	for n := range 4 {
		filters = append(filters, p.post(filtersAt, map[string]any{"displayName": fmt.Sprintf("packmill %d", n), "platform": "windows10AndLater", "rule": `(device.deviceName -startsWith "PC")`}))
		categories = append(categories, p.post(categoriesAt, map[string]any{"displayName": fmt.Sprintf("Tools %d", n)}))
	}
	for n := range foreignApps + 1 {
		id := p.app(n)
		apps = append(apps, id)
		if n == foreignApps {
			break
		}
		filtered := target("group", groups[n%20])
		filtered["deviceAndAppManagementAssignmentFilterId"], filtered["deviceAndAppManagementAssignmentFilterType"] = filters[n%4], "include"
		switch n % 4 {
		case 0:
			p.assign(id, target("allDevices", ""))
		case 1:
			p.assign(id, filtered, target("exclusionGroup", groups[(n+1)%20]))
		case 2:
			p.assign(id, target("group", groups[0]))
			p.post(appsAt+"/"+id+"/categories/$ref", map[string]any{"@odata.id": p.w.web.URL + categoriesAt + "/" + categories[n%4]})
		}
	}
	n := 0
	for _, k := range policyKinds() {
		for range k.count {
			p.policy(k, n, k.body(n), groups)
			n++
		}
	}
	return apps, groups
}

// copyOurs has people copy every policy of packmill's, description and all, and
// assign the copies: a copy is theirs, whatever it says.
func (p people) copyOurs(groups []string) (n int) {
	p.w.t.Helper()
	done := map[string]bool{}
	for _, k := range policyKinds() {
		for _, o := range p.list(managedAt + k.set) {
			id := fmt.Sprint(o["id"])
			if p.made[id] || done[id] {
				continue
			}
			done[id] = true
			body := k.body(n)
			body["description"] = o["description"]
			p.policy(k, n, body, groups)
			n++
		}
	}
	return n
}

// told is all that the service tells of what people made, an entry for each
// answer: the objects, who they are for, who is in them, what is in them.
func (p people) told() (objects int, out map[string]string) {
	p.w.t.Helper()
	out = map[string]string{}
	keep := func(path string, v any) {
		data, err := json.Marshal(v)
		if err != nil {
			p.w.t.Fatal(err)
		}
		out[path] = string(data)
	}
	for _, at := range []string{groupsAt, filtersAt, categoriesAt} {
		for _, o := range p.list(at) {
			if id := fmt.Sprint(o["id"]); p.made[id] {
				keep(at+"/"+id, o)
				if at == groupsAt {
					keep(at+"/"+id+"/members", p.list(at+"/"+id+"/members"))
				}
			}
		}
	}
	sets := []string{appsAt}
	for _, set := range policySets() {
		sets = append(sets, managedAt+set)
	}
	for _, at := range sets {
		for _, o := range p.list(at) {
			id := fmt.Sprint(o["id"])
			if !p.made[id] {
				continue
			}
			objects++
			keep(at+"/"+id, o)
			below := []string{"/assignments"}
			switch {
			case at == appsAt:
				below = append(below, "/categories", "/relationships", "/graph.win32LobApp/contentVersions")
			case strings.HasSuffix(at, "/configurationPolicies"):
				below = append(below, "/settings")
			case strings.HasSuffix(at, "/deviceCompliancePolicies"):
				keep(at+"/"+id+"?expanded", json.RawMessage(p.send(http.MethodGet, at+"/"+id+"?$expand=scheduledActionsForRule($expand=scheduledActionConfigurations)", nil)))
			case strings.HasSuffix(at, "/deviceHealthScripts"):
				keep(at+"/"+id+"?whole", json.RawMessage(p.send(http.MethodGet, at+"/"+id, nil)))
			}
			for _, b := range below {
				keep(at+"/"+id+b, p.list(at+"/"+id+b))
			}
		}
	}
	return objects, out
}
