package wrapper

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// ledger is a package that asks for everything.
func ledger() fleet.Package {
	text, number := "off", 0
	return fleet.Package{
		ID: "acme/ledger-client", Updater: "disable",
		UpdaterOff: &fleet.UpdaterParts{
			Services: []string{"LedgerUpdate"}, Tasks: []string{`\Ledger\Update`},
			Values: []fleet.UpdaterValue{
				{Key: `HKLM\SOFTWARE\Policies\Ledger`, Value: "AutoUpdate", Number: &number, View: 64},
				{Key: `HKLM\SOFTWARE\Ledger`, Value: "Updates", Text: &text, View: 32},
			},
		},
		Installers: map[string]fleet.Installer{"x64": {
			Platform: "windows", Type: "msi", Transforms: []string{"files/acme.mst", "files/fi.mst"},
			Properties: map[string]string{"SERVER": `say "hi" & <50%> ä`, "LICENCEFILE": "{secret:ledger-licence-key}"},
			Secrets:    []string{"ledger-licence-key"}, InUse: "close", Programs: []string{"ledger.exe"}, PutOff: []string{"busy", "restartPending"},
			Keep: []fleet.Kept{
				{File: `%ProgramData%\Ledger\ledger.ini`, View: 64, Restore: "always"},
				{Key: `HKLM\SOFTWARE\Ledger\Sites`, View: 32, Restore: "onFailure"},
			},
			Minutes: 45, Restart: "byExitCode", ExitCodes: map[string]string{"-5": "retry", "3010": "success"},
		}},
		Releases: map[string]fleet.Release{"3.2": {Installers: map[string]fleet.Download{
			"x64": {MSI: &fleet.MSIFacts{ProductCode: "{6F4B2D0E-6C4B-4C0B-9B57-0C0D7D1F4E11}"}},
		}}},
	}
}

func with(change func(*fleet.Installer)) fleet.Package {
	pkg := ledger()
	in := pkg.Installers["x64"]
	change(&in)
	pkg.Installers["x64"] = in
	return pkg
}

// plain is an installer that asks for nothing.
func plain(kind, install, uninstall string) fleet.Package {
	return with(func(in *fleet.Installer) {
		*in = fleet.Installer{Platform: "windows", Type: kind}
		if install != "" {
			in.Arguments = &fleet.Arguments{Install: install, Uninstall: uninstall}
		}
	})
}

