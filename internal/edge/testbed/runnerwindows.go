package testbed

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/wrapper"
)

// powershell is how Windows is told: Windows PowerShell 5.1, which every Windows
// has, with the script as an encoded command (about_PowerShell_exe), so that no
// quoting but its own stands between.
type powershell struct{}

// script calls PowerShell with a script. An error that nobody handles ends it
// with exit code 1.
func (powershell) script(lines ...string) []string {
	text := "$ErrorActionPreference = 'Stop'\n$ProgressPreference = 'SilentlyContinue'\n[Console]::OutputEncoding = [Text.Encoding]::UTF8\n" + strings.Join(lines, "\n") + "\n"
	units := utf16.Encode([]rune(text))
	raw := make([]byte, 2*len(units))
	for i, u := range units {
		binary.LittleEndian.PutUint16(raw[2*i:], u)
	}
	return []string{"powershell.exe", "-NoLogo", "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-EncodedCommand", base64.StdEncoding.EncodeToString(raw)}
}

// decodeCommand is an encoded command's text.
func decodeCommand(encoded string) string {
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return encoded
	}
	units := make([]uint16, len(raw)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(raw[2*i:])
	}
	return string(utf16.Decode(units))
}

// literal is a text as PowerShell takes it letter by letter: in single quotes,
// of which it knows five (about_Quoting_Rules).
func literal(text string) string {
	for _, quote := range []string{"'", "\u2018", "\u2019", "\u201a", "\u201b"} {
		text = strings.ReplaceAll(text, quote, quote+quote)
	}
	return "'" + text + "'"
}

// run runs a command line in a folder and exits with its whole exit code, when
// it and all that it started has ended: some uninstallers go on in a copy of
// themselves.
func (p powershell) run(folder, line string) []string {
	return p.script(
		"$p = Start-Process -FilePath $env:ComSpec -ArgumentList "+literal(`/d /s /c "`+line+`"`)+" -WorkingDirectory "+literal(folder)+" -Wait -PassThru -WindowStyle Hidden",
		"exit $p.ExitCode",
	)
}

func (p powershell) install(it item, at brought) ([]string, error) {
	line, _, err := p.lines(it, at)
	return p.run(at.folder, line), err
}

func (p powershell) uninstall(it item, at brought) ([]string, error) {
	_, line, err := p.lines(it, at)
	return p.run(at.folder, line), err
}

// lines are the command lines that a console gives a device for the content, with
// no word about windows: they are a tenant's.
func (powershell) lines(it item, at brought) (install, uninstall string, err error) {
	switch {
	case at.script:
		if install, err = wrapper.ConsoleLine("Install", wrapper.When{}, at.signed); err == nil {
			uninstall, err = wrapper.ConsoleLine("Uninstall", wrapper.When{}, at.signed)
		}
		return install, uninstall, err
	case at.commands:
		return wrapper.InstallScript, wrapper.UninstallScript, nil
	}
	return windowsCommands(it, at.setup)
}

func (p powershell) launch(it item, command string) []string {
	name, _, _ := strings.Cut(strings.TrimSpace(command), " ")
	return p.script(
		"$places = @((Join-Path $env:ProgramFiles "+literal(it.in.ProgramFiles)+"), $env:ProgramFiles, ${env:ProgramFiles(x86)}, $env:LOCALAPPDATA)",
		"$found = $places | Where-Object { $_ -and (Test-Path -LiteralPath $_) } | ForEach-Object { Get-ChildItem -LiteralPath $_ -Recurse -File -Filter "+literal(strings.Trim(name, `"`))+" -ErrorAction SilentlyContinue } | Select-Object -First 1",
		"if (-not $found) { Write-Output 'it is in no program folder'; exit 1 }",
		"Set-Location -LiteralPath $found.DirectoryName",
		"$ErrorActionPreference = 'Continue'",
		"& $env:ComSpec /d /s /c "+literal(command), // PowerShell puts it in quotes, which /s takes off
		"exit $LASTEXITCODE",
	)
}

