package wrapper_test

import (
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/wrapper"
)

const wantInstall = "@echo off\r\n" +
	"rem acme/hello 24.09: written by packmill.\r\n" +
	"setlocal\r\n" +
	"set \"root=%ProgramFiles%\"\r\n" +
	"if defined ProgramW6432 set \"root=%ProgramW6432%\"\r\n" +
	"set \"target=%root%\\Hello World\"\r\n" +
	"if not exist \"%target%\\\" mkdir \"%target%\"\r\n" +
	"if not exist \"%target%\\\" exit /b 1\r\n" +
	"copy /y \"%~dp0hello.exe\" \"%target%\\hello.exe\" >nul\r\n" +
	"if errorlevel 1 exit /b 1\r\n" +
	"reg add \"HKLM\\Software\\packmill\\acme/hello\" /v Version /t REG_SZ /d \"24.09\" /f /reg:64 >nul\r\n" +
	"if errorlevel 1 exit /b 1\r\n" +
	"exit /b 0\r\n"

func TestPortable(t *testing.T) {
	got, err := wrapper.Portable("acme/hello", "24.09", "Hello World", "hello.exe")
	if err != nil {
		t.Fatal(err)
	}
	if string(got["install.cmd"]) != wantInstall {
		t.Errorf("install.cmd:\n%s", got["install.cmd"])
	}
	away := string(got["uninstall.cmd"])
	for _, want := range []string{`del /f /q "%target%\hello.exe"`, `reg delete "HKLM\Software\packmill\acme/hello" /f /reg:64`, `rd "%target%"`} {
		if !strings.Contains(away, want) {
			t.Errorf("uninstall.cmd lacks %q:\n%s", want, away)
		}
	}
}

func TestScripts(t *testing.T) {
	got, err := wrapper.Scripts("msp/proxy", "3", "proxy-set.ps1", "proxy-revert.ps1")
	if err != nil {
		t.Fatal(err)
	}
	for name, script := range map[string]string{"install.cmd": "proxy-set.ps1", "uninstall.cmd": "proxy-revert.ps1"} {
		text := string(got[name])
		if !strings.Contains(text, `-File "%~dp0`+script+"\"\r\nexit /b %errorlevel%\r\n") || strings.Contains(strings.ReplaceAll(text, "\r\n", ""), "\n") {
			t.Errorf("%s:\n%s", name, text)
		}
	}
}

// Nothing that cmd takes for syntax gets into a command file.
func TestCommandsRefuseSyntax(t *testing.T) {
	for _, bad := range []string{"", "a&b", "a|b", "a%PATH%b", `a"b`, "a^b", "a\r\nb", "a>b", "a!b", "..", "a/b", `a\b`, "a(b)", "ä", "-a", "a."} {
		if _, err := wrapper.Portable("acme/hello", "1", bad, "hello.exe"); fleet.KindOf(err) != fleet.Invalid || err == nil {
			t.Errorf("folder %q: %v", bad, err)
		}
		if _, err := wrapper.Portable("acme/hello", "1", "Hello", bad); fleet.KindOf(err) != fleet.Invalid || err == nil {
			t.Errorf("program %q: %v", bad, err)
		}
		if _, err := wrapper.Scripts("acme/hello", "1", bad, "x.ps1"); fleet.KindOf(err) != fleet.Invalid || err == nil {
			t.Errorf("script %q: %v", bad, err)
		}
	}
	for _, bad := range []string{"", "1&2", "1%x%", "1\n2", `1"`} {
		if _, err := wrapper.Portable("acme/hello", bad, "Hello", "hello.exe"); fleet.KindOf(err) != fleet.Invalid || err == nil {
			t.Errorf("version %q: %v", bad, err)
		}
	}
	if _, err := wrapper.Portable("acme/hello&x", "1", "Hello", "hello.exe"); err == nil {
		t.Error("an id with syntax was accepted")
	}
}
