package assign

import (
	"encoding/json"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

func TestTargets(t *testing.T) {
	for _, c := range []struct {
		target    fleet.Target
		key, json string
	}{
		{fleet.Target{Group: "g"}, "g", `{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":"g"}`},
		{fleet.Target{Group: "g", Exclude: true}, "-g", `{"@odata.type":"#microsoft.graph.exclusionGroupAssignmentTarget","groupId":"g"}`},
		{fleet.Target{Group: AllDevices}, AllDevices, `{"@odata.type":"#microsoft.graph.allDevicesAssignmentTarget"}`},
		{fleet.Target{Group: AllUsers}, AllUsers, `{"@odata.type":"#microsoft.graph.allLicensedUsersAssignmentTarget"}`},
	} {
		got := TargetOf(c.target)
		data, err := json.Marshal(got)
		if err != nil || string(data) != c.json || got.Key() != c.key {
			t.Errorf("%+v: %q, %s, %v", c.target, got.Key(), data, err)
		}
		if back := got.Told(); back != c.target {
			t.Errorf("%+v came back as %+v", c.target, back)
		}
	}
}

func TestFilters(t *testing.T) {
	for _, c := range []struct {
		target fleet.Target
		id, is string
	}{
		{fleet.Target{Group: "g", Filter: "f"}, "f", FilterInclude},
		{fleet.Target{Group: AllDevices, Filter: "f", Unfiltered: true}, "f", FilterExclude},
		{fleet.Target{Group: "g", Unfiltered: true}, "", ""},
		{fleet.Target{Group: "g", Exclude: true, Filter: "f"}, "", ""},
	} {
		if got := TargetOf(c.target); got.FilterID != c.id || got.FilterType != c.is {
			t.Errorf("%+v: %+v", c.target, got)
		}
	}
}
