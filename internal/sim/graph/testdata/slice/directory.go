package main

// directory are devices and groups.
func directory() area {
	return area{
		paths: map[string][]string{
			"/deviceManagement/managedDevices":     {"get"},
			"/devices":                             {"get"},
			"/groups":                              {"get", "post"},
			"/groups/{group-id}":                   {"get", "delete"},
			"/groups/{group-id}/members":           {"get"},
			"/groups/{group-id}/members/$ref":      {"post"},
			"/groups/{group-id}/transitiveMembers": {"get"},
			"/groups/{group-id}/members/{directoryObject-id}/$ref": {"delete"},
		},
		types: []string{"device", "group"},
	}
}
