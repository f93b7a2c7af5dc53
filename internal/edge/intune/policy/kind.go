package policy

import (
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/packmill/packmill/internal/edge/intune/marker"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/drift"
)

// The version of Graph each collection is called in. v1.0 lacks the settings
// catalog, health scripts and the report, and reading an assignment there drops
// its filter.
const (
	catalogVersion    = "beta"
	configVersion     = "beta"
	complianceVersion = "beta"
	scriptVersion     = "beta"
	reportVersion     = "beta"
)

const (
	catalogPath    = "/" + catalogVersion + "/deviceManagement/configurationPolicies"
	configPath     = "/" + configVersion + "/deviceManagement/deviceConfigurations"
	compliancePath = "/" + complianceVersion + "/deviceManagement/deviceCompliancePolicies"
	scriptPath     = "/" + scriptVersion + "/deviceManagement/deviceHealthScripts"
	reportPath     = "/" + reportVersion + "/deviceManagement/reports/getConfigurationPolicyDevicesReport"
)

const (
	odataMac    = "#microsoft.graph.macOSCustomConfiguration"
	odataScript = "#microsoft.graph.deviceHealthScript"
)

// A collection is one of the four places where configurations live.
type collection struct {
	path   string
	title  string // property that names an object
	assign string // of the body of assign: the list's name
}

// collections are all of them, in the order they are listed.
func collections() []collection {
	return []collection{
		{catalogPath, "name", "assignments"},
		{configPath, "displayName", "assignments"},
		{compliancePath, "displayName", "assignments"},
		{scriptPath, "displayName", "deviceHealthScriptAssignments"},
	}
}

// collectionOf is where objects of a kind live.
func collectionOf(kind string) (collection, bool) {
	path := map[string]string{
		fleet.PartCatalogPolicy: catalogPath, fleet.PartDeviceConfiguration: configPath, fleet.PartProfile: configPath,
		fleet.PartCompliancePolicy: compliancePath, fleet.PartHealthScript: scriptPath,
	}[kind]
	i := slices.IndexFunc(collections(), func(c collection) bool { return c.path == path })
	if i < 0 {
		return collection{}, false
	}
	return collections()[i], true
}

func (c collection) one(id string) string         { return c.path + "/" + url.PathEscape(id) }
func (c collection) assignments(id string) string { return c.one(id) + "/assignments" }
func (c collection) assignTo(id string) string    { return c.one(id) + "/assign" }

func settingsPath(id string) string {
	return catalogPath + "/" + url.PathEscape(id) + "/settings"
}

func statesPath(id string) string {
	return scriptPath + "/" + url.PathEscape(id) + "/deviceRunStates"
}

func statusesPath(id string) string {
	return compliancePath + "/" + url.PathEscape(id) + "/deviceStatuses"
}

func actionsPath(id string) string {
	return compliancePath + "/" + url.PathEscape(id) + "/scheduleActionsForRules"
}

// write is the method that changes an object's content.
func (c collection) write() string {
	if c.path == catalogPath {
		return http.MethodPut
	}
	return http.MethodPatch
}

// scheduled is the property of compliance policies that only an action of its
// own changes once the object is there.
const scheduled = "scheduledActionsForRule"

// Document is what a part looks like on the console, without packmill's marker:
// the payload, or for a profile an object around it.
func Document(app fleet.App, part fleet.Part, payload []byte) (map[string]any, error) {
	if part.Kind == fleet.PartProfile {
		return map[string]any{
			"@odata.type": odataMac, "displayName": app.Name + " (" + part.Setting + ")", "description": app.Description,
			"payloadName": app.Name, "payloadFileName": part.Setting + ".mobileconfig", "deploymentChannel": "deviceChannel",
			"payload": base64.StdEncoding.EncodeToString(payload),
		}, nil
	}
	doc, err := drift.Parse(payload)
	if err != nil {
		return nil, err
	}
	if part.Kind == fleet.PartHealthScript {
		doc["@odata.type"] = odataScript
	}
	return doc, nil
}

// candidateSuffix tells the two slots' objects apart for people.
const candidateSuffix = " (candidate)"

// dressed is a document as it is written: named for its slot, with the marker.
func (c collection) dressed(doc map[string]any, m Marker) map[string]any {
	out := maps.Clone(doc)
	if name, ok := out[c.title].(string); ok && m.Slot == fleet.Candidate {
		out[c.title] = name + candidateSuffix
	}
	description, _ := out["description"].(string)
	out["description"] = withMarker(description, m)
	return out
}

// bare is an object of the console without what packmill adds and the service
// alone writes, and in the form of a document.
func (c collection) bare(object map[string]any, m Marker) map[string]any {
	out := maps.Clone(object)
	if name, ok := out[c.title].(string); ok && m.Slot == fleet.Candidate && len(name) > len(candidateSuffix) {
		if cut := len(name) - len(candidateSuffix); name[cut:] == candidateSuffix {
			out[c.title] = name[:cut]
		}
	}
	description, _ := out["description"].(string)
	out["description"] = marker.Without(description)
	for _, name := range serviceOwned() {
		delete(out, name)
	}
	return out
}

// serviceOwned are properties that only the service writes, of any kind.
func serviceOwned() []string {
	return []string{"id", "createdDateTime", "lastModifiedDateTime", "version", "settingCount", "isAssigned", "creationSource", "supportsScopeTags",
		"@odata.context", "isGlobalScript", "highestAvailableVersion", "assignments"}
}
