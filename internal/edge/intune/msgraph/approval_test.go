package msgraph

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// TestHeld knows the forms in which the service is told to say that a change
// needs a second person, and leaves every other refusal alone.
func TestHeld(t *testing.T) {
	const code = "aabb1234-5678-9012-abcd-ef0123456789"
	for name, tt := range map[string]struct {
		status int
		header string
		body   string
		held   bool
		again  bool
		says   string
	}{
		"code in the header":   {412, code, `{"error":{"code":"BadRequest"}}`, true, false, code},
		"code in the message":  {403, "", `{"error":{"code":"ApprovalRequired","message":"x-msft-approval-code: ` + code + `"}}`, true, false, code},
		"no justification":     {400, "", `{"error":{"message":"Header 'x-msft-approval-justification' is required to request approval"}}`, false, true, ""},
		"the same as 403":      {403, "", `{"error":{"message":"Header 'x-msft-approval-justification' is required"}}`, false, true, ""},
		"another one is asked": {409, "", `{"error":{"message":"An active Approval Request already exists"}}`, true, false, "another change"},
		"forbidden":            {403, "", `{"error":{"code":"Forbidden"}}`, false, false, ""},
		"conflict":             {409, "", `{"error":{"code":"Conflict"}}`, false, false, ""},
		"precondition":         {412, "", `{"error":{"code":"PreconditionFailed"}}`, false, false, ""},
		"no code at all":       {412, "", `x-msft-approval-code: nothing`, false, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t)
			in := &transport.StatusError{Status: tt.status, Header: http.Header{}, Body: []byte(tt.body)}
			if tt.header != "" {
				in.Header.Set(codeHeader, tt.header)
			}
			err, again := c.held(in)
			if errors.Is(err, fleet.ErrAwaitsApproval) != tt.held || again != tt.again || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, again %v", err, again)
			}
			if again != c.Guarded() && !tt.held {
				t.Errorf("guarded %v", c.Guarded())
			}
			// A second refusal of the same kind is no reason to send it once more.
			if _, again := c.held(in); again {
				t.Error("sent again and again")
			}
			if tt.held && (fleet.KindOf(err) != fleet.Stalled || transport.StatusOf(err) != 0) {
				t.Errorf("kind %v, status %d: it would be waited for here", fleet.KindOf(err), transport.StatusOf(err))
			}
		})
	}
}

func newClient(t *testing.T) *Client {
	t.Helper()
	c, err := New(Options{Directory: directory, Token: Static("none"), Clock: fleet.NewManualClock(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestJustification keeps the call's name, by which it is found again, whatever
// the reason is.
func TestJustification(t *testing.T) {
	for _, reason := range []string{"", "why", strings.Repeat("ä", 2000), "a call 0123456789abcdef of somebody's"} {
		text := justification(reason, "feedfeedfeedfeed")
		for _, told := range []string{text, base64.StdEncoding.EncodeToString([]byte(text))} {
			r := ApprovalRequest{Justification: told, Status: "approved"}
			if !r.Ours() || !r.Open() || !strings.HasSuffix(r.text(), " call feedfeedfeedfeed") || strings.Count(r.text(), " call ") != 1 {
				t.Errorf("%.40q…: %q", reason, r.text())
			}
		}
		if utf8.RuneCountInString(text) > maxJustification || !utf8.ValidString(text) {
			t.Errorf("%d characters", utf8.RuneCountInString(text))
		}
	}
	if (ApprovalRequest{Justification: "update the app"}).Ours() {
		t.Error("somebody else's request is taken for packmill's")
	}
}

// TestPermissionOfPath names for every path the permission it wants.
func TestPermissionOfPath(t *testing.T) {
	for path, want := range map[string]string{
		"https://graph.microsoft.com/beta/deviceAppManagement/mobileApps/1": "DeviceManagementApps.ReadWrite.All",
		"/beta/deviceManagement/deviceHealthScripts":                        "DeviceManagementScripts.ReadWrite.All",
		"/beta/deviceManagement/configurationPolicies('1')":                 "DeviceManagementConfiguration.ReadWrite.All",
		"/v1.0/deviceManagement/managedDevices?$top=1":                      "DeviceManagementManagedDevices.Read.All",
		"/v1.0/devices":                               "Device.ReadWrite.All",
		"/beta/deviceManagement/auditEvents":          "DeviceManagementApps.ReadWrite.All",
		"/v1.0/groups/1/members/$ref":                 "Group.ReadWrite.All",
		"/beta/admin/windows/updates/catalog/entries": "WindowsUpdates.ReadWrite.All",
		"/v1.0/users":                                 "",
	} {
		got := ""
		if p := permissionFor(path); p != nil {
			got = p.Role
		}
		if got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	p := Permissions()[1]
	if !p.In([]string{p.Wider[0]}) || p.In([]string{"Mail.Send"}) {
		t.Error("a wider permission does not count, or any does")
	}
	whole := Permissions()[2]
	if reading := []string{"Device.Read.All"}; whole.In(reading) || !whole.Reads(reading) || whole.Reads([]string{"Mail.Read.All"}) {
		t.Error("the reading half of a permission counts for all of it, or for nothing")
	}
}
