package assign

import "github.com/packmill/packmill/internal/fleet"

// Targets that are not groups, as fleet.Target spells them.
const (
	AllDevices = "all devices"
	AllUsers   = "all users"
)

// Types of targets (Microsoft: deviceAndAppManagementAssignmentTarget).
const (
	TypeAllDevices = "#microsoft.graph.allDevicesAssignmentTarget"
	TypeAllUsers   = "#microsoft.graph.allLicensedUsersAssignmentTarget"
	TypeGroup      = "#microsoft.graph.groupAssignmentTarget"
	TypeExclusion  = "#microsoft.graph.exclusionGroupAssignmentTarget"
)

// What a filter does with the devices that it matches.
const (
	FilterInclude = "include"
	FilterExclude = "exclude"
	FilterNone    = "none" // as the service says of a target without a filter
)

// A Target is whom an assignment is for, as Graph has it.
type Target struct {
	ODataType  string `json:"@odata.type"`
	GroupID    string `json:"groupId,omitempty"`
	FilterID   string `json:"deviceAndAppManagementAssignmentFilterId,omitempty"`
	FilterType string `json:"deviceAndAppManagementAssignmentFilterType,omitempty"`
}

// TargetOf is a target of the vocabulary as Graph takes it. An exclusion has no
// filter, and all devices or all users cannot be left out: a caller refuses such
// targets first, in the words of what it assigns.
func TargetOf(t fleet.Target) Target {
	out := Target{ODataType: TypeGroup, GroupID: t.Group}
	switch {
	case t.Exclude:
		out.ODataType = TypeExclusion
		return out
	case t.Group == AllDevices:
		out = Target{ODataType: TypeAllDevices}
	case t.Group == AllUsers:
		out = Target{ODataType: TypeAllUsers}
	}
	if t.Filter != "" {
		out.FilterID, out.FilterType = t.Filter, FilterInclude
		if t.Unfiltered {
			out.FilterType = FilterExclude
		}
	}
	return out
}

// Key names a target within a set: Graph holds one assignment for each. An
// exclusion of a group stands beside its inclusion.
func (t Target) Key() string {
	switch t.ODataType {
	case TypeAllDevices:
		return AllDevices
	case TypeAllUsers:
		return AllUsers
	case TypeExclusion:
		return "-" + t.GroupID
	}
	return t.GroupID
}

// called is how errors call the target.
func (t Target) called() string {
	switch t.ODataType {
	case TypeAllDevices, TypeAllUsers:
		return t.Key()
	case TypeExclusion:
		return "all but group " + t.GroupID
	}
	return "group " + t.GroupID
}

// Told is whom the target is for, in the vocabulary. Its filter is left out: not
// every kind of object has one.
func (t Target) Told() fleet.Target {
	out := fleet.Target{Group: t.GroupID, Exclude: t.ODataType == TypeExclusion}
	switch t.ODataType {
	case TypeAllDevices:
		out.Group = AllDevices
	case TypeAllUsers:
		out.Group = AllUsers
	}
	return out
}
