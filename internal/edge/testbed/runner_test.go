package testbed

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// shortScript is a call without PowerShell's own lines, one text.
func shortScript(argv []string) string {
	text := shownCall(argv)
	if _, script, ok := strings.Cut(text, "UTF8\n"); ok {
		return "PS> " + strings.TrimSpace(script)
	}
	return text
}

// TestRunnerCommands is what each system is told, as text.
func TestRunnerCommands(t *testing.T) {
	must := func(argv []string, err error) []string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return argv
	}
	msi := item{Candidate{Version: "1.1", Download: fleet.Download{MSI: &fleet.MSIFacts{ProductCode: "{A}", ProductVersion: "1.1"}}}, "a/b",
		fleet.Installer{Type: "msi", Properties: map[string]string{"ALLUSERS": "1"}}}
	deb := item{Candidate{Download: fleet.Download{Deb: &fleet.DebFacts{Package: "w"}}}, "a/b", fleet.Installer{Type: "deb"}}
	rpm := item{Candidate{}, "a/b", fleet.Installer{Type: "rpm", Detect: []fleet.Detect{{Package: "w"}}}}
	pkg := item{Candidate{}, "a/b", fleet.Installer{Type: "pkg", Arguments: &fleet.Arguments{Uninstall: "/Library/W/uninstall.sh"}}}
	ps, linux, mac := powershell{}, unix{}, unix{mac: true}
	const run = ` -WorkingDirectory 'C:\w''s' -Wait -PassThru -WindowStyle Hidden` + "\nexit $p.ExitCode"
	for _, c := range []struct {
		got  []string
		want string
	}{
		{must(ps.install(msi, brought{folder: `C:\w's`, setup: "w.msi"})), `PS> $p = Start-Process -FilePath $env:ComSpec -ArgumentList '/d /s /c "msiexec /i "w.msi" /qn /norestart ALLUSERS="1""'` + run},
		{must(ps.uninstall(msi, brought{folder: `C:\w's`, setup: "w.msi"})), `PS> $p = Start-Process -FilePath $env:ComSpec -ArgumentList '/d /s /c "msiexec /x {A} /qn /norestart"'` + run},
		{must(ps.install(msi, brought{folder: `C:\w's`, setup: "w.msi", commands: true})), `PS> $p = Start-Process -FilePath $env:ComSpec -ArgumentList '/d /s /c "install.cmd"'` + run},
		{must(ps.install(msi, brought{folder: `C:\w's`, setup: "w.msi", commands: true, script: true})), `PS> $p = Start-Process -FilePath $env:ComSpec -ArgumentList '/d /s /c ""%SystemRoot%\System32\WindowsPowerShell\v1.0\powershell.exe" -NoLogo -NoProfile -NonInteractive -ExecutionPolicy Bypass -File packmill.ps1 -Mode Install"'` + run},
		{must(ps.observe(fleet.Detect{Registry: &fleet.RegistryRule{Key: `HKLM\SOFTWARE\W`, View: 32}}, msi.Candidate)),
			`PS> $key = [Microsoft.Win32.RegistryKey]::OpenBaseKey('LocalMachine', 'Registry32').OpenSubKey('SOFTWARE\W')` + "\nif ($key) { Write-Output 'found'; exit 0 }"},
		{ps.running("W's"), "PS> $s = Get-Service -Name 'W''s'\nWrite-Output $s.Status\nif ($s.Status -ne 'Running') { exit 1 }"},
		{must(linux.install(deb, brought{folder: "/w", setup: "w.deb"})), "sudo -n env DEBIAN_FRONTEND=noninteractive apt-get -q -y --allow-downgrades -o APT::Install-Recommends=false -o DPkg::Options::=--force-confdef -o DPkg::Options::=--force-confold install /w/w.deb"},
		{must(linux.uninstall(deb, brought{folder: "/w", setup: "w.deb"})), "sudo -n env DEBIAN_FRONTEND=noninteractive apt-get -q -y remove -- w"},
		{must(linux.install(rpm, brought{folder: "/w", setup: "w.rpm"})), "sudo -n rpm -U -- /w/w.rpm"},
		{must(unix{root: true}.uninstall(rpm, brought{folder: "/w", setup: "w.rpm"})), "rpm -e -- w"},
		{must(mac.install(pkg, brought{folder: "/w", setup: "w.pkg"})), "sudo -n installer -pkg /w/w.pkg -target /"},
		{must(mac.uninstall(pkg, brought{folder: "/w", setup: "w.pkg"})), "sudo -n sh -c /Library/W/uninstall.sh"},
		{must(mac.observe(fleet.Detect{Package: "org.w"}, Candidate{})), `sh -c v=$(pkgutil --pkg-info "$1" 2>/dev/null) || exit 0; echo found; echo "$v" | sed -n 's/^version: //p' sh org.w`},
		{linux.running("w.service"), "systemctl is-active -- w.service"},
		{mac.running("org.w"), "sudo -n launchctl print system/org.w"},
	} {
		if got := shortScript(c.got); got != c.want {
			t.Errorf("\n got %s\nwant %s", got, c.want)
		}
	}
	for _, refused := range []func() ([]string, error){
		func() ([]string, error) { return mac.uninstall(item{in: fleet.Installer{Type: "pkg"}}, brought{}) },
		func() ([]string, error) { return linux.install(msi, brought{folder: "", setup: ""}) },
		func() ([]string, error) { return ps.observe(fleet.Detect{Script: "x.ps1"}, Candidate{}) },
		func() ([]string, error) {
			return ps.observe(fleet.Detect{Registry: &fleet.RegistryRule{Key: `HKU\X`}}, Candidate{})
		},
	} {
		if argv, err := refused(); fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("%v, %v", argv, err)
		}
	}
}

