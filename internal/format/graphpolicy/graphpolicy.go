// Package graphpolicy reads and writes the JSON that Microsoft Graph takes of
// configurations: settings-catalog policies, device configurations, remediation
// scripts.
//
// A payload is checked against what the service demands of its kind as far as
// that is known (resource types deviceManagementConfigurationPolicy,
// deviceConfiguration and deviceHealthScript of Graph beta), and brought into
// one form: keys sorted, no white space, numbers as they were written. What the
// service sets itself and what packmill decides elsewhere (assignments) has no
// place in it and is refused, so that a file exported from a tenant is cleaned
// by a person and not in silence.
package graphpolicy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// Caps on a payload.
const (
	maxPayload = 4 << 20
	maxDepth   = 64
)

// set are properties that the service sets, or packmill by its waves.
func set() []string {
	return []string{"id", "createdDateTime", "lastModifiedDateTime", "version", "settingCount", "isAssigned", "creationSource",
		"assignments", "supportsScopeTags", "@odata.context", "deviceStatuses", "userStatuses", "deviceStatusOverview", "userStatusOverview"}
}

var (
	odataType    = regexp.MustCompile(`^#microsoft\.graph\.[A-Za-z][A-Za-z0-9]*$`)
	definitionID = regexp.MustCompile(`^[A-Za-z0-9_.{}~-]+$`)
)

// instances are the kinds of setting a catalog policy may hold.
func instances() []string {
	return []string{"ChoiceSettingCollectionInstance", "ChoiceSettingInstance", "GroupSettingCollectionInstance", "GroupSettingInstance",
		"SettingGroupCollectionInstance", "SettingGroupInstance", "SimpleSettingCollectionInstance", "SimpleSettingInstance"}
}

// CatalogPolicy checks a settings-catalog policy and gives its one form.
func CatalogPolicy(data []byte) ([]byte, error) {
	doc, err := parse(data)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"name", "platforms", "technologies"} {
		if s, ok := doc[name].(string); !ok || s == "" {
			return nil, invalid("/%s: is no text, which every policy has", name)
		}
	}
	settings, ok := doc["settings"].([]any)
	if !ok || len(settings) == 0 {
		return nil, invalid("/settings: is no list of settings")
	}
	for i, s := range settings {
		at := fmt.Sprintf("/settings/%d", i)
		setting, ok := s.(map[string]any)
		if !ok {
			return nil, invalid("%s: is no object", at)
		}
		if err := instance(at+"/settingInstance", setting["settingInstance"]); err != nil {
			return nil, err
		}
	}
	return encode(doc)
}

// instance checks one setting and those below it.
func instance(at string, v any) error {
	s, ok := v.(map[string]any)
	if !ok {
		return invalid("%s: is no object", at)
	}
	kind, _ := s["@odata.type"].(string)
	short := strings.TrimPrefix(kind, "#microsoft.graph.deviceManagementConfiguration")
	if short == kind || !slices.Contains(instances(), short) {
		return invalid("%s/@odata.type: %q is no kind of setting", at, kind)
	}
	if id, _ := s["settingDefinitionId"].(string); !definitionID.MatchString(id) {
		return invalid("%s/settingDefinitionId: %q is no id of a setting", at, id)
	}
	for name, value := range s {
		if err := children(at+"/"+name, value); err != nil {
			return err
		}
	}
	return nil
}

// children finds the settings below a value: they stand in lists named children.
func children(at string, v any) error {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			list, ok := value.([]any)
			if name != "children" || !ok {
				if err := children(at+"/"+name, value); err != nil {
					return err
				}
				continue
			}
			for i, child := range list {
				if err := instance(fmt.Sprintf("%s/children/%d", at, i), child); err != nil {
					return err
				}
			}
		}
	case []any:
		for i, value := range v {
			if err := children(fmt.Sprintf("%s/%d", at, i), value); err != nil {
				return err
			}
		}
	}
	return nil
}

// DeviceConfiguration checks a device configuration and gives its one form.
func DeviceConfiguration(data []byte) ([]byte, error) {
	doc, err := parse(data)
	if err != nil {
		return nil, err
	}
	if kind, _ := doc["@odata.type"].(string); !odataType.MatchString(kind) {
		return nil, invalid("/@odata.type: %q is no type of Graph, which decides what a configuration is", kind)
	}
	if s, ok := doc["displayName"].(string); !ok || s == "" {
		return nil, invalid("/displayName: is no text, which every configuration has")
	}
	return encode(doc)
}

