package main

// appKinds are the kinds of apps beside Win32, and what connects apps.
func appKinds() area {
	const app = "/deviceAppManagement/mobileApps/{mobileApp-id}"
	paths := map[string][]string{
		app + "/categories":                        {"get"},
		app + "/relationships":                     {"get"},
		app + "/updateRelationships":               {"post"},
		"/deviceAppManagement/mobileAppCategories": {"get", "post"},
		"/deviceManagement/roleScopeTags":          {"get", "post"},
	}
	for _, kind := range []string{"macOSPkgApp", "macOSLobApp", "macOSDmgApp"} {
		cv := app + "/graph." + kind + "/contentVersions"
		file := cv + "/{mobileAppContent-id}/files"
		one := file + "/{mobileAppContentFile-id}"
		paths[cv], paths[file], paths[one] = []string{"get", "post"}, []string{"get", "post"}, []string{"get", "delete"}
		paths[one+"/commit"], paths[one+"/renewUpload"] = []string{"post"}, []string{"post"}
	}
	return area{
		paths: paths,
		types: []string{
			"macOSPkgApp", "macOSLobApp", "macOSDmgApp", "winGetApp", "winGetAppAssignmentSettings", "macOsLobAppAssignmentSettings",
			"mobileAppDependency", "mobileAppSupersedence", "mobileAppCategory", "roleScopeTag",
		},
		leading: []string{"relationships"},
		beta:    true,
	}
}