func (p powershell) observe(rule fleet.Detect, c Candidate) ([]string, error) {
	switch {
	case rule.MSIProduct && c.Download.MSI != nil:
		key := `SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\` + c.Download.MSI.ProductCode
		return p.script(append(valueScript("LocalMachine", key, "DisplayVersion", 64), valueScript("LocalMachine", key, "DisplayVersion", 32)...)...), nil
	case rule.Registry != nil:
		hive, key, _ := strings.Cut(rule.Registry.Key, `\`)
		name := map[string]string{"HKLM": "LocalMachine", "HKCU": "CurrentUser"}[strings.ToUpper(hive)]
		if name == "" {
			return nil, fleet.Errorf(fleet.Invalid, "testbed.runner", rule.Registry.Key, "is below neither HKLM nor HKCU")
		}
		return p.script(valueScript(name, key, rule.Registry.Value, rule.Registry.View)...), nil
	case rule.File != nil:
		return p.script(
			"$path = [Environment]::ExpandEnvironmentVariables("+literal(rule.File.Path)+")",
			"if (-not (Test-Path -LiteralPath $path)) { exit 0 }",
			"Write-Output 'found'",
			"$v = (Get-Item -LiteralPath $path -Force).VersionInfo",
			"if ($v -and $v.FileVersion) { Write-Output ('{0}.{1}.{2}.{3}' -f $v.FileMajorPart, $v.FileMinorPart, $v.FileBuildPart, $v.FilePrivatePart) }",
		), nil
	}
	return nil, unanswerable("runner", "a rule that this cell does not put to Windows")
}

// valueScript looks for a registry value, or for a key where the name is empty,
// in one view, and ends the script where it is there.
func valueScript(hive, key, name string, view int) []string {
	lines := []string{
		fmt.Sprintf("$key = [Microsoft.Win32.RegistryKey]::OpenBaseKey('%s', 'Registry%d').OpenSubKey(%s)", hive, map[bool]int{true: 32, false: 64}[view == 32], literal(key)),
	}
	if name == "" {
		return append(lines, "if ($key) { Write-Output 'found'; exit 0 }")
	}
	return append(lines,
		"if ($key -and $null -ne $key.GetValue("+literal(name)+")) { Write-Output 'found'; Write-Output ([string]$key.GetValue("+literal(name)+")); exit 0 }")
}

func (p powershell) running(service string) []string {
	return p.script("$s = Get-Service -Name "+literal(service), "Write-Output $s.Status", "if ($s.Status -ne 'Running') { exit 1 }")
}

// complaints asks for critical events and errors (Get-WinEvent, levels 1 and 2).
// That there is none is an error of its own there.
func (p powershell) complaints(since time.Time) []string {
	return p.script(
		"$since = [DateTime]::Parse("+literal(since.UTC().Format(time.RFC3339))+")",
		"$events = Get-WinEvent -FilterHashtable @{LogName = 'Application', 'System'; Level = 1, 2; StartTime = $since} -ErrorAction SilentlyContinue",
		"foreach ($e in $events) { Write-Output ('{0} {1}: {2}' -f $e.ProviderName, $e.Id, ((($e.Message + '') -split \"`r?`n\")[0])) }",
	)
}

func (p powershell) ports() []string {
	return p.script(
		"Get-NetTCPConnection -State Listen | ForEach-Object { 'tcp {0}:{1}' -f $_.LocalAddress, $_.LocalPort }",
		"Get-NetUDPEndpoint | ForEach-Object { 'udp {0}:{1}' -f $_.LocalAddress, $_.LocalPort }",
	)
}

// survey lists what a package can add to: program folders, the registry's places
// that act, services and tasks. The whole registry would take minutes.
func (p powershell) survey() []string {
	return p.script(
		"$ErrorActionPreference = 'SilentlyContinue'",
		"foreach ($dir in $env:ProgramFiles, ${env:ProgramFiles(x86)}, $env:ProgramData, $env:APPDATA, $env:LOCALAPPDATA) {",
		"  Get-ChildItem -LiteralPath $dir -Recurse -Force -File | Where-Object { $_.FullName -notmatch '\\\\(Temp|Packages|Logs?|Caches?)\\\\' } | ForEach-Object { 'file ' + $_.FullName }",
		"}",
		"Get-Service | ForEach-Object { 'service ' + $_.Name }",
		"Get-ScheduledTask | ForEach-Object { 'task ' + $_.TaskPath + $_.TaskName }",
		"foreach ($root in 'HKLM:\\SOFTWARE', 'HKLM:\\SOFTWARE\\WOW6432Node', 'HKCU:\\Software') {",
		"  foreach ($name in 'Run', 'RunOnce') {",
		"    $key = Get-Item -LiteralPath \"$root\\Microsoft\\Windows\\CurrentVersion\\$name\"",
		"    foreach ($v in $key.Property) { 'autostart ' + $v }",
		"  }",
		"  Get-ChildItem -LiteralPath \"$root\\Microsoft\\Windows\\CurrentVersion\\Uninstall\" | ForEach-Object { 'registry ' + $_.Name }",
		"  Get-ChildItem -LiteralPath $root | ForEach-Object { 'registry ' + $_.Name }",
		"}",
		"exit 0",
	)
}

func (p powershell) alter(setting string) []string {
	if key, value, ok := registrySetting(setting); ok {
		hive, rest, _ := strings.Cut(key, `\`)
		path := "Registry::" + map[string]string{"HKLM": "HKEY_LOCAL_MACHINE", "HKCU": "HKEY_CURRENT_USER"}[strings.ToUpper(hive)] + `\` + rest
		return p.script(
			"if (-not (Test-Path -LiteralPath "+literal(path)+")) { New-Item -Path "+literal(path)+" -Force | Out-Null }",
			"Set-ItemProperty -LiteralPath "+literal(path)+" -Name "+literal(value)+" -Value "+literal(alteration),
		)
	}
	return p.script(
		"$path = [Environment]::ExpandEnvironmentVariables("+literal(setting)+")",
		"if (-not (Test-Path -LiteralPath $path -PathType Leaf)) { exit 1 }",
		"Add-Content -LiteralPath $path -Value "+literal(alteration),
	)
}

func (p powershell) altered(setting string) []string {
	if key, value, ok := registrySetting(setting); ok {
		hive, rest, _ := strings.Cut(key, `\`)
		path := "Registry::" + map[string]string{"HKLM": "HKEY_LOCAL_MACHINE", "HKCU": "HKEY_CURRENT_USER"}[strings.ToUpper(hive)] + `\` + rest
		return p.script("if ((Get-ItemProperty -LiteralPath " + literal(path) + ")." + literal(value) + " -ne " + literal(alteration) + ") { exit 1 }")
	}
	return p.script(
		"$path = [Environment]::ExpandEnvironmentVariables("+literal(setting)+")",
		"if (-not (Select-String -LiteralPath $path -SimpleMatch -Quiet -Pattern "+literal(alteration)+")) { exit 1 }",
	)
}
