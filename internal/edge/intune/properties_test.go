package intune

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/edge/intune/reports"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/intunewin"
	"github.com/packmill/packmill/internal/rules/wrapper"
)

const code = "{23170F69-40C1-2702-2409-000001000000}"

// sample is a plain MSI package.
func sample() fleet.App {
	return fleet.App{
		Package: "igor-pavlov/7-zip", Slot: fleet.Stable, Name: "7-Zip", Publisher: "Igor Pavlov", Version: "24.09",
		Installer: fleet.Installer{
			Platform: "windows", Arch: "x64", Type: "msi", Scope: "machine", RunAs: "system", InUse: "wait", Restart: "never", Minutes: 30,
			Detect: []fleet.Detect{{Operator: "=", MSIProduct: true}},
		},
		Download: fleet.Download{MSI: &fleet.MSIFacts{ProductCode: code, ProductVersion: "24.09.00.0"}},
	}
}

func opened(t *testing.T, setup string, names ...string) *intunewin.File {
	t.Helper()
	files := []intunewin.Entry{intunewin.BytesEntry(setup, []byte("x"))}
	for _, name := range names {
		files = append(files, intunewin.BytesEntry(name, []byte("y")))
	}
	return openedFiles(t, setup, files)
}

func openedFiles(t *testing.T, setup string, files []intunewin.Entry) *intunewin.File {
	t.Helper()
	p := intunewin.Package{Name: setup, SetupFile: setup, Entries: files}
	var w memory
	if _, err := intunewin.Write(t.Context(), &w, p); err != nil {
		t.Fatal(err)
	}
	f, err := intunewin.Read(bytes.NewReader(w), int64(len(w)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// win32 are the properties of a Win32 app, empty ones with an error.
func win32(app fleet.App, f *intunewin.File) (*win32LobApp, error) {
	if kind, err := kindFor(app); err != nil || kind != kindWin32 {
		return &win32LobApp{}, err
	}
	p, err := properties(app, kindWin32, &content{container: f})
	if err != nil {
		return &win32LobApp{}, err
	}
	return p.(*win32LobApp), nil
}

type memory []byte

// WriteAt writes into memory.
func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	if end := int(off) + len(p); end > len(*m) {
		*m = append(*m, make([]byte, end-len(*m))...)
	}
	return copy((*m)[off:], p), nil
}

func TestCommands(t *testing.T) {
	for name, tt := range map[string]struct {
		change             func(*fleet.App)
		setup              string
		others             []string
		install, uninstall string // install "" is an error of kind Invalid
	}{
		"msi": {func(a *fleet.App) {}, "7zip.msi", nil, `msiexec /i "7zip.msi" /qn /norestart`, `msiexec /x ` + code + ` /qn /norestart`},
		"properties and transforms": {func(a *fleet.App) {
			a.Installer.Properties = map[string]string{"SERVER": `say "hi"`, "ALLUSERS": "1"}
			a.Installer.Transforms = []string{"files/acme.mst", "files/fi.mst"}
		}, "client.msi", nil, `msiexec /i "client.msi" /qn /norestart TRANSFORMS="acme.mst;fi.mst" ALLUSERS="1" SERVER="say ""hi"""`, `msiexec /x ` + code + ` /qn /norestart`},
		"wrapper": {func(a *fleet.App) {}, "install.cmd", []string{"uninstall.cmd", "7zip.msi"}, "install.cmd", "uninstall.cmd"},
		"exe": {func(a *fleet.App) {
			a.Installer.Type, a.Installer.Arguments = "exe", &fleet.Arguments{Install: "/S", Uninstall: `"%ProgramFiles%\7-Zip\Uninstall.exe" /S`}
		}, "7z.exe", nil, `"7z.exe" /S`, `"%ProgramFiles%\7-Zip\Uninstall.exe" /S`},
		"exe removes itself": {func(a *fleet.App) {
			a.Installer.Type, a.Installer.Arguments = "exe", &fleet.Arguments{Install: "/S", Uninstall: "/uninstall /S"}
		}, "7z.exe", nil, `"7z.exe" /S`, `"7z.exe" /uninstall /S`},
		"exe that asks":            {func(a *fleet.App) { a.Installer.Type = "exe" }, "7z.exe", nil, "", ""},
		"portable without wrapper": {func(a *fleet.App) { a.Installer.Type = "portable" }, "7z.exe", nil, "", ""},
		"deb":                      {func(a *fleet.App) { a.Installer.Type = "deb" }, "7z.deb", nil, "", ""},
		"no product code":          {func(a *fleet.App) { a.Download.MSI.ProductCode = "& calc" }, "7zip.msi", nil, "", ""},
		"a property's name":        {func(a *fleet.App) { a.Installer.Properties = map[string]string{"A=1 B": "x"} }, "7zip.msi", nil, "", ""},
		"a second line":            {func(a *fleet.App) { a.Installer.Properties = map[string]string{"A": "x\r\ncalc"} }, "7zip.msi", nil, "", ""},
		"a file's name":            {func(a *fleet.App) {}, "7%PATH%.msi", nil, "", ""},
	} {
		app := sample()
		tt.change(&app)
		install, uninstall, err := commands(app, opened(t, tt.setup, tt.others...))
		if tt.install == "" {
			if fleet.KindOf(err) != fleet.Invalid || err == nil {
				t.Errorf("%s: %q, %v", name, install, err)
			}
			continue
		}
		if err != nil || install != tt.install || uninstall != tt.uninstall {
			t.Errorf("%s: %q, %q, %v", name, install, uninstall, err)
		}
	}
}

// folder is a content with the wrapper script for an app.
func folder(t *testing.T, app fleet.App, script string, change func(*wrapper.Setup)) *intunewin.File {
	t.Helper()
	pkg := fleet.Package{ID: app.Package, Installers: map[string]fleet.Installer{"x64": app.Installer},
		Releases: map[string]fleet.Release{app.Version: {Installers: map[string]fleet.Download{"x64": app.Download}}}}
	s, err := wrapper.Make(pkg, app.Version, "x64", "7zip.msi")
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&s)
	}
	data, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	files := []intunewin.Entry{intunewin.BytesEntry("7zip.msi", []byte("x")), intunewin.BytesEntry(wrapper.SetupName, data)}
	if script != "" {
		files = append(files, intunewin.BytesEntry(wrapper.ScriptName, []byte(script)))
	}
	return openedFiles(t, "7zip.msi", files)
}

