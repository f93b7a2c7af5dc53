package testbed

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goreleaser/nfpm/v2"
	nfiles "github.com/goreleaser/nfpm/v2/files"
	"github.com/goreleaser/nfpm/v2/rpm"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/testreq"
)

// A kept collects the logs of a run by step.
type kept struct {
	mu   sync.Mutex
	logs map[string]string
}

func (k *kept) keep(_ context.Context, step string, log []byte) (fleet.Digest, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.logs == nil {
		k.logs = map[string]string{}
	}
	k.logs[step] = string(log)
	return fleet.DigestOf(log), nil
}

// settled are what a Linux fixture brings beside its program: a setting, a unit
// and a cron job.
func settled(t testing.TB, version string) nfiles.Contents {
	t.Helper()
	file := func(text, to, kind string) *nfiles.Content {
		return &nfiles.Content{Source: script(t, text), Destination: to, Type: kind, FileInfo: &nfiles.ContentFileInfo{Mode: 0o644}}
	}
	return nfiles.Contents{
		file("server = none\n# of "+version+"\n", "/etc/widget.conf", nfiles.TypeConfigNoReplace),
		file("[Service]\nExecStart=/usr/bin/widget\n", "/usr/lib/systemd/system/widget.service", ""),
		file("0 5 * * * root widget\n", "/etc/cron.d/widget", ""),
	}
}

// TestChrootReleases takes a package with a setting through its life on two
// releases of Debian, and on the machine's own.
func TestChrootReleases(t *testing.T) {
	cell := chrootCell(t)
	for _, release := range []string{"bookworm", "trixie"} {
		t.Run(release, func(t *testing.T) {
			prepared(t, cell.bed, "chroot-"+release+"-*")
			candidate := func(version string) Candidate {
				return debFixture{version: version, program: "#!/bin/sh\n. /etc/os-release\necho $VERSION_CODENAME " + version + "\n", contents: settled(t, version),
					scripts: nfpm.Scripts{PostInstall: script(t, "#!/bin/sh\nmkdir -p /var/lib/widget; touch /var/lib/widget/state\n")}}.candidate(t)
			}
			older, previous := candidate("0.9.0"), candidate("1.0.0")
			spec := debSpec(candidate("1.1.0"), &previous)
			spec.Older, spec.Environment.Runner.Release = &older, release
			neighbour := debFixture{name: "packmill-gadget", version: "3", program: "#!/bin/sh\n"}.candidate(t)
			spec.Neighbours = []Neighbour{{ID: "example/gadget", Candidate: &neighbour, Installer: fleet.Installer{Type: "deb", Detect: []fleet.Detect{{Operator: "=", Package: "packmill-gadget"}}}}}
			var logs kept
			spec.Keep = logs.keep
			steps, err := cell.Run(t.Context(), spec)
			if err != nil {
				t.Fatal(err)
			}
			wantSteps(t, steps, "absent:passed", "install:passed", "detect:passed", "launch:passed", "services:skipped", "errors:skipped", "ports:skipped",
				"adds:reported", "uninstall:passed", "gone:passed", "leftovers:reported", "upgrade:passed", "keeps:passed", "rollback:passed",
				"upgrade-older:passed", "neighbours:passed")
			for step, want := range map[string]string{
				"launch": release + " 1.1.0", "adds": "cron job /etc/cron.d/widget; unit widget.service", "keeps": "/etc/widget.conf",
				"upgrade-older": "from 0.9.0", "neighbours": "example/gadget 3",
			} {
				if got := detailOf(steps, step); got != want {
					t.Errorf("%s says %q, want %q", step, got, want)
				}
			}
			if got := detailOf(steps, "leftovers"); !strings.Contains(got, "file /var/lib/widget/state") {
				t.Errorf("leftovers are %q", got)
			}
			for _, s := range steps {
				if s.Log != "" && s.Log != fleet.DigestOf([]byte(logs.logs[s.Name])) {
					t.Errorf("%s: log %s", s.Name, s.Log)
				}
			}
			if !strings.Contains(logs.logs["install"], "Setting up packmill-widget (1.1.0)") || !strings.Contains(logs.logs["install"], "[exit code 0]") {
				t.Errorf("the log of install: %s", logs.logs["install"])
			}
		})
	}
}

// rpmCandidate builds the fixture as an .rpm.
func rpmCandidate(t testing.TB, version string, scripts nfpm.Scripts) Candidate {
	t.Helper()
	program := script(t, "#!/bin/sh\necho widget "+version+"\n")
	info := nfpm.WithDefaults(&nfpm.Info{
		Name: "packmill-widget", Arch: runtime.GOARCH, Platform: "linux", Version: version, Release: "1", VersionSchema: "none",
		Maintainer: "Widget Makers <widgets@example.org>", Description: "a widget", License: "Apache-2.0", MTime: time.Unix(1, 0),
		Overridables: nfpm.Overridables{
			Scripts:  scripts,
			Contents: append(settled(t, version), &nfiles.Content{Source: program, Destination: "/usr/bin/widget", FileInfo: &nfiles.ContentFileInfo{Mode: 0o755}}),
		},
	})
	if err := nfpm.PrepareForPackager(info, "rpm"); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := rpm.DefaultRPM.Package(info, &out); err != nil {
		t.Fatal(err)
	}
	return Candidate{Version: version, Unpack: files("widget.rpm", map[string][]byte{"widget.rpm": out.Bytes()})}
}

