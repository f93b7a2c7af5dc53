package main

// assignments are what narrows an assignment, and what refers to an app.
func assignments() area {
	const (
		filters   = "/deviceManagement/assignmentFilters"
		enrolment = "/deviceManagement/deviceEnrollmentConfigurations"
	)
	return area{
		paths: map[string][]string{
			filters:                     {"get", "post"},
			filters + "/validateFilter": {"post"},
			filters + "/{deviceAndAppManagementAssignmentFilter-id}": {"get", "patch", "delete"},
			enrolment: {"get", "post"},
			enrolment + "/{deviceEnrollmentConfiguration-id}": {"get", "patch", "delete"},
		},
		types: []string{
			"deviceAndAppManagementAssignmentFilter", "windows10EnrollmentCompletionPageConfiguration", "deviceEnrollmentLimitConfiguration", "user",
		},
		beta: true,
	}
}
