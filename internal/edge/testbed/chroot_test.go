package testbed

import (
	"bytes"
	"cmp"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/deb"
	nfiles "github.com/goreleaser/nfpm/v2/files"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/testreq"
)

// A debFixture is a package made for a test.
type debFixture struct {
	version string
	program string // shell script that becomes /usr/bin/widget
	scripts nfpm.Scripts
	depends []string

	name     string // packmill-widget without one
	contents nfiles.Contents
}

// candidate builds the .deb of a fixture.
func (f debFixture) candidate(t testing.TB) Candidate {
	t.Helper()
	program := t.TempDir() + "/widget"
	if err := os.WriteFile(program, []byte(f.program), 0o755); err != nil {
		t.Fatal(err)
	}
	name := cmp.Or(f.name, "packmill-widget")
	info := nfpm.WithDefaults(&nfpm.Info{
		Name: name, Arch: runtime.GOARCH, Platform: "linux", Version: f.version, VersionSchema: "none",
		Maintainer: "Widget Makers <widgets@example.org>", Description: "a widget", MTime: time.Unix(1, 0),
		Overridables: nfpm.Overridables{
			Depends: f.depends, Scripts: f.scripts,
			Contents: append(f.contents, &nfiles.Content{Source: program, Destination: "/usr/bin/" + name[len("packmill-"):], FileInfo: &nfiles.ContentFileInfo{Mode: 0o755}}),
		},
	})
	if err := nfpm.PrepareForPackager(info, "deb"); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := deb.Default.Package(info, &out); err != nil {
		t.Fatal(err)
	}
	return Candidate{
		Version:  f.version,
		Download: fleet.Download{Deb: &fleet.DebFacts{Package: name, Version: f.version, Architecture: runtime.GOARCH}},
		Unpack:   files(name+".deb", map[string][]byte{name + ".deb": out.Bytes()}),
	}
}

