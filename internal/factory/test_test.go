package factory_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/edge/signing"
	"github.com/packmill/packmill/internal/edge/store"
	"github.com/packmill/packmill/internal/edge/testbed"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/wrapper"
)

// A cellFunc is a cell by a function.
type cellFunc func(ctx context.Context, spec testbed.Spec) ([]fleet.TestStep, error)

func (f cellFunc) Run(ctx context.Context, spec testbed.Spec) ([]fleet.TestStep, error) {
	return f(ctx, spec)
}

// A testWorld is a build world with a matrix, and two releases of acme/hello.
type testWorld struct {
	*buildWorld
	key *signing.Key
	rec *fleet.Record
}

func newTestWorld(t *testing.T) *testWorld {
	t.Helper()
	key := signer(t)
	w := &testWorld{buildWorld: newBuildWorld(t, key), key: key, rec: &fleet.Record{}}
	local := func(platform, kind string) fleet.Environment {
		return fleet.Environment{Platform: platform, Arch: "x64", Runner: fleet.Runner{Local: kind}}
	}
	w.repo.Matrices = map[string]fleet.Environment{
		"imagined": local("windows", "simulated"), "wine": local("windows", "wine"), "debian": local("linux", "chroot"),
		"windows-11": {Platform: "windows", Arch: "x64", Runner: fleet.Runner{GitHub: "windows-11"}},
	}
	hello := w.repo.Packages["acme/hello"]
	in := hello.Installers["x64"]
	in.Detect = []fleet.Detect{{Operator: "=", Registry: &fleet.RegistryRule{Key: wrapper.MarkKey("acme/hello"), Value: "Version", View: 64}}}
	hello.Installers = map[string]fleet.Installer{"x64": in, "mac": hello.Installers["mac"]}
	newer := hello.Releases["24.09"]
	newer.Counter = 2
	hello.Releases = map[string]fleet.Release{"24.09": hello.Releases["24.09"], "24.10": newer}
	hello.Tests.Matrix = []string{"windows-11", "imagined", "debian"}
	hello.Rollback = "previous"
	w.repo.Packages["acme/hello"] = hello
	w.Cells = map[string]factory.Cell{"simulated": testbed.Simulated{}}
	return w
}

// build builds a release and records it.
func (w *testWorld) build(t *testing.T, id fleet.PackageID, version string) fleet.Built {
	t.Helper()
	built, err := w.Build(t.Context(), w.repo, id, version)
	if err != nil {
		t.Fatal(err)
	}
	w.rec.Builds = append(w.rec.Builds, built)
	return built
}

// in sets a package's matrix.
func (w *testWorld) in(id fleet.PackageID, matrix ...string) {
	p := w.repo.Packages[id]
	p.Tests.Matrix = matrix
	w.repo.Packages[id] = p
}

func TestTest(t *testing.T) {
	w := newTestWorld(t)
	w.build(t, "acme/hello", "24.09")
	built := w.build(t, "acme/hello", "24.10")
	tests, err := w.Test(t.Context(), w.repo, built, w.rec)
	if err != nil {
		t.Fatal(err)
	}
	if len(tests) != 2 || tests[0].Cell != "windows-11" || tests[1].Cell != "imagined" {
		t.Fatalf("a cell for Windows on GitHub and one here are expected, none for Debian: %+v", tests)
	}
	if got := tests[0]; got.Result != "skipped" || len(got.Attestation) != 0 || !strings.Contains(got.Steps[0].Detail, "windows-11") {
		t.Errorf("what runs on GitHub: %+v", got)
	}
	got := tests[1]
	if got.Result != "passed" || got.Installer != "x64" || got.Artifact != built.Artifact || !got.At.Equal(buildTime) {
		t.Errorf("%+v", got)
	}
	upgraded := slices.IndexFunc(got.Steps, func(s fleet.TestStep) bool { return s.Name == "upgrade" && s.Result == "passed" })
	if upgraded < 0 || got.Steps[upgraded].Detail != "from 24.09" {
		t.Errorf("no upgrade from the release before: %+v", got.Steps)
	}
	w.attested(t, got, built.Files[0].Digest, "PASSED", "imagined/x64/upgrade")
}

