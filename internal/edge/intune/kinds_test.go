package intune

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// macSample is a plain macOS package.
func macSample() fleet.App {
	return fleet.App{
		Package: "acme/tool", Slot: fleet.Stable, Name: "Tool", Publisher: "Acme", Version: "2.10.1",
		Installer: fleet.Installer{Platform: "macos", Arch: "universal", Type: "pkg", Detect: []fleet.Detect{{Operator: "=", Bundle: "com.acme.tool"}}},
		Download: fleet.Download{Pkg: &fleet.PkgFacts{Identifier: "com.acme.tool.pkg", Version: "0", Bundles: []fleet.BundleFacts{
			{ID: "com.acme.updater", Version: "7"}, {ID: "com.acme.tool", Version: "2.10", Build: "2100"}, {ID: "com.acme.bare"},
		}}},
	}
}

func TestKindFor(t *testing.T) {
	for _, tt := range []struct {
		platform, kind string
		managed        bool
		want           kind
	}{
		{"windows", "msi", false, kindWin32}, {"windows", "script", false, kindWin32}, {"windows", "store", false, kindStore},
		{"macos", "pkg", false, kindPkg}, {"macos", "pkg", true, kindLob}, {"macos", "dmg", false, kindDmg},
		{"macos", "portable", false, ""}, {"linux", "deb", false, ""},
	} {
		app := macSample()
		app.Installer.Platform, app.Installer.Type, app.Installer.Managed = tt.platform, tt.kind, tt.managed
		got, err := kindFor(app)
		if got != tt.want || (err == nil) != (tt.want != "") || err != nil && fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("%s for %s: %q, %v", tt.kind, tt.platform, got, err)
		}
	}
	for _, k := range kinds() {
		if kindOf(k.odata()) != k {
			t.Errorf("%s is not known by its type", k)
		}
	}
	if kindOf("#microsoft.graph.iosLobApp") != "" || kindOf("") != "" {
		t.Error("a kind that packmill never makes")
	}
}

