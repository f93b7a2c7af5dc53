package releases

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// tell is an entry in one line: all that is known of it.
func tell(list []Entry) string {
	var b strings.Builder
	for _, e := range list {
		fmt.Fprintf(&b, "%s", e.Version)
		if !e.Published.IsZero() {
			fmt.Fprintf(&b, " at %s", e.Published.Format("2006-01-02T15:04"))
		}
		if e.Prerelease {
			b.WriteString(" early")
		}
		if e.More != "" {
			fmt.Fprintf(&b, " more in %s", e.More)
		}
		if e.Notes != "" || e.NotesURL != "" {
			fmt.Fprintf(&b, " notes %q %s", e.Notes, e.NotesURL)
		}
		b.WriteString("\n")
		for _, f := range e.Files {
			fmt.Fprintf(&b, "  %s %s", f.Name, f.URL)
			for _, s := range []string{f.Arch, f.Type, f.Scope, f.Language} {
				if s != "" {
					b.WriteString(" " + s)
				}
			}
			if f.Size > 0 {
				fmt.Fprintf(&b, " %d bytes", f.Size)
			}
			if f.SHA256 != "" {
				b.WriteString(" " + string(f.SHA256)[:11])
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

func pypiBase(t testing.TB) *url.URL {
	t.Helper()
	base, err := url.Parse("https://index.vendor.example/root/simple/acme-tool/")
	if err != nil {
		t.Fatal(err)
	}
	return base
}

// TestManaged reads an answer of each forge and package manager.
func TestManaged(t *testing.T) {
	manifest := func(data []byte) ([]Entry, error) {
		e, err := WingetManifest(data)
		return []Entry{e}, err
	}
	registration := func(data []byte) ([]Entry, error) {
		list, _, err := NuGetRegistration(data)
		return list, err
	}
	for _, tt := range []struct {
		file string
		read func([]byte) ([]Entry, error)
		want string
	}{
		{"gitlab.json", GitLab, `v1.4.1 at 2026-11-03T09:30 notes "## Fixes\n\n- one" https://gitlab.vendor.example/g/tool/-/releases/v1.4.1
  tool-1.4.1-x64.msi https://gitlab.vendor.example/g/tool/-/releases/v1.4.1/downloads/tool-1.4.1-x64.msi
  tool-1.4.1-arm64.msi https://downloads.vendor.example/1.4.1/tool-1.4.1-arm64.msi
`},
		{"gitea.json", Gitea, `v0.8.0-rc.1 at 2026-11-08T08:00 early
v0.7.2 at 2026-10-02T06:00 notes "Bugs." https://git.vendor.example/acme/tool/releases/tag/v0.7.2
  tool-0.7.2.exe https://git.vendor.example/acme/tool/releases/download/v0.7.2/tool-0.7.2.exe 4000 bytes
`},
		{"winget-folder.json", WingetFolder, "1.10.0 more in manifests/a/Acme/Tool/1.10.0\n1.9.0 more in manifests/a/Acme/Tool/1.9.0\n"},
		{"winget-installer.yaml", manifest, `1.10.0 at 2026-11-03T00:00
  tool-x64.msi https://downloads.vendor.example/1.10.0/tool-x64.msi x64 msi machine sha256:0123
  tool-arm64.exe https://downloads.vendor.example/1.10.0/tool-arm64.exe arm64 exe user fi-FI sha256:1123
  tool.zip https://downloads.vendor.example/1.10.0/tool.zip universal portable machine sha256:2123
`},
		{"winget-singleton.yaml", manifest, "1.9.0\n  tool.msi https://downloads.vendor.example/1.9.0/tool.msi x86 msi sha256:b388\n"},
		{"winget-rest.json", WingetREST, `1.10.0 at 2026-11-03T00:00 notes "Bugs." https://vendor.example/notes
  tool-x64.exe https://downloads.vendor.example/1.10.0/tool-x64.exe x64 exe machine sha256:0123
  tool-x86.exe https://downloads.vendor.example/1.10.0/tool-x86.exe x86 exe machine sha256:1123
1.9.0
  tool.appx https://downloads.vendor.example/1.9.0/tool.appx x64 msix sha256:2123
`},
		{"nuget-registration.json", registration, `1.0.0 at 2026-01-04T10:00
  acme.tool.1.0.0.nupkg https://api.vendor.example/v3-flatcontainer/acme.tool/1.0.0/acme.tool.1.0.0.nupkg
1.1.0 at 2026-10-04T10:00
  acme.tool.1.1.0.nupkg https://api.vendor.example/v3-flatcontainer/acme.tool/1.1.0/acme.tool.1.1.0.nupkg
`},
		{"nuget-page.json", registration, `0.9.0-beta at 2025-01-04T10:00 early
  acme.tool.0.9.0-beta.nupkg https://api.vendor.example/v3-flatcontainer/acme.tool/0.9.0-beta/acme.tool.0.9.0-beta.nupkg
`},
		{"nuget-versions.json", func(data []byte) ([]Entry, error) {
			list, err := NuGetVersions(data, "https://api.vendor.example/flat/", "Acme.Tool")
			return list[1:2], err
		}, "1.1.0-Beta.1 early\n  acme.tool.1.1.0-beta.1.nupkg https://api.vendor.example/flat/acme.tool/1.1.0-beta.1/acme.tool.1.1.0-beta.1.nupkg\n"},
		{"nuget-odata.xml", func(data []byte) ([]Entry, error) {
			list, next, err := NuGetOData(data, "Tool")
			if next != "https://choco.vendor.example/api/v2/FindPackagesById?id='tool'&$skiptoken='tool','1.2-beta'" {
				t.Errorf("next page %q", next)
			}
			return list, err
		}, `1.0 at 2026-01-04T10:00 notes "Bugs." 
  tool.1.0.nupkg https://choco.vendor.example/api/v2/package/tool/1.0 5150 bytes sha256:0123
1.2-beta at 2026-11-04T10:00 early
  tool.1.2-beta.nupkg https://choco.vendor.example/api/v2/package/tool/1.2-beta 5152 bytes
`},
		{"pypi.json", func(data []byte) ([]Entry, error) { return PyPI(data, "Acme_Tool", pypiBase(t)) }, `1.0.0 at 2026-01-04T10:00
  acme-tool-1.0.0.tar.gz https://files.vendor.example/acme-tool-1.0.0.tar.gz 4000 bytes sha256:0123
1.1.0 at 2026-10-04T10:00
  acme_tool-1.1.0-py3-none-any.whl https://index.vendor.example/root/files/acme_tool-1.1.0-py3-none-any.whl 4100 bytes sha256:1123
  acme_tool-1.1.0.tar.gz https://index.vendor.example/root/files/acme_tool-1.1.0.tar.gz 4200 bytes
1.2.0rc1 early
  acme_tool-1.2.0rc1-1-cp311-cp311-win_amd64.whl https://files.vendor.example/acme_tool-1.2.0rc1-1-cp311-cp311-win_amd64.whl
`},
		{"pypi.html", func(data []byte) ([]Entry, error) { return PyPI(data, "acme-tool", pypiBase(t)) }, `1.0.0
  acme-tool-1.0.0.tar.gz https://files.vendor.example/acme-tool-1.0.0.tar.gz sha256:0123
1.1.0
  acme_tool-1.1.0-py3-none-any.whl https://index.vendor.example/root/files/acme_tool-1.1.0-py3-none-any.whl sha256:1123
`},
		{"rpm-primary.xml", func(data []byte) ([]Entry, error) {
			all, err := RPMPackages(bytes.NewReader(data), "https://rpm.vendor.example/el9/")
			return append(all["acme-tool x86_64"], all["acme-docs noarch"]...), err
		}, `1.0.0-1.el9 at 2025-11-01T12:26
  acme-tool-1.0.0-1.el9.x86_64.rpm https://rpm.vendor.example/el9/Packages/acme-tool-1.0.0-1.el9.x86_64.rpm x64 rpm 4000 bytes sha256:0123
2:1.1.0-1.el9 at 2025-11-13T02:13
  acme-tool-1.1.0-1.el9.x86_64.rpm https://rpm.vendor.example/el9/Packages/acme-tool-1.1.0-1.el9.x86_64.rpm x64 rpm 4100 bytes sha256:1123
2.0-1
  acme-docs-2.0-1.noarch.rpm https://rpm.vendor.example/el9/acme-docs-2.0-1.noarch.rpm rpm
`},
	} {
		list, err := tt.read(testdata(t, tt.file))
		if got := tell(list); err != nil || got != tt.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", tt.file, err, got, tt.want)
		}
	}
}

func TestManagedIndexes(t *testing.T) {
	registrations, packages, err := NuGetService(testdata(t, "nuget-service.json"))
	if err != nil || registrations != "https://api.vendor.example/v3/registration5-gz-semver2/" || packages != "https://api.vendor.example/v3-flatcontainer/" {
		t.Errorf("service index: %q, %q, %v", registrations, packages, err)
	}
	_, pages, err := NuGetRegistration(testdata(t, "nuget-registration.json"))
	if err != nil || len(pages) != 1 || !strings.HasSuffix(pages[0], "/page/0.1.0/0.9.0.json") {
		t.Errorf("pages of a registration: %v, %v", pages, err)
	}
	index, err := RPMRepository(testdata(t, "rpm-repomd.xml"))
	if err != nil || index.Path != "repodata/p-primary.xml.gz" || index.SHA256[:4] != "0123" {
		t.Errorf("repomd.xml: %+v, %v", index, err)
	}
}

func TestGitTags(t *testing.T) {
	if got := string(GitTagsCommand()); got != "0014command=ls-refs\n0001001aref-prefix refs/tags/\n0000" {
		t.Errorf("command %q", got)
	}
	id := strings.Repeat("a", 40)
	lines := func(texts ...string) []byte {
		var b strings.Builder
		for _, s := range texts {
			fmt.Fprintf(&b, "%04x%s", len(s)+4, s)
		}
		return []byte(b.String() + "0000")
	}
	got, err := GitTags(lines(id+" refs/tags/v1.0\n", id+" refs/tags/v1.1 peeled:"+id+"\n", id+" refs/tags/v1.1^{}\n", id+" refs/tags/a/b"))
	if err != nil || versions(got) != "v1.0 v1.1 a/b" {
		t.Errorf("%q, %v", versions(got), err)
	}
	for name, data := range map[string][]byte{
		"nothing": nil, "no tags": []byte("0000"), "a page": []byte("<html>"), "a branch": lines(id + " refs/heads/main\n"), "an error": lines("ERR no such repository"),
		"an empty line": []byte("00040000"), "cut off": lines(id + " refs/tags/v1\n")[:20], "no end": lines(id + " refs/tags/v1\n")[:60], "one word": lines("x"), "no length": []byte("zzzz"),
	} {
		if got, err := GitTags(data); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestPythonVersion(t *testing.T) {
	for _, tt := range [][3]string{
		{"tool-1.0.tar.gz", "tool", "1.0"}, {"my-tool-1.0.zip", "my.tool", "1.0"}, {"my_tool-1.0-2.tar.gz", "my-tool", "1.0-2"},
		{"Tool-1.0-py3-none-any.whl", "tool", "1.0"}, {"other-1.0-py3-none-any.whl", "tool", ""}, {"other-1.0.tar.gz", "tool", ""},
		{"tool-1.0-py3.whl", "tool", ""}, {"tool-1.0.exe", "tool", ""}, {"tool.tar.gz", "tool", ""}, {"tool-1.0+local_1-py3-none-any.whl", "tool", "1.0+local-1"},
		{"tool-extra-1.0.tar.gz", "tool", "extra-1.0"}, // of another project, on its own page never
	} {
		if got := PythonVersion(tt[0], tt[1]); got != tt[2] {
			t.Errorf("%s of %s: %q, want %q", tt[0], tt[1], got, tt[2])
		}
	}
	for v, want := range map[string]bool{"1.0": false, "1.0rc1": true, "1.0.dev3": true, "1.0a1": true, "2.0b": true, "1.0.post1": false, "1.0+dev1": false} {
		if pythonPrerelease(v) != want {
			t.Errorf("%s: early %v", v, !want)
		}
	}
}