// script is a maintainer script in a file.
func script(t testing.TB, text string) string {
	t.Helper()
	name := t.TempDir() + "/script"
	if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

func debSpec(this Candidate, previous *Candidate) Spec {
	return Spec{
		Package: fleet.Package{
			ID: "example/widget", Rollback: "previous", Tests: fleet.Tests{Launch: "widget --version"},
			Installers: map[string]fleet.Installer{"deb": {Platform: "linux", Type: "deb", Detect: []fleet.Detect{{Operator: "=", Package: "packmill-widget"}}}},
		},
		Installer: "deb", This: this, Previous: previous,
	}
}

func chrootCell(t testing.TB) *Chroot {
	t.Helper()
	testreq.Root(t)
	testreq.Program(t, "debootstrap")
	bed := realBed(t)
	prepared(t, bed, "chroot-*")
	if err := NewChroot(bed).Prepare(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	return NewChroot(ownBed(t, bed))
}

// TestChrootLife takes a real .deb, with a dependency from the machine's mirror,
// through its whole life.
func TestChrootLife(t *testing.T) {
	cell := chrootCell(t)
	previous := debFixture{version: "1.0.0", program: "#!/bin/sh\necho widget 1.0.0\n"}.candidate(t)
	this := debFixture{version: "1.1.0", program: "#!/bin/sh\nhello\necho widget 1.1.0\n", depends: []string{"hello"}}.candidate(t)
	steps, err := cell.Run(t.Context(), debSpec(this, &previous))
	if err != nil {
		t.Fatal(err)
	}
	wantSteps(t, steps, "absent:passed", "install:passed", "detect:passed", "launch:passed",
		"uninstall:passed", "gone:passed", "upgrade:passed", "rollback:passed")
	if len(steps) > 3 && steps[3].Detail != "Hello, world! widget 1.1.0" {
		t.Errorf("launch says %q", steps[3].Detail)
	}
}

// TestChrootFailures is what packages do wrong, and what each step then says.
func TestChrootFailures(t *testing.T) {
	cell := chrootCell(t)
	good := "#!/bin/sh\necho fine\n"
	old := debFixture{version: "1.0.0", program: good}.candidate(t)
	for name, c := range map[string]struct {
		fixture  debFixture
		previous *Candidate
		rules    []fleet.Detect
		want     string
		detail   string
	}{
		"script fails": {
			fixture: debFixture{version: "2", program: good, scripts: nfpm.Scripts{PostInstall: script(t, "#!/bin/sh\necho no luck >&2\nexit 7\n")}},
			want:    "absent:passed install:failed detect:skipped launch:skipped uninstall:skipped gone:skipped upgrade:skipped rollback:skipped",
			detail:  "no luck",
		},
		"dependency unknown": {
			fixture: debFixture{version: "2", program: good, depends: []string{"packmill-no-such-package"}},
			want:    "absent:passed install:failed detect:skipped launch:skipped uninstall:skipped gone:skipped upgrade:skipped rollback:skipped",
			detail:  "dependencies",
		},
		"program crashes": {
			fixture: debFixture{version: "2", program: "#!/bin/sh\necho broken; exit 3\n"},
			want:    "absent:passed install:passed detect:passed launch:failed uninstall:skipped gone:skipped upgrade:skipped rollback:skipped",
			detail:  "exit code 3: broken",
		},
		"detects another package": {
			fixture: debFixture{version: "2", program: good},
			rules:   []fleet.Detect{{Package: "packmill-gadget"}},
			want:    "absent:passed install:passed detect:failed launch:skipped uninstall:skipped gone:skipped upgrade:skipped rollback:skipped",
			detail:  "2 is not detected",
		},
		"rule holds before": {
			fixture: debFixture{version: "2", program: good},
			rules:   []fleet.Detect{{File: &fleet.FileRule{Path: "/bin/sh"}}},
			want:    "absent:failed install:skipped detect:skipped launch:skipped uninstall:skipped gone:skipped upgrade:skipped rollback:skipped",
			detail:  "detected already",
		},
		"rule holds with the old version": {
			fixture: debFixture{version: "2", program: good}, previous: &old,
			rules:  []fleet.Detect{{File: &fleet.FileRule{Path: "/usr/bin/widget"}}},
			want:   "absent:passed install:passed detect:passed launch:passed uninstall:passed gone:passed upgrade:failed rollback:skipped",
			detail: "2 is detected already",
		},
		"stays after removal": {
			fixture: debFixture{version: "2", program: good, scripts: nfpm.Scripts{PostInstall: script(t, "#!/bin/sh\ntouch /opt/left\n")}},
			rules:   []fleet.Detect{{File: &fleet.FileRule{Path: "/opt/left"}}},
			want:    "absent:passed install:passed detect:passed launch:passed uninstall:passed gone:failed upgrade:skipped rollback:skipped",
			detail:  "detected already",
		},
	} {
		t.Run(name, func(t *testing.T) {
			spec := debSpec(c.fixture.candidate(t), c.previous)
			if c.rules != nil {
				in := spec.Package.Installers["deb"]
				in.Detect = c.rules
				spec.Package.Installers = map[string]fleet.Installer{"deb": in}
			}
			steps, err := cell.Run(t.Context(), spec)
			if err != nil {
				t.Fatal(err)
			}
			wantSteps(t, steps, strings.Fields(c.want)...)
			for _, s := range steps {
				if s.Result == "failed" && !strings.Contains(s.Detail, c.detail) {
					t.Errorf("%s says %q, want something about %q", s.Name, s.Detail, c.detail)
				}
			}
		})
	}
}

// TestChrootHostile installs a package that looks for a way out.
func TestChrootHostile(t *testing.T) {
	cell := chrootCell(t)
	t.Setenv("PACKMILL_SECRET", "do-not-tell")
	outside := t.TempDir() + "/touched"
	probe := `#!/bin/sh
exec >/opt/probe 2>&1
env
test -e ` + outside + ` && echo sees-the-machine
touch ` + outside + ` && echo wrote-a-file
mount -t tmpfs none /mnt && echo could-mount
mknod /tmp/disk b 259 0 && echo could-make-devices
cat /proc/net/dev | grep -v lo: | grep -q : && echo has-a-network
ls /proc | grep -c '^[0-9]' | grep -q -v '^.$' && echo sees-processes
ln -sfn / /var/cache/link
rm -rf /var/cache/apt /var/lib/apt && ln -s ` + t.TempDir() + ` /var/cache/apt
exit 0
`
	program := "#!/bin/sh\ngrep -E 'do-not-tell|^(sees|wrote|could|has)-' /opt/probe\necho refusals: $(grep -c -i -E 'permi|superuser|no such' /opt/probe)\n"
	this := debFixture{version: "1", program: program, scripts: nfpm.Scripts{PostInstall: script(t, probe)}}.candidate(t)
	steps, err := cell.Run(t.Context(), debSpec(this, nil))
	if err != nil {
		t.Fatal(err)
	}
	// The probe runs to its end, and each of its three attempts is refused.
	if len(steps) < 4 || steps[3].Result != "passed" || steps[3].Detail != "refusals: 3" {
		t.Fatalf("the probe tells: %+v", steps)
	}
	if _, err := os.Stat(outside); err == nil {
		t.Error("a file outside of the cell was written")
	}
}

// TestChrootInterrupted ends a run in the middle; nothing may stay behind, and
// what a killed process leaves is swept by the next run.
func TestChrootInterrupted(t *testing.T) {
	cell := chrootCell(t)
	this := debFixture{version: "1", program: "#!/bin/sh\n", scripts: nfpm.Scripts{PostInstall: script(t, "#!/bin/sh\nsleep 300\n")}}.candidate(t)
	ctx, cancel := contextThatEndsIn(t, 3*time.Second)
	defer cancel()
	if steps, err := cell.Run(ctx, debSpec(this, nil)); err == nil {
		t.Fatalf("the run went on: %+v", steps)
	}
	noLeftovers(t, cell.bed)

	base, err := cell.prepare(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	left, err := cell.bed.layer(t.Context(), systemOf(base))
	if err != nil {
		t.Fatal(err)
	}
	left.unlock() // as the kernel does for a process that is killed
	next, err := cell.bed.layer(t.Context(), systemOf(base))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left.dir); err == nil || mounted(left.root) {
		t.Error("what a killed run left is still there")
	}
	if err := next.remove(); err != nil {
		t.Error(err)
	}
}
