package graph_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/graph"
)

// A trap is a pitfall that is switched on, and what shows that a client met it.
type trap struct {
	pitfalls graph.Pitfalls
	change   func(*graph.Options)
	future   bool   // answers are not those of the description
	versions string // the content versions it leads to, when others than without it
}

func traps() map[string]trap {
	return map[string]trap{
		"short pages":       {pitfalls: graph.Pitfalls{ShortPages: true}, change: func(o *graph.Options) { o.PageSize = 2 }},
		"unsettled":         {pitfalls: graph.Pitfalls{Unsettled: 5}},
		"stale assignments": {pitfalls: graph.Pitfalls{StaleAssignments: 4}},
		"mute throttle":     {pitfalls: graph.Pitfalls{MuteThrottle: 3}},
		"batch parts":       {pitfalls: graph.Pitfalls{BatchParts: 2}},
		"signature ends":    {pitfalls: graph.Pitfalls{SASBlocks: 2}},
		"token ends":        {pitfalls: graph.Pitfalls{TokenEnds: true}},
		"first content":     {pitfalls: graph.Pitfalls{FirstContent: 7}, versions: "78"},
		"future":            {pitfalls: graph.Pitfalls{Future: true}, future: true},
		"lost creates":      {pitfalls: graph.Pitfalls{LostCreates: 1}},
		"everything": {pitfalls: graph.Pitfalls{
			ShortPages: true, Unsettled: 2, StaleAssignments: 2, MuteThrottle: 7, BatchParts: 3, SASBlocks: 3, TokenEnds: true, FirstContent: 7, Future: true, LostCreates: 1,
		}, future: true, versions: "78"},
	}
}

// TestPitfalls lets packmill work in tenants whose service has each habit: they
// end up like one whose service has none, and what is foreign is as it was.
func TestPitfalls(t *testing.T) {
	template := campaignWorld(t, 5, "", time.Time{})
	vip := populate(template)
	devices := ids(must[[]fleet.Device](t)(template.client(nordic).Inventory(t.Context())))
	without := worked(t, template, trap{}, devices, vip)
	for name, trap := range traps() {
		t.Run(name, func(t *testing.T) {
			for i, got := range worked(t, template, trap, devices, vip) {
				want := without[i]
				if trap.versions != "" {
					want = strings.NewReplacer(
						"of content 1:", "of content "+trap.versions[:1]+":", "of content 2:", "of content "+trap.versions[1:]+":",
						`"committedContentVersion":"1"`, `"committedContentVersion":"`+trap.versions[:1]+`"`,
						`"committedContentVersion":"2"`, `"committedContentVersion":"`+trap.versions[1:]+`"`).Replace(want)
				}
				if got != want {
					t.Errorf("after %s: %s", jobs()[i].name, differing(got, want))
				}
			}
		})
	}
}

// ofOnePackage are the jobs before the package gets a successor.
func ofOnePackage() []job {
	all := jobs()
	return all[:slices.IndexFunc(all, func(j job) bool { return j.name == "succession" })]
}

// worked does the jobs of one package in a world like another one, with a
// pitfall, and tells what packmill has in it after each.
func worked(t *testing.T, template *world, trap trap, devices []string, vip string) []string {
	t.Helper()
	inventory := template.opts.Tenants[0].Devices
	w := newWorld(t, func(o *graph.Options) {
		o.Lag, o.ListLag, o.PageSize = 1, 1, 5
		o.Tenants = []graph.Tenant{{Directory: nordic, Devices: inventory}}
		if trap.change != nil {
			trap.change(o)
		}
		if err := os.CopyFS(o.Dir, os.DirFS(template.opts.Dir)); err != nil {
			t.Fatal(err)
		}
	}).at(template.clock.Now())
	foreign := w.foreign()
	var out []string
	for _, j := range ofOnePackage() {
		w.again(trap.pitfalls)
		w.checker.lax = trap.future
		if err := j.do(t.Context(), w, devices, vip); err != nil {
			t.Fatalf("%s: %v", j.name, err)
		}
		w.again(graph.Pitfalls{}) // who looks at it afterwards meets nothing
		out = append(out, today(w.picture().text))
		if now := today(w.foreign()); now != foreign {
			t.Errorf("foreign objects changed: %s", differing(now, foreign))
		}
		if j.name == "first" {
			j.then(w, vip)
			foreign = w.foreign()
		}
	}
	if n := w.count("create"); n != 1 {
		t.Errorf("%d app objects were made", n)
	}
	return out
}