func rpmSpec(this Candidate, previous *Candidate) Spec {
	return Spec{
		Package: fleet.Package{
			ID: "example/widget", Rollback: "previous", Tests: fleet.Tests{Launch: "widget"},
			Installers: map[string]fleet.Installer{"rpm": {Platform: "linux", Type: "rpm", Detect: []fleet.Detect{{Operator: "=", Package: "packmill-widget"}}}},
		},
		Installer: "rpm", This: this, Previous: previous,
	}
}

func rpmCell(t testing.TB) *RPM {
	t.Helper()
	testreq.Root(t)
	testreq.Program(t, "debootstrap")
	bed := realBed(t)
	prepared(t, bed, "rpm-*")
	if err := NewRPM(bed).Prepare(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	return NewRPM(ownBed(t, bed))
}

// TestRPMLife takes a real .rpm through its life; rpm itself keeps the older
// release from going over the newer.
func TestRPMLife(t *testing.T) {
	cell := rpmCell(t)
	previous := rpmCandidate(t, "1.0.0", nfpm.Scripts{})
	steps, err := cell.Run(t.Context(), rpmSpec(rpmCandidate(t, "1.1.0", nfpm.Scripts{PostInstall: script(t, "#!/bin/sh\necho set up\n")}), &previous))
	if err != nil {
		t.Fatal(err)
	}
	wantSteps(t, steps, "absent:passed", "install:passed", "detect:passed", "launch:passed", "adds:reported", "uninstall:passed", "gone:passed",
		"upgrade:passed", "keeps:passed", "downgrade:passed", "rollback:passed")
	if got := detailOf(steps, "launch"); got != "widget 1.1.0" {
		t.Errorf("launch says %q", got)
	}
	if got := detailOf(steps, "keeps"); !strings.Contains(got, "/etc/widget.conf") {
		t.Errorf("keeps says %q", got)
	}

	broken := rpmCandidate(t, "1.2.0", nfpm.Scripts{PreInstall: script(t, "#!/bin/sh\necho no luck >&2\nexit 7\n")})
	if steps, err = cell.Run(t.Context(), rpmSpec(broken, nil)); err != nil {
		t.Fatal(err)
	}
	wantSteps(t, steps, "absent:passed", "install:failed", "detect:skipped")
	if got := detailOf(steps, "install"); !strings.Contains(got, "no luck") {
		t.Errorf("install says %q", got)
	}
}

// nsis builds the widget's NSIS installer.
func nsis(t testing.TB, version string) Candidate {
	t.Helper()
	source := read(t, filepath.Join("testdata", "widget.nsi"))
	dir := filepath.Dir(widget(t, version))
	for name, data := range map[string][]byte{"widget.nsi": source, "widget.ini": []byte("[widget]\r\nserver=none\r\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), testreq.Program(t, "makensis"), "-V2", "-DVERSION="+version, "widget.nsi")
	cmd.Dir = dir
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("makensis: %v\n%s", err, text)
	}
	return Candidate{Version: version, Unpack: files("setup.exe", map[string][]byte{"setup.exe": read(t, filepath.Join(dir, "setup.exe"))})}
}

// TestWineNSIS takes an NSIS installer for x64 through its life. It keeps its
// settings, starts by itself, leaves the settings behind, and goes back over a
// newer release when it is told to: all of that is found.
func TestWineNSIS(t *testing.T) {
	cell := wineCell(t)
	previous := nsis(t, "1.0.0")
	spec := windowsSpec(fleet.Installer{
		Type: "exe", Arguments: &fleet.Arguments{Install: "/S", Uninstall: `"%ProgramW6432%\Example Widget\uninstall.exe" /S`},
		Detect: []fleet.Detect{
			{Operator: "=", Registry: &fleet.RegistryRule{Key: `HKLM\Software\Microsoft\Windows\CurrentVersion\Uninstall\Example Widget`, Value: "DisplayVersion", View: 64}},
			{Operator: "=", File: &fleet.FileRule{Path: `%ProgramFiles%\Example Widget\widget.exe`, Version: true}},
		},
	}, nsis(t, "1.1.0"), &previous)
	spec.Package.Tests.Keeps = []string{`%ProgramFiles%\Example Widget\widget.ini`}
	steps, err := cell.Run(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	wantSteps(t, steps, "absent:passed", "install:passed", "detect:passed", "launch:passed", "services:skipped", "adds:reported",
		"uninstall:passed", "gone:passed", "leftovers:reported", "upgrade:passed", "keeps:passed", "downgrade:reported", "rollback:passed")
	for step, want := range map[string]string{
		"launch": "widget 1.1.0", "adds": "autostart entry ExampleWidget", "leftovers": `file C:\Program Files\Example Widget\widget.ini`,
	} {
		if got := detailOf(steps, step); got != want {
			t.Errorf("%s says %q, want %q", step, got, want)
		}
	}
}
