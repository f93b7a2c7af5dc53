package msgraph

import (
	"net/http"
	"slices"
	"strings"
)

// A Permission is an application permission of Graph that packmill uses. The
// one table of them is what docs/intune.md lists, what a check compares a
// token's roles with, and what the error of a refused call names.
type Permission struct {
	Role   string   // as the token's roles claim spells it
	Wider  []string // roles that include it
	Paths  []string // below the version, of the resources it opens
	For    string   // what cannot be done without it
	Always bool     // false: only tenants that use the feature need it
}

// deviceRole is what a device as a member of a group wants, beside the group's.
const deviceRole = "Device.ReadWrite.All"

// Permissions are all of them, those that every tenant needs first.
func Permissions() []Permission {
	return []Permission{
		{"DeviceManagementApps.ReadWrite.All", nil, []string{"/deviceAppManagement", "/deviceManagement/auditEvents"}, "create, update and assign packmill's own apps, read what Intune recorded", true},
		{"DeviceManagementManagedDevices.Read.All", []string{"DeviceManagementManagedDevices.ReadWrite.All"},
			[]string{"/deviceManagement/managedDevices", "/deviceManagement/reports", "/deviceManagement/detectedApps"}, "read devices and what they reported", true},
		// Reading devices would do with Device.Read.All. An application that puts one
		// into a group wants the whole (Microsoft: "Add members", v1.0, September 2025).
		{deviceRole, nil, []string{"/devices"}, "know devices by the ids that groups take, and put them into groups", true},
		{"Group.ReadWrite.All", []string{"Directory.ReadWrite.All"}, []string{"/groups"}, "keep one group of devices for each wave", true},
		{"DeviceManagementConfiguration.ReadWrite.All", nil,
			[]string{"/deviceManagement/configurationPolicies", "/deviceManagement/deviceConfigurations", "/deviceManagement/deviceCompliancePolicies", "/deviceManagement/assignmentFilters",
				"/deviceManagement/windowsQualityUpdate", "/deviceManagement/windowsDriverUpdateProfiles", "/deviceManagement/windowsFeatureUpdateProfiles"},
			"configurations, filters and update policies", false},
		{"DeviceManagementScripts.ReadWrite.All", nil, []string{"/deviceManagement/deviceHealthScripts"}, "health probes and remediations", false},
		{"DeviceManagementServiceConfig.Read.All", []string{"DeviceManagementServiceConfig.ReadWrite.All"}, []string{"/deviceManagement/deviceEnrollmentConfigurations"}, "see which enrolment status pages wait for packmill's apps", false},
		{"DeviceManagementRBAC.Read.All", []string{"DeviceManagementRBAC.ReadWrite.All"}, []string{"/deviceManagement/operationApproval", "/deviceManagement/roleScopeTags"}, "follow Multi Admin Approval, know scope tags by their names", false},
		{"Organization.Read.All", []string{"Organization.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"}, []string{"/organization", "/subscribedSkus"}, "know the tenant's licences", false},
		{"WindowsUpdates.ReadWrite.All", nil, []string{"/admin/windows/updates"}, "the Windows Update deployment service", false},
	}
}

// In reports whether one of the roles gives the permission.
func (p Permission) In(roles []string) bool {
	return slices.Contains(roles, p.Role) || slices.ContainsFunc(p.Wider, func(w string) bool { return slices.Contains(roles, w) })
}

// Reads reports whether one of the roles gives the permission, or the reading half
// of one that is for writing too.
func (p Permission) Reads(roles []string) bool {
	return p.In(roles) || slices.Contains(roles, strings.Replace(p.Role, ".ReadWrite.", ".Read.", 1))
}

// permissionFor is the permission that a path, with its version, wants; nil
// when the table has none.
func permissionFor(path string) *Permission {
	if _, after, found := strings.Cut(path, "://"); found {
		_, path, _ = strings.Cut(after, "/")
		path = "/" + path
	}
	_, below, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	var best *Permission
	longest := 0
	for _, p := range Permissions() {
		for _, prefix := range p.Paths {
			if strings.HasPrefix("/"+below, prefix) && len(prefix) > longest {
				best, longest = &p, len(prefix)
			}
		}
	}
	return best
}

// rolesFor are the roles that a call wants, nothing where the table has none. A
// new member of a group wants the group's and, where it is a device, the device's.
func rolesFor(method, path string) []string {
	p := permissionFor(path)
	switch {
	case p == nil:
		return nil
	case method == http.MethodPost && strings.Contains(path, "/groups/") && strings.HasSuffix(path, "/members/$ref"):
		return []string{p.Role, deviceRole}
	}
	return []string{p.Role}
}
