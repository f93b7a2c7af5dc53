package graph_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/intune"
	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/graph"
	"github.com/packmill/packmill/internal/sim/graph/conformance"
)

func TestConformance(t *testing.T) {
	for name, change := range map[string]func(*graph.Options){
		"at once":   func(o *graph.Options) { o.Lag = 0 },
		"lagging":   func(o *graph.Options) { o.Lag, o.ListLag = 4, 1 },
		"throttled": func(o *graph.Options) { o.Throttle = 5 },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, change)
			conformance.Run(t, conformance.Target{
				New:     func(testing.TB) conformance.Console { return w.client(nordic) },
				Package: "packmill/conformance", Wave: "conformance", Now: w.clock.Now,
			})
		})
	}
}

// TestConformanceOfTenant runs the suite against a real tenant, when somebody
// names one that is for tests.
func TestConformanceOfTenant(t *testing.T) {
	directory, id, secret := os.Getenv("PACKMILL_TEST_TENANT"), os.Getenv("PACKMILL_TEST_CLIENT_ID"), os.Getenv("PACKMILL_TEST_CLIENT_SECRET")
	if directory == "" || id == "" || secret == "" {
		t.Skip("no test tenant: set PACKMILL_TEST_TENANT, PACKMILL_TEST_CLIENT_ID and PACKMILL_TEST_CLIENT_SECRET")
	}
	cloud, err := msgraph.CloudNamed(os.Getenv("PACKMILL_TEST_CLOUD"))
	if err != nil {
		t.Fatal(err)
	}
	token, err := msgraph.Secret(msgraph.SignIn{Directory: directory, ClientID: id, Cloud: cloud}, secret)
	if err != nil {
		t.Fatal(err)
	}
	conformance.Run(t, conformance.Target{
		New: func(t testing.TB) conformance.Console {
			return intune.New(dial(t, msgraph.Options{BaseURL: cloud.Graph, Directory: directory, Token: token}), intune.Options{})
		},
		Package: "packmill/conformance", Wave: "conformance", Now: time.Now,
	})
}

func TestTokenEndpoint(t *testing.T) {
	w := newWorld(t, func(o *graph.Options) { o.Secret = "s3cret" })
	ask := func(directory string, form url.Values) (int, map[string]any) {
		resp, err := http.PostForm(w.http.URL+"/"+directory+"/oauth2/v2.0/token", form)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var body map[string]any
		if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, body
	}
	good := url.Values{"grant_type": {"client_credentials"}, "client_id": {"x"}, "client_secret": {"s3cret"}}
	status, body := ask(nordic, good)
	if status != http.StatusOK || strings.Count(body["access_token"].(string), ".") != 2 {
		t.Errorf("%d %v", status, body)
	}
	if status, body := ask("nobody", good); status != http.StatusBadRequest || body["error"] != "invalid_request" {
		t.Errorf("%d %v", status, body)
	}
	good.Set("client_secret", "wrong")
	if status, body := ask(nordic, good); status != http.StatusUnauthorized || body["error"] != "invalid_client" {
		t.Errorf("%d %v", status, body)
	}
	good.Set("grant_type", "password")
	if status, body := ask(nordic, good); status != http.StatusBadRequest || body["error"] != "unsupported_grant_type" {
		t.Errorf("%d %v", status, body)
	}
	wrong := &msgraph.ClientCredentials{Endpoint: w.http.URL + "/" + nordic + "/oauth2/v2.0/token", ClientID: "x", Secret: "wrong"}
	c := intune.New(dial(t, msgraph.Options{BaseURL: w.http.URL, Directory: nordic, Token: wrong, Transport: w.transport(), Clock: w.clock}), intune.Options{})
	if _, err := c.Inventory(t.Context()); fleet.KindOf(err) != fleet.Refused || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("error %v", err)
	}
}

// TestServiceRefuses holds the simulator to the service's own strictness, which
// a well-behaved client never meets.
func TestServiceRefuses(t *testing.T) {
	w := newWorld(t, func(o *graph.Options) { o.Lag = 0 })
	state := publish(t, w.client(nordic), fleet.Stable, "24.09")
	app := "/beta/deviceAppManagement/mobileApps/" + state.ID
	contents := app + "/graph.win32LobApp/contentVersions"
	for name, tt := range map[string]struct {
		method, path, body string
		want               int
	}{
		"unknown path":         {"GET", "/beta/deviceAppManagement/none", "", 400},
		"no app":               {"GET", "/beta/deviceAppManagement/mobileApps/none", "", 404},
		"app without name":     {"POST", "/beta/deviceAppManagement/mobileApps", `{"@odata.type":"#microsoft.graph.win32LobApp"}`, 400},
		"another kind of app":  {"POST", "/beta/deviceAppManagement/mobileApps", `{"@odata.type":"#microsoft.graph.macOSPkgApp"}`, 400},
		"app without rules":    {"PATCH", app, `{"rules":[]}`, 400},
		"content that is none": {"PATCH", app, `{"committedContentVersion":"7"}`, 400},
		"file in the open":     {"POST", contents + "/1/files", `{"name":"a","size":1,"sizeEncrypted":80}`, 400},
		"filter":               {"GET", "/v1.0/devices?$filter=" + url.QueryEscape("displayName ne 'x'"), "", 400},
		"top":                  {"GET", "/v1.0/devices?$top=many", "", 400},
		"report without app":   {"POST", "/v1.0/deviceManagement/reports/retrieveDeviceAppInstallationStatusReport", `{"select":["DeviceId"]}`, 400},
		"report column":        {"POST", "/v1.0/deviceManagement/reports/retrieveDeviceAppInstallationStatusReport", `{"filter":"(ApplicationId eq 'a')","select":["Colour"]}`, 400},
		"group with mailbox":   {"POST", "/v1.0/groups", `{"displayName":"a","mailNickname":"a b","mailEnabled":false,"securityEnabled":true}`, 400},
		"empty batch":          {"POST", "/v1.0/$batch", `{"requests":[]}`, 400},
		"batch in a batch":     {"POST", "/v1.0/$batch", `{"requests":[{"id":"1","method":"POST","url":"/$batch"}]}`, 400},
		"exclusion settings": {"POST", app + "/assign", `{"mobileAppAssignments":[{"intent":"required","target":{"@odata.type":"#microsoft.graph.exclusionGroupAssignmentTarget","groupId":"` + finance +
			`"},"settings":{"@odata.type":"#microsoft.graph.win32LobAppAssignmentSettings"}}]}`, 400},
		"no token": {"GET", "/v1.0/devices", "anonymous", 401},
	} {
		r := httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body))
		if tt.body != "anonymous" {
			r.Header.Set("Authorization", "Bearer "+w.server.Token(nordic))
		}
		rec := httptest.NewRecorder()
		w.server.ServeHTTP(rec, r) // past the checker: these break the contract
		if rec.Code != tt.want || !strings.Contains(rec.Body.String(), `"error"`) {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
	for _, query := range []string{"comp=block&blockid=AAAA", "comp=blocklist", ""} {
		rec := httptest.NewRecorder()
		w.server.ServeHTTP(rec, httptest.NewRequest("PUT", "/blob/"+nordic+"/none?se=2030-01-01T00:00:00Z&sig=x&"+query, strings.NewReader("x")))
		if rec.Code != http.StatusForbidden && query != "" || rec.Code != http.StatusBadRequest && query == "" || !strings.Contains(rec.Body.String(), "<Error>") {
			t.Errorf("blob %q: %d %s", query, rec.Code, rec.Body)
		}
	}
}