// today is a text without what a later service said and was sent back.
func today(text string) string {
	const later = `"futureProperty":{"futureSetting":"unknownFutureValue"}`
	return strings.ReplaceAll(strings.ReplaceAll(text, later+",", ""), ","+later, "")
}

// again opens the world again with other pitfalls.
func (w *world) again(p graph.Pitfalls) {
	w.t.Helper()
	w.stop()
	w.opts.Pitfalls = p
	w.start()
}

// A raw client does what documentation says and nothing more: it sends once,
// with one token, and believes what it is told.
type raw struct {
	w     *world
	token string
}

func (w *world) raw() raw { return raw{w, w.server.Token(nordic)} }

// ask sends one request and decodes the answer. A connection that broke is
// status 0.
func (c raw) ask(method, address, body string) (int, http.Header, map[string]any) {
	c.w.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = c.w.http.URL + address
	}
	r, err := http.NewRequestWithContext(context.WithoutCancel(c.w.t.Context()), method, address, strings.NewReader(body))
	if err != nil {
		c.w.t.Fatal(err)
	}
	if strings.Contains(address, "/blob/") {
		r.Header.Set("x-ms-blob-type", "BlockBlob")
	} else {
		r.Header.Set("Authorization", "Bearer "+c.token)
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, nil
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		c.w.t.Fatal(err)
	}
	var out map[string]any
	_ = json.Unmarshal(data, &out) // what is no object says nothing
	return resp.StatusCode, resp.Header, out
}

const rawApp = `{"@odata.type":"#microsoft.graph.win32LobApp","displayName":"naive","publisher":"naive","fileName":"a","setupFilePath":"a","installCommandLine":"a","uninstallCommandLine":"a",` +
	`"notes":"naive","rules":[{"@odata.type":"#microsoft.graph.win32LobAppFileSystemRule","ruleType":"detection","path":"c:\\","fileOrFolderName":"a","operationType":"exists"}]}`

// upload makes an app, a content version and a file, and waits for the address.
func (c raw) upload() (app, file, address string) {
	c.w.t.Helper()
	_, _, made := c.ask("POST", appsURL, rawApp)
	app = appsURL + "/" + fmt.Sprint(made["id"])
	_, _, version := c.ask("POST", app+"/graph.win32LobApp/contentVersions", "{}")
	files := app + "/graph.win32LobApp/contentVersions/" + fmt.Sprint(version["id"]) + "/files"
	_, _, made = c.ask("POST", files, `{"@odata.type":"#microsoft.graph.mobileAppContentFile","name":"a","size":10,"sizeEncrypted":80}`)
	file = files + "/" + fmt.Sprint(made["id"])
	for range 5 {
		_, _, made = c.ask("GET", file, "")
		if uri, ok := made["azureStorageUri"].(string); ok {
			address = uri
		}
	}
	return app, file, address
}

