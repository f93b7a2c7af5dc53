package policy

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

var errNoObject = errors.New("the tenant has no configuration for the slot")

// reportPage is how many rows of the report are asked for at once.
const reportPage = 500

func reportColumns() []string {
	return []string{"IntuneDeviceId", "PolicyStatus", "PspdpuLastModifiedTimeUtc"}
}

// A row is what one device says of one object, under its managed id.
type row struct {
	device, state string // of fleet.DeviceStatus
	at            time.Time
}

// Statuses reads what devices reported for the slot's objects, in the order of
// device ids. A device has the configuration where it reports so for all of
// them that are for its platform, and fails where it does for one. What it reported before the present
// content was applied is of an older release, and counts as nothing.
func (c *Client) Statuses(ctx context.Context, id fleet.PackageID, name string) ([]fleet.DeviceStatus, error) {
	s := slot{id, name}
	if err := checkSlot("policy.statuses", s); err != nil {
		return nil, err
	}
	out, err := c.statuses(ctx, s)
	return out, c.api.Fail("policy.statuses", s.String(), err)
}

func (c *Client) statuses(ctx context.Context, s slot) ([]fleet.DeviceStatus, error) {
	objects, err := c.find(ctx, s, false)
	if err != nil || len(objects) == 0 {
		return nil, err
	}
	type told struct {
		fleet.DeviceStatus
		good, of int
	}
	by := map[string]*told{}
	of := map[bool]int{} // objects, by whether they are for macOS
	for _, o := range objects {
		of[o.mac()]++
	}
	for _, o := range objects {
		rows, err := c.rows(ctx, o)
		if err != nil {
			return nil, err
		}
		for device, r := range newest(rows) {
			if r.at.Unix() < o.marker.At {
				continue
			}
			t := by[device]
			if t == nil {
				t = &told{DeviceStatus: fleet.DeviceStatus{Device: device, State: "pending", Version: o.marker.Version}}
				by[device] = t
			}
			t.of = of[o.mac()] // what it is no device for it never reports
			if r.at.After(t.At) {
				t.At = r.at
			}
			switch {
			case r.state == "failed":
				t.State = "failed"
			case r.state == "installed":
				t.good++
			}
		}
	}
	managed := make([]string, 0, len(by))
	for device := range by {
		managed = append(managed, device)
	}
	ids, err := c.dir.DirectoryIDs(ctx, managed)
	if err != nil {
		return nil, err
	}
	var out []fleet.DeviceStatus
	for device, t := range by {
		if t.Device = ids[device]; t.Device == "" {
			continue // retired since it reported
		}
		if t.State != "failed" && t.good == t.of {
			t.State = "installed"
		}
		out = append(out, t.DeviceStatus)
	}
	slices.SortFunc(out, func(a, b fleet.DeviceStatus) int { return strings.Compare(a.Device, b.Device) })
	return out, nil
}

// mac reports whether an object is for macOS, else for Windows.
func (o *object) mac() bool {
	kind, _ := o.raw["@odata.type"].(string)
	platforms, _ := o.raw["platforms"].(string)
	return strings.HasPrefix(kind, "#microsoft.graph.macOS") || strings.HasPrefix(platforms, "macOS")
}

// newest is each device's newest row, of rows of one instant the worse: a
// device with several users has several.
func newest(rows []row) map[string]row {
	out := map[string]row{}
	for _, r := range rows {
		if old, ok := out[r.device]; !ok || r.at.After(old.at) || r.at.Equal(old.at) && r.state == "failed" {
			out[r.device] = r
		}
	}
	return out
}

// rows reads what devices say of an object, from where its kind has it.
func (c *Client) rows(ctx context.Context, o *object) ([]row, error) {
	switch o.path {
	case scriptPath:
		return c.runStates(ctx, o.id)
	case compliancePath:
		return c.complianceRows(ctx, o.id)
	}
	return c.report(ctx, o)
}

// runStates reads what a pair of scripts last did on each device.
func (c *Client) runStates(ctx context.Context, id string) ([]row, error) {
	type state struct {
		Detection   string     `json:"detectionState"`
		Remediation string     `json:"remediationState"`
		Updated     *time.Time `json:"lastStateUpdateDateTime"`
		Device      *struct {
			ID string `json:"id"`
		} `json:"managedDevice"`
	}
	states, err := msgraph.List[state](ctx, c.api, msgraph.Fresh, msgraph.Query(statesPath(id), "$expand", "managedDevice($select=id)", "$top", "1000"))
	if err != nil {
		return nil, err
	}
	var out []row
	for _, s := range states {
		if s.Device == nil || s.Updated == nil {
			continue
		}
		r := row{device: s.Device.ID, state: "pending", at: s.Updated.UTC()}
		switch {
		case s.Remediation == "remediationFailed" || s.Remediation == "scriptError" || s.Detection == "scriptError":
			r.state = "failed"
		case s.Detection == "success" || s.Remediation == "success":
			r.state = "installed"
		case s.Detection == "fail" && s.Remediation == "skipped":
			r.state = "failed" // found wanting, and nothing was done
		}
		out = append(out, r)
	}
	return out, nil
}

