package graph

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
)

// roles are the application permissions that the tenant granted.
func (t *tenant) roles() []string {
	if t.Roles != nil {
		return t.Roles
	}
	var out []string
	for _, p := range msgraph.Permissions() {
		out = append(out, p.Role)
	}
	return out
}

// admit refuses a request to what the tenant does not have yet, or did not grant.
// The service does not say which permission it misses.
func (t *tenant) admit(r *request) error {
	if r.Method != http.MethodGet && len(t.Lacks) > 0 {
		props, err := object(r.body)
		for _, name := range t.Lacks {
			if _, has := props[name]; has && err == nil {
				return badRequest("The property '" + name + "' does not exist on the type. Make sure to only use property names that are defined by the type.")
			}
		}
	}
	_, below, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	below = "/" + below
	for _, prefix := range t.Lacks {
		if strings.HasPrefix(prefix, "/") && strings.HasPrefix(below, prefix) {
			return badRequest("Resource not found for the segment '" + prefix[strings.LastIndex(prefix, "/")+1:] + "'.")
		}
	}
	if t.Roles == nil {
		return nil
	}
	best, longest := msgraph.Permission{}, 0
	for _, p := range msgraph.Permissions() {
		for _, prefix := range p.Paths {
			if strings.HasPrefix(below, prefix) && len(prefix) > longest {
				best, longest = p, len(prefix)
			}
		}
	}
	granted := best.In
	if r.Method == http.MethodGet {
		granted = best.Reads
	}
	if longest > 0 && !granted(t.Roles) {
		return fail(http.StatusForbidden, "Forbidden", "Application is not authorized to perform this operation.")
	}
	return nil
}

// mayAdd refuses an application that may change groups and not devices to put a
// device into one (Microsoft: "Add members", column of applications).
func (t *tenant) mayAdd(object string) error {
	if t.objects[object] != nil && t.Roles != nil && !slices.Contains(t.Roles, "Device.ReadWrite.All") {
		return fail(http.StatusForbidden, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
	}
	return nil
}

// factRoutes are what a look at a tenant asks for beyond what others serve:
// licences, the organization, approvals. They come last: a
// collection that a feature's own routes do not serve is an empty one here, so that
// a probe finds it.
func factRoutes(r router) {
	r.both("GET", "/organization", "organization.list", listOrganization)
	r.both("GET", "/subscribedSkus", "sku.list", listSkus)
	const requests = "/deviceManagement/operationApprovalRequests"
	r.beta("GET", "/deviceManagement/operationApprovalPolicies", "approval.policies", listApprovalPolicies)
	r.beta("GET", requests, "approval.list", listApprovals)
	for _, path := range []string{
		"/deviceManagement/configurationPolicies", "/deviceManagement/windowsQualityUpdatePolicies",
		"/deviceManagement/windowsDriverUpdateProfiles", "/deviceAppManagement/mobileAppCatalogPackages", "/admin/windows/updates/catalog/entries",
	} {
		r.otherwise(path, "probe", func(r *request) (reply, error) { return page(r, []map[string]any{}, 25, 1000) })
	}
}

// otherwise serves reads of a collection, in both versions, where nobody serves
// them yet.
func (r router) otherwise(path, operation string, h handler) {
	for _, version := range []string{"/v1.0", "/beta"} {
		probe, err := http.NewRequest(http.MethodGet, version+path, nil)
		if err != nil {
			panic("graph: " + err.Error())
		}
		if _, pattern := r.mux.Handler(probe); pattern == "" || pattern == "/" {
			r.mux.HandleFunc("GET "+version+path, r.s.graph(operation, h))
		}
	}
}

func listOrganization(r *request) (reply, error) {
	return page(r, []map[string]any{selected(r, map[string]any{
		"id": r.t.Directory, "displayName": "Simulated tenant", "mobileDeviceManagementAuthority": "intune",
	})}, 25, 25)
}

// defaultPlans are the service plans of a tenant that can use everything.
func defaultPlans() []string {
	return []string{"INTUNE_A", "WIN10_PRO_ENT_SUB", "WINDOWSUPDATEFORBUSINESS_DEPLOYMENTSERVICE", "Windows_Autopatch"}
}

func listSkus(r *request) (reply, error) {
	names := r.t.Plans
	if names == nil {
		names = defaultPlans()
	}
	plans := []map[string]any{}
	for _, name := range names {
		plans = append(plans, map[string]any{"servicePlanName": name, "servicePlanId": r.t.s.guid("plan", name), "provisioningStatus": "Success", "appliesTo": "User"})
	}
	sku := map[string]any{
		"id": r.t.Directory + "_" + r.t.s.guid("sku"), "skuId": r.t.s.guid("sku"), "skuPartNumber": "SPE_E3", "capabilityStatus": "Enabled", "appliesTo": "User",
		"consumedUnits": len(r.t.devices), "servicePlans": plans,
	}
	return page(r, []map[string]any{selected(r, sku)}, 100, 100)
}

// comanaged reports whether Configuration Manager owns a workload of the device.
func (d *device) comanaged(workload string) bool { return slices.Contains(d.Owned, workload) }

// agents adds by what the device is managed.
func (d *device) agents(out map[string]any) {
	out["managementAgent"] = cmp.Or(d.Agent, "mdm")
	if d.Agent == "" {
		return
	}
	out["configurationManagerClientEnabledFeatures"] = map[string]any{
		"modernApps": !d.comanaged("apps"), "windowsUpdateForBusiness": !d.comanaged("updates"), "inventory": true, "deviceConfiguration": true,
		"compliancePolicy": true, "resourceAccess": true,
	}
}