// TestPitfallsCatchTheNaive proves that each pitfall is one: a client that does
// not know it does harm, or does nothing and does not notice.
func TestPitfallsCatchTheNaive(t *testing.T) {
	for name, tt := range map[string]struct {
		pitfalls graph.Pitfalls
		do       func(t *testing.T, c raw) string // what went wrong, "" for nothing
	}{
		"the first page is all": {graph.Pitfalls{ShortPages: true}, func(t *testing.T, c raw) string {
			for range 30 {
				c.ask("POST", appsURL, rawApp)
			}
			_, _, page := c.ask("GET", appsURL+"?$top=999", "")
			if n := len(page["value"].([]any)); n < 30 {
				return fmt.Sprintf("%d of 30", n)
			}
			return ""
		}},
		"made is there": {graph.Pitfalls{Unsettled: 1}, func(t *testing.T, c raw) string {
			_, _, made := c.ask("POST", appsURL, rawApp)
			status, _, _ := c.ask("POST", appsURL+"/"+fmt.Sprint(made["id"])+"/graph.win32LobApp/contentVersions", "{}")
			return unless(status, http.StatusCreated)
		}},
		"read is what is": {graph.Pitfalls{StaleAssignments: 1}, readMergeWrite},
		"429 says when": {graph.Pitfalls{MuteThrottle: 2}, func(t *testing.T, c raw) string {
			c.ask("GET", appsURL, "")
			status, header, _ := c.ask("GET", appsURL, "")
			return unless(status, http.StatusOK) + header.Get("Retry-After")
		}},
		"200 is done": {graph.Pitfalls{BatchParts: 1}, func(t *testing.T, c raw) string {
			status, _, answer := c.ask("POST", "/v1.0/$batch", `{"requests":[{"id":"1","method":"GET","url":"/devices"}]}`)
			part := answer["responses"].([]any)[0].(map[string]any)
			return unless(status, http.StatusAccepted) + fmt.Sprint(part["status"])
		}},
		"the address holds": {graph.Pitfalls{SASBlocks: 1}, func(t *testing.T, c raw) string {
			_, _, address := c.upload()
			c.ask("PUT", address+"&comp=block&blockid=AAAA", "x")
			status, _, _ := c.ask("PUT", address+"&comp=block&blockid=AAAB", "x")
			return unless(status, http.StatusCreated)
		}},
		"the token holds": {graph.Pitfalls{TokenEnds: true}, func(t *testing.T, c raw) string {
			_, file, _ := c.upload()
			status, _, _ := c.ask("POST", file+"/commit", `{"fileEncryptionInfo":{}}`)
			return unless(status, http.StatusNoContent)
		}},
		"content is version 1": {graph.Pitfalls{FirstContent: 3}, func(t *testing.T, c raw) string {
			app, _, _ := c.upload()
			status, _, answer := c.ask("PATCH", app, `{"@odata.type":"#microsoft.graph.win32LobApp","committedContentVersion":"1"}`)
			if text := fmt.Sprint(answer); !strings.Contains(text, "version 1 was not found") {
				t.Errorf("refused for another reason: %s", text)
			}
			return unless(status, http.StatusOK)
		}},
		"states are those of today": {graph.Pitfalls{Future: true}, func(t *testing.T, c raw) string {
			_, file, _ := c.upload()
			_, _, answer := c.ask("POST", path.Dir(file), `{"name":"b","size":10,"sizeEncrypted":80}`)
			if state := fmt.Sprint(answer["uploadState"]); !strings.HasPrefix(state, "azure") {
				return state
			}
			return ""
		}},
		"a lost answer did nothing": {graph.Pitfalls{LostCreates: 1}, func(t *testing.T, c raw) string {
			for range 3 { // until it is told
				if status, _, _ := c.ask("POST", appsURL, rawApp); status == http.StatusCreated {
					break
				}
			}
			_, _, page := c.ask("GET", appsURL, "")
			if n := len(page["value"].([]any)); n != 1 {
				return fmt.Sprintf("%d objects", n)
			}
			return ""
		}},
		"everything is enabled": {graph.Pitfalls{Lacks: map[string]int{"script.": http.StatusForbidden}}, func(t *testing.T, c raw) string {
			status, _, _ := c.ask("GET", scriptsURL, "")
			return unless(status, http.StatusOK)
		}},
		"reports stay": {graph.Pitfalls{}, func(t *testing.T, c raw) string {
			app, _, _ := c.upload()
			for _, gone := range []string{"/deviceStatuses", "/userStatuses", "/installSummary"} {
				if status, _, _ := c.ask("GET", app+gone, ""); status != http.StatusBadRequest {
					return ""
				}
			}
			return "400"
		}},
		"a second content is free": {graph.Pitfalls{}, func(t *testing.T, c raw) string {
			app, _, _ := c.upload()
			status, _, _ := c.ask("POST", app+"/graph.win32LobApp/contentVersions", "{}")
			return unless(status, http.StatusCreated)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(o *graph.Options) { o.Lag, o.Pitfalls = 0, tt.pitfalls })
			w.http.Config.Handler = w.server // past the checker: these break the contract
			if harm := tt.do(t, w.raw()); harm == "" {
				t.Error("nothing happened to the naive client: the pitfall is none")
			}
		})
	}
}

func unless(status, good int) string {
	if status == good {
		return ""
	}
	return http.StatusText(status)
}