// complianceRows reads what devices say of a compliance policy. A device that
// is not compliant has the policy: it was evaluated. The last part of a row's id
// is the device's.
func (c *Client) complianceRows(ctx context.Context, id string) ([]row, error) {
	type status struct {
		ID       string     `json:"id"`
		Status   string     `json:"status"`
		Reported *time.Time `json:"lastReportedDateTime"`
	}
	statuses, err := msgraph.List[status](ctx, c.api, msgraph.Fresh, statusesPath(id))
	if err != nil {
		return nil, err
	}
	var out []row
	for _, s := range statuses {
		if s.Reported == nil {
			continue
		}
		r := row{device: s.ID[strings.LastIndexByte(s.ID, '_')+1:], state: stateOf(s.Status), at: s.Reported.UTC()}
		if s.Status == "nonCompliant" {
			r.state = "installed"
		}
		out = append(out, r)
	}
	return out, nil
}

// stateOf maps Graph's complianceStatus, a number in reports, to the vocabulary.
func stateOf(s string) string {
	names := []string{"unknown", "notApplicable", "compliant", "remediated", "nonCompliant", "error", "conflict", "notAssigned"}
	if n, err := strconv.Atoi(s); err == nil && n >= 0 && n < len(names) {
		s = names[n]
	}
	switch s {
	case "compliant", "remediated", "succeeded", "Succeeded":
		return "installed"
	case "nonCompliant", "error", "conflict", "Error", "Conflict":
		return "failed"
	case "notApplicable", "notAssigned":
		return "absent"
	}
	return "pending"
}

// report reads all rows of the policy report of an object.
func (c *Client) report(ctx context.Context, o *object) ([]row, error) {
	type request struct {
		Filter  string   `json:"filter"`
		Select  []string `json:"select"`
		Skip    int      `json:"skip"`
		Top     int      `json:"top"`
		OrderBy []string `json:"orderBy"`
	}
	var page struct {
		Total  int `json:"TotalRowCount"`
		Schema []struct{ Column string }
		Values [][]json.RawMessage
	}
	base := "Microsoft.Management.Services.Api.DeviceConfiguration"
	if o.path == catalogPath {
		base = "DeviceManagementConfigurationPolicy"
	}
	filter := "(PolicyBaseTypeName eq '" + base + "') and (PolicyId eq '" + strings.ReplaceAll(o.id, "'", "''") + "')"
	var out []row
	for skip := 0; ; {
		page.Schema, page.Values = nil, nil
		// A report changes nothing: asking twice is harmless.
		req := request{Filter: filter, Select: reportColumns(), Skip: skip, Top: reportPage, OrderBy: []string{"IntuneDeviceId"}}
		if err := c.api.Call(transport.Repeatable(ctx), msgraph.Fresh, http.MethodPost, reportPath, req, &page); err != nil {
			return nil, err
		}
		column := map[string]int{}
		for i, s := range page.Schema {
			column[s.Column] = i
		}
		for _, name := range reportColumns() {
			if _, ok := column[name]; !ok && len(page.Values) > 0 {
				return nil, fleet.Errorf(fleet.Internal, "policy.statuses", o.id, "the policy report has no column %s", name)
			}
		}
		for _, values := range page.Values {
			out = append(out, rowOf(values, column))
		}
		// A service may send fewer rows than were asked for.
		skip += len(page.Values)
		if len(page.Values) == 0 || skip >= page.Total {
			return out, nil
		}
	}
}

func rowOf(values []json.RawMessage, column map[string]int) row {
	cell := func(name string) string {
		i := column[name]
		if i >= len(values) {
			return ""
		}
		var s string
		if json.Unmarshal(values[i], &s) == nil {
			return s
		}
		return strings.TrimSuffix(string(values[i]), ".0")
	}
	r := row{device: cell("IntuneDeviceId"), state: stateOf(cell("PolicyStatus"))}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04:05.9999999"} {
		if at, err := time.Parse(layout, cell("PspdpuLastModifiedTimeUtc")); err == nil {
			r.at = at.UTC()
			break
		}
	}
	return r
}
