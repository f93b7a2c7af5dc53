package graph

import (
	"strings"
	"testing"
)

func TestFilterRule(t *testing.T) {
	d := &device{Device: Device{
		Name: "PC-0001", Manufacturer: "Contoso", Model: "L14 Gen 3", OSVersion: "10.0.22631.4460", SKU: "Enterprise", Department: "Finance",
	}}
	for rule, want := range map[string]bool{
		`device.manufacturer -eq "Contoso"`:                                                                       true,
		`device.manufacturer -eq "contoso"`:                                                                       true,
		`(DEVICE.Manufacturer -EQ "Contoso")`:                                                                     true,
		`device.manufacturer -ne "Contoso"`:                                                                       false,
		`device.model -startsWith "L14"`:                                                                          true,
		`device.model -notStartsWith "L14"`:                                                                       false,
		`device.model -contains "Gen"`:                                                                            true,
		`device.model -notContains "Gen"`:                                                                         false,
		`device.deviceCategory -in ["Kiosk", "Finance"]`:                                                          true,
		`device.deviceCategory -notIn ["Kiosk","Finance"]`:                                                        false,
		`device.osVersion -startsWith "10.0.22631"`:                                                               true,
		`device.operatingSystemVersion -ge "10.0.22631"`:                                                          true,
		`device.operatingSystemVersion -lt "10.0.22631.4460"`:                                                     false,
		`device.operatingSystemSKU -eq "Education"`:                                                               false,
		`device.deviceName -eq 'PC-0001'`:                                                                         true,
		`device.model -eq "x" or device.model -eq "y" and device.model -eq "z"`:                                   false,
		`device.manufacturer -eq "Contoso" or device.model -eq "y" and device.model -eq "z"`:                      true,
		`(device.manufacturer -eq "Contoso" or device.model -eq "y") and device.model -eq "z"`:                    false,
		`((device.manufacturer -eq "Contoso")) and ((device.model -startsWith "L") or (device.model -eq "none"))`: true,
	} {
		f, err := parseRule(rule)
		if err != nil || f(d) != want {
			t.Errorf("%s: %v", rule, err)
		}
	}
	for _, rule := range []string{
		"", "()", `device.model`, `device.model -eq`, `device.model -eq L14`, `device.model -like "x"`, `device.colour -eq "x"`, `device.model -in "x"`,
		`device.model -eq ["x"]`, `device.model -in ["x"`, `device.model -in []`, `device.model -eq "x`, `(device.model -eq "x"`, `device.model -eq "x")`,
		`device.model -eq "x" and`, `device.model -eq "x" device.model -eq "y"`, `-eq "x"`, strings.Repeat("(", 40) + `device.model -eq "x"` + strings.Repeat(")", 40),
		`device.model -eq "` + strings.Repeat("x", maxRule) + `"`,
	} {
		if _, err := parseRule(rule); err == nil {
			t.Errorf("%q was read", rule)
		}
	}
}

// FuzzFilterRule: whatever a client sends as a rule is read or refused.
func FuzzFilterRule(f *testing.F) {
	f.Add(`(device.manufacturer -eq "Contoso") and device.model -in ["a","b"] or not`)
	f.Fuzz(func(t *testing.T, rule string) {
		if ask, err := parseRule(rule); err == nil {
			ask(&device{})
		}
	})
}
