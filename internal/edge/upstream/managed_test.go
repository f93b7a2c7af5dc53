package upstream

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/packmill/packmill/internal/fleet"
)

// example is an answer that the readers' tests use too.
func example(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "format", "releases", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// mirror serves answers by "/host/path?query". What is asked beside them is 404.
func mirror(t *testing.T, answers map[string]string) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := answers[r.URL.RequestURI()]
		if !ok {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, text)
	}))
	t.Cleanup(srv.Close)
	return srv
}

// packed is a text as an index is served.
func packed(t *testing.T, text, ending string) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	switch ending {
	case ".gz":
		w = gzip.NewWriter(&b)
	case ".xz":
		w, err = xz.NewWriter(&b)
	case ".zst":
		w, err = zstd.NewWriter(&b)
	}
	if err == nil {
		_, err = w.Write([]byte(text))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// rpmAnswers are a repository whose list is packed by the ending.
func rpmAnswers(t *testing.T, answers map[string]string, host, list, ending string) {
	t.Helper()
	body := packed(t, list, ending)
	answers["/"+host+"/el9/repodata/repomd.xml"] = `<repomd><data type="primary"><checksum type="sha256">` + hexSum([]byte(body)) + `</checksum><location href="repodata/p-primary.xml` + ending + `"/></data></repomd>`
	answers["/"+host+"/el9/repodata/p-primary.xml"+ending] = body
}

func managedAnswers(t *testing.T) map[string]string {
	const contents = "/api.github.com/repos/microsoft/winget-pkgs/contents/manifests/a/Acme/"
	answers := map[string]string{
		"/gitlab.vendor.example/api/v4/projects/g%2Fsub%2Ftool/releases?per_page=50": example(t, "gitlab.json"),
		"/git.vendor.example/api/v1/repos/acme/tool/releases?limit=50":               example(t, "gitea.json"),
		contents + "Tool": example(t, "winget-folder.json"),
		contents + "Tool/1.10.0/Acme.Tool.installer.yaml":       example(t, "winget-installer.yaml"),
		contents + "Tool/1.9.0/Acme.Tool.yaml":                  example(t, "winget-singleton.yaml"),
		"/winget.vendor.example/api/packageManifests/Acme.Tool": example(t, "winget-rest.json"),

		"/api.vendor.example/v3/index.json":                                                    example(t, "nuget-service.json"),
		"/api.vendor.example/v3/registration5-gz-semver2/acme.tool/index.json":                 example(t, "nuget-registration.json"),
		"/api.vendor.example/v3/registration5-gz-semver2/acme.tool/page/0.1.0/0.9.0.json":      example(t, "nuget-page.json"),
		"/plain.vendor.example/index.json":                                                     `{"resources": [{"@id": "https://plain.vendor.example/flat", "@type": "PackageBaseAddress/3.0.0"}]}`,
		"/plain.vendor.example/flat/acme.tool/index.json":                                      example(t, "nuget-versions.json"),
		"/choco.vendor.example/api/v2/FindPackagesById()?id='tool'":                            example(t, "nuget-odata.xml"),
		"/choco.vendor.example/api/v2/FindPackagesById?id='tool'&$skiptoken='tool','1.2-beta'": `<feed><entry><content src="https://choco.vendor.example/api/v2/package/tool/1.3"/><properties><Version>1.3</Version><Published>2026-11-05T10:00:00Z</Published></properties></entry></feed>`,
		"/simple/acme-tool/": example(t, "pypi.json"), "/html/acme-tool/": example(t, "pypi.html"),
	}
	for _, ending := range []string{".gz", ".xz", ".zst"} {
		rpmAnswers(t, answers, "rpm"+ending[1:]+".example", example(t, "rpm-primary.xml"), ending)
	}
	return answers
}

// TestManagedFeeds asks each forge and package manager for everything: version,
// release time, and where the installers are.
func TestManagedFeeds(t *testing.T) {
	srv := mirror(t, managedAnswers(t))
	listed := func(arch, kind string) map[string]fleet.Installer {
		return map[string]fleet.Installer{"i": {Arch: arch, Type: kind, Source: &fleet.Source{Listed: true}}}
	}
	asset := func(name string) map[string]fleet.Installer {
		return map[string]fleet.Installer{"i": {Arch: "x64", Source: &fleet.Source{Asset: name}}}
	}
	rpm := func(host string) fleet.Feed {
		return fleet.Feed{RPM: &fleet.RPM{URL: "https://" + host + "/el9/", Package: "acme-tool", Architecture: "x86_64"}, Match: `^(?:\d+:)?(?P<version>[0-9.]+)-`}
	}
	for name, tt := range map[string]struct {
		feed   fleet.Feed
		scheme string
		in     map[string]fleet.Installer
		index  string // path of the Python index
		want   string // version, release time, address, size, digest
	}{
		"GitLab": {fleet.Feed{GitLab: &fleet.GitLab{Project: "g/sub/tool", Instance: "https://gitlab.vendor.example", Tag: "v{version}"}}, "semver", asset("tool-{version}-x64.msi"), "",
			"1.4.1 2026-11-03 https://gitlab.vendor.example/g/tool/-/releases/v1.4.1/downloads/tool-1.4.1-x64.msi 0 "},
		"Gitea": {fleet.Feed{Gitea: &fleet.Gitea{Repository: "acme/tool", Instance: "https://git.vendor.example", Tag: "v{version}"}}, "semver", asset("tool-*.exe"), "",
			"0.7.2 2026-10-02 https://git.vendor.example/acme/tool/releases/download/v0.7.2/tool-0.7.2.exe 4000 "},
		"winget": {fleet.Feed{Winget: &fleet.Winget{ID: "Acme.Tool", Repository: "microsoft/winget-pkgs"}}, "windows", listed("x64", "msi"), "",
			"1.10.0 2026-11-03 https://downloads.vendor.example/1.10.0/tool-x64.msi 0 sha256:0123"},
		"winget, a singleton": {fleet.Feed{Winget: &fleet.Winget{ID: "Acme.Tool", Repository: "microsoft/winget-pkgs"}, Match: `^1\.9\..*`}, "windows", listed("x86", "msi"), "",
			"1.9.0 0001-01-01 https://downloads.vendor.example/1.9.0/tool.msi 0 sha256:b388"},
		"winget, REST": {fleet.Feed{Winget: &fleet.Winget{ID: "Acme.Tool", Source: "https://winget.vendor.example/api"}}, "windows", listed("x86", "exe"), "",
			"1.10.0 2026-11-03 https://downloads.vendor.example/1.10.0/tool-x86.exe 0 sha256:1123"},
		"NuGet": {fleet.Feed{NuGet: &fleet.NuGet{ID: "Acme.Tool", Source: "https://api.vendor.example/v3/index.json", Protocol: 3}}, "semver", asset("acme.tool.{version}.nupkg"), "",
			"1.1.0 2026-10-04 https://api.vendor.example/v3-flatcontainer/acme.tool/1.1.0/acme.tool.1.1.0.nupkg 0 "},
		"NuGet without registrations": {fleet.Feed{NuGet: &fleet.NuGet{ID: "Acme.Tool", Source: "https://plain.vendor.example/index.json", Protocol: 3}}, "semver", listed("x64", "exe"), "",
			"1.1.0 0001-01-01 https://plain.vendor.example/flat/acme.tool/1.1.0/acme.tool.1.1.0.nupkg 0 "},
		"NuGet 2": {fleet.Feed{NuGet: &fleet.NuGet{ID: "tool", Source: "https://choco.vendor.example/api/v2/", Protocol: 2}}, "windows", listed("x64", "exe"), "",
			"1.3 2026-11-05 https://choco.vendor.example/api/v2/package/tool/1.3 0 "},
		"PyPI": {fleet.Feed{PyPI: &fleet.PyPI{Project: "Acme.Tool"}}, "semver", asset("*-none-any.whl"), "/simple",
			"1.1.0 2026-10-04 " + srv.URL + "/files/acme_tool-1.1.0-py3-none-any.whl 4100 sha256:1123"},
		"PyPI, HTML": {fleet.Feed{PyPI: &fleet.PyPI{Project: "acme-tool"}}, "semver", asset("*.whl"), "/html/",
			"1.1.0 0001-01-01 " + srv.URL + "/files/acme_tool-1.1.0-py3-none-any.whl 0 sha256:1123"},
		"RPM, gz":  {rpm("rpmgz.example"), "windows", listed("x64", "rpm"), "", "1.1.0 2025-11-13 https://rpmgz.example/el9/Packages/acme-tool-1.1.0-1.el9.x86_64.rpm 4100 sha256:1123"},
		"RPM, xz":  {rpm("rpmxz.example"), "windows", listed("x64", "rpm"), "", "1.1.0 2025-11-13 https://rpmxz.example/el9/Packages/acme-tool-1.1.0-1.el9.x86_64.rpm 4100 sha256:1123"},
		"RPM, zst": {rpm("rpmzst.example"), "windows", listed("x64", "rpm"), "", "1.1.0 2025-11-13 https://rpmzst.example/el9/Packages/acme-tool-1.1.0-1.el9.x86_64.rpm 4100 sha256:1123"},
	} {
		t.Run(name, func(t *testing.T) {
			c := New(Config{Mirror: srv.URL, PyPIIndex: srv.URL + tt.index})
			found, err := c.Find(t.Context(), fleet.Package{Installers: tt.in, Upstream: &fleet.Upstream{Scheme: tt.scheme, From: tt.feed}}, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			at := found.Installers["i"]
			if got := fmt.Sprintf("%s %s %s %d %.11s", found.Version, found.Published.Format("2006-01-02"), at.URL, at.Size, at.Digest); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if FeedName(tt.feed) == "nothing" {
				t.Error("the feed has no name")
			}
		})
	}
}

// TestManagedHolds checks what becomes of answers that are not what they should
// be.
func TestManagedHolds(t *testing.T) {
	const contents = "/api.github.com/repos/a/b/contents/manifests/a/Acme/"
	answers := map[string]string{
		"/page.example/api/v1/repos/a/b/releases?limit=50": "<html>Sign in</html>",
		contents + "Other": `[{"name": "1.0", "path": "manifests/a/Acme/Other/1.0", "type": "dir"}]`,
		contents + "Other/1.0/Acme.Other.installer.yaml": example(t, "winget-installer.yaml"),
		contents + "Empty":                            `[{"name": "1.0", "path": "manifests/a/Acme/Empty/1.0", "type": "dir"}]`,
		"/away.example/FindPackagesById()?id='x'":     `<feed><link rel="next" href="https://elsewhere.example/2"/></feed>`,
		"/loop.example/FindPackagesById()?id='x'":     `<feed><link rel="next" href="?id='x'"/></feed>`,
		"/unlisted.example/FindPackagesById()?id='x'": `<feed><entry><properties><Version>1.0</Version><Published>1900-01-01T00:00:00</Published></properties></entry></feed>`,
		"/plain.example/index.json":                   `{"resources": [{"@id": "http://127.0.0.1/", "@type": "PackageBaseAddress/3.0.0"}]}`,
		"/simple/x/":                                  `{"files": []}`,
	}
	rpmAnswers(t, answers, "lies.example", "<metadata/>", ".gz")
	answers["/lies.example/el9/repodata/p-primary.xml.gz"] = packed(t, "<metadata></metadata>", ".gz")
	rpmAnswers(t, answers, "html.example", "<html>", ".gz")
	rpmAnswers(t, answers, "none.example", "<metadata/>", ".gz")
	rpmAnswers(t, answers, "bomb.example", "<metadata>"+strings.Repeat(" ", 16<<20), ".zst")
	srv := mirror(t, answers)
	rpm := func(host string) fleet.Feed {
		return fleet.Feed{RPM: &fleet.RPM{URL: "https://" + host + "/el9", Package: "x", Architecture: "x86_64"}}
	}
	nuget := func(host string) fleet.Feed {
		return fleet.Feed{NuGet: &fleet.NuGet{ID: "x", Source: "https://" + host, Protocol: 2}}
	}
	for name, tt := range map[string]struct {
		feed fleet.Feed
		hold string
		why  string
	}{
		"a page for people":         {fleet.Feed{Gitea: &fleet.Gitea{Repository: "a/b", Instance: "https://page.example"}}, fleet.HoldUnparsable, "not of the expected form|no document"},
		"nothing there":             {fleet.Feed{Gitea: &fleet.Gitea{Repository: "a/c", Instance: "https://page.example"}}, fleet.HoldUnreachable, "404"},
		"another version's":         {fleet.Feed{Winget: &fleet.Winget{ID: "Acme.Other", Repository: "a/b"}}, fleet.HoldUnparsable, "is of version 1.10.0"},
		"no manifest (yet)":         {fleet.Feed{Winget: &fleet.Winget{ID: "Acme.Empty", Repository: "a/b"}}, fleet.HoldUnreachable, "404"},
		"a next page elsewhere":     {nuget("away.example"), fleet.HoldNotAllowed, "elsewhere.example"},
		"pages without end":         {nuget("loop.example"), fleet.HoldUnparsable, "more than 40 pages"},
		"all unlisted":              {nuget("unlisted.example"), fleet.HoldUnparsable, "unlisted"},
		"an index that leads away":  {fleet.Feed{NuGet: &fleet.NuGet{ID: "x", Source: "https://plain.example/index.json", Protocol: 3}}, fleet.HoldNotAllowed, "no plain https address"},
		"a project without files":   {fleet.Feed{PyPI: &fleet.PyPI{Project: "x"}}, fleet.HoldUnparsable, "no release"},
		"another list than stated":  {rpm("lies.example"), fleet.HoldUnreachable, "does not have the digest"},
		"a page as a list":          {rpm("html.example"), fleet.HoldUnparsable, "begins with <html>"},
		"a package that is missing": {rpm("none.example"), fleet.HoldUnparsable, "lists no package x"},
		"a list that grows":         {rpm("bomb.example"), fleet.HoldUnparsable, "one package has more"},
	} {
		t.Run(name, func(t *testing.T) {
			c := New(Config{Mirror: srv.URL, PyPIIndex: srv.URL + "/simple"})
			_, err := c.Find(t.Context(), fleet.Package{Upstream: &fleet.Upstream{Scheme: "windows", From: tt.feed}}, nil, nil)
			hold, ok := HoldOf(err)
			told := false
			for _, why := range strings.Split(tt.why, "|") {
				told = told || err != nil && strings.Contains(err.Error(), why)
			}
			if err == nil || !ok || hold.Name != tt.hold || !told {
				t.Errorf("%v, want %s: %s", err, tt.hold, tt.why)
			}
		})
	}
	if h, ok := HoldOf(errOfFound(New(Config{}).Find(t.Context(), fleet.Package{Upstream: &fleet.Upstream{From: fleet.Feed{PyPI: &fleet.PyPI{Project: "x"}}}}, nil, nil))); !ok || h.Name != fleet.HoldUnreachable {
		t.Errorf("without an index: %v", h)
	}
}

func errOfFound(_ Found, err error) error { return err }
