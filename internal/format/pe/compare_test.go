package pe

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/testreq"
)

// run runs a real program in a folder and returns what it prints.
func run(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), testreq.Program(t, name), args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// readFile reads a program that the test made.
func readFile(t *testing.T, path string) *File {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := parse(data)
	if err != nil {
		t.Fatalf("%s: %v", filepath.Base(path), err)
	}
	return f
}

// machines are the numbers of the PE format: not every exiftool has words for all.
var machines = map[string]string{"x64": "34404", "arm64": "43620", "x86": "332"}

// agrees compares what was read with what exiftool says of the same file.
func agrees(t *testing.T, path string, f *File) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(run(t, "", nil, "exiftool", "-json", "-n", path)))
	d.UseNumber() // 24.09 must not become 24.1
	var told []map[string]any
	if err := d.Decode(&told); err != nil || len(told) != 1 {
		t.Fatalf("exiftool: %v", err)
	}
	text := func(tag string) string {
		if told[0][tag] == nil {
			return ""
		}
		return fmt.Sprint(told[0][tag])
	}
	for tag, got := range map[string]string{
		"FileVersionNumber": f.Facts.FileVersion, "ProductVersion": f.Facts.ProductVersion, "ProductName": f.Facts.ProductName,
		"CompanyName": f.Company, "LegalCopyright": f.Copyright, "FileDescription": f.Description,
		"OriginalFileName": f.OriginalName, "InternalName": f.InternalName, "MachineType": machines[f.Facts.Machine],
	} {
		if text(tag) != got {
			t.Errorf("%s: %s is %q, exiftool says %q", filepath.Base(path), tag, got, text(tag))
		}
	}
}

var objdumpSection = regexp.MustCompile(`(?m)^ +[0-9]+ (\S+) +[0-9a-f]{8} +([0-9a-f]{16}|[0-9a-f]{8}) +\S+ +([0-9a-f]{8})`)

