package cli

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/edge/signing"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/testreq"
)

// releaseArchive is a release whose packmill is a script that says its version.
func releaseArchive(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	program := "#!/bin/sh\necho packmill v1.2.3\n"
	if err := w.WriteHeader(&tar.Header{Name: "packmill", Size: int64(len(program)), Mode: 0o755}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(program)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestSetup runs the setup action's script against a server of releases, with
// stock cosign.
func TestSetup(t *testing.T) {
	for _, program := range []string{"bash", "curl", "sha256sum", "tar", "cosign"} {
		testreq.Program(t, program)
	}
	arch := map[string]string{"amd64": "X64", "arm64": "ARM64"}[runtime.GOARCH]
	testreq.Need(t, "Linux", runtime.GOOS == "linux" && arch != "", "the fixture is a release for Linux")
	name := fmt.Sprintf("packmill_1.2.3_linux_%s.tar.gz", runtime.GOARCH)
	archive := releaseArchive(t)
	keys := t.TempDir()
	key, other := newKeyPair(t, filepath.Join(keys, "mill.key")), newKeyPair(t, filepath.Join(keys, "other.key"))
	sums := []byte(fleet.DigestOf(archive).Hex() + "  " + name + "\n")
	bundle := func(k *signing.Key, data []byte) []byte {
		b, err := k.SignBlob(t.Context(), data)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	altered := append(bytes.Clone(archive), 0)
	twice := append(bytes.Clone(sums), sums...)
	for label, c := range map[string]struct {
		version               string
		sums, bundle, archive []byte
		ok                    bool
		says                  string
	}{
		"a release":              {"v1.2.3", sums, bundle(key, sums), archive, true, "packmill v1.2.3"},
		"altered archive":        {"v1.2.3", sums, bundle(key, sums), altered, false, "FAILED"},
		"altered checksums":      {"v1.2.3", append(bytes.Clone(sums), '\n'), bundle(key, sums), archive, false, ""},
		"signed by somebody":     {"v1.2.3", sums, bundle(other, sums), archive, false, ""},
		"no signature":           {"v1.2.3", sums, nil, archive, false, "404"},
		"named twice":            {"v1.2.3", twice, bundle(key, twice), archive, false, "once"},
		"not there":              {"v9.9.9", nil, nil, nil, false, "404"},
		"a version that is code": {"v1.2.3;touch$(x)", nil, nil, nil, false, "is neither"},
		"a branch":               {"main", nil, nil, nil, false, "is neither"},
	} {
		t.Run(label, func(t *testing.T) {
			files := map[string][]byte{"SHA256SUMS": c.sums, "SHA256SUMS.sigstore.json": c.bundle, name: c.archive}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				data := files[strings.TrimPrefix(r.URL.Path, "/releases/download/v1.2.3/")]
				if data == nil {
					http.NotFound(w, r)
					return
				}
				_, _ = w.Write(data)
			}))
			defer server.Close()
			path, out, err := setup(t.Context(), t.TempDir(), c.version, server.URL, signing.PublicPath(filepath.Join(keys, "mill.key")), arch)
			if (err == nil) != c.ok || !strings.Contains(out, c.says) {
				t.Errorf("%v\n%s", err, out)
			}
			if (path != "") != c.ok {
				t.Errorf("PATH gets %q", path)
			}
		})
	}
}

func newKeyPair(t *testing.T, path string) *signing.Key {
	t.Helper()
	key, err := signing.GenerateFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// setup runs the script as a runner does, and gives what it adds to PATH.
func setup(ctx context.Context, temp, version, server, key, arch string) (path, output string, err error) {
	action, err := filepath.Abs(filepath.Join("..", "..", "actions", "setup"))
	if err != nil {
		return "", "", err
	}
	added := filepath.Join(temp, "path")
	cmd := exec.CommandContext(ctx, "bash", filepath.Join(action, "setup.sh"))
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + temp, "GITHUB_ACTION_PATH=" + action, "GITHUB_PATH=" + added, "RUNNER_TEMP=" + temp,
		"RUNNER_OS=Linux", "RUNNER_ARCH=" + arch, "VERSION=" + version, "SERVER=" + server, "PUBLIC_KEY=" + key,
	}
	out, err := cmd.CombinedOutput()
	data, readErr := os.ReadFile(added)
	if readErr != nil {
		data = nil
	}
	return string(data), string(out), err
}
