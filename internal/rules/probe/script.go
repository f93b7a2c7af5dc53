package probe

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/packmill/packmill/internal/fleet"
)

// mostBytes is what Intune takes of a detection script.
const mostBytes = 200 << 10

// Script is the PowerShell of a probe of a release: of the probe that the
// package declares under the name, whose text is declared, or of one that is
// generated. since is when the wave began: what happened before was not the
// release's doing.
//
// A name in the catalog that PowerShell could read as anything but a name is an
// error of kind Invalid.
func Script(pkg fleet.Package, version, name, declared string, since time.Time) (string, error) {
	w := &writer{}
	key, _ := windows(pkg)
	installer := pkg.Installers[key]
	if _, own := pkg.Health[name]; own {
		declared = strings.TrimPrefix(declared, "\ufeff")
		if !first.MatchString(declared) {
			w.present(installer, pkg.Releases[version].Installers[key], version)
		}
		w.text.WriteString(declared)
		return w.done(pkg, name)
	}
	w.present(installer, pkg.Releases[version].Installers[key], version)
	switch name {
	case fleet.SignalServices:
		w.services(pkg.Tests.Services)
	case fleet.SignalCrash:
		w.since(since, installer)
		w.crash(programs(pkg))
	case fleet.SignalBoot:
		w.since(since, installer)
		w.boot()
	default:
		return "", fleet.Errorf(fleet.Internal, "probe.script", string(pkg.ID), "there is no probe %q", name)
	}
	return w.done(pkg, name)
}

// first matches scripts that PowerShell wants to be the beginning of a file:
// they find out for themselves whether the release is there.
var first = regexp.MustCompile(`(?i)^(\s|#[^\n]*\n|<#[\s\S]*?#>)*(param\s*\(|using\s|\[CmdletBinding)`)

// A writer writes PowerShell, line by line. The first name it cannot quote is
// its error.
type writer struct {
	text strings.Builder
	err  error
}

func (w *writer) line(format string, args ...any) {
	fmt.Fprintf(&w.text, format, args...)
	w.text.WriteByte('\n')
}

// quote is a string literal of PowerShell, which takes five characters for
// single quotation marks.
func (w *writer) quote(s string) string {
	if strings.ContainsFunc(s, unicode.IsControl) {
		w.err = fleet.Errorf(fleet.Invalid, "probe.script", s, "a name holds a control character")
	}
	var out strings.Builder
	out.WriteByte('\'')
	for _, r := range s {
		if strings.ContainsRune("'\u2018\u2019\u201a\u201b", r) {
			out.WriteRune(r)
		}
		out.WriteRune(r)
	}
	out.WriteByte('\'')
	return out.String()
}

// list is an array of string literals.
func (w *writer) list(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = w.quote(n)
	}
	return "@(" + strings.Join(quoted, ", ") + ")"
}

func (w *writer) done(pkg fleet.Package, name string) (string, error) {
	if w.err != nil {
		return "", w.err
	}
	text := w.text.String()
	if len(text) > mostBytes {
		return "", fleet.Errorf(fleet.Invalid, "probe.script", string(pkg.ID), "the probe %s has %d bytes; Intune takes %d", name, len(text), mostBytes)
	}
	return text, nil
}

