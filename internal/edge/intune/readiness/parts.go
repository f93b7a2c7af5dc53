package readiness

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// A feature is a collection that some tenants do not have yet.
type feature struct {
	name string // as Graph calls the collection
	path string
}

func features() []feature {
	out := []feature{
		{"operationApprovalPolicies", "/beta/deviceManagement/operationApprovalPolicies"}, {"windowsUpdatesCatalog", "/beta/admin/windows/updates/catalog/entries"},
		{fleet.FeatureCatalog, "/beta/deviceAppManagement/mobileAppCatalogPackages"},
	}
	for _, name := range []string{fleet.FeatureScripts, "configurationPolicies", "assignmentFilters", "windowsQualityUpdatePolicies",
		"windowsQualityUpdateProfiles", "windowsFeatureUpdateProfiles", "windowsDriverUpdateProfiles"} {
		out = append(out, feature{name, "/beta/deviceManagement/" + name})
	}
	return out
}

// feature reads one element of a collection, or none, to see whether it is served.
func (l *look) feature(ctx context.Context, f feature) {
	err := l.api.Call(ctx, msgraph.Final, http.MethodGet, msgraph.Query(f.path, "$top", "1"), nil, nil)
	known := fleet.FeatureYes
	switch status := transport.StatusOf(err); {
	case err == nil:
	case status == http.StatusForbidden, status == http.StatusUnauthorized:
		known = fleet.FeatureDenied
	case status == http.StatusNotFound, status == http.StatusNotImplemented, status == http.StatusBadRequest && unserved(err):
		known = fleet.FeatureNo
	default:
		known = fleet.FeatureUnknown
	}
	l.set(func(out *fleet.Readiness) { out.Features[f.name] = known })
	if known == fleet.FeatureNo {
		l.note("note", "", "the tenant has no %s yet: what needs it is left out there", f.name)
	}
}

// unserved reports whether a refusal says that there is no such resource, rather
// than that something is wrong with the request.
func unserved(err error) bool {
	text := strings.ToLower(fmt.Sprint(err))
	return strings.Contains(text, "resource not found for the segment") || strings.Contains(text, "no method match route")
}

// A managed device, as far as it is counted.
type managed struct {
	OS       string `json:"operatingSystem"`
	Agent    string `json:"managementAgent"`
	Features *struct {
		Apps    *bool `json:"modernApps"`
		Updates *bool `json:"windowsUpdateForBusiness"`
	} `json:"configurationManagerClientEnabledFeatures"`
}

func (l *look) devices(ctx context.Context) {
	list, err := msgraph.List[managed](ctx, l.api, msgraph.Final, msgraph.Query(devicesPath,
		"$select", "id,operatingSystem,managementAgent,configurationManagerClientEnabledFeatures", "$top", "1000"))
	if err != nil {
		l.failed("devices", l.api.Fail("intune.check", l.api.Directory(), err))
		return
	}
	var c fleet.DeviceCounts
	for _, d := range list {
		c.All++
		if strings.EqualFold(d.OS, "Windows") {
			c.Windows++
		}
		both := strings.HasPrefix(d.Agent, "configurationManagerClientMdm")
		switch {
		case d.Agent == "configurationManagerClient":
			c.CoManaged, c.AppsCM, c.UpdatesCM = c.CoManaged+1, c.AppsCM+1, c.UpdatesCM+1
		case both && (d.Features == nil || d.Features.Apps == nil):
			c.CoManaged, c.Untold = c.CoManaged+1, c.Untold+1
		case both:
			c.CoManaged++
			if !*d.Features.Apps {
				c.AppsCM++
			}
			if d.Features.Updates != nil && !*d.Features.Updates {
				c.UpdatesCM++
			}
		}
	}
	l.set(func(out *fleet.Readiness) { out.Devices = c })
	if c.AppsCM > 0 {
		l.note("note", "move the Client apps workload to Intune for them, or leave them to Configuration Manager",
			"%d of %d devices get their apps from Configuration Manager: they are in no wave", c.AppsCM, c.All)
	}
	if c.UpdatesCM > 0 {
		l.note("note", "", "%d of %d devices get their updates from Configuration Manager", c.UpdatesCM, c.All)
	}
	if c.Untold > 0 {
		l.note("note", "", "%d co-managed devices do not tell who owns their workloads: they stay in waves", c.Untold)
	}
}

// plans are the service plans that cover a use (Microsoft: "Product names and
// service plan identifiers for licensing"); any of them does.
func plans() map[string][]string {
	return map[string][]string{
		"intune": {"INTUNE_A", "INTUNE_A_D", "INTUNE_EDU", "INTUNE_SMBIZ"},
		// Remediations are of Windows Enterprise, Education and VDA.
		"remediations": {"WIN10_PRO_ENT_SUB", "WIN10_ENT_LOC_F1", "Virtualization Rights for Windows 10 (E3/E5+VDA)"},
		"autopatch":    {"Windows_Autopatch"},
		"updates":      {"WINDOWSUPDATEFORBUSINESS_DEPLOYMENTSERVICE"},
	}
}

