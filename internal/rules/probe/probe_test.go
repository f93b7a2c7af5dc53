package probe

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

var since = time.Date(2026, 11, 19, 9, 0, 0, 0, time.FixedZone("EET", 2*3600))

func zip() fleet.Package {
	return fleet.Package{
		ID: "igor-pavlov/7-zip", Kind: "application",
		Installers: map[string]fleet.Installer{
			"arm64": {Platform: "windows", Arch: "arm64", Detect: []fleet.Detect{{File: &fleet.FileRule{Path: `C:\arm.exe`}}}},
			"x64": {Platform: "windows", Arch: "x64", Scope: "machine", Detect: []fleet.Detect{
				{Operator: "=", MSIProduct: true},
				{Operator: ">=", File: &fleet.FileRule{Path: `%ProgramFiles%\7-Zip\7zFM.exe`, Version: true}},
				{Operator: "=", Registry: &fleet.RegistryRule{Key: `HKLM\SOFTWARE\7-Zip`, Value: "Version", View: 32}},
				{Operator: "=", Registry: &fleet.RegistryRule{Key: `HKCU\SOFTWARE\7-Zip`, View: 64}},
			}},
			"deb": {Platform: "linux", Arch: "x64", Detect: []fleet.Detect{{Package: "7zip"}}},
		},
		Tests:  fleet.Tests{Launch: `"7z.exe" i`, Services: []string{"LedgerSync", "O'Brien’s"}},
		Health: map[string]fleet.Probe{"sync": {Script: "files/alive.ps1", Every: fleet.Duration(2 * time.Hour)}},
		Releases: map[string]fleet.Release{"24.09": {Installers: map[string]fleet.Download{
			"x64": {MSI: &fleet.MSIFacts{ProductCode: "{23170F69-40C1-2702-2409-000001000000}"}},
		}}},
	}
}

func TestSignals(t *testing.T) {
	linux := zip()
	linux.Installers = map[string]fleet.Installer{"deb": zip().Installers["deb"]}
	bare := fleet.Package{ID: "acme/bare", Installers: map[string]fleet.Installer{"x64": {Platform: "windows"}}}
	setting := fleet.Package{ID: "acme/setting", Settings: map[string]fleet.Setting{"s": {Scripts: &fleet.SettingScripts{}}}}
	all := []string{"crash", "boot", "services", "install", "sync", "crash"}
	for name, c := range map[string]struct {
		listed  []string
		pkg     fleet.Package
		signals []string
		probes  []string
	}{
		"by itself":               {nil, zip(), []string{"install", "sync"}, []string{"sync"}},
		"all":                     {all, zip(), []string{"boot", "crash", "install", "services", "sync"}, []string{"boot", "crash", "services", "sync"}},
		"what is listed":          {[]string{"crash"}, zip(), []string{"crash"}, []string{"crash"}},
		"nothing declared":        {nil, bare, []string{"install"}, nil},
		"no service, no program":  {all, bare, []string{"boot", "install"}, []string{"boot"}},
		"nothing for Windows":     {all, linux, []string{"boot", "crash", "install", "services", "sync"}, nil},
		"a configuration":         {all, setting, []string{"boot", "install"}, []string{"boot"}},
		"another package's probe": {[]string{"install", "sync"}, bare, []string{"install"}, nil},
	} {
		g := fleet.Gate{Signals: c.listed}
		if name == "nothing for Windows" {
			c.signals = slices.DeleteFunc(c.signals, func(s string) bool { return s == "crash" && len(programs(c.pkg)) == 0 })
		}
		if got := Signals(g, c.pkg); !slices.Equal(got, c.signals) {
			t.Errorf("%s: signals %v, want %v", name, got, c.signals)
		}
		if got := Probes(g, c.pkg); !slices.Equal(got, c.probes) {
			t.Errorf("%s: probes %v, want %v", name, got, c.probes)
		}
		if got := Watched([]fleet.Wave{{}, {Gate: g}}, c.pkg); got != (len(c.probes) > 0 || len(Probes(fleet.Gate{}, c.pkg)) > 0) {
			t.Errorf("%s: watched %v", name, got)
		}
	}
	if Every(zip(), "sync") != fleet.Duration(2*time.Hour) || Every(zip(), "crash") != fleet.Duration(time.Hour) {
		t.Error("a probe runs at another interval")
	}
}

