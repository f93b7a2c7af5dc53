package main

// policies are configurations: of the settings catalog, device configurations,
// compliance policies, and what devices report of them.
func policies() area {
	const (
		catalog    = "/deviceManagement/configurationPolicies"
		policy     = catalog + "/{deviceManagementConfigurationPolicy-id}"
		configs    = "/deviceManagement/deviceConfigurations"
		config     = configs + "/{deviceConfiguration-id}"
		compliance = "/deviceManagement/deviceCompliancePolicies"
		rule       = compliance + "/{deviceCompliancePolicy-id}"
		setting    = "deviceManagementConfiguration"
	)
	return area{
		paths: map[string][]string{
			catalog:                           {"get", "post"},
			policy:                            {"get", "patch", "delete"},
			policy + "/settings":              {"get"},
			policy + "/assignments":           {"get"},
			policy + "/assign":                {"post"},
			configs:                           {"get", "post"},
			config:                            {"get", "patch", "delete"},
			config + "/assignments":           {"get"},
			config + "/assign":                {"post"},
			compliance:                        {"get", "post"},
			rule:                              {"get", "patch", "delete"},
			rule + "/assignments":             {"get"},
			rule + "/assign":                  {"post"},
			rule + "/scheduleActionsForRules": {"post"},
			rule + "/deviceStatuses":          {"get"},
			"/deviceManagement/reports/getConfigurationPolicyDevicesReport": {"post"},
		},
		types: []string{
			"windowsUpdateForBusinessConfiguration", "windowsUpdateActiveHoursInstall", "macOSCustomConfiguration", "windows10CustomConfiguration", "omaSettingString", "omaSettingInteger",
			"windows10CompliancePolicy",
			setting + "ChoiceSettingInstance", setting + "ChoiceSettingCollectionInstance", setting + "ChoiceSettingValue",
			setting + "SimpleSettingInstance", setting + "SimpleSettingCollectionInstance", setting + "StringSettingValue", setting + "IntegerSettingValue",
			setting + "GroupSettingCollectionInstance", setting + "GroupSettingInstance", setting + "GroupSettingValue",
		},
		leading: []string{"settings", "scheduledActionsForRule", "scheduledActionConfigurations", "deviceComplianceScheduledActionForRules"},
		beta:    true,
	}
}