// attested checks a cell's attestation: by the key, for this artifact, attached
// to it, naming a test.
func (w *testWorld) attested(t *testing.T, got fleet.Tested, file fleet.Digest, result, name string) {
	t.Helper()
	trust := fleet.Trust{Keys: map[string]fleet.TrustedKey{"ci": {PEM: w.key.PublicPEM(), Uses: []string{"test"}, From: "2026-01-01"}}}
	verifier, err := signing.NewVerifier(trust, signing.UseTest)
	if err != nil {
		t.Fatal(err)
	}
	for _, subject := range []fleet.Digest{got.Artifact, file} {
		statement, err := verifier.VerifyStatement(subject, got.Attestation, got.At)
		if err != nil {
			t.Fatalf("%s: %v", subject, err)
		}
		text := string(statement.Predicate)
		if statement.PredicateType != signing.PredicateTestResult || !strings.Contains(text, result) || !strings.Contains(text, name) {
			t.Errorf("%s says %s", statement.PredicateType, text)
		}
	}
	attached, err := w.Store.Referrers(t.Context(), got.Artifact, store.MediaTypeBundle)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(attached, func(r store.Referrer) bool { return string(r.Data) == string(got.Attestation) }) {
		t.Error("the attestation is not attached to the artifact")
	}
}

func TestTestFails(t *testing.T) {
	w := newTestWorld(t)
	built := w.build(t, "acme/hello", "24.09")
	w.Cells["simulated"] = cellFunc(func(context.Context, testbed.Spec) ([]fleet.TestStep, error) {
		return []fleet.TestStep{{Name: "absent", Result: "passed"}, {Name: "install", Result: "failed", Detail: "exit code 1603"}}, nil
	})
	tests, err := w.Test(t.Context(), w.repo, built, w.rec)
	if err != nil {
		t.Fatal(err)
	}
	if tests[1].Result != "failed" {
		t.Fatalf("%+v", tests[1])
	}
	w.attested(t, tests[1], built.Files[0].Digest, "FAILED", "imagined/x64/install")
}

// TestTestWithout is what a machine lacks, and what cannot be tested at all.
func TestTestWithout(t *testing.T) {
	broken := errors.New("broken")
	wait := fleet.Errorf(fleet.Waiting, "x", "x", "no such program")
	cannot := fleet.Errorf(fleet.Invalid, "x", "x", "not in this cell")
	for name, c := range map[string]struct {
		matrix  []string
		cell    error
		kind    fleet.Kind
		results []string // nil: an error is expected
	}{
		"no such cell here":        {[]string{"wine"}, nil, fleet.Waiting, nil},
		"a part is missing":        {[]string{"imagined"}, wait, fleet.Waiting, nil},
		"missing beside GitHub":    {[]string{"windows-11", "wine"}, nil, fleet.Waiting, nil},
		"the cell cannot":          {[]string{"imagined", "windows-11"}, cannot, 0, []string{"skipped", "skipped"}},
		"GitHub alone":             {[]string{"windows-11"}, nil, 0, []string{"skipped"}},
		"the cell broke":           {[]string{"imagined"}, broken, fleet.Internal, nil},
		"no environment takes it":  {[]string{"debian"}, nil, fleet.Invalid, nil},
		"an empty matrix":          {nil, nil, fleet.Invalid, nil},
		"an unknown environment":   {[]string{"nowhere"}, nil, fleet.Invalid, nil},
		"one of two cells is here": {[]string{"wine", "imagined"}, nil, 0, []string{"skipped", "passed"}},
	} {
		w := newTestWorld(t)
		built := w.build(t, "acme/hello", "24.09")
		w.in("acme/hello", c.matrix...)
		if c.cell != nil {
			w.Cells["simulated"] = cellFunc(func(context.Context, testbed.Spec) ([]fleet.TestStep, error) { return nil, c.cell })
		}
		tests, err := w.Test(t.Context(), w.repo, built, w.rec)
		var results []string
		for _, r := range tests {
			results = append(results, r.Result)
		}
		if (err == nil) != (c.results != nil) || err != nil && fleet.KindOf(err) != c.kind || !slices.Equal(results, c.results) {
			t.Errorf("%s: %v %v", name, results, err)
		}
	}
}

