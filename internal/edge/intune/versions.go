package intune

import "net/url"

// The version of Graph each operation is called in. Apps are beta: v1.0 knows
// neither displayVersion nor maxRunTimeInMinutes nor inUseBehavior, and reading
// an assignment there drops its filter.
const (
	appsVersion    = "beta"
	contentVersion = "beta"
	assignVersion  = "beta"
	devicesVersion = "v1.0"
	groupsVersion  = "v1.0"
	scriptsVersion = "beta" // v1.0 has no device health scripts
	relateVersion  = "beta" // v1.0 has neither relations nor scope tags
)

const (
	appsPath   = "/" + appsVersion + "/deviceAppManagement/mobileApps"
	assignPath = "/" + assignVersion + "/deviceAppManagement/mobileApps"

	categoriesPath = "/" + appsVersion + "/deviceAppManagement/mobileAppCategories"
	scopeTagsPath  = "/" + relateVersion + "/deviceManagement/roleScopeTags"

	managedDevicesPath = "/" + devicesVersion + "/deviceManagement/managedDevices"
	devicesPath        = "/" + devicesVersion + "/devices"
	groupsPath         = "/" + groupsVersion + "/groups"
	scriptsPath        = "/" + scriptsVersion + "/deviceManagement/deviceHealthScripts"
)

func appPath(id string) string { return appsPath + "/" + url.PathEscape(id) }

func scriptPath(id string) string { return scriptsPath + "/" + url.PathEscape(id) }

func contentsPath(k kind, app string) string {
	return "/" + contentVersion + "/deviceAppManagement/mobileApps/" + url.PathEscape(app) + k.cast() + "/contentVersions"
}

func filesPath(k kind, app, version string) string {
	return contentsPath(k, app) + "/" + url.PathEscape(version) + "/files"
}

func filePath(k kind, app, version, file string) string {
	return filesPath(k, app, version) + "/" + url.PathEscape(file)
}

func assignmentsPath(app string) string {
	return assignPath + "/" + url.PathEscape(app) + "/assignments"
}

func assignActionPath(app string) string { return assignPath + "/" + url.PathEscape(app) + "/assign" }

func appCategoriesPath(app string) string { return appPath(app) + "/categories" }

// categoryRefsPath and categoryRefPath are not in Microsoft's description.
func categoryRefsPath(app string) string { return appCategoriesPath(app) + "/$ref" }

func categoryRefPath(app, category string) string {
	return appCategoriesPath(app) + "/" + url.PathEscape(category) + "/$ref"
}

func relationsPath(app string) string {
	return "/" + relateVersion + "/deviceAppManagement/mobileApps/" + url.PathEscape(app) + "/relationships"
}

func updateRelationsPath(app string) string {
	return "/" + relateVersion + "/deviceAppManagement/mobileApps/" + url.PathEscape(app) + "/updateRelationships"
}
