package main

// insight is what the service tells of a tenant: exported reports, detected apps
// and its own audit.
func insight() area {
	const (
		exports  = "/deviceManagement/reports/exportJobs"
		detected = "/deviceManagement/detectedApps"
	)
	return area{
		paths: map[string][]string{
			exports: {"post"},
			exports + "/{deviceManagementExportJob-id}": {"get"},
			detected: {"get"},
			detected + "/{detectedApp-id}/managedDevices": {"get"},
			"/deviceManagement/auditEvents":               {"get"},
		},
		types: []string{"deviceManagementExportJob", "detectedApp", "auditEvent", "auditActor", "auditResource", "auditProperty"},
	}
}