// TestWrapped: the script runs in the tenant's windows, translates exit codes,
// and is all that is signed where it is signed.
func TestWrapped(t *testing.T) {
	app := sample()
	app.Installer.Restart, app.Installer.InUse, app.Installer.Programs = "byExitCode", "close", []string{"7zFM.exe"}
	app.Installer.ExitCodes = map[string]string{"5": "success"}
	app.Windows = []fleet.Window{
		{On: []string{"Mon", "Tue"}, From: "22:00", Until: "04:00", For: []string{"install"}},
		{On: []string{"Sun"}, From: "02:00", Until: "04:00", For: []string{"reboot"}, Holidays: "shut"},
	}
	app.Shut = []string{"2026-12-25"}
	const start = `"%SystemRoot%\System32\WindowsPowerShell\v1.0\powershell.exe" -NoLogo -NoProfile -NonInteractive -ExecutionPolicy `
	p, err := win32(app, folder(t, app, "exit 0", nil))
	if err != nil || p.InstallCommandLine != start+"Bypass -File packmill.ps1 -Mode Install -Window Mon+Tue@22:00-04:00" ||
		p.UninstallCommandLine != start+"Bypass -File packmill.ps1 -Mode Uninstall -Window Mon+Tue@22:00-04:00" {
		t.Errorf("%q, %q, %v", p.InstallCommandLine, p.UninstallCommandLine, err)
	}
	if want := (installExperience{"system", "basedOnReturnCode", 75, "notEnabled"}); *p.InstallExperience != want {
		t.Errorf("experience %+v", *p.InstallExperience)
	}
	if p.SetupFilePath != "7zip.msi" || p.MSIInformation == nil {
		t.Errorf("the MSI is not told: %+v", p)
	}
	if got := fmt.Sprint(p.ReturnCodes); got != "[{0 success} {1618 retry} {1641 hardReboot} {3010 softReboot} {79001 retry} {79002 retry} {79003 retry} {79004 retry}]" {
		t.Errorf("return codes %s", got)
	}
	app.RebootsOnly = true
	p, err = win32(app, folder(t, app, "exit 0\r\n# SIG # Begin signature block\r\n", nil))
	if err != nil || p.InstallCommandLine != start+"AllSigned -File packmill.ps1 -Mode Install -Window Mon+Tue@22:00-04:00 -Reboot Sun@02:00-04:00=h -Shut 2026-12-25" {
		t.Errorf("%q, %v", p.InstallCommandLine, err)
	}
	if p.InstallExperience.DeviceRestartBehavior != "suppress" {
		t.Errorf("experience %+v", *p.InstallExperience)
	}
	if _, err := win32(app, opened(t, "7zip.msi")); fleet.KindOf(err) != fleet.Refused {
		t.Errorf("restarts in the window alone, without the script: %v", err)
	}
	for name, c := range map[string]struct {
		script string
		change func(*wrapper.Setup)
	}{
		"no script":         {"", nil},
		"another package":   {"x", func(s *wrapper.Setup) { s.Package = "a/b" }},
		"another version":   {"x", func(s *wrapper.Setup) { s.Version = "1" }},
		"another installer": {"x", func(s *wrapper.Setup) { s.Installer = "arm64" }},
	} {
		app := sample()
		app.File.Installer = "x64"
		if p, err := win32(app, folder(t, app, c.script, c.change)); fleet.KindOf(err) != fleet.Invalid || err == nil {
			t.Errorf("%s: %q, %v", name, p.InstallCommandLine, err)
		}
	}
	app.Windows[0].From = "22:00 -Mode"
	if p, err := win32(app, folder(t, app, "x", nil)); fleet.KindOf(err) != fleet.Invalid || err == nil {
		t.Errorf("a window: %q, %v", p.InstallCommandLine, err)
	}
}

