package intune

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/wrapper"
	"github.com/packmill/packmill/internal/transport"
)

// reportPage is how many rows of the installation report are asked for at once.
const reportPage = 500

// reportColumns are the columns that are read; the documentation forbids to
// rely on the default ones.
func reportColumns() []string {
	return []string{"DeviceId", "AppVersion", "InstallState", "HexErrorCode", "LastModifiedDateTime"}
}

type reportRequest struct {
	Filter  string   `json:"filter"`
	Select  []string `json:"select"`
	Skip    int      `json:"skip"`
	Top     int      `json:"top"`
	OrderBy []string `json:"orderBy"`
}

// A report is a page of any of Intune's reports: columns by name, then rows.
type report struct {
	Total  int `json:"TotalRowCount"`
	Schema []struct {
		Column string
	}
	Values [][]json.RawMessage
}

// Statuses reads what devices reported for the slot's app, in the order of
// device ids. A device with several users has several rows; the newest counts,
// of rows of one instant the worse.
func (c *Client) Statuses(ctx context.Context, id fleet.PackageID, slot string) ([]fleet.DeviceStatus, error) {
	k := slotKey{id, slot}
	if err := checkSlot("intune.statuses", k); err != nil {
		return nil, err
	}
	apps, known, err := c.lookup(ctx, k, false)
	if err != nil || !known {
		return nil, c.api.Fail("intune.statuses", k.String(), err)
	}
	rows, err := c.readReport(ctx, apps.id)
	if err != nil {
		return nil, c.api.Fail("intune.statuses", k.String(), err)
	}
	var managed []string
	for _, r := range rows {
		managed = append(managed, r.Device)
	}
	ids, err := c.directoryIDs(ctx, managed)
	if err != nil {
		return nil, c.api.Fail("intune.statuses", k.String(), err)
	}
	newest := map[string]fleet.DeviceStatus{}
	for _, r := range rows {
		if r.Device = ids[r.Device]; r.Device == "" {
			continue // retired since it reported
		}
		if old, ok := newest[r.Device]; !ok || r.At.After(old.At) || r.At.Equal(old.At) && r.State == "failed" {
			newest[r.Device] = r
		}
	}
	out := make([]fleet.DeviceStatus, 0, len(newest))
	for _, s := range newest {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b fleet.DeviceStatus) int { return strings.Compare(a.Device, b.Device) })
	return out, nil
}

// readReport reads all rows of the installation report of an app; devices are
// under the ids of managed devices.
func (c *Client) readReport(ctx context.Context, app string) ([]fleet.DeviceStatus, error) {
	var out []fleet.DeviceStatus
	for skip := 0; ; {
		var r report
		req := reportRequest{
			Filter: "(ApplicationId eq '" + strings.ReplaceAll(app, "'", "''") + "')",
			Select: reportColumns(), Skip: skip, Top: reportPage, OrderBy: []string{"DeviceId"},
		}
		// A report changes nothing: asking twice is harmless.
		if err := c.api.Call(transport.Repeatable(ctx), msgraph.Fresh, http.MethodPost, reportPath, req, &r); err != nil {
			return nil, err
		}
		column := map[string]int{}
		for i, s := range r.Schema {
			column[s.Column] = i
		}
		for _, name := range reportColumns() {
			if _, ok := column[name]; !ok && len(r.Values) > 0 {
				return nil, fleet.Errorf(fleet.Internal, "intune.statuses", app, "the installation report has no column %s", name)
			}
		}
		for _, row := range r.Values {
			out = append(out, reportRow(row, column))
		}
		// A service may send fewer rows than were asked for.
		skip += len(r.Values)
		if len(r.Values) == 0 || skip >= r.Total {
			return out, nil
		}
	}
}

func reportRow(row []json.RawMessage, column map[string]int) fleet.DeviceStatus {
	cell := func(name string) string {
		i := column[name]
		if i >= len(row) {
			return ""
		}
		var s string
		if json.Unmarshal(row[i], &s) == nil {
			return s
		}
		if raw := string(row[i]); raw != "null" {
			return raw
		}
		return ""
	}
	s := fleet.DeviceStatus{Device: cell("DeviceId"), Version: cell("AppVersion"), State: installState(cell("InstallState"))}
	if code := strings.ToLower(strings.TrimPrefix(cell("HexErrorCode"), "0x")); strings.Trim(code, "0") != "" {
		s.Error = "0x" + code
		if n, err := strconv.ParseInt(code, 16, 64); err == nil && s.State == "failed" && putOff(int(n)) {
			s.State = "pending"
		}
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05"} {
		if at, err := time.Parse(layout, cell("LastModifiedDateTime")); err == nil {
			s.At = at.UTC()
			break
		}
	}
	return s
}

// putOff reports whether an exit code is the wrapper script's "not now". The
// service calls it a failure once its own attempts are over, until the next day's:
// the release has done nothing on the device yet that could be judged.
func putOff(code int) bool {
	return code >= wrapper.CodeOutsideWindow && wrapper.ConsoleCodes()[code] == wrapper.Retry
}

// installState maps Graph's resultantAppState, a number in reports, to the
// vocabulary. What is neither installed nor failed has yet to be.
func installState(s string) string {
	if n, err := strconv.Atoi(s); err == nil {
		s = map[int]string{-1: "notApplicable", 1: "installed", 2: "failed", 3: "notInstalled", 4: "uninstallFailed"}[n]
	}
	switch s {
	case "installed":
		return "installed"
	case "failed", "uninstallFailed":
		return "failed"
	case "notInstalled":
		return "absent"
	case "notApplicable":
		return "exempt"
	}
	return "pending"
}
