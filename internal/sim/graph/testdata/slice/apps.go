package main

// apps are the apps, their contents and what devices report of them.
func apps() area {
	const (
		app  = "/deviceAppManagement/mobileApps/{mobileApp-id}"
		cv   = app + "/graph.win32LobApp/contentVersions"
		file = cv + "/{mobileAppContent-id}/files"
		one  = file + "/{mobileAppContentFile-id}"
	)
	return area{
		paths: map[string][]string{
			"/deviceAppManagement/mobileApps": {"get", "post"},
			app:                               {"get", "patch", "delete"},
			app + "/assign":                   {"post"},
			app + "/assignments":              {"get"},
			cv:                                {"get", "post"},
			file:                              {"get", "post"},
			one:                               {"get", "delete"},
			one + "/commit":                   {"post"},
			one + "/renewUpload":              {"post"},
			"/deviceManagement/reports/retrieveDeviceAppInstallationStatusReport": {"post"},
		},
		types: []string{
			"win32LobApp", "win32LobAppProductCodeRule", "win32LobAppFileSystemRule", "win32LobAppRegistryRule", "win32LobAppPowerShellScriptRule",
			"win32LobAppAssignmentSettings", "groupAssignmentTarget", "exclusionGroupAssignmentTarget", "allDevicesAssignmentTarget",
			"allLicensedUsersAssignmentTarget", "mobileAppContentFile", "mobileAppAssignment",
		},
	}
}
