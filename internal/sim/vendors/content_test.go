package vendors

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/deb"
	"github.com/packmill/packmill/internal/format/msi"
	"github.com/packmill/packmill/internal/format/pe"
	"github.com/packmill/packmill/internal/format/xar"
	"github.com/packmill/packmill/internal/testreq"
)

func TestProgram(t *testing.T) {
	for arch, size := range map[string]int{"x64": 0, "arm64": 20_000} {
		c := Content{Kind: KindPE, Name: "Übungs-Tool", Company: "Acme AB", Version: "5.2.0.1", Arch: arch, Size: size}
		data := c.Bytes()
		if !bytes.Equal(data, c.Bytes()) {
			t.Error("two makings differ")
		}
		if size > 0 && (len(data) > size || len(data) < size-8) {
			t.Errorf("%d bytes, asked for %d", len(data), size)
		}
		f, err := pe.Read(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		want := fleet.PEFacts{FileVersion: "5.2.0.1", ProductVersion: "5.2.0.1", ProductName: "Übungs-Tool", Machine: arch}
		if f.Facts != want || f.Company != "Acme AB" || f.Signature != nil {
			t.Errorf("%s: reads as %+v", arch, f.Facts)
		}
	}
}

func TestInstallerDatabase(t *testing.T) {
	for arch, want := range map[string]string{"x64": "x64", "arm64": "arm64", "x86": "x86"} {
		c := Content{Kind: KindMSI, Name: "Tool", Company: "Acme AB", Version: "5.2.1", Arch: arch}
		data := c.Bytes()
		f, err := msi.Read(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		if f.Facts.ProductVersion != "5.2.1" || f.ProductName != "Tool" || f.Publisher != "Acme AB" || f.Arch != want || f.Signature != nil {
			t.Errorf("reads as %+v", f)
		}
		later := Content{Kind: KindMSI, Name: "Tool", Company: "Acme AB", Version: "5.3", Arch: arch}.Bytes()
		g, err := msi.Read(bytes.NewReader(later), int64(len(later)))
		if err != nil || g.Facts.UpgradeCode != f.Facts.UpgradeCode || g.Facts.ProductCode == f.Facts.ProductCode {
			t.Errorf("codes %+v and %+v, %v", f.Facts, g.Facts, err)
		}
	}
}

// TestInstallerDatabaseOpens reads the database with the msitools.
func TestInstallerDatabaseOpens(t *testing.T) {
	msiinfo := testreq.Program(t, "msiinfo")
	file := filepath.Join(t.TempDir(), "tool.msi")
	if err := os.WriteFile(file, Content{Kind: KindMSI, Name: "Tool", Company: "Acme AB", Version: "5.2.1"}.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"export", file, "Property"}, {"suminfo", file}, {"tables", file}} {
		out, err := exec.CommandContext(t.Context(), msiinfo, args...).CombinedOutput()
		if err != nil || args[0] == "export" && !strings.Contains(string(out), "ProductVersion\t5.2.1") {
			t.Errorf("msiinfo %s: %v\n%s", args[0], err, out)
		}
	}
}

// TestProgramRuns starts the program under Wine: the headers are good enough
// for a real loader.
func TestProgramRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("makes a Wine prefix: left out by -short")
	}
	wine := testreq.Program(t, "wine")
	testreq.Program(t, "wineboot")
	dir := t.TempDir()
	file := filepath.Join(dir, "tool.exe")
	if err := os.WriteFile(file, Installer("Tool", "Acme", "1.0", 4000).Bytes(), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), wine, file)
	cmd.Env = append(os.Environ(), "WINEPREFIX="+filepath.Join(dir, "prefix"), "WINEDEBUG=-all", "DISPLAY=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("wine: %v\n%s", err, out)
	}
}

func TestMacPackage(t *testing.T) {
	data := Content{Kind: KindPkg, Name: "Tool", Company: "Acme AS", Version: "1.9", Size: 5000}.Bytes()
	f, err := xar.Read(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	want := fleet.PkgFacts{Identifier: "com.acmeas.tool.pkg", Version: "1.9", Bundles: []fleet.BundleFacts{{ID: "com.acmeas.tool", Version: "1.9", Build: "1.9.0.0"}}}
	if got := f.Facts(); !got.Equal(want) || len(data) < 5000 {
		t.Errorf("reads as %+v, %d bytes", got, len(data))
	}
	if err := f.CheckMembers(); err != nil {
		t.Error(err)
	}
}

func TestDebianPackage(t *testing.T) {
	c := Content{Kind: KindDeb, Name: "tool", Version: "1:1.9.0-1", Arch: "amd64", Files: map[string]string{"/usr/bin/tool": "#!/bin/sh\n", "/usr/share/doc/tool/copyright": "none\n"}}
	data := c.Bytes()
	f, err := deb.Read(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if want := (fleet.DebFacts{Package: "tool", Version: "1:1.9.0-1", Architecture: "amd64"}); f.Facts != want {
		t.Errorf("reads as %+v", f.Facts)
	}
	dpkg := testreq.Program(t, "dpkg-deb")
	file := filepath.Join(t.TempDir(), "tool.deb")
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), dpkg, "--contents", file).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "./usr/bin/tool") {
		t.Errorf("dpkg-deb: %v\n%s", err, out)
	}
}

// TestPersistence checks that a second server on the folder goes on where the
// first was, whatever data it is given.
func TestPersistence(t *testing.T) {
	dir := t.TempDir()
	clock := fleet.NewManualClock(morning)
	a, err := New(Options{Dir: dir, Now: clock.Now, Data: world()})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Change(func(d *Data) { d.Faults = append(d.Faults, Fault{Shown: day(0), Path: "/npm/", Kind: HTML}) }); err != nil {
		t.Fatal(err)
	}
	b, err := New(Options{Dir: dir, Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a.data, b.data) || len(b.data.Faults) != 1 {
		t.Errorf("the second server has other data: %+v", b.data.Faults)
	}
}
