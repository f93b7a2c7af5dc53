package cli

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/vendors"
)

const detectNow = "2026-11-18T06:00:00Z"

// detectBench is a new repository with one npm package and one whose vendor is
// out of order, and the vendors.
func detectBench(t *testing.T) (env map[string]string, repo string, server *vendors.Server) {
	t.Helper()
	at, err := time.Parse(time.RFC3339, detectNow)
	if err != nil {
		t.Fatal(err)
	}
	shown := vendors.Shown{At: at.AddDate(0, 0, -5)}
	server, err = vendors.New(vendors.Options{Now: func() time.Time { return at }, Data: vendors.Data{
		NPM:   []vendors.NPMPackage{{Name: "tool-win32", Versions: []vendors.NPMVersion{{Shown: shown, Version: "1.2.0", Files: map[string]vendors.Content{"tool.exe": vendors.Installer("Tool", "Acme", "1.2.0", 3000)}}}}},
		Pages: []vendors.Page{{Shown: shown, Host: "acme.example", Path: "/latest", Content: vendors.Text(`{"version": "Latest"}`)}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(server)
	t.Cleanup(web.Close)
	env = map[string]string{"NPM_CONFIG_REGISTRY": web.URL + "/npm", "GOPROXY": "off", "PACKMILL_MIRROR": web.URL, "PACKMILL_CACHE": t.TempDir()}
	repo = t.TempDir()
	if code, out, told := run(t, env, "init", repo); code != 0 {
		t.Fatalf("init: %d\n%s%s", code, out, told)
	}
	for name, text := range map[string]string{
		"publisher.cue": `publisher: schema.#Publisher & {name: "Acme", hosts: [], unsigned: "accepted"}`,
		"tool/package.cue": `pkg: schema.#Package & {
	id: "acme/tool", name: "Tool", kind: "application"
	sources: ["made for this test"]
	upstream: {from: npm: package: "tool-win32", scheme: "semver"}
	installers: x64: {
		platform: "windows", arch: "x64", type: "portable", programFiles: "Tool"
		source: {purl: "pkg:npm/tool-win32@{version}", member: "package/tool.exe"}
		detect: [{registry: {key: "HKLM\\Software\\packmill\\acme/tool", value: "Version"}}]
	}
	tests: matrix: []
	rollback: "uninstall"
}`,
		"other/package.cue": `pkg: schema.#Package & {
	id: "acme/other", name: "Other", kind: "application"
	sources: ["made for this test"]
	upstream: {from: httpJSON: {url: "https://acme.example/latest", path: "$.version"}, scheme: "windows"}
	tests: matrix: []
	rollback: "uninstall"
}`,
	} {
		file := filepath.Join(repo, "catalog", "acme", filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("package catalog\n\nimport \"github.com/packmill/packmill/schema\"\n\n"+text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return env, repo, server
}

func TestDetectCommand(t *testing.T) {
	env, repo, server := detectBench(t)
	code, out, told := run(t, env, "-C", repo, "--now", detectNow, "detect", "--dry-run", "acme/tool", "acme/other")
	if code != 0 || told != "packmill: requests: 2, not modified: 0, KiB received: 1\n" {
		t.Fatalf("code %d: %s", code, told)
	}
	want := "PACKAGE     RELEASED  FOUND  STATE             WHY\n" +
		"acme/other                   held: unparsable  \"Latest\" is not a windows version: \"latest\" is what a feed says when it knows none\n" +
		"acme/tool             1.2.0  new\n"
	if out != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
	if entries, err := os.ReadDir(filepath.Join(env["PACKMILL_CACHE"], "upstream")); err == nil {
		t.Errorf("a dry run left %d files in the cache", len(entries))
	}
	code, out, _ = run(t, env, "-C", repo, "--now", detectNow, "detect", "--format", "json", "acme/tool")
	var v struct {
		Schema   string
		New      int
		Packages []detectedAs
	}
	if err := json.Unmarshal([]byte(out), &v); err != nil || code != 0 {
		t.Fatalf("code %d, %v", code, err)
	}
	if v.Schema != "packmill.dev/detect/v1" || v.New != 1 || v.Packages[0].Published != "2026-11-13T06:00:00Z" {
		t.Errorf("got %+v", v)
	}
	_, before := server.Requests()
	if code, _, told := run(t, env, "-C", repo, "--now", detectNow, "detect", "acme/tool"); code != 0 {
		t.Error(told)
	}
	if _, after := server.Requests(); after != before+1 {
		t.Errorf("%d answers were not modified, want one", after-before)
	}
	if code, out, _ := run(t, env, "-C", repo, "--now", detectNow, "detect", "--format", "csv", "acme/tool"); code != 0 || !strings.HasPrefix(out, "package,released,found,state,why\n") {
		t.Errorf("csv: %d\n%s", code, out)
	}
	if code, _, told := run(t, env, "-C", repo, "detect", "acme/nowhere"); code != exitInvalid || !strings.Contains(told, "no such package") {
		t.Errorf("unknown package: %d %s", code, told)
	}
}

// TestDetectAgreement checks that the documents tell who named which version.
func TestDetectAgreement(t *testing.T) {
	a := &fleet.Agreement{Agree: 1, Of: 2, Need: 2, Sources: []fleet.Said{{Source: "npm tool", Version: "1.2.0", Agrees: true}, {Source: "GitHub acme/tool", Failed: "404"}}}
	finding := factory.Finding{Detection: fleet.Detection{Package: "acme/tool", Found: "1.2.0", State: fleet.StateHeld, Hold: fleet.HoldDisagree, Agreement: a}}
	const want = `"agreement":{"agree":1,"of":2,"need":2,"sources":[{"source":"npm tool","version":"1.2.0","agrees":true},{"source":"GitHub acme/tool","failed":"404","agrees":false}]}`
	for _, r := range []result{detectResult(time.Time{}, []factory.Finding{finding}), proposeResult([]factory.Proposed{{Finding: finding}}, false)} {
		if data, err := json.Marshal(r.value); err != nil || !strings.Contains(string(data), want) {
			t.Errorf("%s: %s, %v", r.name, data, err)
		}
	}
}

func TestProposeWrites(t *testing.T) {
	env, repo, server := detectBench(t)
	file := filepath.Join(repo, "catalog/acme/tool/1.2.0.cue")
	propose := func(args ...string) (int, string, string) {
		return run(t, env, append([]string{"-C", repo, "--now", detectNow, "propose", "acme/tool"}, args...)...)
	}
	code, out, told := propose()
	if code != 0 || !strings.Contains(out, "would propose catalog/acme/tool/1.2.0.cue") {
		t.Fatalf("code %d\n%s%s", code, out, told)
	}
	if _, err := os.Stat(file); err == nil {
		t.Fatal("a dry run wrote the release file")
	}
	if code, out, told = propose("--write"); code != 0 || !strings.Contains(out, "wrote catalog/acme/tool/1.2.0.cue") {
		t.Fatalf("code %d\n%s%s", code, out, told)
	}
	text, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(text), `productVersion: "1.2.0"`) || !strings.Contains(string(text), "memberSHA256:") {
		t.Errorf("%v\n%s", err, text)
	}
	if code, out, told := run(t, env, "-C", repo, "--now", detectNow, "validate"); code != 0 {
		t.Errorf("validate: %d\n%s%s", code, out, told)
	}
	if code, out, _ := propose("--write"); code != 0 || !strings.Contains(out, "equal") {
		t.Errorf("the second time: %d\n%s", code, out)
	}
	// Once more, with a download that breaks off.
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := server.Change(func(d *vendors.Data) {
		d.Faults = append(d.Faults, vendors.Fault{Path: "/npm/tool-win32/-/", Kind: vendors.Truncated})
	}); err != nil {
		t.Fatal(err)
	}
	if code, out, told := propose("--write"); code != 0 || !strings.Contains(out, "held: truncated") {
		t.Errorf("truncated: %d\n%s%s", code, out, told)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("a truncated download became a release")
	}
}

// TestDetectFixes tells what a version fixes, in the list and to programs.
func TestDetectFixes(t *testing.T) {
	d := fleet.Detection{Package: "acme/tool", Current: "1.1.0", Found: "1.2.0", State: fleet.StateNew, Fixes: []string{"CVE-2026-10001", "CVE-2026-10002"}}
	held := d
	held.State, held.Hold, held.Why = fleet.StateHeld, fleet.HoldTooYoung, "published an hour ago"
	r := detectResult(time.Time{}, []factory.Finding{{Detection: d}, {Detection: held}})
	if got := r.table.Rows[0][4]; got != "fixes what is known to be exploited: CVE-2026-10001 CVE-2026-10002" {
		t.Errorf("new: %q", got)
	}
	if got := r.table.Rows[1][4]; got != "published an hour ago" {
		t.Errorf("held: %q", got)
	}
	if v, ok := r.value.(detected); !ok || len(v.Packages[0].Fixes) != 2 || len(v.Packages[1].Fixes) != 2 {
		t.Errorf("%+v", r.value)
	}
}