// TestTestContent: cells get exactly the files that devices get, and nothing
// from a store whose bytes were altered.
func TestTestContent(t *testing.T) {
	w := newTestWorld(t)
	unpacked := map[string][]string{}
	look := cellFunc(func(ctx context.Context, spec testbed.Spec) ([]fleet.TestStep, error) {
		dir := t.TempDir()
		root, err := os.OpenRoot(dir)
		if err != nil {
			return nil, err
		}
		defer root.Close()
		setup, err := spec.This.Unpack(ctx, root)
		if err != nil {
			return nil, err
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		names := []string{"setup " + setup}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		unpacked[string(spec.Package.ID)] = names
		return []fleet.TestStep{{Name: "absent", Result: "passed"}}, nil
	})
	w.Cells = map[string]factory.Cell{"wine": look, "chroot": look}
	w.in("acme/hello", "wine")
	w.in("acme/linux", "debian")
	w.in("acme/proxy", "wine")
	for id, version := range map[fleet.PackageID]string{"acme/hello": "24.09", "acme/linux": "1:2.0-3", "acme/proxy": "1"} {
		if _, err := w.Test(t.Context(), w.repo, w.build(t, id, version), w.rec); err != nil {
			t.Fatalf("%s: %v", id, err)
		}
	}
	want := map[string][]string{
		"acme/hello": {"setup install.cmd", "hello.exe", "install.cmd", "packmill.json", "packmill.ps1", "uninstall.cmd"},
		"acme/linux": {"setup packmill-hello_2.0-3_all.deb", "packmill-hello_2.0-3_all.deb"},
		"acme/proxy": {"setup install.cmd", "install.cmd", "revert.ps1", "set.ps1", "uninstall.cmd"},
	}
	if !maps.EqualFunc(unpacked, want, slices.Equal) {
		t.Errorf("\n got %q\nwant %q", unpacked, want)
	}
	for _, id := range []fleet.PackageID{"acme/hello", "acme/linux"} {
		built := w.rec.Builds[slices.IndexFunc(w.rec.Builds, func(b fleet.Built) bool { return b.Package == id })]
		path := filepath.Join(w.Store.Where(), "blobs", "sha256", built.Files[0].Digest.Hex())
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)/2] ^= 1
		if err := errors.Join(os.Chmod(path, 0o644), os.WriteFile(path, data, 0o644)); err != nil {
			t.Fatal(err)
		}
		if tests, err := w.Test(t.Context(), w.repo, built, w.rec); fleet.KindOf(err) != fleet.Refused {
			t.Errorf("%s altered in the store: %+v %v", id, tests, err)
		}
	}
}

func TestMatrix(t *testing.T) {
	w := newTestWorld(t)
	w.in("acme/proxy", "imagined", "debian", "windows-11")
	w.in("acme/linux", "imagined", "debian")
	names := func(cells []factory.MatrixCell) []string {
		var out []string
		for _, c := range cells {
			out = append(out, string(c.Package)+"@"+c.Version+" "+c.Cell+" "+c.Installer)
		}
		return out
	}
	all := []string{
		"acme/hello@24.10 windows-11 x64", "acme/hello@24.10 imagined x64",
		"acme/linux@1:2.0-3 debian deb",
		"acme/proxy@1 imagined proxy", "acme/proxy@1 windows-11 proxy",
	}
	if got := names(factory.Matrix(w.repo)); !slices.Equal(got, all) {
		t.Errorf("%q", got)
	}
	if got := names(factory.Matrix(w.repo, "acme/linux")); !slices.Equal(got, all[2:3]) {
		t.Errorf("%q", got)
	}
}