func (l *look) licences(ctx context.Context) {
	type sku struct {
		Status string `json:"capabilityStatus"`
		Plans  []struct {
			Name   string `json:"servicePlanName"`
			Status string `json:"provisioningStatus"`
		} `json:"servicePlans"`
	}
	skus, err := msgraph.List[sku](ctx, l.api, msgraph.Final, msgraph.Query(skusPath, "$select", "capabilityStatus,servicePlans"))
	if err != nil {
		l.failed("licences", l.api.Fail("intune.check", l.api.Directory(), err))
		return
	}
	have := map[string]bool{}
	for use, names := range plans() {
		have[use] = false
		for _, s := range skus {
			// Warning is a subscription in its days of grace.
			if s.Status != "Enabled" && s.Status != "Warning" {
				continue
			}
			for _, p := range s.Plans {
				if slices.Contains(names, p.Name) && p.Status != "Disabled" && p.Status != "Error" {
					have[use] = true
				}
			}
		}
	}
	l.set(func(out *fleet.Readiness) { out.Licences = have })
	if !have["intune"] {
		l.note("stalled", "assign a licence that includes Microsoft Intune Plan 1", "no active subscription of the tenant includes Intune that packmill knows of")
	}
	for use, what := range map[string]string{
		"remediations": "remediations and health probes need Windows Enterprise E3 or E5, Education A3 or A5, or VDA",
		"updates":      "driver and quality update policies need the Windows Update for Business deployment service",
	} {
		if have["intune"] && !have[use] {
			l.note("note", "", "no licence for %s: %s", use, what)
		}
	}
}

// appsAndPages counts apps, sees whether they have architectures, and which
// enrolment status pages wait for packmill's own.
func (l *look) appsAndPages(ctx context.Context) {
	type app struct {
		ID    string `json:"id"`
		Notes string `json:"notes"`
	}
	apps, err := msgraph.List[app](ctx, l.api, msgraph.Final, msgraph.Query(appsPath, "$select", "id,notes"))
	if err != nil {
		l.failed("apps", l.api.Fail("intune.check", l.api.Directory(), err))
		return
	}
	ours := map[string]string{}
	for _, a := range apps {
		if whose := l.owner(a.Notes); whose != "" {
			ours[a.ID] = whose
		}
	}
	l.set(func(out *fleet.Readiness) { out.Apps, out.Ours = len(apps), len(ours) })
	l.architectures(ctx)
	type page struct {
		Type string   `json:"@odata.type"`
		ID   string   `json:"id"`
		Apps []string `json:"selectedMobileAppIds"`
	}
	pages, err := msgraph.List[page](ctx, l.api, msgraph.Final, enrolmentPath)
	if err != nil {
		l.failed("enrolment status pages", l.api.Fail("intune.check", l.api.Directory(), err))
		return
	}
	for _, p := range pages {
		if !strings.HasSuffix(p.Type, "windows10EnrollmentCompletionPageConfiguration") {
			continue
		}
		found := fleet.EnrolmentPage{ID: p.ID, Apps: len(p.Apps)}
		for _, id := range p.Apps {
			if whose := ours[id]; whose != "" {
				found.Ours = append(found.Ours, whose)
			}
		}
		slices.Sort(found.Ours)
		l.set(func(out *fleet.Readiness) { out.Pages = append(out.Pages, found) })
		for _, whose := range found.Ours {
			if strings.HasSuffix(whose, " "+fleet.Candidate) {
				l.note("stalled", "have the page wait for the stable slot's app instead", "an enrolment status page waits for %s, which most devices are not offered: new devices would wait in vain", whose)
			}
		}
	}
}

// architectures sees whether the tenant's Win32 apps have the property that names
// several architectures: where the feature has not arrived, they do not.
func (l *look) architectures(ctx context.Context) {
	var first struct {
		Value []map[string]json.RawMessage `json:"value"`
	}
	known := fleet.FeatureUnknown
	err := l.api.Call(ctx, msgraph.Final, http.MethodGet, msgraph.Query(appsPath, "$filter", "isof('microsoft.graph.win32LobApp')", "$top", "1"), nil, &first)
	if err == nil && len(first.Value) > 0 {
		known = fleet.FeatureNo
		if _, has := first.Value[0][fleet.FeatureArchitectures]; has {
			known = fleet.FeatureYes
		}
	}
	l.set(func(out *fleet.Readiness) { out.Features[fleet.FeatureArchitectures] = known })
}

// approvals reads which changes need a second person, and which of packmill's
// wait for one.
func (l *look) approvals(ctx context.Context) {
	policies, err := l.api.ApprovalPolicies(ctx)
	if err != nil {
		return // told as a feature
	}
	kinds := []string{}
	for _, p := range policies {
		if !slices.Contains(kinds, p.Type) {
			kinds = append(kinds, p.Type)
		}
	}
	slices.Sort(kinds)
	l.set(func(out *fleet.Readiness) { out.Approvals = kinds })
	if len(kinds) > 0 {
		l.note("note", "exclude packmill's application from the access policy, where git's approval is the second person's, or have approvers at hand for every change, halts included",
			"Multi Admin Approval protects: %s", strings.Join(kinds, ", "))
	}
	requests, err := l.api.ApprovalRequests(ctx)
	if err != nil {
		l.failed("approvals", l.api.Fail("intune.check", l.api.Directory(), err))
		return
	}
	for _, r := range requests {
		if !r.Ours() || !r.Open() {
			continue
		}
		p := fleet.PendingChange{ID: r.ID, Status: r.Status, Reason: r.Reason(), Since: r.Requested.UTC(), Expires: r.Expires.UTC()}
		l.set(func(out *fleet.Readiness) { out.Pending = append(out.Pending, p) })
		if r.Status == "needsApproval" {
			l.note("stalled", "an administrator of the tenant decides: Intune admin center › Tenant administration › Multi Admin Approval › Received requests", "request %s waits for an approver: %s", r.ID, p.Reason)
		} else {
			l.note("note", "packmill run", "request %s is approved, and made by the next run: %s", r.ID, p.Reason)
		}
	}
}
