package graph

import (
	"encoding/json"
	"slices"
)

// completionPage is the type of enrolment status pages among the enrolment
// configurations.
const completionPage = "#microsoft.graph.windows10EnrollmentCompletionPageConfiguration"

// enrolmentSet are a tenant's enrolment configurations. Devices here do not wait
// for the apps that a status page names: they are told what is assigned, like
// all others.
func enrolmentSet() set {
	return set{
		name: "deviceEnrollmentConfigurations", noun: "deviceEnrollmentConfiguration", required: []string{"displayName", "@odata.type"},
		owned: []string{"priority", "version"}, page: 100,
		check: func(props map[string]json.RawMessage) error {
			if !slices.Contains([]string{completionPage, "#microsoft.graph.deviceEnrollmentLimitConfiguration"}, text(props, "@odata.type")) {
				return badRequest("configurations of type " + text(props, "@odata.type") + " are not simulated")
			}
			var ids []string
			if raw := props["selectedMobileAppIds"]; raw != nil && json.Unmarshal(raw, &ids) != nil {
				return badRequest("selectedMobileAppIds is no list of texts")
			}
			return nil
		},
	}
}

func enrolmentRoutes(r router) {
	const all = "/deviceManagement/deviceEnrollmentConfigurations"
	s := enrolmentSet()
	r.both("GET", all, "enrolment.list", s.list)
	r.both("POST", all, "enrolment.create", s.create)
	r.both("GET", all+"/{id}", "enrolment.get", s.with(s.get))
	r.both("PATCH", all+"/{id}", "enrolment.patch", s.with(s.change))
	r.both("DELETE", all+"/{id}", "enrolment.delete", s.with(s.remove))
}