func TestDisposable(t *testing.T) {
	for _, c := range []struct {
		actions, environment string
		want                 bool
	}{{"true", "github-hosted", true}, {"true", "self-hosted", false}, {"true", "", false}, {"", "github-hosted", false}} {
		env := map[string]string{"GITHUB_ACTIONS": c.actions, "RUNNER_ENVIRONMENT": c.environment}
		if got := Disposable(func(name string) string { return env[name] }); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// TestRunnerOnDebian lets the runner's own commands loose on a Debian system in
// a folder, which takes them for its own.
func TestRunnerOnDebian(t *testing.T) {
	cell := chrootCell(t)
	base, err := cell.prepare(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	layer, err := cell.bed.layer(t.Context(), systemOf(base))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := layer.remove(); err != nil {
			t.Error(err)
		}
	}()
	bwrap, err := program("chroot", "bwrap", "bubblewrap")
	if err != nil {
		t.Fatal(err)
	}
	box := linuxBox(bwrap, layer.root)
	runner := &Runner{OS: "linux", Arch: "x64", Work: filepath.Join(layer.root, "var/cache/work"), Inside: "/var/cache/work", Root: true, Now: time.Now,
		Exec: func(ctx context.Context, limit time.Duration, _ int, argv ...string) (result, error) {
			box.most = maxListing
			return box.run(ctx, limit, nil, argv...)
		}}
	older, previous := debFixture{version: "0.9.0", program: "#!/bin/sh\n"}.candidate(t), debFixture{version: "1.0.0", program: "#!/bin/sh\n", contents: settled(t, "1.0.0")}.candidate(t)
	spec := debSpec(debFixture{version: "1.1.0", program: "#!/bin/sh\necho widget\n", contents: settled(t, "1.1.0")}.candidate(t), &previous)
	spec.Older, spec.Environment = &older, fleet.Environment{Platform: "linux", Arch: "x64", Runner: fleet.Runner{GitHub: "ubuntu-24.04"}}
	spec.Package.Tests.Keeps = []string{"/etc/widget.conf"}
	steps, err := runner.Run(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	wantSteps(t, steps, "absent:passed", "install:passed", "detect:passed", "launch:passed", "errors:skipped", "ports:skipped", "adds:reported",
		"uninstall:passed", "gone:passed", "upgrade:passed", "keeps:passed", "rollback:passed", "upgrade-older:passed")
	spec.Environment.Arch = "arm64"
	if _, err := runner.Run(t.Context(), spec); fleet.KindOf(err) != fleet.Invalid {
		t.Errorf("another machine's cell: %v", err)
	}
}

// TestRunnerOnWindows takes an MSI through its life on a machine that is played:
// it answers the scripts as PowerShell would.
func TestRunnerOnWindows(t *testing.T) {
	there := ""
	listing := []string{`service Spooler`, `file C:\Windows\notepad.exe`}
	runner := &Runner{OS: "windows", Arch: "x64", Work: t.TempDir(), Now: func() time.Time { return time.Unix(1_800_000_000, 0) },
		Exec: func(_ context.Context, _ time.Duration, _ int, argv ...string) (result, error) {
			script := shortScript(argv)
			switch {
			case strings.Contains(script, "msiexec /i"):
				if there == "{B}" {
					return result{exit: 1603, output: "a newer version is installed"}, nil
				}
				there = map[bool]string{true: "{A}", false: "{B}"}[strings.Contains(script, "old.msi")]
				return result{exit: 3010}, nil
			case strings.Contains(script, "msiexec /x "+there) && there != "":
				there = ""
				return result{}, nil
			case strings.Contains(script, "msiexec /x"):
				return result{exit: 1605}, nil
			case strings.Contains(script, `Uninstall\`+there+"'") && there != "":
				return result{output: "found\r\n" + map[string]string{"{A}": "1.0", "{B}": "1.1"}[there] + "\r\n"}, nil
			case strings.Contains(script, "Get-ScheduledTask"):
				now := listing
				if there != "" {
					now = append(now[:len(now):len(now)], "service Widget", `task \Widget\Update`, "autostart Widget", `registry HKEY_LOCAL_MACHINE\SOFTWARE\Widget`)
				}
				return result{output: strings.Join(now, "\r\n")}, nil
			case strings.Contains(script, "Get-NetTCPConnection"):
				return result{output: map[bool]string{true: "tcp 0.0.0.0:135\r\ntcp 0.0.0.0:8080\r\n", false: "tcp 0.0.0.0:135\r\n"}[there != ""]}, nil
			case strings.Contains(script, "Get-WinEvent"):
				return result{output: "Application Error 1000: Faulting application widget.exe\r\n"}, nil
			}
			return result{}, nil
		}}
	candidate := func(version, code, file string) Candidate {
		return Candidate{Version: version, Download: fleet.Download{MSI: &fleet.MSIFacts{ProductCode: code, ProductVersion: version}}, Unpack: files(file, map[string][]byte{file: {1}})}
	}
	previous := candidate("1.0", "{A}", "old.msi")
	spec := windowsSpec(fleet.Installer{Type: "msi", Detect: []fleet.Detect{{Operator: "=", MSIProduct: true}}}, candidate("1.1", "{B}", "new.msi"), &previous)
	spec.Environment = fleet.Environment{Platform: "windows", Arch: "x64", Runner: fleet.Runner{GitHub: "windows-2025"}}
	spec.Package.Tests.Services = []string{"Widget"}
	steps, err := runner.Run(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	wantSteps(t, steps, "absent:passed", "install:passed", "detect:passed", "launch:passed", "services:passed", "errors:failed", "ports:skipped",
		"upgrade:passed", "downgrade:passed", "rollback:passed")
	if there != "" {
		t.Errorf("%s stays on the machine", there)
	}
	if got := detailOf(steps, "errors"); !strings.Contains(got, "Faulting application") {
		t.Errorf("errors says %q", got)
	}
	if got := fmt.Sprint(notable([]string{"service Widget", `task \Widget\Update`, "autostart Widget", `registry HKLM\x`})); got != `[autostart Widget service Widget task \Widget\Update]` {
		t.Errorf("%s", got)
	}
}

// TestRunnerExecutes runs programs of this machine as it runs installers.
func TestRunnerExecutes(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the programs are those of Linux")
	}
	for _, c := range []struct {
		script string
		want   result
	}{{"echo out; exit 3", result{3, "out\n"}}, {"sleep 60", result{-1, ""}}, {"yes | head -c 100000", result{0, strings.Repeat("y\n", 50)}}} {
		got, err := execute(t.Context(), time.Second, 100, "sh", "-c", c.script)
		if err != nil || got != c.want {
			t.Errorf("%s: %+v %v", c.script, got, err)
		}
	}
	if _, err := execute(t.Context(), time.Second, 100, filepath.Join(t.TempDir(), "none")); !os.IsNotExist(err) {
		t.Errorf("no program: %v", err)
	}
}