// A HealthScript is a deviceHealthScript as it is created: a pair of scripts of
// which the second runs when the first ends with 1.
type HealthScript struct {
	DisplayName  string `json:"displayName"`
	Description  string `json:"description"`
	Publisher    string `json:"publisher"`
	Detection    []byte `json:"detectionScriptContent"`   // PowerShell, base64 in JSON
	Remediation  []byte `json:"remediationScriptContent"` // PowerShell, base64 in JSON
	RunAsAccount string `json:"runAsAccount"`             // system, user
	RunAs32Bit   bool   `json:"runAs32Bit"`
	Signed       bool   `json:"enforceSignatureCheck"`
}

// maxScript is the largest script of the service, in bytes.
const maxScript = 200 << 10

// JSON is the payload in its one form.
func (h HealthScript) JSON() ([]byte, error) {
	switch {
	case h.DisplayName == "" || h.Publisher == "":
		return nil, invalid("a remediation script has a name and a publisher")
	case len(h.Detection) == 0 || len(h.Detection) > maxScript || len(h.Remediation) > maxScript:
		return nil, invalid("scripts have %d and %d bytes; the service takes 1 to %d", len(h.Detection), len(h.Remediation), maxScript)
	case h.RunAsAccount != "system" && h.RunAsAccount != "user":
		return nil, invalid("runAsAccount %q is neither system nor user", h.RunAsAccount)
	}
	data, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	doc, err := parse(data)
	if err != nil {
		return nil, err
	}
	return encode(doc)
}

// ParseHealthScript reads what JSON wrote.
func ParseHealthScript(data []byte) (HealthScript, error) {
	var h HealthScript
	if len(data) > maxPayload {
		return h, invalid("has %d bytes, more than %d", len(data), maxPayload)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&h); err != nil {
		return h, invalid("no remediation script: %w", err)
	}
	want, err := h.JSON()
	if err == nil && !bytes.Equal(want, data) {
		err = invalid("is not in the form it was written in")
	}
	return h, err
}

// parse reads one JSON object: no key twice, nothing behind it, nothing that
// the service sets.
func parse(data []byte) (map[string]any, error) {
	if len(data) > maxPayload {
		return nil, invalid("has %d bytes, more than %d", len(data), maxPayload)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := value(d, "", 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, invalid("offset %d: there is more behind the object", d.InputOffset())
	}
	doc, ok := v.(map[string]any)
	if !ok {
		return nil, invalid("is no JSON object")
	}
	for _, name := range set() {
		if _, ok := doc[name]; ok {
			return nil, invalid("/%s: is set by the service or by packmill: leave it out", name)
		}
	}
	return doc, nil
}

// value reads the next value.
func value(d *json.Decoder, at string, depth int) (any, error) {
	if depth > maxDepth {
		return nil, invalid("%s: lies deeper than %d", at, maxDepth)
	}
	t, err := d.Token()
	if err != nil {
		return nil, invalid("offset %d: no JSON: %w", d.InputOffset(), err)
	}
	switch t {
	case json.Delim('{'):
		return object(d, at, depth)
	case json.Delim('['):
		list := []any{}
		for i := 0; d.More(); i++ {
			v, err := value(d, fmt.Sprintf("%s/%d", at, i), depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, wrapped(d, err)
	}
	return t, nil
}

func object(d *json.Decoder, at string, depth int) (any, error) {
	out := map[string]any{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, wrapped(d, err)
		}
		name, ok := t.(string)
		if !ok {
			return nil, invalid("offset %d: no name of a property", d.InputOffset())
		}
		if _, twice := out[name]; twice {
			return nil, invalid("%s/%s: stands twice", at, name)
		}
		if out[name], err = value(d, at+"/"+name, depth+1); err != nil {
			return nil, err
		}
	}
	_, err := d.Token()
	return out, wrapped(d, err)
}

func wrapped(d *json.Decoder, err error) error {
	if err == nil {
		return nil
	}
	return invalid("offset %d: no JSON: %w", d.InputOffset(), err)
}

// encode is the one form of a document; encoding/json sorts the keys of maps.
func encode(doc map[string]any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(doc); err != nil {
		return nil, invalid("%w", err)
	}
	return b.Bytes(), nil
}

func invalid(format string, args ...any) error {
	return &fleet.Error{Op: "graphpolicy.read", Kind: fleet.Invalid, Err: fmt.Errorf(format, args...)}
}
