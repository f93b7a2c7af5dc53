package factory_test

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/edge/store"
	"github.com/packmill/packmill/internal/edge/testbed"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/graphpolicy"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/testreq"
)

const (
	examplePolicy = `{"name": "Edge", "platforms": "windows10", "technologies": "mdm", "settings": [{"settingInstance":
  {"settingDefinitionId": "edge_x", "@odata.type": "#microsoft.graph.deviceManagementConfigurationChoiceSettingInstance"}}]}`
	exampleRing    = `{"displayName": "Ring", "@odata.type": "#microsoft.graph.windowsUpdateForBusinessConfiguration"}`
	exampleProfile = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>
<key>PayloadContent</key><array/>
<key>PayloadIdentifier</key><string>example.profile</string>
<key>PayloadType</key><string>Configuration</string>
<key>PayloadUUID</key><string>7D8B4E57-3C3C-4C2E-9E0B-3C8C2B6E0E11</string>
<key>PayloadVersion</key><integer>1</integer>
</dict></plist>
`
	detectShell    = "#!/bin/sh\ntest -e /var/lib/example-on\n"
	remediateShell = "#!/bin/sh\ntouch /var/lib/example-on\n"
	revertShell    = "#!/bin/sh\nrm -f /var/lib/example-on\n"
	dashScript     = "Write-Host 'a \u2013 b'\r\n"
)

// settingsWorld is a world with one more package, whose settings are of every
// kind; the release states their digests.
func settingsWorld(t *testing.T) *buildWorld {
	t.Helper()
	w := newBuildWorld(t, signer(t))
	payload := map[string]string{
		"files/policy.json": examplePolicy, "files/ring.json": exampleRing, "files/x.mobileconfig": exampleProfile, "files/motd": "mind the gap\n",
		"files/detect.sh": detectShell, "files/remediate.sh": remediateShell, "files/revert.sh": revertShell, "files/x.ini": "[x]\r\n", "files/dash.ps1": dashScript,
	}
	pkg := fleet.Package{ID: "acme/baseline", Name: "Baseline", Kind: "configuration", Settings: map[string]fleet.Setting{
		"policy":   {CatalogPolicy: "files/policy.json"},
		"ring":     {DeviceConfiguration: "files/ring.json"},
		"profile":  {Profile: "files/x.mobileconfig"},
		"motd":     {Files: []fleet.SettingFile{{Path: "/etc/motd.d/example", Content: "files/motd"}}},
		"shell":    {Scripts: &fleet.SettingScripts{Detect: "files/detect.sh", Remediate: "files/remediate.sh", Revert: "files/revert.sh"}},
		"ini":      {Files: []fleet.SettingFile{{Path: `%ProgramData%\X\x.ini`, Content: "files/x.ini"}}},
		"registry": {Registry: []fleet.RegistryValue{{Key: `HKLM\SOFTWARE\X`, Value: "Y", Type: "dword", Data: fleet.NumberData(1), View: 64}}},
	}}
	release := fleet.Release{Counter: 1, Change: "new", Files: map[string]fleet.Digest{}}
	files := map[string][]byte{
		"catalog/acme/proxy/files/set.ps1": []byte(setScript), "catalog/acme/proxy/files/revert.ps1": []byte(revertScript), "catalog/acme/proxy/files/detect.ps1": []byte(detectScript),
	}
	for name, text := range payload {
		files["catalog/acme/baseline/"+name] = []byte(text)
		release.Files[name] = fleet.DigestOf([]byte(text))
	}
	for key, s := range pkg.Settings {
		if name, digest := s.Inline(key); name != "" {
			release.Files[name] = digest
		}
	}
	pkg.Releases = map[string]fleet.Release{"3": release}
	git, err := gitrepo.Init(filepath.Join(t.TempDir(), "repo"), true)
	if err != nil {
		t.Fatal(err)
	}
	commit, err := git.Commit(t.Context(), gitrepo.CommitSpec{Files: files, Message: "x", Author: fleet.Identity{Name: "a", Email: "a@example.com"}, When: buildTime})
	if err != nil {
		t.Fatal(err)
	}
	w.Git, w.repo.Commit = git, commit
	w.repo.Packages[pkg.ID] = pkg
	return w
}

func TestBuildSettings(t *testing.T) {
	w := settingsWorld(t)
	p := w.make(t, "acme/baseline", "3")
	got := map[string]string{}
	files := map[string]fleet.BuiltFile{}
	for _, f := range p.Built.Files {
		got[f.Name], files[f.Name] = f.Installer+" "+f.MediaType, f
	}
	want := map[string]string{
		"baseline-3-policy.policy.json":               "policy " + store.MediaTypeCatalogPolicy,
		"baseline-3-ring.configuration.json":          "ring " + store.MediaTypeDeviceConfig,
		"baseline-3-profile.mobileconfig":             "profile " + store.MediaTypeProfile,
		"baseline-3-ini.intunewin":                    "ini " + store.MediaTypeIntunewin,
		"baseline-3-ini.health-script.json":           "ini " + store.MediaTypeHealthScript,
		"baseline-3-registry.intunewin":               "registry " + store.MediaTypeIntunewin,
		"baseline-3-registry.health-script.json":      "registry " + store.MediaTypeHealthScript,
		"packmill-acme-baseline-motd_3_all.deb":       "motd " + store.MediaTypeDeb,
		"packmill-acme-baseline-motd-3-1.noarch.rpm":  "motd " + store.MediaTypeRPM,
		"packmill-acme-baseline-shell_3_all.deb":      "shell " + store.MediaTypeDeb,
		"packmill-acme-baseline-shell-3-1.noarch.rpm": "shell " + store.MediaTypeRPM,
	}
	if !maps.Equal(got, want) {
		t.Errorf("built %q", slices.Sorted(maps.Keys(got)))
	}
	if text := string(w.stored(t, files["baseline-3-policy.policy.json"])); text != `{"name":"Edge","platforms":"windows10","settings":[{"settingInstance":{"@odata.type":"#microsoft.graph.deviceManagementConfigurationChoiceSettingInstance","settingDefinitionId":"edge_x"}}],"technologies":"mdm"}`+"\n" {
		t.Errorf("%s", text)
	}
	_, folder := w.container(t, files["baseline-3-registry.intunewin"])
	health, err := graphpolicy.ParseHealthScript(w.stored(t, files["baseline-3-registry.health-script.json"]))
	if err != nil || string(health.Remediation) != folder["remediate.ps1"] || folder["revert.ps1"] == "" || !strings.Contains(folder["install.cmd"], "remediate.ps1") || health.Publisher != "Acme" {
		t.Errorf("%+v (%v)", health, err)
	}
	if _, err := w.VerifyArtifact(t.Context(), p.Built.Artifact, w.claim()); err != nil {
		t.Error(err)
	}
	if again := w.make(t, "acme/baseline", "3"); again.Built.Artifact != p.Built.Artifact {
		t.Errorf("built %s, then %s", p.Built.Artifact, again.Built.Artifact)
	}
}

// What is not what was merged, or no payload of its kind, is refused.
func TestBuildSettingsRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s map[string]fleet.Setting, r fleet.Release)
		kind   fleet.Kind
		want   string
	}{
		"another registry value": {func(s map[string]fleet.Setting, _ fleet.Release) {
			v := s["registry"].Registry[0]
			v.Data = fleet.NumberData(2)
			s["registry"] = fleet.Setting{Registry: []fleet.RegistryValue{v}}
		}, fleet.Refused, "settings/registry"},
		"another path": {func(s map[string]fleet.Setting, _ fleet.Release) {
			s["motd"] = fleet.Setting{Files: []fleet.SettingFile{{Path: "/etc/motd", Content: "files/motd"}}}
		}, fleet.Refused, "settings/motd"},
		"another file":      {func(_ map[string]fleet.Setting, r fleet.Release) { r.Files["files/x.ini"] = fleet.DigestOf(nil) }, fleet.Refused, "changed after merge"},
		"a file not merged": {func(_ map[string]fleet.Setting, r fleet.Release) { delete(r.Files, "files/ring.json") }, fleet.Refused, "changed after merge"},
		"no policy": {func(s map[string]fleet.Setting, _ fleet.Release) {
			s["policy"] = fleet.Setting{CatalogPolicy: "files/x.ini"}
		}, fleet.Invalid, "no JSON"},
		"no profile": {func(s map[string]fleet.Setting, _ fleet.Release) {
			s["profile"] = fleet.Setting{Profile: "files/x.ini"}
		}, fleet.Invalid, "no property list"},
		"a script that is not ASCII": {func(s map[string]fleet.Setting, r fleet.Release) {
			s["own"] = fleet.Setting{Scripts: &fleet.SettingScripts{Detect: "files/x.ini", Remediate: "files/dash.ps1", Revert: "files/x.ini"}}
			r.Files["files/dash.ps1"] = fleet.DigestOf([]byte(dashScript))
		}, fleet.Invalid, "files/dash.ps1: line 1, column 15: byte 0xe2 is not ASCII"},
	} {
		w := settingsWorld(t)
		pkg := w.repo.Packages["acme/baseline"]
		c.change(pkg.Settings, pkg.Releases["3"])
		if _, err := w.Make(t.Context(), w.repo, "acme/baseline", "3"); err == nil || fleet.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// placed is a stored file on disk, for programs.
func (w *buildWorld) placed(t *testing.T, p factory.Product, name string) string {
	t.Helper()
	i := slices.IndexFunc(p.Built.Files, func(f fleet.BuiltFile) bool { return f.Name == name })
	if i < 0 {
		t.Fatalf("%s was not built: %+v", name, p.Built.Files)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, w.stored(t, p.Built.Files[i]), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func outputOf(t *testing.T, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), testreq.Program(t, program), args...)
	cmd.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, out)
	}
	return string(out)
}

// dpkg-deb and rpm read what was built for Linux.
func TestLinuxPackagesAreWhatLinuxReads(t *testing.T) {
	w := settingsWorld(t)
	p := w.make(t, "acme/baseline", "3")
	t.Run("deb", func(t *testing.T) {
		deb := w.placed(t, p, "packmill-acme-baseline-shell_3_all.deb")
		if got := outputOf(t, "dpkg-deb", "-f", deb, "Package", "Version", "Architecture"); got != "Package: packmill-acme-baseline-shell\nVersion: 3\nArchitecture: all\n" {
			t.Errorf("%s", got)
		}
		list := outputOf(t, "dpkg-deb", "-c", deb)
		for _, want := range []string{"-rwxr-xr-x root/root", "1980-01-01 00:00 ./usr/lib/packmill/acme/baseline/shell/remediate.sh"} {
			if !strings.Contains(list, want) {
				t.Errorf("%q is not in\n%s", want, list)
			}
		}
		for script, want := range map[string]string{"postinst": "/remediate.sh", "prerm": "/revert.sh"} {
			if got := outputOf(t, "dpkg-deb", "-I", deb, script); !strings.Contains(got, want) {
				t.Errorf("%s: %s", script, got)
			}
		}
	})
	t.Run("rpm", func(t *testing.T) {
		rpm := w.placed(t, p, "packmill-acme-baseline-shell-3-1.noarch.rpm")
		got := outputOf(t, "rpm", "-qp", "--nosignature", "--qf", "%{NAME} %{VERSION} %{ARCH} %{BUILDHOST} %{BUILDTIME} [%{FILENAMES} ]", rpm)
		if want := "packmill-acme-baseline-shell 3 noarch packmill 315532800 "; !strings.HasPrefix(got, want) || !strings.Contains(got, "/usr/lib/packmill/acme/baseline/shell/revert.sh") {
			t.Errorf("%s", got)
		}
		if scripts := outputOf(t, "rpm", "-qp", "--nosignature", "--scripts", rpm); !strings.Contains(scripts, "postinstall") || !strings.Contains(scripts, "/revert.sh") {
			t.Errorf("%s", scripts)
		}
		outputOf(t, "rpm", "-K", "--nosignature", rpm)
	})
}

// A program for Linux becomes /usr/bin/<package>, if it is one, and for the
// machine that is stated.
func TestBuildLinuxProgram(t *testing.T) {
	w := newBuildWorld(t, signer(t))
	elf := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 57)...)
	elf[18] = 62 // x64
	build := func(arch, version string, data []byte) (factory.Product, error) {
		w.files["/downloads.example/tool"] = data
		w.repo.Packages["acme/tool"] = fleet.Package{
			ID: "acme/tool", Name: "Tool", Kind: "application",
			Installers: map[string]fleet.Installer{"linux": {Platform: "linux", Arch: arch, Type: "portable"}},
			Releases: map[string]fleet.Release{version: {Counter: 1, Change: "new", Installers: map[string]fleet.Download{"linux": {
				URL: "https://downloads.example/tool", Size: int64(len(data)), SHA256: fleet.DigestOf(data), Signer: fleet.SignedBy{Unsigned: true}}}}},
		}
		return w.Make(t.Context(), w.repo, "acme/tool", version)
	}
	p, err := build("x64", "1.2~rc1", elf)
	if err != nil {
		t.Fatal(err)
	}
	list := outputOf(t, "dpkg-deb", "-c", w.placed(t, p, "packmill-acme-tool_1.2~rc1_amd64.deb"))
	if !strings.Contains(list, "-rwxr-xr-x root/root") || !strings.Contains(list, "./usr/bin/tool") {
		t.Errorf("%s", list)
	}
	w.placed(t, p, "packmill-acme-tool-1.2~rc1-1.x86_64.rpm")
	if _, err := build("arm64", "1.2", elf); fleet.KindOf(err) != fleet.Refused || err == nil || !strings.Contains(err.Error(), "x64") {
		t.Errorf("another machine: %v", err)
	}
	if _, err := build("x64", "1.2", fixture(t, "pe/testdata/hello.exe")); fleet.KindOf(err) != fleet.Refused || err == nil {
		t.Errorf("a Windows program: %v", err)
	}
	if _, err := build("x64", "1.2-3", elf); fleet.KindOf(err) != fleet.Waiting || err == nil {
		t.Errorf("a version with a revision: %v", err)
	}
	if again, err := build("x64", "1.2~rc1", bytes.Clone(elf)); err != nil || again.Built.Artifact != p.Built.Artifact {
		t.Errorf("built %s, then %s (%v)", p.Built.Artifact, again.Built.Artifact, err)
	}
}

// A setting by shell scripts is installed, kept and reverted in a real Debian
// system.
func TestLinuxSettingInACell(t *testing.T) {
	testreq.Root(t)
	testreq.Program(t, "debootstrap")
	testreq.Program(t, "bwrap")
	bed := testbed.Bed{Dir: os.Getenv("PACKMILL_TESTBED"), System: os.DirFS("/"), Getenv: os.Getenv}
	bases, err := filepath.Glob(filepath.Join(bed.Dir, "base", "chroot-*"))
	testreq.Need(t, "a prepared base", bed.Dir != "" && (err == nil && len(bases) > 0 || os.Getenv("PACKMILL_REQUIRE") == "all"), "PACKMILL_TESTBED names no folder that holds one")
	w := settingsWorld(t)
	pkg := w.repo.Packages["acme/baseline"]
	pkg.Rollback, pkg.Tests = "uninstall", fleet.Tests{Matrix: []string{"debian"}, Launch: "test -e /var/lib/example-on"}
	pkg.Settings = map[string]fleet.Setting{"shell": pkg.Settings["shell"]}
	w.repo.Packages[pkg.ID] = pkg
	w.repo.Matrices = map[string]fleet.Environment{"debian": {Platform: "linux", OS: "Debian", Arch: "x64", Runner: fleet.Runner{Local: "chroot"}}}
	w.Cells = map[string]factory.Cell{"chroot": testbed.NewChroot(bed)}
	tests, err := w.Test(t.Context(), w.repo, w.make(t, pkg.ID, "3").Built, nil)
	if err != nil {
		t.Fatal(err)
	}
	passed := map[string]bool{}
	for _, s := range tests[0].Steps {
		passed[s.Name] = s.Result == "passed"
	}
	for _, step := range []string{"absent", "install", "detect", "launch", "uninstall", "gone"} {
		if !passed[step] || len(tests) != 1 {
			t.Errorf("%s did not pass: %+v", step, tests[0].Steps)
		}
	}
}
