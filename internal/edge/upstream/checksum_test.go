package upstream

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// TestChecksum asks for files of checksums by address and as assets: what they
// state is what the vendor states of the download, of the release that git pins
// too. Without a line of the download, or on another host, the version is held.
func TestChecksum(t *testing.T) {
	digest, long, other := strings.Repeat("0a", 32), strings.Repeat("0c", 64), strings.Repeat("0b", 32)
	text := func(s string) func(http.ResponseWriter, *http.Request) { return document([]byte(s)) }
	v := &vendor{answers: map[string]func(http.ResponseWriter, *http.Request){
		"GET /vendor.example/latest.json":         text(`{"version": "1.2.0"}`),
		"GET /dl.vendor.example/1.2.0/SHA256SUMS": text(digest + "  tool-1.2.0.exe\n" + other + "  other.exe\n"),
		"GET /dl.vendor.example/1.1.0/SHA256SUMS": text(other + "  tool-1.1.0.exe\n"),
		"GET /dl.vendor.example/one.sha512":       text(long + "\n"),
		"GET /dl.vendor.example/page":             text("<html>Sign in</html>"),
		"GET /dl.vendor.example/large":            text(strings.Repeat(digest+"  x\n", maxChecksums/60)),
		"GET /dl.vendor.example/away": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere.example/SHA256SUMS", http.StatusFound)
		},
		"GET /elsewhere.example/SHA256SUMS": text(digest + "  tool-1.2.0.exe\n"),
		"GET /api.github.com/repos/acme/tool/releases?per_page=50": text(fmt.Sprintf(`[{"tag_name": "1.2.0", "assets": [
			{"name": "tool-1.2.0.exe", "browser_download_url": "https://github.com/acme/tool/releases/download/1.2.0/tool-1.2.0.exe", "digest": "sha256:%s"},
			{"name": "tool-1.2.0.msi", "browser_download_url": "https://github.com/acme/tool/releases/download/1.2.0/tool-1.2.0.msi"},
			{"name": "SHA256SUMS", "browser_download_url": "https://github.com/acme/tool/releases/download/1.2.0/SHA256SUMS"}]}]`, other)),
		"GET /github.com/acme/tool/releases/download/1.2.0/SHA256SUMS": text(digest + " *tool-1.2.0.exe\n" + digest + " *tool-1.2.0.msi\n"),
	}}
	page := fleet.Feed{HTTPJSON: &fleet.HTTPJSON{URL: "https://vendor.example/latest.json", Path: "$.version"}}
	forge := fleet.Feed{GitHubReleases: &fleet.GitHubReleases{Repository: "acme/tool", Tag: "{version}"}}
	const tool = "https://dl.vendor.example/tool-{version}.exe"
	at := func(url string) *fleet.Checksum { return &fleet.Checksum{URL: "https://" + url} }
	for _, tt := range []struct {
		name   string
		feed   fleet.Feed
		source fleet.Source
		digest string
		long   string
		hold   string
	}{
		{"an address", page, fleet.Source{URL: tool, Checksum: at("dl.vendor.example/{version}/SHA256SUMS")}, digest, "", ""},
		{"one digest", page, fleet.Source{URL: tool, Checksum: at("dl.vendor.example/one.sha512")}, "", long, ""},
		{"an asset", forge, fleet.Source{Asset: "*.msi", Checksum: &fleet.Checksum{Asset: "SHA256SUMS"}}, digest, "", ""},
		{"the feed states another", forge, fleet.Source{Asset: "*.exe", Checksum: &fleet.Checksum{Asset: "SHA256SUMS"}}, "", "", fleet.HoldChangedHash},
		{"no such asset", forge, fleet.Source{Asset: "*.msi", Checksum: &fleet.Checksum{Asset: "*.sha256"}}, "", "", fleet.HoldUnreachable},
		{"no line", page, fleet.Source{URL: "https://dl.vendor.example/setup.exe", Checksum: at("dl.vendor.example/{version}/SHA256SUMS")}, "", "", fleet.HoldUnparsable},
		{"a page", page, fleet.Source{URL: tool, Checksum: at("dl.vendor.example/page")}, "", "", fleet.HoldUnparsable},
		{"too large", page, fleet.Source{URL: tool, Checksum: at("dl.vendor.example/large")}, "", "", fleet.HoldUnparsable},
		{"not there", page, fleet.Source{URL: tool, Checksum: at("dl.vendor.example/{version}/MD5SUMS")}, "", "", fleet.HoldUnreachable},
		{"another host", page, fleet.Source{URL: tool, Checksum: at("elsewhere.example/SHA256SUMS")}, "", "", fleet.HoldNotAllowed},
		{"a redirect to another host", page, fleet.Source{URL: tool, Checksum: at("dl.vendor.example/away")}, "", "", fleet.HoldNotAllowed},
	} {
		p := fleet.Package{
			Upstream:   &fleet.Upstream{Scheme: "semver", From: tt.feed},
			Installers: map[string]fleet.Installer{"x64": {Source: &tt.source}},
			Releases:   map[string]fleet.Release{"1.1.0": {Counter: 1}},
		}
		found, err := v.start(t, "").Find(t.Context(), p, []string{"dl.vendor.example", "github.com"}, nil)
		if tt.hold != "" {
			if h, ok := HoldOf(err); err == nil || !ok || h.Name != tt.hold || found.Version != "1.2.0" {
				t.Errorf("%s: %q, %v, want %s", tt.name, found.Version, err, tt.hold)
			}
			continue
		}
		want := Located{Digest: fleet.Digest("sha256:" + tt.digest), SHA512: tt.long}
		if tt.digest == "" {
			want.Digest = ""
		}
		if got := found.Installers["x64"]; err != nil || got.Digest != want.Digest || got.SHA512 != want.SHA512 {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		}
		if got := found.Released["1.1.0"]["x64"].Digest; tt.name == "an address" && got != fleet.Digest("sha256:"+other) {
			t.Errorf("%s: of the release it states %q", tt.name, got)
		}
	}
}
