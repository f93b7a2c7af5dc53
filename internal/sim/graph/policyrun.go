package graph

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/policy"
	"github.com/packmill/packmill/internal/fleet"
)

// What devices make of configurations: a device takes one over at its first
// check-in under an assignment, and reports how that went.

// historySuffix names the set that holds the history of a set's objects.
const historySuffix = ".history"

// A policyEpoch is what a configuration was and whom it was for from an instant
// on.
type policyEpoch struct {
	At          time.Time
	Package     fleet.PackageID
	Version     string
	Artifact    fleet.Digest
	Mac         bool // for macOS
	Assignments []assignment
}

// told serves a change and adds what it made to the object's history.
func (s set) told(h func(*request, *entity) (reply, error)) func(*request, *entity) (reply, error) {
	return func(r *request, e *entity) (reply, error) {
		rep, err := h(r, e)
		if err != nil {
			return rep, err
		}
		return rep, r.t.remember(s.name, e)
	}
}

// created is set.create with the first entry of a history.
func (s set) created(r *request) (reply, error) {
	rep, err := s.create(r)
	if err != nil {
		return rep, err
	}
	id := rep.body.(map[string]any)["id"].(string)
	return rep, r.t.remember(s.name, r.t.entities[s.name][id])
}

func (t *tenant) epochs(set, id string) []policyEpoch {
	h := t.entities[set+historySuffix][id]
	if h == nil {
		return nil
	}
	var out []policyEpoch
	_ = json.Unmarshal(h.Props["epochs"], &out) // remember wrote it
	return out
}

// remember adds the present state of an object to its history. Changes of one
// instant are one entry.
func (t *tenant) remember(set string, e *entity) error {
	now := t.s.o.Now()
	epoch := policyEpoch{At: now, Package: fleet.PackageID("unmarked/" + e.ID), Mac: strings.HasPrefix(text(e.Props, "@odata.type"), "#microsoft.graph.macOS") || strings.HasPrefix(text(e.Props, "platforms"), "macOS"), Assignments: e.Assignments}
	if m, ok := policy.ParseMarker(text(e.Props, "description")); ok {
		epoch.Package, epoch.Version, epoch.Artifact = m.Package, m.Version, m.Artifact
	}
	all := t.epochs(set, e.ID)
	if n := len(all); n > 0 && all[n-1].At.Equal(now) {
		all = all[:n-1]
	}
	data, err := json.Marshal(append(all, epoch))
	if err != nil {
		return err
	}
	return t.save(set+historySuffix, &entity{ID: e.ID, Created: e.Created, Modified: now, Props: map[string]json.RawMessage{"epochs": data}})
}

// A configOutcome is what a device reports of a configuration.
type configOutcome struct {
	at     time.Time
	failed bool
}

// policyStates are the devices that a configuration is for and that have taken
// it over.
func (t *tenant) policyStates(set, id string) map[*device]configOutcome {
	out := map[*device]configOutcome{}
	all := t.epochs(set, id)
	now := t.s.o.Now()
	if len(all) == 0 {
		return out
	}
	// Only the newest content counts: entries back to where it came in are one.
	last := all[len(all)-1]
	for _, d := range t.byManaged() {
		if (d.OS == "macOS") != last.Mac {
			continue
		}
		for _, e := range slices.Backward(all) {
			if e.Artifact != last.Artifact || e.Version != last.Version {
				break
			}
			at, meant := t.takes(e, d, now)
			if !meant && e.At.Equal(last.At) {
				break // it is for this device no longer, or never was
			}
			if !at.IsZero() {
				out[d] = configOutcome{at, t.fails(d, &epoch{Package: e.Package, Version: e.Version, Artifact: e.Artifact})}
			}
		}
	}
	return out
}

