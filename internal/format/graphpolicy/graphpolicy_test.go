package graphpolicy

import (
	"bytes"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

const policy = `{
  "technologies": "mdm", "platforms": "windows10", "name": "Edge <baseline>", "description": "",
  "settings": [
    {"settingInstance": {
      "@odata.type": "#microsoft.graph.deviceManagementConfigurationChoiceSettingInstance",
      "settingDefinitionId": "device_vendor_msft_policy_config_edge_smartscreen",
      "choiceSettingValue": {
        "@odata.type": "#microsoft.graph.deviceManagementConfigurationChoiceSettingValue",
        "value": "device_vendor_msft_policy_config_edge_smartscreen_1",
        "children": [{
          "@odata.type": "#microsoft.graph.deviceManagementConfigurationSimpleSettingInstance",
          "settingDefinitionId": "edge_below",
          "simpleSettingValue": {"value": 18446744073709551615}
        }]
      }
    }}
  ]
}`

func TestCatalogPolicy(t *testing.T) {
	got, err := CatalogPolicy([]byte(policy))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(got), `{"description":"","name":"Edge <baseline>","platforms":"windows10","settings":[`) || !bytes.Contains(got, []byte("18446744073709551615")) {
		t.Errorf("%s", got)
	}
	if again, err := CatalogPolicy(got); err != nil || !bytes.Equal(again, got) {
		t.Errorf("the one form has another: %s (%v)", again, err)
	}
	for what, c := range map[string][2]string{
		"/name":                           {`"name": "Edge <baseline>"`, `"name": ""`},
		"/platforms":                      {`"platforms": "windows10"`, `"platforms": 1`},
		"/settings":                       {`"settings": [`, `"settings": [], "other": [`},
		"/id":                             {`"description": ""`, `"id": "1"`},
		"/assignments":                    {`"description": ""`, `"assignments": []`},
		"is no kind of setting":           {`ChoiceSettingInstance"`, `AnyInstance"`},
		"settingDefinitionId":             {`"settingDefinitionId": "device`, `"settingDefinitionID": "device`},
		"/children/0/settingDefinitionId": {`"edge_below"`, `"edge below"`},
		"/description: stands twice":      {`"description": ""`, `"description": "", "description": ""`},
		"more behind":                     {`"simpleSettingValue": {"value": 18446744073709551615}`, `"simpleSettingValue": {}`},
		"no JSON":                         {`"technologies"`, `technologies`},
	} {
		bad := strings.Replace(policy, c[0], c[1], 1)
		if what == "more behind" {
			bad += "{}"
		}
		if _, err := CatalogPolicy([]byte(bad)); fleet.KindOf(err) != fleet.Invalid || err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestDeviceConfiguration(t *testing.T) {
	got, err := DeviceConfiguration([]byte(`{"displayName": "Ring", "@odata.type": "#microsoft.graph.windowsUpdateForBusinessConfiguration", "qualityUpdatesDeferralPeriodInDays": 3}`))
	if want := `{"@odata.type":"#microsoft.graph.windowsUpdateForBusinessConfiguration","displayName":"Ring","qualityUpdatesDeferralPeriodInDays":3}` + "\n"; err != nil || string(got) != want {
		t.Errorf("%s (%v)", got, err)
	}
	for _, bad := range []string{``, `[]`, `{"displayName": "x"}`, `{"@odata.type": "#microsoft.graph.x"}`, `{"@odata.type": "x", "displayName": "x"}`,
		`{"@odata.type": "#microsoft.graph.x", "displayName": "x", "version": 1}`, strings.Repeat("[", 100), strings.Repeat(`{"a":`, 100)} {
		if _, err := DeviceConfiguration([]byte(bad)); fleet.KindOf(err) != fleet.Invalid || err == nil {
			t.Errorf("%.60s: %v", bad, err)
		}
	}
}

func TestHealthScript(t *testing.T) {
	h := HealthScript{DisplayName: "Proxy", Publisher: "Acme", Detection: []byte("exit 0"), Remediation: []byte("exit 1"), RunAsAccount: "system"}
	data, err := h.JSON()
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseHealthScript(data)
	if err != nil || string(back.Detection) != "exit 0" || back.DisplayName != "Proxy" {
		t.Errorf("%+v (%v)", back, err)
	}
	if _, err := ParseHealthScript(append(data, ' ')); err == nil {
		t.Error("another form was accepted")
	}
	for name, change := range map[string]func(h *HealthScript){
		"no name": func(h *HealthScript) { h.DisplayName = "" }, "no script": func(h *HealthScript) { h.Detection = nil },
		"large": func(h *HealthScript) { h.Remediation = make([]byte, maxScript+1) }, "account": func(h *HealthScript) { h.RunAsAccount = "root" },
	} {
		bad := h
		change(&bad)
		if _, err := bad.JSON(); fleet.KindOf(err) != fleet.Invalid || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzPolicy: what is accepted has one form, which is accepted again.
func FuzzPolicy(f *testing.F) {
	f.Add([]byte(policy))
	f.Add([]byte(`{"displayName": "x", "@odata.type": "#microsoft.graph.x"}`))
	f.Add([]byte(`{"a":[1e400,{"b":null}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, read := range []func([]byte) ([]byte, error){CatalogPolicy, DeviceConfiguration} {
			form, err := read(data)
			if err != nil {
				continue
			}
			if again, err := read(form); err != nil || !bytes.Equal(again, form) {
				t.Fatalf("%q has the form %q, which has %q (%v)", data, form, again, err)
			}
		}
	})
}