// present ends the probe where the release is not there, as far as the rules
// can be read by a script: by a file, a registry value, an MSI product.
func (w *writer) present(i fleet.Installer, d fleet.Download, version string) {
	var tests []string
	for _, rule := range i.Detect {
		switch {
		case i.Scope == "user": // the system account sees nothing of it
		case rule.MSIProduct && d.MSI != nil:
			tests = append(tests, "(Test-Key 'LocalMachine' 0 "+w.quote(`SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\`+d.MSI.ProductCode)+")")
		case rule.File != nil:
			file := "(Expand " + w.quote(rule.File.Path) + ")"
			test := "(Test-Path -LiteralPath " + file + ")"
			if rule.File.Version {
				test += " -and " + atVersion("((Get-Item -LiteralPath "+file+").VersionInfo.FileVersion)", rule.Operator)
			}
			tests = append(tests, "("+test+")")
		case rule.Registry != nil && strings.HasPrefix(rule.Registry.Key, `HKLM\`):
			key := fmt.Sprintf("'LocalMachine' %d %s", rule.Registry.View, w.quote(strings.TrimPrefix(rule.Registry.Key, `HKLM\`)))
			if rule.Registry.Value == "" {
				tests = append(tests, "(Test-Key "+key+")")
				continue
			}
			tests = append(tests, atVersion("(Get-Value "+key+" "+w.quote(rule.Registry.Value)+")", rule.Operator))
		}
	}
	if len(tests) == 0 {
		return
	}
	w.line("$want = %s", w.quote(version))
	w.text.WriteString(helpers)
	w.line("try { $there = %s } catch { $there = $false }", strings.Join(tests, " -and\n  "))
	w.line("if (-not $there) { %s; exit 0 }", w.quote(Waiting))
}

// atVersion compares what is found with the release's version.
func atVersion(found, operator string) string {
	if operator == ">=" {
		return "((Compare-Numbers " + found + " $want) -ge 0)"
	}
	return "((Compare-Numbers " + found + " $want) -eq 0)"
}

// helpers read the registry in either view and compare versions by their
// numbers; missing ones are 0.
const helpers = `function Expand($path) { [Environment]::ExpandEnvironmentVariables($path) }
function Open-Key($hive, $view, $key) {
  $views = if ($view -eq 32) { 'Registry32' } elseif ($view -eq 64) { 'Registry64' } else { 'Registry64', 'Registry32' }
  foreach ($v in $views) {
    $found = [Microsoft.Win32.RegistryKey]::OpenBaseKey($hive, $v).OpenSubKey($key)
    if ($null -ne $found) { return $found }
  }
}
function Test-Key($hive, $view, $key) { $null -ne (Open-Key $hive $view $key) }
function Get-Value($hive, $view, $key, $name) { $k = Open-Key $hive $view $key; if ($null -ne $k) { $k.GetValue($name) } }
function Compare-Numbers($have, $want) {
  if ("$have" -eq '') { return -1 }
  $a = @([regex]::Matches("$have", '\d+') | ForEach-Object { [decimal]$_.Value })
  $b = @([regex]::Matches("$want", '\d+') | ForEach-Object { [decimal]$_.Value })
  for ($i = 0; $i -lt [Math]::Max($a.Count, $b.Count); $i++) {
    $x = if ($i -lt $a.Count) { $a[$i] } else { 0 }
    $y = if ($i -lt $b.Count) { $b[$i] } else { 0 }
    if ($x -ne $y) { return [Math]::Sign($x - $y) }
  }
  0
}
`

// since sets $since: when the wave began, or when the release's files came, if
// that was later.
func (w *writer) since(at time.Time, i fleet.Installer) {
	w.line("$since = [datetime]::ParseExact(%s, 'yyyy-MM-ddTHH:mm:ssZ', [cultureinfo]::InvariantCulture, 'AdjustToUniversal, AssumeUniversal')", w.quote(at.UTC().Format("2006-01-02T15:04:05Z")))
	for _, rule := range i.Detect {
		if rule.File == nil || i.Scope == "user" {
			continue
		}
		w.line("$file = Get-Item -LiteralPath ([Environment]::ExpandEnvironmentVariables(%s)) -ErrorAction SilentlyContinue", w.quote(rule.File.Path))
		w.line("if ($file -and $file.CreationTimeUtc -gt $since) { $since = $file.CreationTimeUtc }")
	}
}

// services must run; a device that has just started is given time.
func (w *writer) services(names []string) {
	w.line("$up = (Get-Date) - (Get-CimInstance Win32_OperatingSystem).LastBootUpTime")
	w.line("if ($up.TotalMinutes -lt 10) { %s; exit 0 }", w.quote(Waiting))
	w.line("$running = @(Get-Service | Where-Object { $_.Status -eq 'Running' } | ForEach-Object { $_.Name })")
	w.line("$missing = @(%s | Where-Object { $running -notcontains $_ })", w.list(names))
	w.line("if ($missing.Count -gt 0) { \"not running: $missing\"; exit 1 }")
	w.line("exit 0")
}

// crash looks for programs that ended with an error: event 1000, whose first
// property is the program's file name.
func (w *writer) crash(programs []string) {
	w.line("$programs = %s", w.list(programs))
	w.line("$events = Get-WinEvent -FilterHashtable @{ LogName = 'Application'; ProviderName = 'Application Error'; Id = 1000; StartTime = $since.ToLocalTime() } -ErrorAction SilentlyContinue")
	w.line("$crashes = @($events | Where-Object { $programs -contains $_.Properties[0].Value })")
	w.line("if ($crashes.Count -gt 0) { \"crashes: $($crashes.Count)\"; exit 1 }")
	w.line("exit 0")
}

// boot looks for restarts nobody asked for: Kernel-Power 41 and EventLog 6008.
func (w *writer) boot() {
	w.line("$events = Get-WinEvent -FilterHashtable @{ LogName = 'System'; Id = 41, 6008; StartTime = $since.ToLocalTime() } -ErrorAction SilentlyContinue")
	w.line("$downs = @($events | Where-Object { $_.ProviderName -in 'Microsoft-Windows-Kernel-Power', 'EventLog' })")
	w.line("if ($downs.Count -gt 0) { \"unexpected restarts: $($downs.Count)\"; exit 1 }")
	w.line("exit 0")
}
