package intune

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// exporter answers as a service whose installation report is long: jobs end with
// the states given, one for each look, and the storage serves a file.
func exporter(t *testing.T, states []string, address func(host string) string, file []byte) http.HandlerFunc {
	t.Helper()
	looks := 0
	return func(w http.ResponseWriter, r *http.Request) {
		answer := func(v any) {
			if err := json.NewEncoder(w).Encode(v); err != nil {
				t.Error(err)
			}
		}
		switch {
		case strings.HasSuffix(r.URL.Path, "/mobileApps"):
			notes := Marker{Package: "a/b", Slot: fleet.Candidate}.line()
			answer(map[string]any{"value": []any{map[string]any{"@odata.type": kindWin32.odata(), "id": "app", "notes": notes}}})
		case r.URL.Path == reportPath:
			answer(map[string]any{"TotalRowCount": 50_000})
		case r.URL.Path == exportsPath:
			answer(map[string]any{"id": "job", "status": "notStarted"})
		case strings.HasPrefix(r.URL.Path, exportsPath):
			state := states[min(looks, len(states)-1)]
			looks++
			answer(map[string]any{"id": "job", "status": state, "url": address(r.Host), "aFieldOfTomorrow": 1})
		case r.URL.Path == "/storage":
			if r.Header.Get("Authorization") != "" {
				t.Error("the token went to the storage")
			}
			_, _ = w.Write(file)
		case strings.HasSuffix(r.URL.Path, "/managedDevices"):
			answer(map[string]any{"value": []any{map[string]any{"id": "m-1", "azureADDeviceId": "e-1"}, map[string]any{"id": "m-2", "azureADDeviceId": "e-2"}}})
		case strings.HasSuffix(r.URL.Path, "/devices"):
			answer(map[string]any{"value": []any{map[string]any{"id": "o-1", "deviceId": "E-1"}, map[string]any{"id": "o-2", "deviceId": "e-2"}}})
		default:
			t.Errorf("%s %s", r.Method, r.URL.Path)
		}
	}
}

func TestExport(t *testing.T) {
	const head = "DeviceId,AppVersion,AppInstallState,AppInstallState_loc,HexErrorCode,LastModifiedDateTime\r\n"
	var good bytes.Buffer
	z := zip.NewWriter(&good)
	f, err := z.Create("x.csv")
	if err == nil {
		_, err = f.Write([]byte(head + "m-1,2.0,1,Installed,0x00000000,2026-11-24 11:00:00\r\nm-2,2.0,Failed,Failed,0x80070643,2026-11-24T10:00:00Z\r\nm-1,1.0,2,Failed,0x00000001,2026-11-20 11:00:00\r\nm-9,2.0,1,Installed,,\r\n"))
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	storage := func(host string) string { return "http://" + host + "/storage?sig=s" }
	for name, tt := range map[string]struct {
		states  []string
		address func(string) string
		file    []byte
		err     string
		kind    fleet.Kind
	}{
		"rows":                {[]string{"inProgress", "unknownFutureValue", "completed"}, storage, good.Bytes(), "", fleet.Internal},
		"no address":          {[]string{"completed"}, func(string) string { return "" }, nil, "address is none", fleet.Internal},
		"no export":           {[]string{"completed"}, storage, []byte("<html>"), "is no zip", fleet.Invalid},
		"fails":               {[]string{"failed"}, storage, nil, `ended as "failed"`, fleet.Internal},
		"never ends":          {[]string{"inProgress"}, storage, nil, "export completed", fleet.Waiting},
		"a state nobody knew": {[]string{"expired"}, storage, nil, `ended as "expired"`, fleet.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			c := serving(t, exporter(t, tt.states, tt.address, tt.file))
			rows, err := c.Statuses(t.Context(), "a/b", fleet.Candidate)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || fleet.KindOf(err) != tt.kind {
					t.Errorf("error %v of kind %v", err, fleet.KindOf(err))
				}
				return
			}
			if err != nil || len(rows) != 2 {
				t.Fatalf("%+v, %v", rows, err)
			}
			if r := rows[0]; r.Device != "o-1" || r.State != "installed" || r.Version != "2.0" || r.Error != "" || r.At.Hour() != 11 {
				t.Errorf("%+v", r)
			}
			if r := rows[1]; r.Device != "o-2" || r.State != "failed" || r.Error != "0x80070643" || r.At.Hour() != 10 {
				t.Errorf("%+v", r)
			}
		})
	}
}
