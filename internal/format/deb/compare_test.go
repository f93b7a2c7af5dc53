package deb

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goreleaser/nfpm/v2"
	ndeb "github.com/goreleaser/nfpm/v2/deb"
	nfiles "github.com/goreleaser/nfpm/v2/files"

	"github.com/packmill/packmill/internal/testreq"
)

// built is a package that nfpm makes, with a compression and changes.
func built(t testing.TB, compression string, change func(*nfpm.Info)) []byte {
	t.Helper()
	day := time.Date(2026, 11, 16, 8, 0, 0, 0, time.UTC)
	source := filepath.Join(t.TempDir(), "widget")
	if err := os.WriteFile(source, []byte("#!/bin/sh\necho widget\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	at := func(mode os.FileMode) *nfiles.ContentFileInfo {
		return &nfiles.ContentFileInfo{Mode: mode, MTime: day}
	}
	info := &nfpm.Info{
		Name: "widget", Arch: "amd64", Version: "24.9.0", Release: "3", Epoch: "2", Platform: "linux", MTime: day, Section: "utils", Priority: "optional",
		Maintainer: "Example AS <dev@example.com>", Description: "Turns things\nSlowly, and with care.\n\nIn two paragraphs.", Homepage: "https://example.com/widget",
		Overridables: nfpm.Overridables{
			Depends: []string{"bash (>= 4.0)", "libwidget | libgadget"}, Recommends: []string{"man-db"}, Conflicts: []string{"gadget (<< 2)"}, Provides: []string{"turner"},
			Deb: nfpm.Deb{Compression: compression, Breaks: []string{"old (<< 1)"}},
			Contents: nfiles.Contents{
				{Source: source, Destination: "/usr/bin/widget", FileInfo: at(0o755)},
				{Source: source, Destination: "/usr/lib/widget/root", FileInfo: at(0o4755 | os.ModeSetuid)},
				{Source: source, Destination: "/etc/widget.conf", Type: "config", FileInfo: at(0o640)},
				{Source: "/usr/bin/widget", Destination: "/usr/bin/w", Type: "symlink", FileInfo: at(0o777)},
				{Destination: "/var/lib/widget", Type: "dir", FileInfo: at(0o700)},
			},
			Scripts: nfpm.Scripts{PostInstall: source, PreRemove: source},
		},
	}
	if change != nil {
		change(info)
	}
	info = nfpm.WithDefaults(info)
	if err := nfpm.PrepareForPackager(info, "deb"); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := ndeb.Default.Package(info, &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func modeText(e Entry) string {
	text := []byte(map[byte]string{'0': "-", '1': "h", '2': "l", '5': "d"}[e.Type] + "rwxrwxrwx")
	for bit := range 9 {
		if e.Mode&(1<<(8-bit)) == 0 {
			text[1+bit] = '-'
		}
	}
	for i, special := range []struct {
		bit  int64
		mark byte
	}{{0o4000, 's'}, {0o2000, 's'}, {0o1000, 't'}} {
		if e.Mode&special.bit != 0 {
			text[3+3*i] = special.mark
		}
	}
	return string(text)
}

var controlLine = regexp.MustCompile(`(?m)^ *([0-9]+) bytes, +[0-9]+ lines? +[* ] +(\S+)`)

func TestDpkgAgrees(t *testing.T) {
	program := testreq.Program(t, "dpkg-deb")
	many := func(i *nfpm.Info) {
		for n := range 200 {
			i.Contents = append(i.Contents, &nfiles.Content{Source: i.Contents[0].Source, Destination: fmt.Sprintf("/opt/w/%d/%d ü.txt", n%5, n), FileInfo: &nfiles.ContentFileInfo{Mode: os.FileMode(0o600 + n%64), MTime: i.MTime, Owner: "games", Group: "mail"}})
		}
	}
	bare := func(i *nfpm.Info) { i.Overridables, i.Arch, i.Epoch = nfpm.Overridables{}, "all", "" }
	for name, data := range map[string][]byte{
		"gzip": built(t, "gzip", nil), "xz": built(t, "xz", nil), "zstd": built(t, "zstd", nil), "none": built(t, "none", nil),
		"many": built(t, "xz", many), "bare": built(t, "gzip", bare),
	} {
		file := filepath.Join(t.TempDir(), "a.deb")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		dpkg := func(args ...string) string {
			cmd := exec.CommandContext(t.Context(), program, args...)
			cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TZ=UTC")
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return string(out)
		}
		f, err := ReadContents(bytes.NewReader(data))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for field, value := range f.Fields {
			if want := strings.TrimSuffix(dpkg("-f", file, field), "\n"); strings.ReplaceAll(want, "\n ", "\n") != value {
				t.Errorf("%s: %s is %q, dpkg-deb says %q", name, field, value, want)
			}
		}
		var list strings.Builder
		for _, e := range f.Contents {
			line := fmt.Sprintf("%s %s/%s %d %s .%s", modeText(e), e.User, e.Group, e.Size, e.Changed.Format("2006-01-02 15:04"), e.Path)
			if e.Type == '5' && e.Path != "/" {
				line += "/"
			}
			if e.Type == '2' {
				line += " -> " + e.Link
			}
			list.WriteString(line + "\n")
		}
		if want := regexp.MustCompile(` {2,}`).ReplaceAllString(dpkg("-c", file), " "); list.String() != want {
			t.Errorf("%s:\n%s\ndpkg-deb says\n%s", name, list.String(), want)
		}
		var control, told []string
		for _, c := range f.Control {
			control = append(control, c.Name+" "+strconv.FormatInt(c.Size, 10))
		}
		for _, m := range controlLine.FindAllStringSubmatch(dpkg("-I", file), -1) {
			told = append(told, m[2]+" "+m[1])
		}
		slices.Sort(control)
		slices.Sort(told)
		if !slices.Equal(control, told) || len(told) == 0 {
			t.Errorf("%s: control archive %q, dpkg-deb says %q", name, control, told)
		}
	}
}
