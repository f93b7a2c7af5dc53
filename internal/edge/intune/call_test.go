package intune

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

const directory = "7f6e1c52-0000-4000-8000-000000000001"

// serving is a client of a server that answers by hand: for answers that no
// well-behaved service gives.
func serving(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	clock := fleet.NewManualClock(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))
	token := "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"tid":"`+directory+`"}`)) + "."
	api, err := msgraph.New(msgraph.Options{
		BaseURL: srv.URL, Directory: directory, Token: msgraph.Static(token), Clock: clock,
		Transport: transport.New(transport.Options{Clock: clock, AllowLoopback: true}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return New(api, Options{})
}

// TestLinksAreNotFollowedAnywhere keeps the token on the host it is for.
func TestLinksAreNotFollowedAnywhere(t *testing.T) {
	for _, link := range []string{"http://thief.example/v1.0/devices?$skiptoken=1", ".thief.example/v1.0/devices", "@thief.example/v1.0/devices", "//thief.example/v1.0/devices"} {
		c := serving(t, func(w http.ResponseWriter, r *http.Request) {
			_ = json.NewEncoder(w).Encode(map[string]any{"value": []any{}, "@odata.nextLink": link})
		})
		if _, err := c.Inventory(t.Context()); fleet.KindOf(err) != fleet.Refused || err == nil {
			t.Errorf("%s: error %v", link, err)
		}
	}
}

func TestEndlessPages(t *testing.T) {
	c := serving(t, func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"value": []any{}, "@odata.nextLink": "http://" + r.Host + "/v1.0/again"})
	})
	if _, err := c.Inventory(t.Context()); err == nil || !strings.Contains(err.Error(), "do not end") {
		t.Errorf("error %v", err)
	}
}

// TestErrorsTellWhatToDo maps answers to kinds, with Graph's own words.
func TestErrorsTellWhatToDo(t *testing.T) {
	for status, want := range map[int]fleet.Kind{
		400: fleet.Invalid, 401: fleet.Refused, 403: fleet.Refused, 404: fleet.Waiting, 409: fleet.Waiting, 429: fleet.Waiting, 500: fleet.Internal, 503: fleet.Internal,
	} {
		c := serving(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(`{"error":{"code":"SomeCode","message":"because of it"}}`))
		})
		_, err := c.Inventory(t.Context())
		var e *fleet.Error
		if fleet.KindOf(err) != want || !strings.Contains(err.Error(), "SomeCode: because of it") {
			t.Errorf("%d: kind %v, %v", status, fleet.KindOf(err), err)
		}
		if e, _ = err.(*fleet.Error); e == nil || e.Object != directory || (want != fleet.Internal && want != fleet.Invalid) != (e.Hint != "") {
			t.Errorf("%d: %+v", status, e)
		}
	}
}

// TestReportColumns reads rows by the names of their columns, in any order and
// in either form of the state.
func TestReportColumns(t *testing.T) {
	c := serving(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/mobileApps"):
			_, _ = w.Write([]byte(`{"value":[{"id":"app","@odata.type":"#microsoft.graph.win32LobApp","notes":"packmill: {\"package\":\"a/b\",\"slot\":\"stable\"}"}]}`))
		case strings.HasSuffix(r.URL.Path, "/managedDevices"):
			_, _ = w.Write([]byte(`{"value":[{"id":"m1","azureADDeviceId":"E1","operatingSystem":"Windows"},{"id":"m2","azureADDeviceId":"E2","operatingSystem":"Windows"},{"id":"m3","operatingSystem":"iOS"}]}`))
		case strings.HasSuffix(r.URL.Path, "/devices"):
			_, _ = w.Write([]byte(`{"value":[{"id":"d1","deviceId":"e1"},{"id":"d2","deviceId":"e2"}]}`))
		default:
			w.Header().Set("Content-Type", "application/octet-stream")
			_, _ = w.Write([]byte(`{"TotalRowCount":4,"Schema":[{"Column":"LastModifiedDateTime"},{"Column":"HexErrorCode"},{"Column":"New"},{"Column":"InstallState"},{"Column":"AppVersion"},{"Column":"DeviceId"}],
				"Values":[["2026-11-23T10:00:00","0x00000000",1,1,"24.09","m1"],["2026-11-23T11:00:00.123Z","0x80070643",1,"failed","24.09","m1"],
				          ["2026-11-23 09:00:00",null,null,5,null,"m2"],["2026-11-23T10:00:00Z","0x0",1,1,"24.09","gone"]]}`))
		}
	})
	got, err := c.Statuses(t.Context(), "a/b", fleet.Stable)
	if err != nil || len(got) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	if g := got[0]; g.Device != "d1" || g.State != "failed" || g.Error != "0x80070643" || g.At.Hour() != 11 {
		t.Errorf("first %+v", g)
	}
	if g := got[1]; g.Device != "d2" || g.State != "pending" || g.Error != "" || g.Version != "" || g.At.Hour() != 9 {
		t.Errorf("second %+v", g)
	}
}

func TestReportWithoutColumn(t *testing.T) {
	c := serving(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/mobileApps") {
			_, _ = w.Write([]byte(`{"value":[{"id":"app","@odata.type":"#microsoft.graph.win32LobApp","notes":"packmill: {\"package\":\"a/b\",\"slot\":\"stable\"}"}]}`))
			return
		}
		_, _ = w.Write([]byte(`{"TotalRowCount":1,"Schema":[{"Column":"DeviceId"}],"Values":[["m1"]]}`))
	})
	if _, err := c.Statuses(t.Context(), "a/b", fleet.Stable); err == nil || !strings.Contains(err.Error(), "no column") {
		t.Errorf("error %v", err)
	}
}

func TestBlobAddress(t *testing.T) {
	api, err := msgraph.New(msgraph.Options{Directory: directory, Token: msgraph.Static("none")})
	if err != nil {
		t.Fatal(err)
	}
	c := New(api, Options{})
	for uri, want := range map[string]string{
		"https://a.blob.example/x?sig=1": "https://a.blob.example/x?sig=1&", "https://a.blob.example/x": "https://a.blob.example/x?",
		"http://a.blob.example/x": "", "": "", "file:///etc/passwd": "",
	} {
		got, err := c.blobAddress(uri)
		if got != want || (want == "") != (fleet.KindOf(err) == fleet.Refused && err != nil) {
			t.Errorf("%q: %q, %v", uri, got, err)
		}
	}
}
