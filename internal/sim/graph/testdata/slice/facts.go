package main

// facts are what a look at a tenant reads, and approvals by a second person.
func facts() area {
	return area{
		paths: map[string][]string{
			"/organization":   {"get"},
			"/subscribedSkus": {"get"},
		},
		leading: []string{"configurationManagerClientEnabledFeatures"},
		types:   []string{"windows10EnrollmentCompletionPageConfiguration"},
	}
}

// probes are collections that some tenants lack.
func probes() area {
	return area{
		paths: map[string][]string{
			"/deviceManagement/operationApprovalPolicies":      {"get"},
			"/deviceManagement/operationApprovalRequests":      {"get"},
			"/deviceManagement/deviceEnrollmentConfigurations": {"get"},
			"/deviceManagement/configurationPolicies":          {"get"},
			"/deviceManagement/assignmentFilters":              {"get"},
			"/deviceManagement/windowsQualityUpdatePolicies":   {"get"},
			"/deviceManagement/windowsDriverUpdateProfiles":    {"get"},
			"/deviceAppManagement/mobileAppCatalogPackages":    {"get"},
			"/admin/windows/updates/catalog/entries":           {"get"},
		},
		beta: true,
	}
}
