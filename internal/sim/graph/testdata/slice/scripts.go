package main

// scripts are the device health scripts.
func scripts() area {
	const (
		all = "/deviceManagement/deviceHealthScripts"
		one = all + "/{deviceHealthScript-id}"
	)
	return area{
		paths: map[string][]string{
			all:                      {"get", "post"},
			one:                      {"get", "patch", "delete"},
			one + "/assign":          {"post"},
			one + "/assignments":     {"get"},
			one + "/deviceRunStates": {"get"},
		},
		types:   []string{"deviceHealthScript", "deviceHealthScriptHourlySchedule", "deviceHealthScriptDailySchedule", "deviceHealthScriptRunOnceSchedule"},
		leading: []string{"managedDevice", "deviceHealthScriptAssignments"},
		beta:    true,
	}
}
