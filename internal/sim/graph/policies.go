package graph

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"strings"
)

// The sets of configurations. Their names are the collections' in Graph.
const (
	catalogSet    = "configurationPolicies"
	configSet     = "deviceConfigurations"
	complianceSet = "deviceCompliancePolicies"
)

const (
	instancePrefix = "#microsoft.graph.deviceManagementConfiguration"
	macCustom      = "#microsoft.graph.macOSCustomConfiguration"
	longestNote    = 1000 // characters of a description
)

// policySets are the sets, by name.
func policySets() map[string]set {
	return map[string]set{
		catalogSet: {
			name: catalogSet, noun: "configurationPolicy", required: []string{"name", "platforms", "technologies"},
			owned: []string{"settingCount", "isAssigned", "creationSource"}, check: checkCatalog, shape: shapeCatalog, patch: patchCatalog,
		},
		configSet: {
			name: configSet, noun: "deviceConfiguration", required: []string{"@odata.type", "displayName"},
			owned: []string{"version", "supportsScopeTags"}, check: checkConfig, shape: shapeConfig, patch: keepsType,
		},
		complianceSet: {
			name: complianceSet, noun: "deviceCompliancePolicy", required: []string{"@odata.type", "displayName"},
			owned: []string{"version"}, check: checkCompliance, shape: shapeCompliance, patch: keepsType,
		},
	}
}

func policyRoutes(r router) {
	for _, s := range policySets() {
		root := "/deviceManagement/" + s.name
		one := root + "/{id}"
		serve := func(method, path, operation string, h handler) {
			r.serve(method+" /v1.0"+path, operation, untagged(h))
			r.beta(method, path, operation, h)
		}
		if s.name == catalogSet {
			serve = r.beta
			r.beta("GET", one+"/settings", s.noun+".settings", s.with(listSettings))
			r.beta("PUT", one, s.noun+".put", s.with(s.told(replaceCatalog)))
		}
		serve("GET", root, s.noun+".list", s.list)
		serve("POST", root, s.noun+".create", s.created)
		get := s.get
		if s.name == complianceSet {
			get = expanded
		}
		serve("GET", one, s.noun+".get", s.with(get))
		serve("PATCH", one, s.noun+".patch", s.with(s.told(s.change)))
		serve("DELETE", one, s.noun+".delete", s.with(s.remove))
		serve("GET", one+"/assignments", s.noun+".assignments", s.with(s.assignments))
		serve("POST", one+"/assign", s.noun+".assign", s.with(s.told(targeted(s.assign("assignments", http.StatusOK)))))
	}
	r.both("POST", "/deviceManagement/"+complianceSet+"/{id}/scheduleActionsForRules", "deviceCompliancePolicy.actions", policySets()[complianceSet].with(scheduleActions))
	r.both("GET", "/deviceManagement/"+complianceSet+"/{id}/deviceStatuses", "deviceCompliancePolicy.statuses", policySets()[complianceSet].with(listCompliance))
	r.beta("POST", "/deviceManagement/reports/getConfigurationPolicyDevicesReport", "configurationPolicy.report", policyReport)
}

// untagged leaves out of an answer what beta alone has of a configuration.
func untagged(h handler) handler {
	return func(r *request) (reply, error) {
		rep, err := h(r)
		body, _ := rep.body.(map[string]any)
		list, _ := body["value"].([]map[string]any)
		for _, item := range append(list, body) {
			delete(item, "roleScopeTagIds")
			delete(item, "supportsScopeTags")
		}
		return rep, err
	}
}

// checkNote refuses a description that is too long.
func checkNote(props map[string]json.RawMessage) error {
	if len([]rune(text(props, "description"))) > longestNote {
		return badRequest("description has more than " + strconv.Itoa(longestNote) + " characters")
	}
	return nil
}