// TestGolden compares what is generated with the golden files; UPDATE=1 writes
// them.
func TestGolden(t *testing.T) {
	quiet := plain("msi", "", "")
	quiet.Updater, quiet.UpdaterOff = "none", nil
	for name, c := range map[string]struct {
		pkg  fleet.Package
		file string
	}{
		"ledger.json":   {ledger(), "ledger client 3.2.msi"},
		"plain.json":    {quiet, "hello.msi"},
		"exe.json":      {plain("exe", `/S  /D="C:\x y"`, `"%ProgramFiles%\Ledger\Uninstall.exe" /S`), "setup.exe"},
		"portable.json": {plain("portable", "", ""), "ledger.exe"},
	} {
		s, err := Make(c.pkg, "3.2", "x64", c.file)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := s.Encode()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		file := filepath.Join("testdata", name)
		if os.Getenv("UPDATE") == "1" {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil || !bytes.Equal(want, got) {
			t.Errorf("%s: %v\n%s", file, err, got)
		}
		back, err := Read(got)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if again, err := back.Encode(); err != nil || !bytes.Equal(again, got) {
			t.Errorf("%s read and written again: %v\n%s", name, err, again)
		}
	}
}

func TestMake(t *testing.T) {
	line := func(c Command) string { return c.Program + " " + strings.Join(c.Arguments, " ") }
	const msi = `{system}\msiexec.exe /i {folder}\a.msi /qn /norestart /l*v "{log}" `
	const away = `{system}\msiexec.exe /x {6F4B2D0E-6C4B-4C0B-9B57-0C0D7D1F4E11} /qn /norestart /l*v "{log}" REBOOT="ReallySuppress"`
	for name, c := range map[string]struct {
		pkg                fleet.Package
		file               string
		install, uninstall string // install "" is an error of kind Invalid
	}{
		"msi": {plain("msi", "", ""), "a.msi", strings.Replace(msi, `{folder}\a.msi`, `"{folder}\a.msi"`, 1) + `REBOOT="ReallySuppress"`, away},
		"an msi's own reboot": {with(func(in *fleet.Installer) {
			*in = fleet.Installer{Type: "msi", Properties: map[string]string{"REBOOT": "Suppress"}}
		}), "a.msi", strings.Replace(msi, `{folder}\a.msi`, `"{folder}\a.msi"`, 1) + `REBOOT="Suppress"`, away},
		"exe":                   {plain("exe", "/S", "/uninstall /S"), "a.exe", `{folder}\a.exe /S`, `{folder}\a.exe /uninstall /S`},
		"exe below a folder":    {plain("exe", "/S", "/x"), "sub/a.exe", `{folder}\sub\a.exe /S`, `{folder}\sub\a.exe /x`},
		"another program":       {plain("exe", "/S", `"%ProgramFiles%\A B\u.exe" /S "x y"`), "a.exe", `{folder}\a.exe /S`, `%ProgramFiles%\A B\u.exe /S "x y"`},
		"another, unquoted":     {plain("exe", "/S", `%SystemRoot%\System32\msiexec.exe /x {AC76BA86-1033-FF00-7760-BC15014EA700} /qn`), "a.exe", `{folder}\a.exe /S`, `%SystemRoot%\System32\msiexec.exe /x {AC76BA86-1033-FF00-7760-BC15014EA700} /qn`},
		"portable":              {plain("portable", "", ""), "a.exe", `{system}\cmd.exe /d /c install.cmd`, `{system}\cmd.exe /d /c uninstall.cmd`},
		"exe without arguments": {plain("exe", "", ""), "a.exe", "", ""},
		"an open quotation":     {plain("exe", `/S "x`, "/x"), "a.exe", "", ""},
		"two lines":             {plain("exe", "/S\r\ncalc", "/x"), "a.exe", "", ""},
		"script":                {plain("script", "", ""), "a.ps1", "", ""},
		"a file's name":         {plain("msi", "", ""), `a".msi`, "", ""},
		"a variable's name":     {plain("msi", "", ""), `%PATH%.msi`, "", ""},
		"no product code":       {func() fleet.Package { p := ledger(); p.Releases = nil; return p }(), "a.msi", "", ""},
		"an unlisted secret":    {plain("exe", "/key={secret:other}", "/x"), "a.exe", "", ""},
		"an unknown place":      {plain("exe", "/log={logs}", "/x"), "a.exe", "", ""},
		"a place unquoted":      {plain("exe", "/log={log} /S", "/x"), "a.exe", "", ""},
		"a place quoted":        {plain("exe", `/log="{log}" /S`, "/x"), "a.exe", `{folder}\a.exe /log="{log}" /S`, `{folder}\a.exe /x`},
		"a secret to nowhere":   {with(func(in *fleet.Installer) { in.Properties = nil }), "a.msi", "", ""},
		"a secret for a user":   {with(func(in *fleet.Installer) { in.RunAs = "user" }), "a.msi", "", ""},
		"a property's name":     {with(func(in *fleet.Installer) { in.Properties["a b"] = "" }), "a.msi", "", ""},
		"a code":                {with(func(in *fleet.Installer) { in.ExitCodes = map[string]string{"99999999999": "success"} }), "a.msi", "", ""},
		"a meaning":             {with(func(in *fleet.Installer) { in.ExitCodes = map[string]string{"5": "fine"} }), "a.msi", "", ""},
		"a way up":              {with(func(in *fleet.Installer) { in.Keep[0].File = `C:\x\..\y` }), "a.msi", "", ""},
	} {
		s, err := Make(c.pkg, "3.2", "x64", c.file)
		if c.install == "" {
			if fleet.KindOf(err) != fleet.Invalid || err == nil {
				t.Errorf("%s: %+v, %v", name, s, err)
			}
			continue
		}
		if err != nil || line(s.Install) != c.install || line(s.Uninstall) != c.uninstall {
			t.Errorf("%s:\n%s\n%s\n%v", name, line(s.Install), line(s.Uninstall), err)
		}
	}
}

func TestLine(t *testing.T) {
	s, err := Make(ledger(), "3.2", "x64", "a b.msi")
	if err != nil {
		t.Fatal(err)
	}
	places := Places{Folder: `C:\in stall`, System: `C:\windows\system32`, Log: `C:\l.log`, Secret: func(name string) (string, bool) { return `C:\s\` + name, true }}
	program, arguments, err := s.Install.Line(s, places)
	const want = `/i "C:\in stall\a b.msi" /qn /norestart /l*v "C:\l.log" TRANSFORMS="C:\in stall\acme.mst;C:\in stall\fi.mst" ` +
		`LICENCEFILE="C:\s\ledger-licence-key" REBOOT="ReallySuppress" SERVER="say ""hi"" & <50%> ä"`
	if err != nil || program != `C:\windows\system32\msiexec.exe` || arguments != want {
		t.Errorf("%s %s, %v", program, arguments, err)
	}
	places.Secret = nil
	if _, _, err := s.Install.Line(s, places); fleet.KindOf(err) != fleet.Waiting || err == nil {
		t.Errorf("without the secret: %v", err)
	}
}

// FuzzRead: whatever a packmill.json holds, reading it ends, and what is
// accepted is written as it was meant.
func FuzzRead(f *testing.F) {
	golden, err := filepath.Glob(filepath.Join("testdata", "*.json"))
	if err != nil || len(golden) == 0 {
		f.Fatal(golden, err)
	}
	for _, name := range golden {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(bytes.ReplaceAll(data, []byte(`"log": "`), []byte(`"log": "..\\`)))
		f.Add(append(data, '{'))
	}
	f.Add([]byte(`{"schema":"packmill/setup/v2"}`))
	f.Add([]byte(`{"extra":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Read(data)
		if err != nil {
			if fleet.KindOf(err) != fleet.Invalid {
				t.Errorf("kind %v: %v", fleet.KindOf(err), err)
			}
			return
		}
		out, err := s.Encode()
		if err != nil {
			return // longer than what is read
		}
		if again, err := Read(out); err != nil || again.Install.Program != s.Install.Program {
			t.Errorf("what was read cannot be read again: %v", err)
		}
	})
}

func TestReadRefuses(t *testing.T) {
	good, err := os.ReadFile(filepath.Join("testdata", "ledger.json"))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"a version to come": {"packmill/setup/v1", "packmill/setup/v9"}, "an unknown field": {`"user"`, `"admin"`}, "a restart": {`"byExitCode"`, `"now"`},
		"in use": {`"close"`, `"kill"`}, "minutes": {`"minutes": 45`, `"minutes": 0`}, "a code": {`"1618"`, `"01618"`}, "a meaning": {`"retry"`, `"again"`},
		"the log": {`"acme-ledger-client"`, `"..\\x"`}, "a control character": {`"ledger.exe"`, `"ledger\u0007.exe"`}, "no program": {`"{system}\\msiexec.exe"`, `""`},
		"another hive": {`"HKLM\\SOFTWARE\\Policies\\Ledger"`, `"HKU\\x"`}, "more": {"\n}\n", "\n}\n{}"}, "a way up": {`%ProgramData%\\Ledger`, `C:\\..`},
	} {
		bad := strings.Replace(string(good), change[0], change[1], 1)
		if s, err := Read([]byte(bad)); bad == string(good) || err == nil || fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	if _, err := Read(bytes.Repeat([]byte(" "), MaxSetup+1)); err == nil || fleet.KindOf(err) != fleet.Invalid {
		t.Errorf("too long: %v", err)
	}
	many := ledger()
	for range 600 {
		many.UpdaterOff.Services = append(many.UpdaterOff.Services, "x")
	}
	if _, err := Make(many, "3.2", "x64", "a.msi"); err == nil || fleet.KindOf(err) != fleet.Invalid {
		t.Errorf("600 services: %v", err)
	}
}
