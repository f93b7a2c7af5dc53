package graph

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
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

func detections(props map[string]json.RawMessage) []detection {
	var all []detection
	if json.Unmarshal(props["rules"], &all) != nil {
		return nil // createApp has refused such rules
	}
	return slices.DeleteFunc(all, func(d detection) bool { return d.RuleType != "detection" })
}

func productCode(props map[string]json.RawMessage) string {
	for _, d := range detections(props) {
		if d.ProductCode != "" {
			return d.ProductCode
		}
	}
	return ""
}

// detects reports whether all detection rules of an app hold on the device.
func (r *run) detects(e *epoch) bool {
	for _, d := range detections(e.Props) {
		if !r.holds(d, e) {
			return false
		}
	}
	return true
}

// holds evaluates one rule. A simulated program shows its version in files and
// registry alike; a script finds exactly the content it came with.
func (r *run) holds(d detection, e *epoch) bool {
	switch {
	case strings.HasSuffix(d.Type, "ProductCodeRule"):
		// The release before the world began was of the same product only if
		// its version says so.
		if r.has.product == "" {
			return r.has.version != "" && r.has.version == e.Version
		}
		return strings.EqualFold(r.has.product, d.ProductCode) && (d.ProductVersion == "" || r.has.version == e.Version || compare(r.has.version, d.ProductVersion, d.ProductOperator))
	case strings.HasSuffix(d.Type, "PowerShellScriptRule"):
		return r.has.artifact != "" && r.has.artifact == e.Artifact
	case d.OperationType == "exists":
		return r.has.version != ""
	case d.OperationType == "doesNotExist":
		return r.has.version == ""
	case d.OperationType == "version":
		return r.has.version != "" && compare(r.has.version, d.Comparison, d.Operator)
	case d.OperationType == "string":
		return (r.has.version == d.Comparison) == (d.Operator == "equal")
	}
	return false
}

// compare applies an operator to two dotted versions.
func compare(have, want, operator string) bool {
	c := compareVersions(have, want)
	switch operator {
	case "equal":
		return c == 0
	case "notEqual":
		return c != 0
	case "greaterThan":
		return c > 0
	case "greaterThanOrEqual":
		return c >= 0
	case "lessThan":
		return c < 0
	case "lessThanOrEqual":
		return c <= 0
	}
	return true // notConfigured: any version will do
}

// compareVersions compares number by number; a missing one is zero.
func compareVersions(a, b string) int {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(x), len(y)) {
		if c := cmp.Compare(number(x, i), number(y, i)); c != 0 {
			return c
		}
	}
	return 0
}

func number(parts []string, i int) int {
	if i >= len(parts) {
		return 0
	}
	n, err := strconv.Atoi(parts[i])
	if err != nil {
		return -1 // text sorts before numbers
	}
	return n
}
