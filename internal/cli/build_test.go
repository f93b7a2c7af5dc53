package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/signing"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/testreq"
)

const buildNow = "2026-11-18T06:00:00Z"

// A buildBench is a repository with one real release, and its vendor.
type buildBench struct {
	t    *testing.T
	repo string
	env  map[string]string
	key  string
	exe  []byte            // what the vendor serves
	more map[string][]byte // what it serves under other names
}

// newBuildBench trusts the key it makes in tenants/operator.cue.
func newBuildBench(t *testing.T) *buildBench {
	t.Helper()
	exe, err := os.ReadFile(filepath.FromSlash("../format/pe/testdata/hello.exe"))
	if err != nil {
		t.Fatal(err)
	}
	b := &buildBench{t: t, repo: t.TempDir(), key: filepath.Join(t.TempDir(), "mill.key"), exe: exe}
	vendor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if data, ok := b.more[path.Base(path.Dir(r.URL.Path))+"/"+path.Base(r.URL.Path)]; ok {
			_, _ = w.Write(data)
			return
		}
		_, _ = w.Write(b.exe)
	}))
	t.Cleanup(vendor.Close)
	b.env = map[string]string{
		"PACKMILL_KEY": b.key, "PACKMILL_CACHE": t.TempDir(), "PACKMILL_STORE": filepath.Join(t.TempDir(), "store"), "PACKMILL_MIRROR": vendor.URL,
	}
	b.want(0, "keys", "generate", b.key)
	files := t.TempDir()
	b.want(0, "init", files)
	tree := workTree(t, files)
	public, err := os.ReadFile(signing.PublicPath(b.key))
	if err != nil {
		t.Fatal(err)
	}
	tree["tenants/operator.cue"] = append(tree["tenants/operator.cue"], "\n"+trustSnippet("bench", []string{"build"}, string(public), time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))...)
	for name, text := range benchCatalog(exe) {
		tree[name] = []byte(text)
	}
	git, err := gitrepo.Init(b.repo, true)
	if err != nil {
		t.Fatal(err)
	}
	head, err := git.Commit(t.Context(), gitrepo.CommitSpec{Files: tree, Message: "x", Author: fleet.Identity{Name: "t", Email: "t@example.com"}, When: time.Date(2026, 11, 17, 9, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	if err := git.SetBranch("main", "", head); err != nil {
		t.Fatal(err)
	}
	return b
}

func benchCatalog(exe []byte) map[string]string {
	const head = "package catalog\n\nimport \"github.com/packmill/packmill/schema\"\n\n"
	return map[string]string{
		"catalog/bench/publisher.cue": head + `publisher: schema.#Publisher & {name: "Bench", hosts: ["downloads.example"], unsigned: "accepted"}` + "\n",
		"catalog/bench/hello/package.cue": head + `pkg: schema.#Package & {
	id:   "bench/hello"
	name: "Hello"
	kind: "application"
	sources: ["made for this test"]
	installers: x64: {
		platform: "windows"
		arch:     "x64"
		type:     "portable"
		programFiles: "Hello"
		detect: [{operator: ">=", file: {path: "%ProgramFiles%\\Hello\\hello.exe", version: true}}]
	}
	tests: matrix: []
	rollback: "uninstall"
}
`,
		"catalog/bench/hello/24.09.cue": fmt.Sprintf(`package catalog

pkg: releases: "24.09": {
	counter: 1
	change:  "new"
	installers: x64: {
		url:    "https://downloads.example/hello.exe"
		size:   %d
		sha256: %q
		signer: unsigned: true
		pe: {fileVersion: "24.9.0.1", productVersion: "24.09", productName: "Hello", machine: "x64"}
	}
}
`, len(exe), fleet.DigestOf(exe)),
	}
}

// want runs packmill and fails the test on another exit code.
func (b *buildBench) want(code int, args ...string) (stdout, stderr string) {
	b.t.Helper()
	got, stdout, stderr := run(b.t, b.env, append([]string{"--repo", b.repo, "--now", buildNow}, args...)...)
	if got != code {
		b.t.Fatalf("packmill %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, stdout, stderr)
	}
	return stdout, stderr
}

func (b *buildBench) build() (v built) {
	b.t.Helper()
	out, _ := b.want(0, "build", "bench/hello@24.09", "--out", filepath.Join(b.t.TempDir(), "dist dir"), "--format", "json")
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		b.t.Fatal(err)
	}
	return v
}

func TestBuildAndVerifyCommands(t *testing.T) {
	b := newBuildBench(t)
	v := b.build()
	if again := b.build(); again.Artifact != v.Artifact || again.Inputs != v.Inputs {
		t.Errorf("built %s, then %s", v.Artifact, again.Artifact)
	}
	if len(v.Files) != 1 || v.Files[0].Name != "hello-24.09-x64.intunewin" || len(v.Verify) != 3 {
		t.Fatalf("%+v", v)
	}
	out, _ := b.want(0, "verify", string(v.Artifact))
	for _, want := range []string{"verified: bench/hello 24.09", "https://downloads.example/hello.exe", "that were merged"} {
		if !strings.Contains(out, want) {
			t.Errorf("verify does not say %q:\n%s", want, out)
		}
	}
	file := filepath.Join(v.Folder, v.Files[0].Name)
	b.want(0, "verify", file, "--release", "bench/hello@24.09", "--format", "json")

	t.Run("refusals", func(t *testing.T) { b.refusals(t, v, file) })
	t.Run("cosign", func(t *testing.T) { cosignAgrees(t, v) })
}

// refusals are what verify must answer with exit code 3.
func (b *buildBench) refusals(t *testing.T, v built, file string) {
	b.want(3, "verify", file, "--release", "bench/hello@24.10")
	b.want(3, "verify", string(fleet.DigestOf([]byte("none"))))
	b.want(3, "verify", string(v.Artifact), "--now", "2026-10-01T00:00:00Z") // before the key was in force
	other := filepath.Join(t.TempDir(), "other.key")
	b.want(0, "keys", "generate", other)
	_, told := b.want(3, "verify", string(v.Artifact), "--key", signing.PublicPath(other))
	if !strings.Contains(told, "trust policy") {
		t.Errorf("another key: %s", told)
	}
	b.want(3, "verify", file, "--bundle", filepath.Join(v.Folder, "SHA256SUMS.sigstore.json"))
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	flipped := filepath.Join(t.TempDir(), "flipped")
	if err := os.WriteFile(flipped, data, 0o600); err != nil {
		t.Fatal(err)
	}
	b.want(3, "verify", flipped, "--bundle", filepath.Join(v.Folder, "provenance.sigstore.json"))
	b.want(2, "verify", filepath.Join(t.TempDir(), "none"))
	b.want(2, "verify", string(v.Artifact), "--bundle", "x")
	b.want(2, "verify", file, "--release", "bench/hello")
	outside := t.TempDir()
	b.want(2, "--repo", outside, "verify", file)
	out, _ := b.want(0, "--repo", outside, "verify", file, "--key", signing.PublicPath(b.key))
	if !strings.Contains(out, "not compared") {
		t.Errorf("outside of a repository: %s", out)
	}
}

// cosignAgrees runs the printed commands as a shell would.
func cosignAgrees(t *testing.T, v built) {
	cosign := os.Getenv("PACKMILL_COSIGN")
	if cosign == "" {
		cosign = testreq.Program(t, "cosign")
	}
	for _, line := range v.Verify {
		cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", line)
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "PATH="+filepath.Dir(cosign)+":"+os.Getenv("PATH"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
}

func TestBuildCommandRefuses(t *testing.T) {
	b := newBuildBench(t)
	b.want(2, "build", "bench/none")
	b.want(2, "build", "bench/hello@9")
	_, told := b.want(2, "build", "igor-pavlov/7-zip") // init's own sample has no release
	if !strings.Contains(told, "packmill detect") {
		t.Errorf("no release: %s", told)
	}
	good := b.exe
	out := filepath.Join(t.TempDir(), "dist")
	for what, bytes := range map[string][]byte{"changed after merge": append([]byte("MZ"), good[:len(good)-2]...), "truncated": good[:100]} {
		b.exe = bytes
		_, told := b.want(3, "build", "bench/hello", "--out", out)
		if !strings.Contains(told, what) {
			t.Errorf("want %q: %s", what, told)
		}
	}
	if _, err := os.Stat(out); !os.IsNotExist(err) {
		t.Errorf("a refused build left %s", out)
	}
	b.exe = good
	delete(b.env, "PACKMILL_KEY")
	if _, told := b.want(2, "build", "bench/hello"); !strings.Contains(told, "keys generate") {
		t.Errorf("no key: %s", told)
	}
	b.env["PACKMILL_KEY"] = b.key
	if err := os.Chmod(b.key, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, told := b.want(3, "build", "bench/hello"); !strings.Contains(told, "chmod 600") {
		t.Errorf("a key others may read: %s", told)
	}
}

func TestKeysGenerate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mill.key")
	code, out, _ := run(t, map[string]string{"PACKMILL_KEY_PASSWORD": "secret"}, "keys", "generate", path, "--name", "builder", "--use", "build", "--now", buildNow)
	if code != 0 || !strings.Contains(out, `operator: trust: keys: "builder": {`) || !strings.Contains(out, `from: "2026-11-18"`) || strings.Contains(out, "PRIVATE") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	if _, err := signing.Load(path, []byte("secret")); err != nil {
		t.Error(err)
	}
	if code, _, told := run(t, nil, "keys", "generate", path); code != 3 || !strings.Contains(told, "already") {
		t.Errorf("a second key over the first: exit code %d: %s", code, told)
	}
}

func TestShellWord(t *testing.T) {
	for in, want := range map[string]string{"dist/a-1.0_x.json": "dist/a-1.0_x.json", "a b": "'a b'", "it's": `'it'\''s'`, "": "''", "$(x)": "'$(x)'"} {
		if got := shellWord(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}
