package rpm

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/goreleaser/nfpm/v2"
	nfiles "github.com/goreleaser/nfpm/v2/files"

	"github.com/packmill/packmill/internal/testreq"
)

// everything is a format for rpm of all that is read, and told its twin.
const everything = `%{NAME}|%{VERSION}|%{RELEASE}|%{ARCH}|%|EPOCH?{%{EPOCH}}:{0}|
%{SUMMARY}|%|VENDOR?{%{VENDOR}}:{}||%|LICENSE?{%{LICENSE}}:{}||%|URL?{%{URL}}:{}||%|PACKAGER?{%{PACKAGER}}:{}||%{OS}|%{LONGSIZE}
%{DESCRIPTION}
%{PAYLOADFORMAT}|%{PAYLOADCOMPRESSOR}
[requires %{REQUIRENAME}|%{REQUIREFLAGS:depflags}|%{REQUIREVERSION}
][provides %{PROVIDENAME}|%{PROVIDEFLAGS:depflags}|%{PROVIDEVERSION}
][conflicts %{CONFLICTNAME}|%{CONFLICTFLAGS:depflags}|%{CONFLICTVERSION}
][obsoletes %{OBSOLETENAME}|%{OBSOLETEFLAGS:depflags}|%{OBSOLETEVERSION}
][%{FILENAMES}|%{LONGFILESIZES}|%{FILEMODES:octal}|%{FILEUSERNAME}|%{FILEGROUPNAME}|%{FILELINKTOS}|%{FILEDIGESTS}|%{FILEFLAGS:fflags}
]%|PRETRANS?{%%pretrans %{PRETRANSPROG}: %{PRETRANS}
}|%|PREIN?{%%pre %{PREINPROG}: %{PREIN}
}|%|POSTIN?{%%post %{POSTINPROG}: %{POSTIN}
}|%|POSTTRANS?{%%posttrans %{POSTTRANSPROG}: %{POSTTRANS}
}|%|PREUN?{%%preun %{PREUNPROG}: %{PREUN}
}|%|POSTUN?{%%postun %{POSTUNPROG}: %{POSTUN}
}|%|VERIFYSCRIPT?{%%verifyscript %{VERIFYSCRIPTPROG}: %{VERIFYSCRIPT}
}|`

func told(f *File) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s|%s|%s|%s|%d\n", f.Facts.Name, f.Facts.Version, f.Facts.Release, f.Facts.Arch, f.Facts.Epoch)
	fmt.Fprintf(&b, "%s|%s|%s|%s|%s|%s|%d\n%s\n%s|%s\n", f.Summary, f.Vendor, f.License, f.URL, f.Packager, f.OS, f.Installed, f.Description, f.PayloadFormat, f.PayloadCompressor)
	for _, list := range []struct {
		name string
		all  []Relation
	}{{"requires", f.Requires}, {"provides", f.Provides}, {"conflicts", f.Conflicts}, {"obsoletes", f.Obsoletes}} {
		for _, r := range list.all {
			fmt.Fprintf(&b, "%s %s|%s|%s\n", list.name, r.Name, r.Operator, r.Version)
		}
	}
	for _, e := range f.Files {
		flags := map[bool]string{true: "c"}[e.Config] + map[bool]string{true: "g"}[e.Ghost]
		fmt.Fprintf(&b, "%s|%d|%o|%s|%s|%s|%s|%s\n", e.Path, e.Size, e.Mode, e.User, e.Group, e.Link, e.Digest, flags)
	}
	for _, s := range f.Scripts {
		fmt.Fprintf(&b, "%s %s: %s\n", s.Name, s.Program, s.Text)
	}
	return b.String()
}

