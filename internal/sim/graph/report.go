package graph

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/sim/event"
)

// reportRows is the most rows the service sends at once.
const reportRows = 500

var reportFilter = regexp.MustCompile(`^\(?ApplicationId eq '([^']+)'\)?$`)

// installReport serves retrieveDeviceAppInstallationStatusReport: columns by
// name, then rows, as an octet stream.
func installReport(r *request) (reply, error) {
	var body struct {
		Filter    string   `json:"filter"`
		Select    []string `json:"select"`
		Skip, Top int
	}
	if json.Unmarshal(r.body, &body) != nil || body.Skip < 0 || body.Top < 0 {
		return reply{}, badRequest("the report request cannot be read")
	}
	m := reportFilter.FindStringSubmatch(body.Filter)
	if m == nil || len(body.Select) == 0 {
		return reply{}, badRequest("filter by ApplicationId and select are required")
	}
	schema := []map[string]string{}
	for _, name := range body.Select {
		kind := "String"
		switch name {
		case "InstallState", "ErrorCode":
			kind = "Int32"
		case "LastModifiedDateTime":
			kind = "DateTime"
		case "DeviceId", "DeviceName", "AppVersion", "HexErrorCode", "Platform", "UserPrincipalName", "ApplicationId":
		default:
			return reply{}, badRequest("column " + name + " is unknown")
		}
		schema = append(schema, map[string]string{"Column": name, "PropertyType": kind})
	}
	values := [][]any{}
	if a := r.t.apps[m[1]]; a != nil {
		statuses := r.t.statuses(a, r.t.s.o.Now())
		for _, d := range r.t.byManaged() {
			if s, ok := statuses[d]; ok {
				values = append(values, row(a, d, s, body.Select))
			}
		}
	}
	top := body.Top
	if top == 0 || top > reportRows {
		top = reportRows
	}
	from := min(body.Skip, len(values))
	out := map[string]any{
		"TotalRowCount": len(values), "Schema": schema,
		"Values": values[from:min(from+top, len(values)):len(values)], "SessionId": "",
	}
	data, err := json.Marshal(out)
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, raw: data, contentType: "application/octet-stream"}, nil
}

func row(a *app, d *device, s status, columns []string) []any {
	var out []any
	for _, name := range columns {
		var v any
		switch name {
		case "DeviceId":
			v = d.managed
		case "DeviceName":
			v = d.Name
		case "ApplicationId":
			v = a.ID
		case "Platform":
			v = cmp.Or(d.OS, "Windows")
		case "AppVersion":
			v = s.version
		case "InstallState":
			v = s.state
		case "ErrorCode":
			v = int32(s.code)
		case "HexErrorCode":
			v = fmt.Sprintf("0x%08x", s.code)
		case "LastModifiedDateTime":
			v = s.at.UTC().Format(time.RFC3339)
		case "UserPrincipalName":
			v = ""
		}
		out = append(out, v)
	}
	return out
}

// Events are the names of the events the server tells, in the order in which a
// publication first meets them.
func Events() []string {
	return []string{"create", "content", "file", "block", "blocklist", "commit", "patch", "group", "member", "probe", "reprobe", "watch", "assign", "renew", "unfile", "unprobe", "relate", "categorize", "uncategorize", "delete"}
}

// Known reports whether an event is one this package tells.
func Known(e event.Event) bool { return e.Service == "graph" && slices.Contains(Events(), e.Name) }