// takes is when a device takes a configuration over under an entry's
// assignments, zero where it has not yet, and whether it is meant by them.
func (t *tenant) takes(e policyEpoch, d *device, now time.Time) (first time.Time, meant bool) {
	for _, a := range e.Assignments {
		body, err := parseScriptAssigned(a.Body)
		if err != nil {
			continue
		}
		from, to, ok := t.hitUntil(body.Target.Type, body.Target.GroupID, d, e.At, now)
		if body.Target.Type == exclusionTarget {
			if g := t.groups[body.Target.GroupID]; g != nil && g.holds(d.object, now) {
				return time.Time{}, false
			}
			continue
		}
		if !ok {
			continue
		}
		meant = meant || !to.Before(now)
		at, alive := t.nextCheckIn(d, from)
		if alive && !at.After(to) && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first, meant
}

var policyFilter = regexp.MustCompile(`\(PolicyId eq '([^']+)'\)`)

// policyReport serves getConfigurationPolicyDevicesReport: columns by name, then
// rows, as an octet stream. It gives a column with words beside the status.
func policyReport(r *request) (reply, error) {
	var body struct {
		Filter    string   `json:"filter"`
		Select    []string `json:"select"`
		Skip, Top int
	}
	if json.Unmarshal(r.body, &body) != nil || body.Skip < 0 || body.Top < 0 {
		return reply{}, badRequest("the report request cannot be read")
	}
	m := policyFilter.FindStringSubmatch(body.Filter)
	if m == nil || len(body.Select) == 0 {
		return reply{}, badRequest("filter by PolicyId and select are required")
	}
	schema := []map[string]string{}
	for _, name := range body.Select {
		kind := "String"
		switch name {
		case "PolicyStatus":
			kind = "Int32"
		case "PspdpuLastModifiedTimeUtc":
			kind = "DateTime"
		case "IntuneDeviceId", "DeviceName", "UPN", "PolicyId":
		default:
			return reply{}, badRequest("column " + name + " is unknown")
		}
		schema = append(schema, map[string]string{"Column": name, "PropertyType": kind})
	}
	schema = append(schema, map[string]string{"Column": "PolicyStatus_loc", "PropertyType": "String"})
	values := [][]any{}
	for _, name := range []string{catalogSet, configSet} {
		states := r.t.policyStates(name, m[1])
		for _, d := range r.t.byManaged() {
			if s, ok := states[d]; ok {
				values = append(values, policyRow(m[1], d, s, body.Select))
			}
		}
	}
	top := body.Top
	if top == 0 || top > reportRows {
		top = reportRows
	}
	from := min(body.Skip, len(values))
	data, err := json.Marshal(map[string]any{
		"TotalRowCount": len(values), "Schema": schema, "Values": values[from:min(from+top, len(values)):len(values)], "SessionId": "",
	})
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, raw: data, contentType: "application/octet-stream"}, nil
}

func policyRow(id string, d *device, s configOutcome, columns []string) []any {
	code, word := 2, "Succeeded"
	if s.failed {
		code, word = 5, "Error"
	}
	var out []any
	for _, name := range columns {
		var v any
		switch name {
		case "IntuneDeviceId":
			v = d.managed
		case "DeviceName":
			v = d.Name
		case "PolicyId":
			v = id
		case "PolicyStatus":
			v = code
		case "PspdpuLastModifiedTimeUtc":
			v = s.at.UTC().Format("2006-01-02T15:04:05")
		case "UPN":
			v = ""
		}
		out = append(out, v)
	}
	return append(out, word)
}

// listCompliance serves the deviceStatuses of a compliance policy. The id of a
// row ends in that of the device.
func listCompliance(r *request, e *entity) (reply, error) {
	states := r.t.policyStates(complianceSet, e.ID)
	out := []map[string]any{}
	for _, d := range r.t.byManaged() {
		s, ok := states[d]
		if !ok {
			continue
		}
		status := "compliant"
		if s.failed {
			status = "error"
		}
		out = append(out, map[string]any{
			"id": fmt.Sprintf("%s_%s_%s", r.t.s.guid(r.t.Directory, "user", d.Name), e.ID, d.managed), "deviceDisplayName": d.Name,
			"status": status, "lastReportedDateTime": stamp(s.at),
		})
	}
	return page(r, out, statePage, statePage)
}