// checkCatalog refuses a policy without settings, and settings of no known form
// or of one definition twice.
func checkCatalog(props map[string]json.RawMessage) error {
	var settings []struct {
		Instance map[string]json.RawMessage `json:"settingInstance"`
	}
	if json.Unmarshal(props["settings"], &settings) != nil || len(settings) == 0 {
		return badRequest("settings is required")
	}
	seen := map[string]bool{}
	for _, s := range settings {
		id := text(s.Instance, "settingDefinitionId")
		if !strings.HasPrefix(text(s.Instance, "@odata.type"), instancePrefix) || id == "" {
			return badRequest("a setting has no type, or no settingDefinitionId")
		}
		if seen[id] {
			return badRequest("setting " + id + " stands twice")
		}
		seen[id] = true
	}
	return checkNote(props)
}

// shapeCatalog tells how many settings there are; the settings themselves are a
// collection of their own.
func shapeCatalog(e *entity, out map[string]any) {
	var settings []json.RawMessage
	_ = json.Unmarshal(e.Props["settings"], &settings) // checkCatalog has read it
	delete(out, "settings")
	out["settingCount"], out["isAssigned"], out["creationSource"] = len(settings), len(e.Assignments) > 0, nil
	if out["roleScopeTagIds"] == nil {
		out["roleScopeTagIds"] = []string{"0"}
	}
}

// patchCatalog refuses settings: the service changes them with PUT alone.
func patchCatalog(_ *entity, props map[string]json.RawMessage) error {
	if _, ok := props["settings"]; ok {
		return badRequest("settings of a policy cannot be updated by PATCH")
	}
	return nil
}

// replaceCatalog takes a policy whole: what the body does not state is gone.
func replaceCatalog(r *request, e *entity) (reply, error) {
	s := policySets()[catalogSet]
	props, err := object(r.body)
	if err != nil {
		return reply{}, err
	}
	if err := s.judge(props); err != nil {
		return reply{}, err
	}
	s.bare(props)
	e.Props, e.Modified = props, r.t.s.o.Now()
	if err := r.t.save(s.name, e); err != nil {
		return reply{}, err
	}
	return did(http.StatusNoContent, nil, s.noun+".change", e.ID)
}

// listSettings pages through the settings of a policy. They come with what the
// service adds: ids, and references to templates there are none of.
func listSettings(r *request, e *entity) (reply, error) {
	var settings []map[string]any
	if err := json.Unmarshal(e.Props["settings"], &settings); err != nil {
		return reply{}, err
	}
	out := []map[string]any{}
	for i, s := range settings {
		item := map[string]any{"id": strconv.Itoa(i), "settingInstance": referenced(s["settingInstance"])}
		out = append(out, item)
	}
	return page(r, out, r.t.s.o.PageSize, 1000)
}

func referenced(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, x := range v {
			out[name] = referenced(x)
		}
		if kind, _ := v["@odata.type"].(string); strings.HasSuffix(kind, "Instance") && out["settingInstanceTemplateReference"] == nil {
			out["settingInstanceTemplateReference"] = nil
		} else if strings.HasSuffix(kind, "Value") && out["settingValueTemplateReference"] == nil {
			out["settingValueTemplateReference"] = nil
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = referenced(x)
		}
		return out
	}
	return v
}

// keepsType refuses a change that names another type than the object's, or none.
func keepsType(e *entity, props map[string]json.RawMessage) error {
	if _, ok := props["scheduledActionsForRule"]; ok {
		return badRequest("the actions of a compliance policy have an action of their own")
	}
	if have := text(e.Props, "@odata.type"); text(props, "@odata.type") != have {
		return badRequest("a change of a " + have + " names its type")
	}
	return nil
}

func checkConfig(props map[string]json.RawMessage) error {
	if !strings.HasPrefix(text(props, "@odata.type"), "#microsoft.graph.") {
		return badRequest("@odata.type names no configuration")
	}
	if text(props, "@odata.type") == macCustom {
		data, err := base64.StdEncoding.DecodeString(text(props, "payload"))
		if err != nil || len(data) == 0 || text(props, "payloadName") == "" {
			return badRequest("a custom profile has a payload in base64, and a payloadName")
		}
	}
	if err := checkRing(props); err != nil {
		return err
	}
	return checkNote(props)
}

