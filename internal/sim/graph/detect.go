package graph

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	detect "github.com/packmill/packmill/internal/rules/detection"
)

// A detection is a rule as far as a simulated device can evaluate it.
type detection struct {
	Type            string `json:"@odata.type"`
	RuleType        string `json:"ruleType"`
	ProductCode     string `json:"productCode"`
	ProductVersion  string `json:"productVersion"`
	ProductOperator string `json:"productVersionOperator"`
	OperationType   string `json:"operationType"`
	Operator        string `json:"operator"`
	Comparison      string `json:"comparisonValue"`
}

// detections are the epoch's detection rules.
func (e *epoch) detections() []detection {
	if e.rules == nil {
		var all []detection
		if json.Unmarshal(e.Props["rules"], &all) != nil {
			return nil // createApp has refused such rules
		}
		e.rules = slices.DeleteFunc(all, func(d detection) bool { return d.RuleType != "detection" })
	}
	return e.rules
}

// product is the MSI product an app installs, as its rules name it.
func (e *epoch) product() (code, version string) {
	for _, d := range e.detections() {
		if d.ProductCode != "" {
			return d.ProductCode, d.ProductVersion
		}
	}
	return "", ""
}

// detects reports whether all detection rules of an app hold on the device.
func (r *run) detects(e *epoch) bool {
	switch kind := e.kind(); {
	case kind.os == "macOS":
		return r.bundled(e)
	case kind.odata == storeType:
		return r.has.stored == text(e.Props, "packageIdentifier")
	}
	r.did.Detected++
	for _, d := range e.detections() {
		if !r.holds(d, e) {
			return false
		}
	}
	return true
}

// holds evaluates one rule, by the engine that test cells use too. A simulated
// program shows its version in files and registry alike; a script finds exactly
// the content it came with.
func (r *run) holds(d detection, e *epoch) bool {
	if strings.HasSuffix(d.Type, "PowerShellScriptRule") {
		return r.has.artifact != "" && r.has.artifact == e.Artifact
	}
	rule := fleet.Detect{Operator: "="}
	operator := d.Operator
	seen := detect.Observation{Found: r.has.version != "", Value: r.has.version}
	var download fleet.Download
	switch {
	case strings.HasSuffix(d.Type, "ProductCodeRule"):
		rule.MSIProduct, operator = true, d.ProductOperator
		download.MSI = &fleet.MSIFacts{ProductCode: d.ProductCode, ProductVersion: d.ProductVersion}
		seen = detect.Observation{Found: strings.EqualFold(r.has.product, d.ProductCode), Value: r.has.msi}
		if r.has.product == "" {
			// What was there before the world began is known by its version.
			seen = detect.Observation{Found: r.has.version != "" && r.has.version == e.Version, Value: d.ProductVersion}
		}
	case strings.HasSuffix(d.Type, "FileSystemRule"):
		rule.File = &fleet.FileRule{Path: "file", Version: d.OperationType == "version"}
	default:
		rule.Registry = &fleet.RegistryRule{Key: "key"}
		if d.OperationType != "exists" {
			rule.Registry.Value = "value"
		}
	}
	switch operator {
	case "greaterThanOrEqual":
		rule.Operator = ">="
	case "equal", "notConfigured", "":
	default:
		return false // not an operator that packmill has a word for
	}
	present, _, err := detect.Judge([]fleet.Detect{rule}, d.Comparison, download, []detect.Observation{seen})
	return err == nil && present
}
