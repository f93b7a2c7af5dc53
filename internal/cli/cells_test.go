package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/deb"
	nfiles "github.com/goreleaser/nfpm/v2/files"

	"github.com/packmill/packmill/internal/edge/signing"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/testreq"
)

// A cellKit makes the installers of one program, in several versions.
type cellKit struct {
	t   *testing.T
	dir string
}

func (k cellKit) run(dir, name string, args ...string) {
	k.t.Helper()
	cmd := exec.CommandContext(k.t.Context(), testreq.Program(k.t, name), args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		k.t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

func (k cellKit) write(name, text string) {
	k.t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
		k.t.Fatal(err)
	}
}

func (k cellKit) read(name string) []byte {
	k.t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		k.t.Fatal(err)
	}
	return data
}

// windows makes the program for Windows and its installers, in a folder of their
// own: widget.exe, widget.msi, setup.exe.
func (k cellKit) windows(version, code string) string {
	dir := filepath.Join(k.dir, version)
	if err := os.Mkdir(dir, 0o755); err != nil {
		k.t.Fatal(err)
	}
	numbers := strings.ReplaceAll(version, ".", ",") + ",0"
	k.write(filepath.Join(dir, "main.c"), "#include <stdio.h>\nint main(void) { puts(\"widget "+version+"\"); return 0; }\n")
	k.write(filepath.Join(dir, "main.rc"), "1 VERSIONINFO\nFILEVERSION "+numbers+"\nPRODUCTVERSION "+numbers+`
BEGIN
  BLOCK "StringFileInfo" BEGIN BLOCK "040904b0" BEGIN VALUE "FileVersion", "`+version+`"
    VALUE "ProductVersion", "`+version+`"
    VALUE "ProductName", "Widget" END END
  BLOCK "VarFileInfo" BEGIN VALUE "Translation", 0x409, 1200 END
END
`)
	k.write(filepath.Join(dir, "widget.ini"), "[widget]\r\nserver=none\r\n")
	bed := filepath.Join("..", "edge", "testbed", "testdata")
	for _, name := range []string{"widget.wxs", "widget.nsi"} {
		k.write(filepath.Join(dir, name), string(k.read(filepath.Join(bed, name))))
	}
	k.run(dir, "x86_64-w64-mingw32-windres", "main.rc", "-O", "coff", "-o", "main.res")
	k.run(dir, "x86_64-w64-mingw32-gcc", "-s", "-o", "widget.exe", "main.c", "main.res")
	k.run(dir, "wixl", "-a", "x64", "-D", "Version="+version, "-D", "Code="+code, "-o", "widget.msi", "widget.wxs")
	k.run(dir, "makensis", "-V2", "-DVERSION="+version, "widget.nsi")
	return dir
}

// debian makes the .deb of the program.
func (k cellKit) debian(version string) []byte {
	program := filepath.Join(k.dir, "widget-"+version)
	k.write(program, "#!/bin/sh\necho widget "+version+"\n")
	info := nfpm.WithDefaults(&nfpm.Info{
		Name: "packmill-widget", Arch: "amd64", Platform: "linux", Version: version, VersionSchema: "none",
		Maintainer: "Widget Makers <widgets@example.org>", Description: "a widget", MTime: time.Unix(1, 0),
		Overridables: nfpm.Overridables{Contents: nfiles.Contents{{Source: program, Destination: "/usr/bin/widget", FileInfo: &nfiles.ContentFileInfo{Mode: 0o755}}}},
	})
	if err := nfpm.PrepareForPackager(info, "deb"); err != nil {
		k.t.Fatal(err)
	}
	var out bytes.Buffer
	if err := deb.Default.Package(info, &out); err != nil {
		k.t.Fatal(err)
	}
	return out.Bytes()
}

// release is the text of a release file, whose bytes the vendor then serves.
func (b *buildBench) release(pkg, version string, counter int, file string, data []byte, facts string) (path, text string) {
	name := pkg + "-" + version + "/" + file
	b.more[name] = data
	return "catalog/bench/" + pkg + "/" + version + ".cue", fmt.Sprintf(`package catalog

pkg: releases: %q: {
	counter: %d
	change:  "minor"
	installers: x64: {
		url:    "https://downloads.example/%s"
		size:   %d
		sha256: %q
		signer: unsigned: true
		%s
	}
}
`, version, counter, name, len(data), fleet.DigestOf(data), facts)
}

