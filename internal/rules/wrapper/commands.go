package wrapper

import (
	"path"
	"regexp"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// Command files of a setup folder: what installs and removes a program that has
// no installer, or a setting.
const (
	InstallScript   = "install.cmd"
	UninstallScript = "uninstall.cmd"
)

// MarkKey is the registry key under which a placed program notes its version,
// as value Version in the 64-bit view: what a detection rule of a portable
// package looks at, since programs without an installer leave no other trace.
func MarkKey(id fleet.PackageID) string { return `HKLM\Software\packmill\` + string(id) }

// What may stand in a command file: nothing that cmd reads as syntax. Values
// come from files of the repository, but a script is no place to trust them.
var (
	wrapName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._+-]*$`)
	wrapText = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._+~:-]*$`)
	wrapID   = regexp.MustCompile(`^[a-z0-9][a-z0-9.+-]*/[a-z0-9][a-z0-9.+-]*$`)
)

// Portable writes the scripts that put a single program below the program
// folder, note the version, and take both away again. The 64-bit program folder
// is meant even if a 32-bit agent runs the scripts.
func Portable(id fleet.PackageID, version, folder, program string) (map[string][]byte, error) {
	if err := wrappable(id, version, folder, program); err != nil {
		return nil, err
	}
	head := []string{
		`@echo off`,
		`rem ` + string(id) + ` ` + version + `: written by packmill.`,
		`setlocal`,
		`set "root=%ProgramFiles%"`,
		`if defined ProgramW6432 set "root=%ProgramW6432%"`,
		`set "target=%root%\` + folder + `"`,
	}
	install := append(head[:len(head):len(head)],
		`if not exist "%target%\" mkdir "%target%"`,
		`if not exist "%target%\" exit /b 1`,
		`copy /y "%~dp0`+program+`" "%target%\`+program+`" >nul`,
		`if errorlevel 1 exit /b 1`,
		`reg add "`+MarkKey(id)+`" /v Version /t REG_SZ /d "`+version+`" /f /reg:64 >nul`,
		`if errorlevel 1 exit /b 1`,
		`exit /b 0`,
	)
	uninstall := append(head[:len(head):len(head)],
		`if exist "%target%\`+program+`" del /f /q "%target%\`+program+`"`,
		`if exist "%target%\`+program+`" exit /b 1`,
		`rem The folder goes only if nothing else lies in it.`,
		`if exist "%target%\" rd "%target%" 2>nul`,
		`reg delete "`+MarkKey(id)+`" /f /reg:64 >nul 2>nul`,
		`exit /b 0`,
	)
	return map[string][]byte{InstallScript: commandFile(install), UninstallScript: commandFile(uninstall)}, nil
}

// Scripts writes the command files that run a setting's PowerShell scripts:
// install remediates, uninstall reverts. The scripts are named as they lie in
// the setup folder. Exit codes pass through.
func Scripts(id fleet.PackageID, version, remediate, revert string) (map[string][]byte, error) {
	if err := wrappable(id, version, remediate, revert); err != nil {
		return nil, err
	}
	run := func(script string) []byte {
		return commandFile([]string{
			`@echo off`,
			`rem ` + string(id) + ` ` + version + `: written by packmill.`,
			`setlocal`,
			`set "ps=%SystemRoot%\System32\WindowsPowerShell\v1.0\powershell.exe"`,
			`rem A 32-bit agent reaches the 64-bit PowerShell by this name alone.`,
			`if exist "%SystemRoot%\Sysnative\WindowsPowerShell\v1.0\powershell.exe" set "ps=%SystemRoot%\Sysnative\WindowsPowerShell\v1.0\powershell.exe"`,
			`"%ps%" -NoLogo -NoProfile -NonInteractive -ExecutionPolicy Bypass -File "%~dp0` + script + `"`,
			`exit /b %errorlevel%`,
		})
	}
	return map[string][]byte{InstallScript: run(remediate), UninstallScript: run(revert)}, nil
}

// wrappable refuses values that cmd would take apart.
func wrappable(id fleet.PackageID, version string, names ...string) error {
	if !wrapID.MatchString(string(id)) || !wrapText.MatchString(version) {
		return fleet.Errorf(fleet.Invalid, "wrapper", string(id), "id and version %q cannot stand in a command file", version)
	}
	for _, name := range names {
		if !wrapName.MatchString(name) || strings.HasSuffix(name, ".") || strings.HasSuffix(name, " ") || path.Base(name) != name {
			return fleet.Errorf(fleet.Invalid, "wrapper", string(id), "the name %q cannot stand in a command file", name)
		}
	}
	return nil
}

// commandFile joins lines the way cmd reads them.
func commandFile(lines []string) []byte { return []byte(strings.Join(lines, "\r\n") + "\r\n") }
