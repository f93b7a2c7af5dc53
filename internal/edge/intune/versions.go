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
	reportVersion  = "v1.0"
	scriptsVersion = "beta" // v1.0 has no device health scripts
	filtersVersion = "beta" // v1.0 has no assignment filters
	enrolVersion   = "beta" // v1.0 does not tell which apps a page waits for
)

const (
	appsPath   = "/" + appsVersion + "/deviceAppManagement/mobileApps"
	assignPath = "/" + assignVersion + "/deviceAppManagement/mobileApps"
	win32Cast  = "/graph.win32LobApp" // as Microsoft's SDKs spell it

	managedDevicesPath = "/" + devicesVersion + "/deviceManagement/managedDevices"
	devicesPath        = "/" + devicesVersion + "/devices"
	groupsPath         = "/" + groupsVersion + "/groups"
	scriptsPath        = "/" + scriptsVersion + "/deviceManagement/deviceHealthScripts"
	enrolmentPath      = "/" + enrolVersion + "/deviceManagement/deviceEnrollmentConfigurations"
	filtersPath        = "/" + filtersVersion + "/deviceManagement/assignmentFilters"
	reportPath         = "/" + reportVersion + "/deviceManagement/reports/retrieveDeviceAppInstallationStatusReport"
)

func appPath(id string) string { return appsPath + "/" + url.PathEscape(id) }

func scriptPath(id string) string { return scriptsPath + "/" + url.PathEscape(id) }

func contentsPath(app string) string {
	return "/" + contentVersion + "/deviceAppManagement/mobileApps/" + url.PathEscape(app) + win32Cast + "/contentVersions"
}

func filesPath(app, version string) string {
	return contentsPath(app) + "/" + url.PathEscape(version) + "/files"
}

func filePath(app, version, file string) string {
	return filesPath(app, version) + "/" + url.PathEscape(file)
}

func assignmentsPath(app string) string {
	return assignPath + "/" + url.PathEscape(app) + "/assignments"
}

func assignActionPath(app string) string { return assignPath + "/" + url.PathEscape(app) + "/assign" }