// squeezed leaves out what only the two ways of printing differ in.
func squeezed(s string) string {
	s = strings.ReplaceAll(s, "| ", "|")
	for strings.Contains(s, "\n\n") {
		s = strings.ReplaceAll(s, "\n\n", "\n")
	}
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

// fixtures vary everything that nfpm can.
func fixtures(t *testing.T) map[string]fixture {
	script := filepath.Join(t.TempDir(), "s.sh")
	if err := os.WriteFile(script, []byte("echo hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]fixture{
		"plain":   {arch: "amd64"},
		"epoch":   {arch: "arm64", epoch: "3", compression: "xz"},
		"noarch":  {arch: "all", compression: "zstd"},
		"lzma":    {arch: "386", compression: "lzma"},
		"signed":  {arch: "amd64", sign: newKey(t, "Example AS", packet.PubKeyAlgoRSA)},
		"nothing": {arch: "all", change: func(i *nfpm.Info) { i.Overridables = nfpm.Overridables{RPM: nfpm.RPM{BuildHost: "b"}} }},
		"scripts": {arch: "amd64", change: func(i *nfpm.Info) {
			i.Scripts = nfpm.Scripts{PreInstall: script, PostInstall: script, PreRemove: script, PostRemove: script}
			i.RPM.Scripts = nfpm.RPMScripts{PreTrans: script, PostTrans: script, Verify: script}
		}},
		"relations": {arch: "amd64", change: func(i *nfpm.Info) {
			i.Depends = []string{"a", "b = 1", "c < 2:1.0-3", "d <= 2~rc1", "e > 1^git", "f >= 0"}
			i.Replaces = []string{"old < 5"}
			i.Description = "Größe – 大きさ"
		}},
		"many files": {arch: "amd64", change: func(i *nfpm.Info) {
			source := i.Contents[0].Source
			for n := range 300 {
				i.Contents = append(i.Contents, &nfiles.Content{Source: source, Destination: fmt.Sprintf("/opt/w/%d/%d", n%7, n), FileInfo: &nfiles.ContentFileInfo{Mode: os.FileMode(0o600 + n%8), MTime: day(), Owner: "games", Group: "mail"}})
			}
			i.Contents = append(i.Contents, &nfiles.Content{Destination: "/var/log/w.log", Type: "ghost", FileInfo: &nfiles.ContentFileInfo{Mode: 0o644, MTime: day()}})
		}},
	}
}

func TestRPMAgrees(t *testing.T) {
	program := testreq.Program(t, "rpm")
	for name, x := range fixtures(t) {
		data := build(t, x)
		file := filepath.Join(t.TempDir(), "a.rpm")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), program, "-qp", "--nosignature", "--nodigest", "--qf", everything, file)
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		f, err := parse(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, want := squeezed(told(f)), squeezed(string(out)); got != want {
			t.Errorf("%s:\n%s\nrpm says\n%s", name, got, want)
		}
	}
}

// What rpmkeys takes is verified, and what it refuses is not.
func TestRPMKeysAgree(t *testing.T) {
	program := testreq.Program(t, "rpmkeys")
	key, other := newKey(t, "Example AS", packet.PubKeyAlgoRSA), newKey(t, "Somebody", packet.PubKeyAlgoRSA)
	dir := t.TempDir()
	run := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), program, append([]string{"--dbpath", filepath.Join(dir, "db"), "--define", "_pkgverify_level all"}, args...)...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "LC_ALL=C.UTF-8")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	public := armored(t, key)
	if err := os.WriteFile(filepath.Join(dir, "key.asc"), []byte(public), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := run("--import", "key.asc"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	good := build(t, fixture{arch: "amd64", sign: key})
	change := func(at int) []byte {
		bad := append([]byte(nil), good...)
		bad[at] ^= 1
		return bad
	}
	for name, c := range map[string]struct {
		data []byte
		want bool
	}{
		"signed":           {good, true},
		"signed, xz":       {build(t, fixture{arch: "arm64", sign: key, compression: "xz"}), true},
		"signed by others": {build(t, fixture{arch: "amd64", sign: other}), false},
		"unsigned":         {build(t, fixture{arch: "amd64"}), false},
		"payload altered":  {change(len(good) - 20), false},
		"header altered":   {change(strings.LastIndex(string(good), "Apache-2.0")), false},
		"cut off":          {good[:len(good)-20], false},
	} {
		if err := os.WriteFile(filepath.Join(dir, "a.rpm"), c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := run("-K", "a.rpm")
		if (err == nil) != c.want {
			t.Errorf("%s: rpmkeys says %v: %s", name, err, out)
		}
		f, err := parse(c.data)
		if err == nil {
			_, err = f.Verify(public)
		}
		if (err == nil) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
