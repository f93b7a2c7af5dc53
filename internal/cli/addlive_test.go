package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/upstream"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/archive"
)

// TestAddLive adds real installers of every kind that this machine's own package
// clients can download: what nobody here made, and no test was written for. Each
// becomes a package that validates, with two open questions at most.
func TestAddLive(t *testing.T) {
	if testing.Short() {
		t.Skip("downloads from real registries: left out by -short")
	}
	t.Parallel()
	dir := t.TempDir()
	list := liveFiles(t, dir)
	const enough = 10
	if len(list) < enough {
		t.Skipf("only %d of the files could be downloaded here", len(list))
	}
	added := 0
	repo := filepath.Join(dir, "fleet")
	env := map[string]string{"HOME": dir, "PACKMILL_CACHE": dir}
	if code, _, told := run(t, env, "init", repo); code != 0 {
		t.Fatal(told)
	}
	kinds := map[string]bool{}
	for _, f := range list {
		args := append([]string{"-C", repo, "catalog", "add", f.path, "--format", "json", "--id", f.id}, f.also...)
		code, out, told := run(t, env, args...)
		if f.refused != "" {
			if code != 3 || !strings.Contains(told, f.refused) {
				t.Errorf("%s: exit code %d, %q, want a refusal that says %q", f.path, code, told, f.refused)
			}
			continue
		}
		var got imported
		if err := json.Unmarshal([]byte(out), &got); code != 0 || err != nil {
			t.Errorf("%s: exit code %d, %v: %s", f.path, code, err, told)
			continue
		}
		if len(got.Questions) > 2 || got.Version != f.version {
			t.Errorf("%s: version %q, want %q; %d questions: %+v", f.path, got.Version, f.version, len(got.Questions), got.Questions)
		}
		var seen fleet.Inspection
		if code, out, told = run(t, env, "inspect", f.path, "--format", "json"); code != 0 || json.Unmarshal([]byte(out), &seen) != nil {
			t.Errorf("%s: %s", f.path, told)
		}
		kinds[seen.Type+" "+seen.Maker] = true
		added++
		t.Logf("%s: %s %s %s, signed by %q, %d open questions", filepath.Base(f.path), seen.Kind, seen.Maker, got.Version, seen.Signer.Subject, len(got.Questions))
	}
	if code, out, told := run(t, env, "-C", repo, "validate", "--now", "2026-11-18T06:00:00Z"); code != 0 {
		t.Errorf("%s%s", out, told)
	}
	if added < enough || len(kinds) < 6 {
		t.Errorf("%d files were added, of these kinds: %v", added, kinds)
	}
}

// A liveFile is a downloaded installer, and what is known of it.
type liveFile struct {
	path, id, version string
	also              []string // flags of catalog add
	refused           string   // what add says, where it must not take the file
}