// TestMacBodies is what the service is told of macOS apps.
func TestMacBodies(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*fleet.App)
		kind   kind
		want   string // of the JSON, "" is an error of kind Invalid
	}{
		"the rule's bundle, in its own version": {func(*fleet.App) {}, kindPkg,
			`"primaryBundleId":"com.acme.tool","primaryBundleVersion":"2.10","includedApps":[{"bundleId":"com.acme.tool","bundleVersion":"2.10"}],"ignoreVersionDetection":false,"minimumSupportedOperatingSystem":{"v10_13":true}`},
		"all bundles": {func(a *fleet.App) {
			a.Installer.Detect = []fleet.Detect{{Operator: "=", Package: "com.acme.tool.pkg"}}
			a.Download.Pkg.Bundles[2].Version = "3"
		}, kindPkg,
			`"primaryBundleId":"com.acme.updater","primaryBundleVersion":"7","includedApps":[{"bundleId":"com.acme.updater","bundleVersion":"7"},{"bundleId":"com.acme.tool","bundleVersion":"2.10"},{"bundleId":"com.acme.bare","bundleVersion":"3"}]`},
		"all bundles, one without a version": {func(a *fleet.App) { a.Installer.Detect = []fleet.Detect{{Operator: "=", Package: "com.acme.tool.pkg"}} }, kindPkg, ""},
		"all bundles, in any version": {func(a *fleet.App) {
			a.Installer.Detect = []fleet.Detect{{Operator: ">=", Package: "com.acme.tool.pkg"}}
		}, kindPkg,
			`{"bundleId":"com.acme.bare","bundleVersion":"2.10.1"}],"ignoreVersionDetection":true`},
		"no scripts, which is said": {func(*fleet.App) {}, kindPkg, `"preInstallScript":null,"postInstallScript":null`},
		"scripts": {func(a *fleet.App) { a.BeforeText, a.AfterText = "#!/bin/sh\n", "#!/bin/zsh\n" }, kindPkg,
			`"preInstallScript":{"scriptContent":"IyEvYmluL3NoCg=="},"postInstallScript":{"scriptContent":"IyEvYmluL3pzaAo="}`},
		"two rules, one at least": {func(a *fleet.App) {
			a.Installer.Detect = append(a.Installer.Detect, fleet.Detect{Operator: ">=", Bundle: "com.acme.updater"})
		}, kindPkg, `{"bundleId":"com.acme.updater","bundleVersion":"7"}],"ignoreVersionDetection":true`},
		"a bundle that the package does not name": {func(a *fleet.App) { a.Download.Pkg = nil }, kindPkg, `"primaryBundleId":"com.acme.tool","primaryBundleVersion":"2.10.1"`},
		"a disk image": {func(a *fleet.App) { a.Download.Pkg, a.Installer.Type = nil, "dmg" }, kindDmg,
			`"@odata.type":"#microsoft.graph.macOSDmgApp","displayName":"Tool","description":"Tool","publisher":"Acme","fileName":"Tool.pkg","primaryBundleId":"com.acme.tool","primaryBundleVersion":"2.10.1"`},
		"managed": {func(*fleet.App) {}, kindLob,
			`"bundleId":"com.acme.tool","buildNumber":"2.10","versionNumber":"2100","childApps":[{"bundleId":"com.acme.tool","buildNumber":"2.10","versionNumber":"2100"}],"installAsManaged":true,"ignoreVersionDetection":false`},
		"a system":              {func(a *fleet.App) { a.Installer.Needs = &fleet.Needs{OS: ">=13.0.0"} }, kindPkg, `{"v13_0":true}`},
		"between two":           {func(a *fleet.App) { a.Installer.Needs = &fleet.Needs{OS: ">=13.4"} }, kindPkg, `{"v14_0":true}`},
		"counted by years":      {func(a *fleet.App) { a.Installer.Needs = &fleet.Needs{OS: ">=16"} }, kindLob, `{"v26_0":true}`},
		"an old system":         {func(a *fleet.App) { a.Installer.Needs = &fleet.Needs{OS: ">=10.9"} }, kindPkg, `{"v10_13":true}`},
		"a system to come":      {func(a *fleet.App) { a.Installer.Needs = &fleet.Needs{OS: ">=26.1"} }, kindPkg, ""},
		"a system that is none": {func(a *fleet.App) { a.Installer.Needs = &fleet.Needs{OS: ">=ten"} }, kindLob, ""},
		"a script":              {func(a *fleet.App) { a.Installer.Detect = []fleet.Detect{{Script: "files/x.sh"}} }, kindPkg, ""},
		"a file":                {func(a *fleet.App) { a.Installer.Detect = []fleet.Detect{{File: &fleet.FileRule{Path: "/x"}}} }, kindLob, ""},
		"no bundle at all": {func(a *fleet.App) {
			a.Download.Pkg, a.Installer.Detect = nil, []fleet.Detect{{Package: "com.acme.tool.pkg"}}
		}, kindPkg, ""},
		"no publisher": {func(a *fleet.App) { a.Publisher = "" }, kindPkg, ""},
	} {
		app := macSample()
		tt.change(&app)
		body, err := properties(app, tt.kind, &content{name: "Tool.pkg"})
		if tt.want == "" {
			if fleet.KindOf(err) != fleet.Invalid || err == nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		data, _ := json.Marshal(body)
		if err != nil || !strings.Contains(string(data), tt.want) {
			t.Errorf("%s: %v\n%s\nwant %s", name, err, data, tt.want)
		}
	}
}

// TestManyBundles keeps to what the service lists.
func TestManyBundles(t *testing.T) {
	app := macSample()
	app.Installer.Detect = nil
	for i := range 600 {
		app.Installer.Detect = append(app.Installer.Detect, fleet.Detect{Bundle: fmt.Sprintf("com.acme.part%d", i)})
	}
	if bundles, _, err := bundlesOf(app); err != nil || len(bundles) != maxIncluded {
		t.Errorf("%d bundles, %v", len(bundles), err)
	}
}