// sectionsAgree compares the sections with those that objdump lists: names,
// distances between addresses, and offsets. It leaves out sections without
// content, and sizes, of which it shows the smaller one.
func sectionsAgree(t *testing.T, path string, f *File) {
	t.Helper()
	var want, got []string
	base := int64(-1)
	for _, m := range objdumpSection.FindAllStringSubmatch(run(t, "", nil, "objdump", "-h", path), -1) {
		address, err := strconv.ParseInt(m[2], 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		if base < 0 {
			base = address - int64(f.Sections[0].Address)
		}
		want = append(want, fmt.Sprintf("%s %x %s", m[1], address-base, m[3]))
	}
	for _, s := range f.Sections {
		got = append(got, fmt.Sprintf("%s %x %08x", s.Name, s.Address, s.Offset))
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: sections\n%s\nobjdump says\n%s", filepath.Base(path), strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

const manifestXML = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<assembly xmlns="urn:schemas-microsoft-com:asm.v1" manifestVersion="1.0">
<trustInfo xmlns="urn:schemas-microsoft-com:asm.v3"><security><requestedPrivileges>
<requestedExecutionLevel level="%s" uiAccess="false"/>
</requestedPrivileges></security></trustInfo></assembly>`

// Programs that mingw makes, with version resources of several shapes.
func TestMingwAgrees(t *testing.T) {
	for _, c := range []struct{ name, numbers, level, values, block string }{
		{"full", "24,9,0,1", "asInvoker", `VALUE "CompanyName", "Example AS"
VALUE "FileDescription", "Greets people"
VALUE "FileVersion", "24.09 beta"
VALUE "InternalName", "hello"
VALUE "LegalCopyright", "Copyright 2026 Example AS"
VALUE "OriginalFilename", "hello.exe"
VALUE "ProductName", "Hello"
VALUE "ProductVersion", "24.09"`, "040904B0"},
		{"umlauts", "1,2,3,4", "requireAdministrator", `VALUE "CompanyName", L"M\x00fcller & S\x00f8n"
VALUE "LegalCopyright", L"\x00a9 2026"
VALUE "ProductName", L"\x65e5\x672c\x8a9e"
VALUE "ProductVersion", "1.2"`, "040704B0"},
		{"high", "65535,65535,65535,65535", "highestAvailable", `VALUE "ProductVersion", "2026.1"`, "000004B0"},
		{"short", "1,0,0,0", "", `VALUE "ProductVersion", "1"`, "040904E4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "a.c", "void start(void) {}\n")
			rc := "#include <winver.h>\n1 VERSIONINFO\nFILEVERSION " + c.numbers + "\nPRODUCTVERSION 1,0,0,0\nBEGIN\nBLOCK \"StringFileInfo\"\nBEGIN\nBLOCK \"" + c.block + "\"\nBEGIN\n" + c.values + "\nEND\nEND\nEND\n"
			if c.level != "" {
				write(t, dir, "a.manifest", fmt.Sprintf(manifestXML, c.level))
				rc += "1 24 \"a.manifest\"\n"
			}
			write(t, dir, "a.rc", rc)
			run(t, dir, nil, "x86_64-w64-mingw32-windres", "a.rc", "a.o")
			run(t, dir, nil, "x86_64-w64-mingw32-gcc", "-nostdlib", "-s", "-e", "start", "-o", "a.exe", "a.c", "a.o")
			path := filepath.Join(dir, "a.exe")
			f := readFile(t, path)
			if f.Execution != c.level || f.DotNet || f.Installer != (Installer{Kind: fleet.InstallerNone}) {
				t.Errorf("level %q, .NET %v, %+v", f.Execution, f.DotNet, f.Installer)
			}
			agrees(t, path, f)
			sectionsAgree(t, path, f)
		})
	}
}

// Installers that makensis makes: each stub and compression of its own.
func TestNSISAgrees(t *testing.T) {
	version := strings.TrimPrefix(strings.TrimSpace(run(t, "", nil, "makensis", "-VERSION")), "v")
	version, _, _ = strings.Cut(version, "-") // the distribution's
	for _, c := range []struct{ target, compressor, level, want, machine string }{
		{"x86-unicode", "/SOLID lzma", "admin", "requireAdministrator", "x86"},
		{"x86-ansi", "zlib", "user", "asInvoker", "x86"},
		{"amd64-unicode", "bzip2", "highest", "highestAvailable", "x64"},
	} {
		t.Run(c.target, func(t *testing.T) {
			dir := t.TempDir()
			unicode := map[bool]string{true: "false", false: "true"}[strings.Contains(c.target, "ansi")]
			write(t, dir, "a.nsi", "Unicode "+unicode+"\nTarget "+c.target+"\nSetCompressor "+c.compressor+"\nName Widget\nOutFile a.exe\nRequestExecutionLevel "+c.level+`
VIProductVersion 3.1.4.1
VIAddVersionKey ProductName "Widget"
VIAddVersionKey ProductVersion "3.14"
VIAddVersionKey CompanyName "Example AS"
VIAddVersionKey LegalCopyright "Example AS"
VIAddVersionKey FileDescription "Sets up Widget"
VIAddVersionKey FileVersion "3.1.4.1"
Section
SetOutPath $TEMP
File a.nsi
SectionEnd
`)
			run(t, dir, nil, "makensis", "-V1", "a.nsi")
			path := filepath.Join(dir, "a.exe")
			f := readFile(t, path)
			if f.Installer.Kind != fleet.InstallerNSIS || !strings.HasPrefix(f.Installer.Version, version) {
				t.Errorf("%+v, made by NSIS %s", f.Installer, version)
			}
			if f.Execution != c.want || f.Facts.Machine != c.machine || f.Company != "Example AS" {
				t.Errorf("level %q, machine %s, company %q", f.Execution, f.Facts.Machine, f.Company)
			}
			agrees(t, path, f)
			sectionsAgree(t, path, f)
		})
	}
}

// Programs that Go makes have no resources and no installer's mark.
func TestGoAgrees(t *testing.T) {
	for _, c := range [][2]string{{"amd64", "x64"}, {"arm64", "arm64"}, {"386", "x86"}} {
		dir := t.TempDir()
		write(t, dir, "main.go", "package main\n\nfunc main() {}\n")
		run(t, dir, []string{"GOOS=windows", "GOARCH=" + c[0], "CGO_ENABLED=0", "GO111MODULE=off"}, "go", "build", "-ldflags=-s -w", "-o", "a.exe", "main.go")
		path := filepath.Join(dir, "a.exe")
		f := readFile(t, path)
		if f.Facts != (fleet.PEFacts{Machine: c[1]}) || f.Installer.Kind != fleet.InstallerNone || f.Execution != "" {
			t.Errorf("%s: %+v, %+v, %q", c[0], f.Facts, f.Installer, f.Execution)
		}
		agrees(t, path, f)
		if c[0] != "arm64" { // which the objdump of other machines does not know
			sectionsAgree(t, path, f)
		}
	}
}
