package intune

import (
	"context"
	"encoding/json"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/assign"
)

const odataStoreSettings = "#microsoft.graph.winGetAppAssignmentSettings"

// suited are a slot's assignments as one of its objects takes them.
//
// A slot is one release: an object that holds another than the leading one, such
// as that of a platform the release has nothing for, gets none. Where a kind
// knows no start, a target whose time has not come is left out, since devices
// would act on it at once; callers make such assignments when the time comes.
// What the service cannot remove stays where it is.
func (c *Client) suited(ctx context.Context, k slotKey, lead, f *found, want []assignment) ([]assignment, error) {
	if f != lead && (!f.holds() || f.marker.Artifact != lead.marker.Artifact) {
		return nil, nil
	}
	if f.kind == kindWin32 {
		return want, nil
	}
	var out []assignment
	for _, a := range want {
		why := ""
		switch t := a.asTarget(); {
		case a.Target.ODataType == assign.TypeExclusion:
		case !f.kind.timed() && c.early(t.Opens, t.LocalTime):
			why = "the app's kind knows no start, and its time has not come"
		case t.Filter != "" && f.kind != kindStore:
			why = "its filter is for Windows devices, and the app is for macOS"
		case t.Intent == "uninstall" && !f.kind.removable():
			why = "the service cannot remove an unmanaged package"
		}
		if why != "" {
			c.api.Log().WarnContext(ctx, "an assignment is left out: "+why,
				"tenant", c.api.Directory(), "slot", k.String(), "app", f.app.ID, "target", a.Key())
			continue
		}
		a.Settings = f.kind.settings(a.Settings)
		out = append(out, a)
	}
	return out, nil
}

// eastmost is how far the first zone of the world is ahead of UTC.
const eastmost = 14 * time.Hour

// early reports whether an instant lies ahead. When a wall clock's reading comes
// is the caller's to know, who knows the tenant's zone; one that no clock of the
// world shows yet lies ahead.
func (c *Client) early(opens time.Time, local bool) bool {
	if local {
		opens = opens.Add(-eastmost)
	}
	return opens.After(c.api.Clock().Now())
}

// settings are a Win32 app's settings as far as another kind has them.
func (k kind) settings(s *assignmentSettings) *assignmentSettings {
	if s == nil || k != kindStore {
		return nil // macOS apps have none that packmill sets
	}
	out := &assignmentSettings{ODataType: odataStoreSettings, Notifications: s.Notifications}
	if i := s.InstallTime; i != nil && i.DeadlineDateTime != nil {
		out.InstallTime = &installTimeSettings{UseLocalTime: i.UseLocalTime, DeadlineDateTime: i.DeadlineDateTime}
	}
	return out
}

// MarshalJSON leaves out what the settings' type does not have.
func (s assignmentSettings) MarshalJSON() ([]byte, error) {
	if s.ODataType != odataStoreSettings {
		type plain assignmentSettings
		return json.Marshal(plain(s))
	}
	out := map[string]any{"@odata.type": s.ODataType, "notifications": s.Notifications, "installTimeSettings": nil}
	if i := s.InstallTime; i != nil {
		out["installTimeSettings"] = map[string]any{"useLocalTime": i.UseLocalTime, "deadlineDateTime": i.DeadlineDateTime}
	}
	return json.Marshal(out)
}