func TestStoreBody(t *testing.T) {
	app := macSample()
	app.Installer = fleet.Installer{Platform: "windows", Type: "store", RunAs: "system", Detect: []fleet.Detect{{Operator: ">=", Package: "9NBLGGH4NNS1"}}}
	body, err := properties(app, kindStore, &content{})
	if err != nil {
		t.Fatal(err)
	}
	made, _ := json.Marshal(body)
	kept, _ := json.Marshal(asKept(body))
	if want := `"packageIdentifier":"9NBLGGH4NNS1","repositoryType":"microsoftStore","installExperience":{"runAsAccount":"system"}`; !strings.Contains(string(made), want) {
		t.Errorf("made %s", made)
	}
	if strings.Contains(string(kept), "packageIdentifier") || strings.Contains(string(kept), "repositoryType") || !strings.Contains(string(kept), "installExperience") {
		t.Errorf("kept %s", kept)
	}
	for _, rules := range [][]fleet.Detect{nil, {{Bundle: "x"}}, {{Package: "Mozilla.Firefox"}}, {{Package: "9nblggh4nns1"}}} {
		app.Installer.Detect = rules
		if _, err := properties(app, kindStore, &content{}); fleet.KindOf(err) != fleet.Invalid || err == nil {
			t.Errorf("%+v: %v", rules, err)
		}
	}
}

func TestIcon(t *testing.T) {
	draw := func(w, h int, form string) []byte {
		var buf bytes.Buffer
		m := image.NewGray(image.Rect(0, 0, w, h))
		err := png.Encode(&buf, m)
		if form == "image/jpeg" {
			buf.Reset()
			err = jpeg.Encode(&buf, m, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		return buf.Bytes()
	}
	for name, tt := range map[string]struct {
		data []byte
		want string // "" is an error of kind Invalid
	}{
		"png": {draw(512, 512, "image/png"), "image/png"}, "jpeg": {draw(48, 32, "image/jpeg"), "image/jpeg"},
		"too wide": {draw(513, 10, "image/png"), ""}, "text": {[]byte("<svg/>"), ""}, "cut off": {draw(9, 9, "image/png")[:20], ""},
		"too large": {append(draw(9, 9, "image/png"), make([]byte, maxIcon)...), ""},
	} {
		app := sample()
		app.Icon = tt.data
		got, err := largeIcon(app)
		switch {
		case tt.want == "" && (err == nil || fleet.KindOf(err) != fleet.Invalid):
			t.Errorf("%s: %v", name, err)
		case tt.want != "" && (err != nil || got.Type != tt.want || !bytes.Equal(got.Value, tt.data)):
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if got, err := largeIcon(sample()); got != nil || err != nil {
		t.Errorf("none: %v, %v", got, err)
	}
}

// TestSettingsOfKinds: an assignment says what its app's kind has, and no more.
func TestSettingsOfKinds(t *testing.T) {
	deadline := "2026-11-24T12:00:00Z"
	s := &assignmentSettings{ODataType: odataSettings, Notifications: "hideAll", Delivery: "notConfigured",
		InstallTime: &installTimeSettings{UseLocalTime: true, StartDateTime: &deadline, DeadlineDateTime: &deadline}}
	for k, want := range map[kind]string{
		kindStore: `{"@odata.type":"#microsoft.graph.winGetAppAssignmentSettings","installTimeSettings":{"deadlineDateTime":"2026-11-24T12:00:00Z","useLocalTime":true},"notifications":"hideAll"}`,
		kindPkg:   "null", kindLob: "null", kindDmg: "null",
	} {
		if got, err := json.Marshal(k.settings(s)); err != nil || string(got) != want {
			t.Errorf("%s: %s, %v", k, got, err)
		}
	}
	if got, err := json.Marshal(s); err != nil || !strings.Contains(string(got), `"startDateTime"`) {
		t.Errorf("a Win32 app's: %s, %v", got, err)
	}
}
