package testbed

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/wrapper"
	"github.com/packmill/packmill/internal/testreq"
)

func wineCell(t testing.TB) *Wine {
	t.Helper()
	testreq.Program(t, "wine")
	bed := realBed(t)
	prepared(t, bed, "wine-*")
	if err := NewWine(bed).Prepare(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	return NewWine(ownBed(t, bed))
}

// compile makes a Windows program of C source and the text of a resource script.
func compile(t testing.TB, source, resource string, flags ...string) string {
	t.Helper()
	gcc := testreq.Program(t, "x86_64-w64-mingw32-gcc")
	windres := testreq.Program(t, "x86_64-w64-mingw32-windres")
	dir := t.TempDir()
	for name, text := range map[string]string{"main.c": source, "main.rc": resource} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, call := range [][]string{
		{windres, "main.rc", "-O", "coff", "-o", "main.res"},
		append([]string{gcc, "-s", "-o", "widget.exe", "main.c", "main.res"}, flags...),
	} {
		cmd := exec.CommandContext(t.Context(), call[0], call[1:]...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", call, err, out)
		}
	}
	return filepath.Join(dir, "widget.exe")
}

// widget is a program that prints its version and has it as a resource.
func widget(t testing.TB, version string) string {
	t.Helper()
	numbers := strings.ReplaceAll(version, ".", ",") + ",0"
	return compile(t, `#include <stdio.h>
int main(void) { puts("widget `+version+`"); return 0; }
`, `1 VERSIONINFO
FILEVERSION `+numbers+`
PRODUCTVERSION `+numbers+`
BEGIN
  BLOCK "StringFileInfo" BEGIN BLOCK "040904b0" BEGIN VALUE "FileVersion", "`+version+`" END END
  BLOCK "VarFileInfo" BEGIN VALUE "Translation", 0x409, 1200 END
END
`)
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// msi builds the widget's MSI.
func msi(t testing.TB, version, code string) Candidate {
	t.Helper()
	source, err := filepath.Abs(filepath.Join("testdata", "widget.wxs"))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(widget(t, version)) // wixl takes files by relative path only
	cmd := exec.CommandContext(t.Context(), testreq.Program(t, "wixl"), "-a", "x64", "-D", "Version="+version, "-D", "Code="+code,
		"-o", "widget.msi", source)
	cmd.Dir = dir
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("wixl: %v\n%s", err, text)
	}
	return Candidate{
		Version: version, Download: fleet.Download{MSI: &fleet.MSIFacts{ProductCode: code, ProductVersion: version}},
		Unpack: files("widget.msi", map[string][]byte{"widget.msi": read(t, filepath.Join(dir, "widget.msi"))}),
	}
}

func windowsSpec(in fleet.Installer, this Candidate, previous *Candidate) Spec {
	in.Platform, in.Arch = "windows", "x64"
	return Spec{
		Package: fleet.Package{
			ID: "example/widget", Rollback: "previous", Tests: fleet.Tests{Launch: "widget.exe --version"},
			Installers: map[string]fleet.Installer{"x64": in},
		},
		Installer: "x64", This: this, Previous: previous,
	}
}

// TestWineMSI takes a real MSI through its life: install, major upgrade, back
// to the release before, removal.
func TestWineMSI(t *testing.T) {
	cell := wineCell(t)
	previous := msi(t, "1.0.0", "{0D4B3F3E-6A9B-4C1E-9B43-5D8E0C6A1F01}")
	this := msi(t, "1.1.0", "{0D4B3F3E-6A9B-4C1E-9B43-5D8E0C6A1F02}")
	in := fleet.Installer{Type: "msi", Detect: []fleet.Detect{
		{Operator: "=", MSIProduct: true},
		{Operator: "=", Registry: &fleet.RegistryRule{Key: `HKLM\Software\Example\Widget`, Value: "Version", View: 64}},
	}}
	spec := windowsSpec(in, this, &previous)
	spec.Package.Tests.Keeps = []string{`HKCU\Software\Example\Widget\Server`}
	steps, err := cell.Run(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	wantSteps(t, steps, "absent:passed", "install:passed", "detect:passed", "launch:passed", "adds:passed",
		"uninstall:passed", "gone:passed", "leftovers:passed", "upgrade:passed", "keeps:passed", "downgrade:passed", "rollback:passed")
	if got := detailOf(steps, "downgrade"); !strings.Contains(got, "exit code 1603") {
		t.Errorf("downgrade says %q", got)
	}
	tellSteps(t, steps)
	if len(steps) > 3 && steps[3].Detail != "widget 1.1.0" {
		t.Errorf("launch says %q", steps[3].Detail)
	}
}

// portable is a program with the command files that put it in place.
func portable(t testing.TB, version string, extra string) Candidate {
	t.Helper()
	crlf := func(lines ...string) []byte { return []byte(strings.Join(lines, "\r\n") + "\r\n") }
	return Candidate{
		Version: version,
		Unpack: files("install.cmd", map[string][]byte{
			"widget.exe": read(t, widget(t, version)),
			"install.cmd": crlf("@echo off", `if not exist "%ProgramFiles%\Widget" mkdir "%ProgramFiles%\Widget"`,
				`copy /y widget.exe "%ProgramFiles%\Widget\widget.exe" >nul`, "if errorlevel 1 exit /b 1",
				`reg add HKLM\Software\Example\Portable /v Version /d `+version+` /f >nul`, "if errorlevel 1 exit /b 1", extra, "exit /b 0"),
			"uninstall.cmd": crlf("@echo off", `rmdir /s /q "%ProgramFiles%\Widget"`, `reg delete HKLM\Software\Example\Portable /f >nul`, "exit /b 0"),
		}),
	}
}

func portableInstaller() fleet.Installer {
	return fleet.Installer{Type: "portable", ProgramFiles: "Widget", Detect: []fleet.Detect{
		{Operator: "=", File: &fleet.FileRule{Path: `%ProgramFiles%\widget\WIDGET.exe`, Version: true}},
		{Operator: "=", Registry: &fleet.RegistryRule{Key: `HKLM\Software\Example\Portable`, Value: "Version", View: 64}},
	}}
}

func TestWinePortable(t *testing.T) {
	cell := wineCell(t)
	previous := portable(t, "2.0.0", "rem")
	steps, err := cell.Run(t.Context(), windowsSpec(portableInstaller(), portable(t, "2.1.0", "rem"), &previous))
	if err != nil {
		t.Fatal(err)
	}
	wantSteps(t, steps, "absent:passed", "install:passed", "detect:passed", "launch:passed",
		"uninstall:passed", "gone:passed", "upgrade:passed", "rollback:passed")
	if len(steps) > 3 && steps[3].Detail != "widget 2.1.0" {
		t.Errorf("launch says %q", steps[3].Detail)
	}
}

// wrapped adds a packmill.json for the candidate to its content.
func wrapped(t *testing.T, in fleet.Installer, c Candidate, change func(*wrapper.Setup)) Candidate {
	t.Helper()
	in.Platform, in.Arch = "windows", "x64"
	unpack := c.Unpack
	c.Unpack = func(ctx context.Context, dir *os.Root) (string, error) {
		file, err := unpack(ctx, dir)
		if err != nil {
			return "", err
		}
		s, err := wrapper.Make(fleet.Package{
			ID: "example/widget", Installers: map[string]fleet.Installer{"x64": in},
			Releases: map[string]fleet.Release{c.Version: {Installers: map[string]fleet.Download{"x64": c.Download}}},
		}, c.Version, "x64", file)
		if err != nil {
			return "", err
		}
		if change != nil {
			change(&s)
		}
		data, err := s.Encode()
		if err != nil {
			return "", err
		}
		return file, dir.WriteFile(wrapper.SetupName, data, 0o644)
	}
	return c
}

// TestWineWrapped takes a wrapped MSI through its life, by the commands of
// packmill.json: with a property, a log and a suppressed restart.
func TestWineWrapped(t *testing.T) {
	cell := wineCell(t)
	in := fleet.Installer{Type: "msi", Properties: map[string]string{"SAYS": `a "b" & 100% ^c`}, Detect: []fleet.Detect{{Operator: "=", MSIProduct: true}}}
	previous := wrapped(t, in, msi(t, "1.0.0", "{0D4B3F3E-6A9B-4C1E-9B43-5D8E0C6A1F01}"), nil)
	this := wrapped(t, in, msi(t, "1.1.0", "{0D4B3F3E-6A9B-4C1E-9B43-5D8E0C6A1F02}"), nil)
	steps, err := cell.Run(t.Context(), windowsSpec(in, this, &previous))
	if err != nil {
		t.Fatal(err)
	}
	wantSteps(t, steps, "absent:passed", "install:passed", "detect:passed", "launch:passed",
		"uninstall:passed", "gone:passed", "upgrade:passed", "rollback:passed")
	for _, s := range steps {
		if (s.Name == "install" || s.Name == "uninstall") && !strings.Contains(s.Detail, "the wrapper script was not") {
			t.Errorf("%s does not say what was not tried: %q", s.Name, s.Detail)
		}
	}
	// A portable program's command files, the same way.
	steps, err = cell.Run(t.Context(), windowsSpec(portableInstaller(), wrapped(t, portableInstaller(), portable(t, "2.1.0", "rem"), nil), nil))
	if err != nil {
		t.Fatal(err)
	}
	wantSteps(t, steps, "absent:passed", "install:passed", "detect:passed", "launch:passed", "uninstall:passed", "gone:passed", "upgrade:skipped", "rollback:skipped")
	// A cell has no secret: what needs one is not tried.
	in.Secrets, in.Properties = []string{"key"}, map[string]string{"KEYFILE": "{secret:key}"}
	steps, err = cell.Run(t.Context(), windowsSpec(in, wrapped(t, in, msi(t, "1.1.0", "{0D4B3F3E-6A9B-4C1E-9B43-5D8E0C6A1F02}"), nil), nil))
	if err != nil {
		t.Fatal(err)
	}
	wantSteps(t, steps[:2], "absent:passed", "install:skipped")
}

// TestWineArguments: what was quoted is what a real program reads, by the C
// runtime's own rules, whatever characters are in it.
func TestWineArguments(t *testing.T) {
	cell := wineCell(t)
	program := compile(t, `#include <stdio.h>
#include <wchar.h>
int wmain(int n, wchar_t **arg) {
  FILE *f = fopen("C:\\packmill\\read.txt", "wb");
  for (int i = 1; i < n; i++) { for (wchar_t *c = arg[i]; *c; c++) fprintf(f, "%04x", *c); fputc('\n', f); }
  return fclose(f);
}
`, `STRINGTABLE BEGIN 1 "x" END`+"\n", "-municode")
	want := []string{
		"", "a b", `a"b`, `C:\x y\`, `a\`, `a b\\`, `\"`, "%PATH%", "100%", "^a^", "a&b", "a & b", "a|b<c>d", "$env:x", "$(calc)", "\x60whoami\x60", "it's", "!a!", "@x", "(a)", ";,=", "äÖé",
	}
	c := wrapped(t, fleet.Installer{Type: "exe", Arguments: &fleet.Arguments{Install: "/S", Uninstall: "/x"}}, Candidate{
		Version: "1", Unpack: files("args.exe", map[string][]byte{"args.exe": read(t, program)}),
	}, func(s *wrapper.Setup) {
		s.Install.Arguments = nil
		for _, a := range want {
			q, err := wrapper.Argument(a)
			if err != nil {
				t.Fatal(err)
			}
			s.Install.Arguments = append(s.Install.Arguments, q)
		}
	})
	p, err := cell.programs()
	if err != nil {
		t.Fatal(err)
	}
	base, err := cell.prepare(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	layer, err := cell.bed.layer(t.Context(), base)
	if err != nil {
		t.Fatal(err)
	}
	d := &windows{layer: layer, box: wineBox(p, layer.root), placed: map[string]content{}}
	defer func() {
		if err := d.close(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := d.install(t.Context(), item{Candidate: c, id: "acme/args", in: fleet.Installer{Platform: "windows", Type: "exe"}}); err != nil {
		t.Fatal(err)
	}
	var none skipped
	if _, _, err := d.command(t.Context(), "packmill", "args.exe 日本", launchLimit); !errors.As(err, &none) {
		t.Errorf("characters of another code page: %v", err)
	}
	data, err := os.ReadFile(filepath.Join(layer.root, "drive_c", "packmill", "read.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(data)) {
		var text []rune
		for line = strings.TrimSpace(line); len(line) >= 4; line = line[4:] {
			n, err := strconv.ParseUint(line[:4], 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			text = append(text, rune(n))
		}
		got = append(got, string(text))
	}
	if !slices.Equal(got, want) {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

// TestWineFailures: the exit code is the whole one, a success without effect is
// a failure, and a hostile command file finds nothing to take or to break.
func TestWineFailures(t *testing.T) {
	cell := wineCell(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("do-not-tell"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		extra, want, detail string
	}{
		"exit code": {"exit /b 1603", "absent:passed install:failed detect:skipped", "exit code 1603"},
		"no effect": {`reg delete HKLM\Software\Example\Portable /f >nul`, "absent:passed install:passed detect:failed", "is not detected"},
		"way out":   {`type "Z:` + strings.ReplaceAll(secret, "/", `\`) + "\"\r\nexit /b 5", "absent:passed install:failed detect:skipped", "Path not found"},
	} {
		t.Run(name, func(t *testing.T) {
			steps, err := cell.Run(t.Context(), windowsSpec(portableInstaller(), portable(t, "2.1.0", c.extra), nil))
			if err != nil {
				t.Fatal(err)
			}
			if len(steps) < 3 {
				t.Fatalf("%+v", steps)
			}
			wantSteps(t, steps[:3], strings.Fields(c.want)...)
			for _, s := range steps {
				if s.Result == "failed" && !strings.Contains(s.Detail, c.detail) || strings.Contains(s.Detail, "do-not-tell") {
					t.Errorf("%s says %q", s.Name, s.Detail)
				}
			}
		})
	}
}

func TestResolveCase(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "Program Files", "Widget"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/", filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "Program Files", "Widget", "W.exe"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, c := range []struct {
		path, want string
		ok         bool
	}{
		{`%ProgramFiles%\widget\w.EXE`, "Program Files/Widget/W.exe", true},
		{`C:/Program Files/Widget/W.exe`, "Program Files/Widget/W.exe", true},
		{`C:\Program Files\Widget\..\Widget\W.exe`, "", false},
		{`C:\out\etc\passwd`, "", false},
		{`D:\Widget\W.exe`, "", false},
		{`W.exe`, "", false},
	} {
		if got, ok := resolveCase(root, c.path); got != c.want || ok != c.ok {
			t.Errorf("%s: %q %v", c.path, got, ok)
		}
	}
}