// cellBench is a repository with one program as .deb, MSI, NSIS installer and
// portable program, each in two releases.
func cellBench(t *testing.T) *buildBench {
	t.Helper()
	b := newBuildBench(t)
	b.more = map[string][]byte{}
	kit := cellKit{t, t.TempDir()}
	files := map[string]string{}
	kinds := []struct{ pkg, matrix, installer, more string }{
		{"debian", `"debian-12", "debian-13"`, `platform: "linux", arch: "x64", type: "deb", detect: [{package: "packmill-widget"}]`, `launch: "widget"`},
		{"msi", `"wine"`, `platform: "windows", arch: "x64", type: "msi", detect: [{msiProduct: true}]`, `launch: "widget.exe"`},
		{"nsis", `"wine"`, `platform: "windows", arch: "x64", type: "exe"
		arguments: {install: "/S", uninstall: "\"%ProgramW6432%\\Example Widget\\uninstall.exe\" /S"}
		detect: [{registry: {key: #"HKLM\Software\Microsoft\Windows\CurrentVersion\Uninstall\Example Widget"#, value: "DisplayVersion"}}]`,
			`launch: "widget.exe", keeps: [#"%ProgramFiles%\Example Widget\widget.ini"#]`},
		{"portable", `"wine"`, `platform: "windows", arch: "x64", type: "portable", programFiles: "Widget"
		detect: [{file: {path: #"%ProgramFiles%\Widget\widget.exe"#, version: true}}]`, `launch: "widget.exe"`},
	}
	for _, c := range kinds {
		files["catalog/bench/"+c.pkg+"/package.cue"] = `package catalog

import "github.com/packmill/packmill/schema"

pkg: schema.#Package & {
	id:   "bench/` + c.pkg + `"
	name: "Widget"
	kind: "application"
	sources: ["made for this test"]
	installers: x64: {
		` + c.installer + `
	}
	tests: {matrix: [` + c.matrix + `], ` + c.more + `}
	rollback: "previous"
}
`
	}
	add := func(path, text string) { files[path] = text }
	for i, version := range []string{"1.0.0", "1.1.0"} {
		code := fmt.Sprintf("{0D4B3F3E-6A9B-4C1E-9B43-5D8E0C6A1F%02d}", i)
		dir := kit.windows(version, code)
		add(b.release("debian", version, i+1, "widget.deb", kit.debian(version), `deb: {package: "packmill-widget", version: "`+version+`", architecture: "amd64"}`))
		add(b.release("msi", version, i+1, "widget.msi", kit.read(filepath.Join(dir, "widget.msi")),
			`msi: {productCode: "`+code+`", upgradeCode: "{51F6C0C4-0B55-4C62-9E08-6E2D3B6C1A77}", productVersion: "`+version+`"}`))
		add(b.release("nsis", version, i+1, "setup.exe", kit.read(filepath.Join(dir, "setup.exe")), ""))
		add(b.release("portable", version, i+1, "widget.exe", kit.read(filepath.Join(dir, "widget.exe")),
			`pe: {fileVersion: "`+version+`.0", productVersion: "`+version+`", productName: "Widget", machine: "x64"}`))
	}
	b.commit(files)
	return b
}

// TestCells runs packmill test on real installers in real cells, several at
// once, and lets stock cosign check what they signed.
func TestCells(t *testing.T) {
	testreq.Root(t)
	testreq.Need(t, "x64", runtime.GOARCH == "amd64", "the cells' programs are for x64")
	for _, program := range []string{"bwrap", "debootstrap", "wine", "makensis", "wixl", "x86_64-w64-mingw32-gcc"} {
		testreq.Program(t, program)
	}
	cosign := os.Getenv("PACKMILL_COSIGN")
	if cosign == "" {
		cosign = testreq.Program(t, "cosign")
	}
	b := cellBench(t)
	b.env["PACKMILL_TESTBED"] = os.Getenv("PACKMILL_TESTBED")
	testreq.Need(t, "bases", b.env["PACKMILL_TESTBED"] != "", "set PACKMILL_TESTBED to a folder in which `packmill test --prepare` has run")
	t.Run("all", func(t *testing.T) {
		for pkg, want := range map[string]map[string]string{
			"debian":   {"upgrade": "passed", "rollback": "passed", "downgrade": ""},
			"msi":      {"upgrade": "passed", "rollback": "passed", "downgrade": "passed"},
			"nsis":     {"upgrade": "passed", "rollback": "passed", "keeps": "passed", "adds": "reported"},
			"portable": {"upgrade": "passed", "rollback": "passed"},
		} {
			t.Run(pkg, func(t *testing.T) {
				t.Parallel()
				out, _ := (&buildBench{t: t, repo: b.repo, env: b.env}).want(0, "test", "bench/"+pkg+"@1.1.0", "--format", "json")
				var v tested
				if err := json.Unmarshal([]byte(out), &v); err != nil {
					t.Fatal(err)
				}
				if !v.Passed || len(v.Cells) != map[string]int{"debian": 2}[pkg]+map[bool]int{true: 1}[pkg != "debian"] {
					t.Fatalf("%s", out)
				}
				for _, c := range v.Cells {
					for step, result := range want {
						got := ""
						if i := slices.IndexFunc(c.Steps, func(s fleet.TestStep) bool { return s.Name == step }); i >= 0 {
							got = c.Steps[i].Result
						}
						if got != result {
							t.Errorf("%s %s: %q, want %q", c.Cell, step, got, result)
						}
					}
					attestedByCosign(t, cosign, signing.PublicPath(b.key), v.Artifact, c)
				}
			})
		}
	})
}

// attestedByCosign lets cosign check a cell's bundle for the artifact, and not
// for another.
func attestedByCosign(t *testing.T, cosign, key string, artifact fleet.Digest, c fleet.Tested) {
	t.Helper()
	bundle := filepath.Join(t.TempDir(), "bundle.json")
	if err := os.WriteFile(bundle, c.Attestation, 0o600); err != nil {
		t.Fatal(err)
	}
	for digest, ok := range map[fleet.Digest]bool{artifact: true, fleet.DigestOf([]byte("another")): false} {
		cmd := exec.CommandContext(t.Context(), cosign, "verify-blob-attestation", "--bundle", bundle, "--key", key, "--insecure-ignore-tlog",
			"--type", signing.PredicateTestResult, "--digest", digest.Hex(), "--digestAlg", "sha256")
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
		if out, err := cmd.CombinedOutput(); (err == nil) != ok {
			t.Errorf("%s in %s: %v\n%s", c.Package, c.Cell, err, out)
		}
	}
}