// shapeConfig adds what the service has of any configuration, and defaults of
// update rings that nobody wrote.
func shapeConfig(e *entity, out map[string]any) {
	out["version"], out["supportsScopeTags"] = 1, true
	if out["roleScopeTagIds"] == nil {
		out["roleScopeTagIds"] = []string{"0"}
	}
	if text(e.Props, "@odata.type") == ringType {
		for name, value := range map[string]any{"microsoftUpdateServiceAllowed": false, "driversExcluded": false, "automaticUpdateMode": "userDefined", "qualityUpdatesPaused": false} {
			if _, stated := out[name]; !stated {
				out[name] = value
			}
		}
	}
}

// checkCompliance refuses a policy without exactly one action that blocks.
func checkCompliance(props map[string]json.RawMessage) error {
	var rules []struct {
		Actions []struct {
			Type string `json:"actionType"`
		} `json:"scheduledActionConfigurations"`
	}
	if json.Unmarshal(props["scheduledActionsForRule"], &rules) != nil {
		return badRequest("scheduledActionsForRule is required")
	}
	blocks := 0
	for _, rule := range rules {
		for _, a := range rule.Actions {
			if a.Type == "block" {
				blocks++
			}
		}
	}
	if blocks != 1 {
		return badRequest("a compliance policy must have one and only one block scheduled action")
	}
	return checkNote(props)
}

// shapeCompliance leaves the actions out: they are a collection of their own.
func shapeCompliance(_ *entity, out map[string]any) {
	delete(out, "scheduledActionsForRule")
	out["version"] = 1
	if out["roleScopeTagIds"] == nil {
		out["roleScopeTagIds"] = []string{"0"}
	}
}

// expanded is a compliance policy, with its actions where they are asked for.
func expanded(r *request, e *entity) (reply, error) {
	s := policySets()[complianceSet]
	switch expand := r.URL.Query().Get("$expand"); {
	case expand == "":
		return s.get(r, e)
	case !strings.HasPrefix(expand, "scheduledActionsForRule"):
		return reply{}, badRequest("$expand " + expand + " is not simulated")
	}
	out := s.resource(e)
	out["scheduledActionsForRule"] = e.Props["scheduledActionsForRule"]
	return ok(selected(r, out))
}

// scheduleActions replaces the actions of a compliance policy.
func scheduleActions(r *request, e *entity) (reply, error) {
	var body map[string]json.RawMessage
	if json.Unmarshal(r.body, &body) != nil {
		return reply{}, badRequest("the actions cannot be read")
	}
	props := maps.Clone(e.Props)
	props["scheduledActionsForRule"] = body["deviceComplianceScheduledActionForRules"]
	if err := checkCompliance(props); err != nil {
		return reply{}, err
	}
	e.Props, e.Modified = props, r.t.s.o.Now()
	if err := r.t.save(complianceSet, e); err != nil {
		return reply{}, err
	}
	return did(http.StatusNoContent, nil, "deviceCompliancePolicy.change", e.ID)
}

// targeted refuses assignments to nobody, and to one target twice.
func targeted(next func(*request, *entity) (reply, error)) func(*request, *entity) (reply, error) {
	return func(r *request, e *entity) (reply, error) {
		var body struct {
			Assignments []struct {
				Target struct {
					Type  string `json:"@odata.type"`
					Group string `json:"groupId"`
				} `json:"target"`
			} `json:"assignments"`
		}
		if json.Unmarshal(r.body, &body) != nil {
			return reply{}, badRequest("assignments cannot be read")
		}
		seen := map[string]bool{}
		for _, a := range body.Assignments {
			switch t := a.Target; {
			case t.Type != groupTarget && t.Type != exclusionTarget && t.Type != allDevicesTarget && t.Type != allUsersTarget:
				return reply{}, badRequest("target type " + t.Type + " is not simulated")
			case (t.Type == groupTarget || t.Type == exclusionTarget) && r.t.groups[t.Group] == nil && !isGUID(t.Group):
				return reply{}, badRequest("an assignment names no group")
			case seen[t.Type+t.Group]:
				return reply{}, badRequest("a target is assigned twice")
			default:
				seen[t.Type+t.Group] = true
			}
		}
		return next(r, e)
	}
}
