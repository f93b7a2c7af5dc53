package intune

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/edge/intune/reports"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/wrapper"
)

// A column names what is read of a device's row, in each of the two reports:
// they call the state differently.
type columns struct{ state string }

func (c columns) names() []string {
	return []string{"DeviceId", "AppVersion", c.state, "HexErrorCode", "LastModifiedDateTime"}
}

// Statuses reads what devices reported for the slot's app, in the order of
// device ids. A device with several users has several rows, and one with the
// objects of several platforms too; the newest counts, of rows of one instant the
// worse.
//
// Intune's reports lag behind the devices, by hours at times: a row tells when
// it was written (DeviceStatus.At), and it is for the caller to judge what is
// too old. Where the report is long it is read as an export, which gives the same
// rows.
func (c *Client) Statuses(ctx context.Context, id fleet.PackageID, slot string) ([]fleet.DeviceStatus, error) {
	k := slotKey{id, slot}
	if err := checkSlot("intune.statuses", k); err != nil {
		return nil, err
	}
	apps, err := c.lookup(ctx, k, false)
	if err != nil {
		return nil, c.api.Fail("intune.statuses", k.String(), err)
	}
	var rows []fleet.DeviceStatus
	for _, kind := range kinds() {
		if apps[kind].id == "" {
			continue
		}
		more, err := c.readReport(ctx, apps[kind].id)
		if err != nil {
			return nil, c.api.Fail("intune.statuses", k.String(), err)
		}
		if err := c.translate(ctx, kind, apps[kind].id, more); err != nil {
			return nil, c.api.Fail("intune.statuses", k.String(), err)
		}
		rows = append(rows, more...)
	}
	var managed []string
	for _, r := range rows {
		managed = append(managed, r.Device)
	}
	ids, err := c.directoryIDs(ctx, managed)
	if err != nil {
		return nil, c.api.Fail("intune.statuses", k.String(), err)
	}
	return newest(rows, ids), nil
}

// newest keeps one row of each device, under the ids of directory objects.
func newest(rows []fleet.DeviceStatus, ids map[string]string) []fleet.DeviceStatus {
	best := map[string]fleet.DeviceStatus{}
	for _, r := range rows {
		if r.Device = ids[r.Device]; r.Device == "" {
			continue // retired since it reported
		}
		if old, ok := best[r.Device]; !ok || counts(r, old) {
			best[r.Device] = r
		}
	}
	out := make([]fleet.DeviceStatus, 0, len(best))
	for _, s := range best {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b fleet.DeviceStatus) int { return strings.Compare(a.Device, b.Device) })
	return out
}

// translate puts the release's version in place of the one that devices report
// where the service knows another: that of a macOS app's first bundle, which is
// not always the release's. What the store installs has its own versions, and
// tells nothing of the release.
func (c *Client) translate(ctx context.Context, k kind, id string, rows []fleet.DeviceStatus) error {
	if k == kindWin32 || len(rows) == 0 {
		return nil
	}
	var app struct {
		mobileApp
		PrimaryBundleVersion string `json:"primaryBundleVersion"`
		BuildNumber          string `json:"buildNumber"`
	}
	if err := c.api.Call(ctx, msgraph.Fresh, http.MethodGet, appPath(id), nil, &app); err != nil {
		return err
	}
	m, _ := ParseMarker(text(app.Notes))
	told := cmp.Or(app.PrimaryBundleVersion, app.BuildNumber)
	for i := range rows {
		switch {
		case k == kindStore:
			rows[i].Version = ""
		case rows[i].Version == told:
			rows[i].Version = m.Version
		}
	}
	return nil
}

// counts reports whether a row tells more of a device than an older one. The
// object of another platform tells nothing: a device has none of it.
func counts(r, old fleet.DeviceStatus) bool {
	if r.State == "absent" != (old.State == "absent") {
		return old.State == "absent"
	}
	return r.At.After(old.At) || r.At.Equal(old.At) && r.State == "failed"
}

func (c columns) status(row reports.Row) fleet.DeviceStatus {
	s := fleet.DeviceStatus{Device: row.Cell("DeviceId"), Version: row.Cell("AppVersion"), State: installState(row.Cell(c.state))}
	if code := strings.ToLower(strings.TrimPrefix(row.Cell("HexErrorCode"), "0x")); strings.Trim(code, "0") != "" {
		s.Error = "0x" + code
		if n, err := strconv.ParseInt(code, 16, 64); err == nil && s.State == "failed" && putOff(int(n)) {
			s.State = "pending"
		}
	}
	s.At = reported(row.Cell("LastModifiedDateTime"))
	return s
}

// reported is an instant as reports write it: with a zone, or in UTC without
// saying so. One that cannot be read is the zero instant, older than any wave.
func reported(s string) time.Time {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05"} {
		if at, err := time.Parse(layout, s); err == nil {
			return at.UTC()
		}
	}
	return time.Time{}
}

// putOff reports whether an exit code is the wrapper script's "not now". The
// service calls it a failure once its own attempts are over, until the next day's:
// the release has done nothing on the device yet that could be judged.
func putOff(code int) bool {
	return code >= wrapper.CodeOutsideWindow && wrapper.ConsoleCodes()[code] == wrapper.Retry
}

// installState maps Graph's resultantAppState, a number in reports and a word in
// exports of some tenants, to the vocabulary. What is neither installed nor
// failed has yet to be.
func installState(s string) string {
	if n, err := strconv.Atoi(s); err == nil {
		s = map[int]string{-1: "notApplicable", 1: "installed", 2: "failed", 3: "notInstalled", 4: "uninstallFailed"}[n]
	}
	switch strings.ToLower(strings.ReplaceAll(s, " ", "")) {
	case "installed":
		return "installed"
	case "failed", "uninstallfailed":
		return "failed"
	case "notinstalled", "notapplicable":
		return "absent"
	}
	return "pending"
}