// TestPutOff: a device that was told "not now" has not failed.
func TestPutOff(t *testing.T) {
	for code, want := range map[string]string{"0x13499": "pending", "0x1349C": "pending", "0x1349d": "failed", "0x652": "failed", "0x80070643": "failed", "": "failed"} {
		page := `{"TotalRowCount":1,"Schema":[{"Column":"DeviceId"},{"Column":"AppVersion"},{"Column":"InstallState"},{"Column":"HexErrorCode"},{"Column":"LastModifiedDateTime"}],"Values":[["d","1","failed","` + code + `",""]]}`
		p, err := reports.ReadPage(strings.NewReader(page), pageColumns().names(), reports.Published())
		if err != nil || len(p.Rows) != 1 {
			t.Fatal(err)
		}
		if got := pageColumns().status(p.Rows[0]); got.State != want {
			t.Errorf("%s: %+v, want %s", code, got, want)
		}
	}
}

func TestRules(t *testing.T) {
	file := func(path string, version bool) []fleet.Detect {
		return []fleet.Detect{{Operator: ">=", File: &fleet.FileRule{Path: path, Version: version}}}
	}
	registry := func(key, value string, view int, operator string) []fleet.Detect {
		return []fleet.Detect{{Operator: operator, Registry: &fleet.RegistryRule{Key: key, Value: value, View: view}}}
	}
	for name, tt := range map[string]struct {
		detect  []fleet.Detect
		version string
		want    string // JSON of the first rule; "" is an error of kind Invalid
	}{
		"product": {[]fleet.Detect{{Operator: ">=", MSIProduct: true}}, "24.09",
			`{"@odata.type":"#microsoft.graph.win32LobAppProductCodeRule","ruleType":"detection","productCode":"` + code + `","productVersion":"24.09.00.0","productVersionOperator":"greaterThanOrEqual"}`},
		"file": {file(`%ProgramFiles%\7-Zip\7z.exe`, false), "24.09",
			`{"@odata.type":"#microsoft.graph.win32LobAppFileSystemRule","ruleType":"detection","path":"%ProgramFiles%\\7-Zip","fileOrFolderName":"7z.exe","check32BitOn64System":false,"operationType":"exists","operator":"notConfigured"}`},
		"file version": {file(`%ProgramFiles%\7-Zip\7z.exe`, true), "24.09",
			`{"@odata.type":"#microsoft.graph.win32LobAppFileSystemRule","ruleType":"detection","path":"%ProgramFiles%\\7-Zip","fileOrFolderName":"7z.exe","check32BitOn64System":false,"operationType":"version","operator":"greaterThanOrEqual","comparisonValue":"24.09"}`},
		"registry, 32-bit view": {registry(`HKLM\SOFTWARE\7-Zip`, "Version", 32, "="), "24.09",
			`{"@odata.type":"#microsoft.graph.win32LobAppRegistryRule","ruleType":"detection","keyPath":"HKEY_LOCAL_MACHINE\\SOFTWARE\\7-Zip","valueName":"Version","check32BitOn64System":true,"operationType":"version","operator":"equal","comparisonValue":"24.09"}`},
		"registry key": {registry(`HKCU\Software\X`, "", 64, "="), "24.09",
			`{"@odata.type":"#microsoft.graph.win32LobAppRegistryRule","ruleType":"detection","keyPath":"HKEY_CURRENT_USER\\Software\\X","check32BitOn64System":false,"operationType":"exists","operator":"notConfigured"}`},
		"registry text": {registry(`HKLM\SOFTWARE\X`, "Release", 64, "="), "2026-b",
			`{"@odata.type":"#microsoft.graph.win32LobAppRegistryRule","ruleType":"detection","keyPath":"HKEY_LOCAL_MACHINE\\SOFTWARE\\X","valueName":"Release","check32BitOn64System":false,"operationType":"string","operator":"equal","comparisonValue":"2026-b"}`},
		"script":                {[]fleet.Detect{{Script: "files/d.ps1"}}, "1", `{"@odata.type":"#microsoft.graph.win32LobAppPowerShellScriptRule","ruleType":"detection","operationType":"notConfigured","operator":"notConfigured","enforceSignatureCheck":false,"runAs32Bit":false,"scriptContent":"` + base64.StdEncoding.EncodeToString([]byte("'yes'")) + `"}`},
		"configuration":         {nil, "1", `{"@odata.type":"#microsoft.graph.win32LobAppPowerShellScriptRule","ruleType":"detection","operationType":"notConfigured","operator":"notConfigured","enforceSignatureCheck":false,"runAs32Bit":false,"scriptContent":"` + base64.StdEncoding.EncodeToString([]byte("'yes'")) + `"}`},
		"two scripts":           {[]fleet.Detect{{Script: "a"}, {Script: "b"}}, "1", ""},
		"text by >=":            {registry(`HKLM\SOFTWARE\X`, "Release", 64, ">="), "2026-b", ""},
		"text as file version":  {file(`C:\a\b.exe`, true), "2026-b", ""},
		"no full path":          {file(`7z.exe`, false), "24.09", ""},
		"another hive":          {registry(`HKX\SOFTWARE\X`, "", 64, "="), "24.09", ""},
		"a bundle":              {[]fleet.Detect{{Bundle: "org.x"}}, "24.09", ""},
		"version of five parts": {file(`C:\a\b.exe`, true), "1.2.3.4.5", ""},
	} {
		app := sample()
		app.Version, app.DetectText, app.Installer.Detect = tt.version, "'yes'", tt.detect
		rules, err := appRules(app)
		if tt.want == "" {
			if err == nil || fleet.KindOf(err) != fleet.Invalid {
				t.Errorf("%s: %+v, %v", name, rules, err)
			}
			continue
		}
		if err != nil || len(rules) != 1 {
			t.Errorf("%s: %+v, %v", name, rules, err)
			continue
		}
		var got, want any
		data, _ := json.Marshal(rules[0])
		if json.Unmarshal(data, &got) != nil || json.Unmarshal([]byte(tt.want), &want) != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %s\nwant %s", name, data, tt.want)
		}
	}
	app := sample()
	app.Installer.Detect = nil
	if _, err := appRules(app); fleet.KindOf(err) != fleet.Invalid {
		t.Errorf("no rule at all: %v", err)
	}
}

