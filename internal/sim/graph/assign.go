package graph

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

const (
	allDevicesTarget = "#microsoft.graph.allDevicesAssignmentTarget"
	allUsersTarget   = "#microsoft.graph.allLicensedUsersAssignmentTarget"
	groupTarget      = "#microsoft.graph.groupAssignmentTarget"
	exclusionTarget  = "#microsoft.graph.exclusionGroupAssignmentTarget"
)

func listAssignments(r *request, a *app) (reply, error) {
	out := []map[string]any{}
	for _, as := range a.Assignments {
		item := map[string]any{}
		for name, value := range as.Body {
			item[name] = value
		}
		item["id"], item["source"], item["sourceId"] = as.ID, "direct", ""
		out = append(out, item)
	}
	return page(r, out, 100, 1000)
}

// assign replaces the whole set of an app's assignments.
func assign(r *request, a *app) (reply, error) {
	var body struct {
		Assignments []map[string]json.RawMessage `json:"mobileAppAssignments"`
	}
	if json.Unmarshal(r.body, &body) != nil || body.Assignments == nil {
		return reply{}, badRequest("mobileAppAssignments is required")
	}
	if a.kind().content && a.Committed == "" && len(body.Assignments) > 0 {
		return reply{}, badRequest("an app without content cannot be assigned")
	}
	var set []assignment
	seen := map[string]bool{}
	for _, b := range body.Assignments {
		d, err := r.t.decode(b)
		if err != nil {
			return reply{}, err
		}
		if err := a.kind().takes(d, b); err != nil {
			return reply{}, err
		}
		key := d.Target.Type + " " + d.Target.GroupID
		if seen[key] {
			return reply{}, badRequest("a target is assigned twice")
		}
		seen[key] = true
		set = append(set, assignment{ID: r.t.s.guid(a.ID, "assignment", key), Body: b})
	}
	a.Assignments = set
	a.record(r.t.s.o.Now())
	if err := r.t.saveApp(a); err != nil {
		return reply{}, err
	}
	return did(http.StatusNoContent, nil, "assign", a.ID)
}

// An assigned is an assignment as far as devices act on it.
type assigned struct {
	Intent string `json:"intent"`
	Target struct {
		Type    string `json:"@odata.type"`
		GroupID string `json:"groupId"`
	} `json:"target"`
	Settings *struct {
		Install *installTime `json:"installTimeSettings"`
	} `json:"settings"`
}

type installTime struct {
	Local    bool       `json:"useLocalTime"`
	Start    *time.Time `json:"startDateTime"`
	Deadline *time.Time `json:"deadlineDateTime"`
}

// decode reads an assignment and refuses what the service refuses.
func (t *tenant) decode(body map[string]json.RawMessage) (assigned, error) {
	d, err := parseAssigned(body)
	if err != nil {
		return d, badRequest("an assignment cannot be read: " + err.Error())
	}
	if !slices.Contains([]string{"available", "required", "uninstall", "availableWithoutEnrollment"}, d.Intent) {
		return d, badRequest("an assignment has no intent")
	}
	switch d.Target.Type {
	case allDevicesTarget, allUsersTarget:
	case groupTarget, exclusionTarget:
		// Groups of other makers are known by their id alone.
		if g := t.groups[d.Target.GroupID]; g == nil && !isGUID(d.Target.GroupID) {
			return d, badRequest("an assignment names no group")
		}
	default:
		if t.s.o.Pitfalls.Future {
			break
		}
		return d, badRequest("target type " + d.Target.Type + " is not simulated")
	}
	if d.Target.Type == exclusionTarget && d.Settings != nil {
		return d, badRequest("an exclusion takes no settings")
	}
	if s := d.Settings; s != nil && s.Install != nil && s.Install.Start != nil && s.Install.Deadline != nil && s.Install.Deadline.Before(*s.Install.Start) {
		return d, badRequest("the deadline lies before the start")
	}
	return d, nil
}

func parseAssigned(body map[string]json.RawMessage) (assigned, error) {
	var d assigned
	data, err := json.Marshal(body)
	if err == nil {
		err = json.Unmarshal(data, &d)
	}
	return d, err
}

func isGUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, r := range s {
		hexDigit := r >= '0' && r <= '9' || r >= 'a' && r <= 'f' || r >= 'A' && r <= 'F'
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (r == '-') || !dash && !hexDigit {
			return false
		}
	}
	return true
}
