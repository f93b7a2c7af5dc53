package graph

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	scriptType     = "#microsoft.graph.deviceHealthScript"
	hourlySchedule = "#microsoft.graph.deviceHealthScriptHourlySchedule"
	dailySchedule  = "#microsoft.graph.deviceHealthScriptDailySchedule"
	onceSchedule   = "#microsoft.graph.deviceHealthScriptRunOnceSchedule"
	longestScript  = 200 << 10
	longestStep    = 23 // hours or days of a schedule
	statePage      = 100
)

// A script is a deviceHealthScript with its assignments and history.
type script struct {
	ID          string
	Created     time.Time
	Modified    time.Time
	Props       map[string]json.RawMessage
	Hidden      int // reads that do not find it yet
	Unlisted    int // listings that do not show it yet
	Assignments []assignment
	History     []scriptEpoch
}

// A scriptEpoch is what a script was and where it ran from an instant on.
type scriptEpoch struct {
	At          time.Time
	Props       map[string]json.RawMessage
	Assignments []assignment
}

// A scriptAssigned is an assignment as far as devices act on it.
type scriptAssigned struct {
	Target struct {
		Type    string `json:"@odata.type"`
		GroupID string `json:"groupId"`
	} `json:"target"`
	Remediate bool `json:"runRemediationScript"`
	Schedule  *struct {
		Type     string `json:"@odata.type"`
		Interval int    `json:"interval"`
		Time     string `json:"time"`
		Date     string `json:"date"`
	} `json:"runSchedule"`
}

// interval is how far apart the runs of an assignment are; once a day where it
// has no schedule.
func (a scriptAssigned) interval() time.Duration {
	switch {
	case a.Schedule == nil:
		return 24 * time.Hour
	case a.Schedule.Type == onceSchedule:
		return 100 * 365 * 24 * time.Hour
	case a.Schedule.Type == hourlySchedule:
		return time.Duration(a.Schedule.Interval) * time.Hour
	}
	return time.Duration(a.Schedule.Interval) * 24 * time.Hour
}

func withScript(h func(*request, *script) (reply, error)) handler {
	return func(r *request) (reply, error) {
		s := r.t.scripts[r.PathValue("script")]
		if s == nil {
			return reply{}, notFound("deviceHealthScript")
		}
		if s.Hidden > 0 {
			s.Hidden--
			if err := r.t.saveScript(s); err != nil {
				return reply{}, err
			}
			return reply{}, notFound("deviceHealthScript")
		}
		return h(r, s)
	}
}

// resource is the script as the service tells it. Listings leave the text out.
func (s *script) resource(listed bool) map[string]any {
	out := map[string]any{}
	for name, value := range s.Props {
		if !listed || !strings.HasSuffix(name, "ScriptContent") {
			out[name] = value
		}
	}
	out["@odata.type"], out["id"] = scriptType, s.ID
	out["createdDateTime"], out["lastModifiedDateTime"], out["isGlobalScript"] = stamp(s.Created), stamp(s.Modified), false
	return out
}

func listScripts(r *request) (reply, error) {
	out := []map[string]any{}
	first := r.URL.Query().Get("$skiptoken") == ""
	for _, id := range slices.Sorted(maps.Keys(r.t.scripts)) {
		s := r.t.scripts[id]
		if s.Unlisted > 0 {
			if first {
				s.Unlisted--
				if err := r.t.saveScript(s); err != nil {
					return reply{}, err
				}
			}
			continue
		}
		out = append(out, selected(r, s.resource(true)))
	}
	return page(r, out, r.t.s.o.PageSize, 1000)
}

// checkScript refuses what the service refuses.
func checkScript(props map[string]json.RawMessage) error {
	for _, name := range []string{"displayName", "publisher", "detectionScriptContent", "runAsAccount"} {
		if text(props, name) == "" {
			return badRequest("property " + name + " is required")
		}
	}
	for _, name := range []string{"detectionScriptContent", "remediationScriptContent"} {
		data, err := base64.StdEncoding.DecodeString(text(props, name))
		if err != nil || len(data) > longestScript {
			return badRequest(name + " is no base64, or too long")
		}
	}
	return nil
}

func createScript(r *request) (reply, error) {
	props, err := object(r.body)
	if err != nil {
		return reply{}, err
	}
	if err := checkScript(props); err != nil {
		return reply{}, err
	}
	for _, name := range []string{"id", "createdDateTime", "lastModifiedDateTime", "isGlobalScript"} {
		delete(props, name)
	}
	now, id := r.t.s.o.Now(), r.t.next("script")
	s := &script{
		ID: id, Created: now, Modified: now, Props: props,
		Hidden: r.t.s.upTo(r.t.s.o.Lag, id, "hidden"), Unlisted: r.t.s.upTo(r.t.s.o.ListLag, id, "unlisted"),
	}
	r.t.scripts[id] = s
	if err := r.t.saveScript(s); err != nil {
		return reply{}, err
	}
	return did(http.StatusCreated, s.resource(false), "probe", id)
}

