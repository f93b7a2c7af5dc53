package factory_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/goreleaser/nfpm/v2"
	nfiles "github.com/goreleaser/nfpm/v2/files"
	"github.com/goreleaser/nfpm/v2/rpm"

	"github.com/packmill/packmill/internal/edge/signing"
	"github.com/packmill/packmill/internal/edge/store"
	"github.com/packmill/packmill/internal/edge/testbed"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/testreq"
)

// rpmOf makes an .rpm of a program that says its version.
func rpmOf(t *testing.T, version string) []byte {
	t.Helper()
	program := filepath.Join(t.TempDir(), "widget")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho widget "+version+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	info := nfpm.WithDefaults(&nfpm.Info{
		Name: "packmill-widget", Arch: "amd64", Platform: "linux", Version: version, Release: "1", VersionSchema: "none",
		Maintainer: "Widget Makers <widgets@example.org>", Description: "a widget", License: "Apache-2.0", MTime: time.Unix(1, 0),
		Overridables: nfpm.Overridables{Contents: nfiles.Contents{{Source: program, Destination: "/usr/bin/widget", FileInfo: &nfiles.ContentFileInfo{Mode: 0o755}}}},
	})
	if err := nfpm.PrepareForPackager(info, "rpm"); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := rpm.DefaultRPM.Package(info, &out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// stored puts an .rpm into the store as an artifact of a release, and records it
// as built.
func (w *testWorld) stored(t *testing.T, id fleet.PackageID, version string, data []byte) fleet.Built {
	t.Helper()
	file := fleet.BuiltFile{Installer: "rpm", Name: "packmill-widget-" + version + "-1.x86_64.rpm", MediaType: "application/x-rpm", Digest: fleet.DigestOf(data), Size: int64(len(data))}
	artifact, err := w.Store.Put(t.Context(), store.Artifact{Files: []store.File{{
		Installer: "rpm", Name: file.Name, MediaType: file.MediaType, Digest: file.Digest, Size: file.Size,
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil },
	}}})
	if err != nil {
		t.Fatal(err)
	}
	built := fleet.Built{Package: id, Version: version, Artifact: artifact, Files: []fleet.BuiltFile{file}, At: buildTime}
	w.rec.Builds = append(w.rec.Builds, built)
	return built
}

// TestTestRPM tests a real .rpm in a real cell: the logs lie by the digests that
// evidence and attestation name, and stock cosign accepts the attestation.
func TestTestRPM(t *testing.T) {
	testreq.Root(t)
	for _, program := range []string{"bwrap", "debootstrap"} {
		testreq.Program(t, program)
	}
	dir := os.Getenv("PACKMILL_TESTBED")
	testreq.Need(t, "bases", dir != "", "set PACKMILL_TESTBED to a folder in which `packmill test --prepare` has run")
	cosign := os.Getenv("PACKMILL_COSIGN")
	if cosign == "" {
		cosign = testreq.Program(t, "cosign")
	}
	w := newTestWorld(t)
	w.Cells = map[string]factory.Cell{"rpm": testbed.NewRPM(testbed.Bed{Dir: dir, System: os.DirFS("/"), Getenv: os.Getenv})}
	w.repo.Matrices["rpm"] = fleet.Environment{Platform: "linux", OS: "rpm", Arch: "x64", Runner: fleet.Runner{Local: "rpm"}}
	const id = "acme/widget"
	ships := func(counter int) fleet.Release {
		return fleet.Release{Counter: counter, Installers: map[string]fleet.Download{"rpm": {}}}
	}
	w.repo.Packages[id] = fleet.Package{
		ID: id, Name: "Widget", Kind: "application", Rollback: "previous", Tests: fleet.Tests{Matrix: []string{"rpm"}, Launch: "widget"},
		Installers: map[string]fleet.Installer{"rpm": {Platform: "linux", Arch: "x64", Type: "rpm", Detect: []fleet.Detect{{Operator: "=", Package: "packmill-widget"}}}},
		Releases:   map[string]fleet.Release{"1.0.0": ships(1), "1.1.0": ships(2)},
	}
	w.stored(t, id, "1.0.0", rpmOf(t, "1.0.0"))
	built := w.stored(t, id, "1.1.0", rpmOf(t, "1.1.0"))
	tests, err := w.Test(t.Context(), w.repo, built, w.rec)
	if err != nil {
		t.Fatal(err)
	}
	if len(tests) != 1 || tests[0].Result != "passed" {
		t.Fatalf("%+v", tests)
	}
	for _, s := range tests[0].Steps {
		t.Logf("%-10s %-8s %s", s.Name, s.Result, s.Detail)
	}
	w.attested(t, tests[0], built.Files[0].Digest, "PASSED", "rpm/rpm/downgrade")
	logs, err := w.Store.Referrers(t.Context(), built.Artifact, store.MediaTypeTestLog)
	if err != nil {
		t.Fatal(err)
	}
	kept := map[fleet.Digest]bool{}
	for _, l := range logs {
		kept[fleet.DigestOf(l.Data)] = true
	}
	named := 0
	for _, s := range tests[0].Steps {
		if s.Log != "" && !kept[s.Log] {
			t.Errorf("the log of %s is not in the store", s.Name)
		}
		if s.Log != "" {
			named++
		}
	}
	if named < 6 {
		t.Errorf("%d steps name a log", named)
	}
	files := t.TempDir()
	bundle, key := filepath.Join(files, "bundle.json"), filepath.Join(files, "mill.pub")
	for name, data := range map[string][]byte{bundle: tests[0].Attestation, key: []byte(w.key.PublicPEM())} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), cosign, "verify-blob-attestation", "--bundle", bundle, "--key", key, "--insecure-ignore-tlog",
		"--type", signing.PredicateTestResult, "--digest", built.Artifact.Hex(), "--digestAlg", "sha256")
	cmd.Env = append(os.Environ(), "HOME="+files)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("cosign: %v\n%s", err, out)
	}
}