func TestRequirementScript(t *testing.T) {
	app := sample()
	app.Installer.Needs, app.NeedText = &fleet.Needs{Script: "files/need.ps1"}, "exit 3 # ä"
	rules, err := appRules(app)
	if err != nil || len(rules) != 2 || rules[1].RuleType != "requirement" || rules[1].ComparisonValue != "met" {
		t.Fatalf("%+v, %v", rules, err)
	}
	script, err := base64.StdEncoding.DecodeString(rules[1].ScriptContent)
	if err != nil || !strings.Contains(string(script), base64.StdEncoding.EncodeToString([]byte("e\x00x\x00i\x00t\x00 \x003\x00 \x00#\x00 \x00\xe4\x00"))) {
		t.Errorf("script %s, %v", script, err)
	}
	for _, text := range []string{"", strings.Repeat("x", maxNeedScript+1)} {
		app.NeedText = text
		if _, err := appRules(app); fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("a script of %d bytes: %v", len(text), err)
		}
	}
}

func TestProperties(t *testing.T) {
	app := sample()
	app.Installer.Needs = &fleet.Needs{OS: ">=10.0.19045", DiskMB: 500}
	app.Installer.ExitCodes = map[string]string{"-5": "retry", "1707": "softReboot"}
	app.Installer.Restart, app.Installer.InUse, app.Installer.RunAs = "byExitCode", "close", "user"
	p, err := win32(app, opened(t, "7zip.msi"))
	if err != nil {
		t.Fatal(err)
	}
	if p.MinimumRelease != "Windows10_22H2" || *p.MinimumDiskMB != 500 || p.MinimumMemoryMB != nil || p.AllowedArchitectures != "x64" || p.Description != "7-Zip" {
		t.Errorf("properties %+v", p)
	}
	if want := (installExperience{"user", "basedOnReturnCode", 30, "terminateWithoutUserInteraction"}); *p.InstallExperience != want {
		t.Errorf("experience %+v", *p.InstallExperience)
	}
	if got := fmt.Sprint(p.ReturnCodes); got != "[{-5 retry} {0 success} {1618 retry} {1641 hardReboot} {1707 softReboot} {3010 softReboot}]" {
		t.Errorf("return codes %s", got)
	}
	if p.MSIInformation == nil || p.MSIInformation.ProductCode != code || p.MSIInformation.PackageType != "perMachine" {
		t.Errorf("MSI %+v", p.MSIInformation)
	}
	one := specID(p)
	p.DisplayVersion = "24.10"
	if specID(p) == one {
		t.Error("other properties have the same id")
	}
	for name, change := range map[string]func(*fleet.App){
		"platform":  func(a *fleet.App) { a.Installer.Platform = "linux" },
		"publisher": func(a *fleet.App) { a.Publisher = "" },
		"exit code": func(a *fleet.App) { a.Installer.ExitCodes = map[string]string{"x": "retry"} },
		"meaning":   func(a *fleet.App) { a.Installer.ExitCodes = map[string]string{"5": "fine"} },
		"os":        func(a *fleet.App) { a.Installer.Needs = &fleet.Needs{OS: ">=11.0"} },
		"future os": func(a *fleet.App) { a.Installer.Needs = &fleet.Needs{OS: ">=10.0.99999"} },
	} {
		app := sample()
		change(&app)
		if _, err := win32(app, opened(t, "7zip.msi")); fleet.KindOf(err) != fleet.Invalid || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMarker(t *testing.T) {
	m := Marker{Package: "a/b", Slot: fleet.Stable, File: fleet.DigestOf(nil), Targets: []string{"x", "all devices"}}
	notes := withMarker("kept\r\npackmill: {\"package\":\"old\"}\nkept too", m)
	if !strings.HasPrefix(notes, "kept\nkept too\npackmill: {") || strings.Contains(notes, "old") {
		t.Errorf("notes %q", notes)
	}
	if got, ok := ParseMarker(notes); !ok || got.line() != m.line() {
		t.Errorf("read back %+v", got)
	}
	for _, notes := range []string{"", "packmill", "packmill: {", `packmill: {"package":"a/b"}`, `packmill: {"slot":"stable"}`, `packmill: {"package":"a/b","slot":"other"}`} {
		if m, ok := ParseMarker(notes); ok {
			t.Errorf("%q was read as %+v", notes, m)
		}
	}
}

func FuzzParseMarker(f *testing.F) {
	f.Add("note\npackmill: {\"package\":\"a/b\",\"slot\":\"stable\",\"generation\":3}")
	f.Add("packmill: [\x00")
	f.Fuzz(func(t *testing.T, notes string) {
		m, ok := ParseMarker(notes)
		if !ok {
			return
		}
		again, ok := ParseMarker(withMarker(notes, m))
		if !ok || again.line() != m.line() {
			t.Errorf("%q: %+v became %+v", notes, m, again)
		}
	})
}