// liveFiles downloads what it can.
func liveFiles(t *testing.T, dir string) (out []liveFile) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	machine := upstream.Machine{Getenv: os.Getenv, Root: os.DirFS("/"), Run: runOutside}
	config := machine.Config(ctx)
	config.Clock = fleet.SystemClock{}
	client := upstream.New(config)
	have := func(f liveFile, err error) {
		if err != nil {
			t.Logf("%s: left out: %v", f.id, err)
			return
		}
		out = append(out, f)
	}
	for _, f := range []struct {
		purl, member string
		liveFile
	}{
		{"pkg:npm/7zip-bin@5.2.0", "package/win/x64/7za.exe", liveFile{id: "npm-a/7za", version: "21.07"}},
		{"pkg:npm/7zip-bin@5.2.0", "package/win/arm64/7za.exe", liveFile{id: "npm-b/7za-arm64", version: "21.02"}},
		{"pkg:npm/electron-winstaller@5.4.4", "package/vendor/Setup.exe", liveFile{id: "npm-c/squirrel", version: "1.9.1.0"}},
		{"pkg:npm/electron-winstaller@5.4.4", "package/vendor/nuget.exe", liveFile{id: "npm-d/nuget", version: "2.8.3"}},
		{"pkg:npm/electron-winstaller@5.4.4", "package/vendor/signtool.exe", liveFile{id: "npm-e/signtool", version: "6.1.7600.16385"}},
		{"pkg:npm/innosetup@6.4.1", "package/bin/ISCC.exe", liveFile{id: "npm-f/iscc", version: "6.4.1", also: []string{"--release", "6.4.1"}}},
		{"pkg:npm/term-size@2.2.1", "package/vendor/macos/term-size", liveFile{id: "npm-g/term-size", refused: "build a .pkg"}},
	} {
		f.path = filepath.Join(dir, strings.ReplaceAll(f.id, "/", "-")+filepath.Ext(f.member))
		have(f.liveFile, fetchMember(ctx, client, f.purl, f.member, f.path))
	}
	module, err := exec.CommandContext(ctx, "go", "mod", "download", "-json", "github.com/sassoftware/relic/v8@v8.2.0").Output()
	var at struct{ Dir string }
	err = errors.Join(err, json.Unmarshal(module, &at))
	for _, f := range []liveFile{
		{path: "dummy.msi", id: "go-a/dummy", version: "1.0.0"}, {path: "dummy.pkg", id: "go-b/dummy-mac", version: "1.0"},
		{path: "App1_1.0.3.0_x64.appx", id: "go-c/app", refused: "nothing of an MSIX"},
		{path: "WindowsFormsApplication1.exe", id: "go-d/forms", refused: "(expired)"},
		{path: "rocky-basesystem-11-13.el9.noarch.rpm", id: "go-f/basesystem", refused: "--key"},
		{path: "zlib1g_1.2.8.dfsg-5_i386.deb", id: "go-e/zlib1g", version: "1:1.2.8.dfsg-5"},
	} {
		f.path = filepath.Join(at.Dir, "functest", "packages", f.path)
		have(f, err)
	}
	for _, name := range []string{"tree", "win32-loader"} {
		path, version, err := aptDownload(ctx, dir, name)
		if name == "win32-loader" && err == nil {
			// A Debian package around an installer for Windows, made by NSIS.
			err = exec.CommandContext(ctx, "dpkg-deb", "-x", path, filepath.Join(dir, name)).Run()
			path = filepath.Join(dir, name, "usr", "share", "win32", "win32-loader.exe")
		}
		have(liveFile{path: path, id: "apt-" + name + "/" + name, version: version}, err)
	}
	return out
}

// fetchMember takes one file out of a package of npm's registry.
func fetchMember(ctx context.Context, from *upstream.Client, purl, member, to string) error {
	body, err := from.Fetch(ctx, fleet.Download{PURL: purl}, nil)
	if err != nil {
		return err
	}
	data, err := io.ReadAll(body)
	if err = errors.Join(err, body.Close()); err != nil {
		return err
	}
	var out bytes.Buffer
	if _, err := archive.ExtractTar(&out, bytes.NewReader(data), member, archive.Defaults()); err != nil {
		return err
	}
	return os.WriteFile(to, out.Bytes(), 0o644)
}

// aptDownload lets the machine's apt download a package.
func aptDownload(ctx context.Context, dir, name string) (path, version string, err error) {
	cmd := exec.CommandContext(ctx, "apt-get", "-q", "download", name)
	cmd.Dir = dir
	if err := cmd.Run(); err != nil {
		return "", "", err
	}
	found, err := filepath.Glob(filepath.Join(dir, name+"_*.deb"))
	if err != nil || len(found) != 1 {
		return "", "", errors.Join(err, errors.New("apt-get downloaded no package"))
	}
	out, err := exec.CommandContext(ctx, "dpkg-deb", "-f", found[0], "Version").Output()
	return found[0], strings.TrimSpace(string(out)), err
}