// readMergeWrite adds an assignment just after somebody else did.
func readMergeWrite(t *testing.T, c raw) string {
	state := publish(t, c.w.client(nordic), fleet.Stable, "24.09")
	at := appsURL + "/" + state.ID
	theirs := `{"@odata.type":"#microsoft.graph.mobileAppAssignment","intent":"required","target":{"@odata.type":"#microsoft.graph.allDevicesAssignmentTarget"},"settings":null}`
	ours := `{"@odata.type":"#microsoft.graph.mobileAppAssignment","intent":"available","target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":"` + finance + `"},"settings":null}`
	c.ask("POST", at+"/assign", `{"mobileAppAssignments":[`+theirs+`]}`)
	_, _, present := c.ask("GET", at+"/assignments", "")
	set := []string{ours}
	for _, a := range present["value"].([]any) {
		data, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		set = append(set, string(data))
	}
	c.ask("POST", at+"/assign", `{"mobileAppAssignments":[`+strings.Join(set, ",")+`]}`)
	c.ask("GET", at+"/assignments", "")
	if _, _, now := c.ask("GET", at+"/assignments", ""); len(now["value"].([]any)) != 2 {
		return "their assignment is lost"
	}
	return ""
}

// TestStaleAssignments lets somebody assign packmill's app just before packmill
// does: what he did stays. He took a minute to find it.
func TestStaleAssignments(t *testing.T) {
	w := newWorld(t, func(o *graph.Options) { o.Lag, o.Pitfalls.StaleAssignments = 0, 1 })
	c := w.client(nordic)
	begun := w.clock.Now()
	state := publish(t, c, fleet.Stable, "24.09")
	w.clock.Set(begun.Add(time.Minute))
	w.do(http.MethodPost, appsURL+"/"+state.ID+"/assign", map[string]any{"mobileAppAssignments": []any{w.theirs(finance, "available")}})
	assign(t, c, fleet.Stable, fleet.Target{Intent: "required", Group: "all devices"})
	if got := must[fleet.AppState](t)(c.Observe(t.Context(), pkg, fleet.Stable)); len(got.Targets) != 1 {
		t.Errorf("observed %+v", got.Targets)
	}
	if set := w.list(appsURL + "/" + state.ID + "/assignments"); len(set) != 2 {
		t.Errorf("assignments %v", set)
	}
}

// TestFutureTargets keeps an assignment to a kind of target that nobody knows yet.
func TestFutureTargets(t *testing.T) {
	w := newWorld(t, func(o *graph.Options) { o.Lag, o.Pitfalls.Future = 0, true })
	w.checker.lax = true
	c := w.client(nordic)
	state := publish(t, c, fleet.Stable, "24.09")
	body := `{"mobileAppAssignments":[{"@odata.type":"#microsoft.graph.mobileAppAssignment","intent":"required","futureProperty":1,"target":{"@odata.type":"#microsoft.graph.futureAssignmentTarget","planet":"Mars"},"settings":null}]}`
	if rec := w.past(http.MethodPost, appsURL+"/"+state.ID+"/assign", body); rec.Code != http.StatusNoContent {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	assign(t, c, fleet.Stable, fleet.Target{Intent: "required", Group: "all devices"})
	assign(t, c, fleet.Stable)
	set := w.list(appsURL + "/" + state.ID + "/assignments")
	if len(set) != 1 || !strings.Contains(flat(set[0]), `"planet":"Mars"`) {
		t.Errorf("assignments %v", set)
	}
}

// TestLackingFeature has a tenant that does not have remediation scripts yet:
// apps go out, and the error of the probe names what is missing.
func TestLackingFeature(t *testing.T) {
	for status, kind := range map[int]fleet.Kind{http.StatusForbidden: fleet.Refused, http.StatusBadRequest: fleet.Invalid} {
		w := newWorld(t, func(o *graph.Options) { o.Pitfalls.Lacks = map[string]int{"script.": status} })
		c := w.client(nordic)
		publish(t, c, fleet.Stable, "24.09")
		assign(t, c, fleet.Stable, fleet.Target{Intent: "required", Group: "all devices"})
		err := c.Probe(t.Context(), fleet.DeviceProbe{Package: pkg, Name: "starts", Script: "exit 0", Group: finance, Every: fleet.Duration(time.Hour)})
		if fleet.KindOf(err) != kind || !strings.Contains(err.Error(), "not enabled") {
			t.Errorf("%d: kind %v, %v", status, fleet.KindOf(err), err)
		}
	}
}