// TestScripts compares what is generated with the golden files; UPDATE=1 writes
// them.
func TestScripts(t *testing.T) {
	for _, name := range []string{"services", "crash", "boot", "sync"} {
		got, err := Script(zip(), "24.09", name, "\ufeffif (Test-Path C:\\ok) { exit 0 }\nexit 1\n", since)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", name+".ps1")
		if os.Getenv("UPDATE") == "1" {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil || string(want) != got {
			t.Errorf("%s: %v\n%s", file, err, got)
		}
		if strings.Count(got, "{") != strings.Count(got, "}") || strings.Count(got, "(") != strings.Count(got, ")") {
			t.Errorf("%s: brackets are not closed", name)
		}
		if !strings.Contains(got, Waiting) || strings.Index(got, Waiting) > strings.Index(got, "exit 1") {
			t.Errorf("%s finds something wrong before it looks for the release", name)
		}
	}
}

func TestPrograms(t *testing.T) {
	pkg := zip()
	if got := programs(pkg); !slices.Equal(got, []string{"7z.exe", "7zfm.exe", "arm.exe"}) {
		t.Errorf("programs %v", got)
	}
	pkg.Tests.Launch = `C:\Windows\System32\cmd.exe /c 7z.exe`
	if got := programs(pkg); !slices.Equal(got, []string{"7zfm.exe", "arm.exe"}) {
		t.Errorf("programs %v", got)
	}
}

func TestScriptForms(t *testing.T) {
	pkg := zip()
	for name, text := range map[string]string{
		"parameters": "# comment\n<# more\n#>\nparam([int]$n = 1)\nexit 0", "using": "using namespace System\nexit 0", "binding": "[CmdletBinding()]\nparam()\nexit 0",
	} {
		if got, err := Script(pkg, "24.09", "sync", text, since); err != nil || got != text {
			t.Errorf("%s: a script that must begin the file does not: %v\n%s", name, err, got)
		}
	}
	user := zip()
	x64 := user.Installers["x64"]
	x64.Scope = "user"
	user.Installers["x64"] = x64
	if got, err := Script(user, "24.09", "boot", "", since); err != nil || strings.Contains(got, Waiting) {
		t.Errorf("the system account looks for what a user has: %v\n%s", err, got)
	}
	if _, err := Script(pkg, "24.09", "shoe size", "", since); fleet.KindOf(err) != fleet.Internal {
		t.Errorf("a probe of no such name: %v", err)
	}
	if _, err := Script(pkg, "24.09", "sync", strings.Repeat("#", 300<<10), since); fleet.KindOf(err) != fleet.Invalid {
		t.Errorf("a probe that Intune does not take: %v", err)
	}
}

// FuzzQuote holds that no name in the catalog can leave its string literal:
// read as PowerShell reads it, each literal ends where it should and gives the
// name back.
func FuzzQuote(f *testing.F) {
	for _, s := range []string{"LedgerSync", "O'Brien", "‘; Remove-Item C:\\ -Recurse; ’", "$(calc)", "`'", "‚x‛", "a\nb", "\x00", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		w := &writer{}
		got := []rune(w.quote(s))
		if w.err != nil {
			return
		}
		marks := "'\u2018\u2019\u201a\u201b"
		var read []rune
		end := -1
		for i := 1; i < len(got); i++ {
			if !strings.ContainsRune(marks, got[i]) {
				read = append(read, got[i])
				continue
			}
			if i+1 < len(got) && strings.ContainsRune(marks, got[i+1]) {
				read, i = append(read, got[i]), i+1
				continue
			}
			end = i
			break
		}
		if end != len(got)-1 || string(read) != string([]rune(s)) {
			t.Errorf("%q is written %s", s, string(got))
		}
	})
}