func getScript(r *request, s *script) (reply, error) { return ok(selected(r, s.resource(false))) }

func patchScript(r *request, s *script) (reply, error) {
	props, err := object(r.body)
	if err != nil {
		return reply{}, err
	}
	merged := maps.Clone(s.Props)
	maps.Copy(merged, props)
	if err := checkScript(merged); err != nil {
		return reply{}, err
	}
	for _, name := range []string{"id", "createdDateTime", "lastModifiedDateTime", "isGlobalScript"} {
		delete(merged, name)
	}
	s.Props, s.Modified = merged, r.t.s.o.Now()
	s.record(s.Modified)
	if err := r.t.saveScript(s); err != nil {
		return reply{}, err
	}
	return did(http.StatusOK, s.resource(false), "reprobe", s.ID)
}

func deleteScript(r *request, s *script) (reply, error) {
	delete(r.t.scripts, s.ID)
	if err := r.t.journal.add(change{Kind: "script", ID: s.ID, Counter: r.t.counter}); err != nil {
		return reply{}, err
	}
	return did(http.StatusNoContent, nil, "unprobe", s.ID)
}

func listScriptAssignments(r *request, s *script) (reply, error) {
	out := []map[string]any{}
	for _, a := range s.Assignments {
		item := map[string]any{}
		for name, value := range a.Body {
			item[name] = value
		}
		item["id"] = a.ID
		out = append(out, item)
	}
	return page(r, out, 100, 1000)
}

// assignScript replaces the whole set of a script's assignments.
func assignScript(r *request, s *script) (reply, error) {
	var body struct {
		Assignments []map[string]json.RawMessage `json:"deviceHealthScriptAssignments"`
	}
	if json.Unmarshal(r.body, &body) != nil || body.Assignments == nil {
		return reply{}, badRequest("deviceHealthScriptAssignments is required")
	}
	set := []assignment{}
	seen := map[string]bool{}
	for _, b := range body.Assignments {
		d, err := r.t.decodeScript(s, b)
		if err != nil {
			return reply{}, err
		}
		key := d.Target.Type + " " + d.Target.GroupID
		if seen[key] {
			return reply{}, badRequest("a target is assigned twice")
		}
		seen[key] = true
		set = append(set, assignment{ID: r.t.s.guid(s.ID, "assignment", key), Body: b})
	}
	s.Assignments = set
	s.record(r.t.s.o.Now())
	if err := r.t.saveScript(s); err != nil {
		return reply{}, err
	}
	return did(http.StatusNoContent, nil, "watch", s.ID)
}

func (t *tenant) decodeScript(s *script, body map[string]json.RawMessage) (scriptAssigned, error) {
	d, err := parseScriptAssigned(body)
	switch {
	case err != nil:
		return d, badRequest("an assignment cannot be read: " + err.Error())
	case d.Target.Type != groupTarget && d.Target.Type != exclusionTarget && d.Target.Type != allDevicesTarget && d.Target.Type != allUsersTarget:
		return d, badRequest("target type " + d.Target.Type + " is not simulated")
	case d.Target.Type != allDevicesTarget && d.Target.Type != allUsersTarget && t.groups[d.Target.GroupID] == nil && !isGUID(d.Target.GroupID):
		return d, badRequest("an assignment names no group")
	case d.Remediate && text(s.Props, "remediationScriptContent") == "":
		return d, badRequest("there is no remediation script to run")
	}
	if c := d.Schedule; c != nil && (c.Interval < 1 || c.Interval > longestStep || c.Type != hourlySchedule && (c.Type != dailySchedule && (c.Type != onceSchedule || c.Date == "") || c.Time == "")) {
		return d, badRequest("a schedule has an interval from 1 to 23, a time if it is no hourly one, and a date if it is once")
	}
	return d, nil
}

func parseScriptAssigned(body map[string]json.RawMessage) (scriptAssigned, error) {
	var d scriptAssigned
	data, err := json.Marshal(body)
	if err == nil {
		err = json.Unmarshal(data, &d)
	}
	return d, err
}

// record adds the present state to the history that runs are computed from.
func (s *script) record(now time.Time) {
	e := scriptEpoch{At: now, Props: s.Props, Assignments: slices.Clone(s.Assignments)}
	if n := len(s.History); n > 0 && s.History[n-1].At.Equal(now) {
		s.History[n-1] = e
		return
	}
	s.History = append(s.History, e)
}
