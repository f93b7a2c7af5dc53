package releases

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

const dl = "https://dl.vendor.example/"

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A reader reads a document of a format; file is one in the format's true shape.
type reader struct {
	file string
	read func([]byte) ([]Entry, error)
}

// readers are all that are given documents, by name. The files follow what
// publishes them: RFC 4287, rssboard.org, jsonfeed.org/version/1.1;
// sparkle-project.org/documentation/publishing and WinSparkle's appcast feeds;
// sourceforge.net/p/forge/documentation/RSS; UpdateInfo of electron-builder's
// builder-util-runtime; Squirrel.Windows' ReleaseEntry; Omaha's
// doc/ServerProtocolV3.md; the API of github.com/EUCPilots; formulae.brew.sh/docs/api.
func readers() map[string]reader {
	const omahaApp = "{11111111-2222-3333-4444-555555555555}"
	return map[string]reader{
		"atom":        {"news-atom.xml", func(b []byte) ([]Entry, error) { return News(b, "https://vendor.example/feed", "title") }},
		"rss":         {"news-rss.xml", func(b []byte) ([]Entry, error) { return News(b, "https://vendor.example/feed", "link") }},
		"json feed":   {"news.json", func(b []byte) ([]Entry, error) { return News(b, "https://vendor.example/feed", "id") }},
		"sparkle":     {"sparkle.xml", func(b []byte) ([]Entry, error) { return Sparkle(b, dl+"win/appcast.xml", "short", "") }},
		"sourceforge": {"sourceforge.xml", SourceForge},
		"electron":    {"latest.yml", func(b []byte) ([]Entry, error) { return ElectronBuilder(b, dl+"chat/latest.yml") }},
		"squirrel":    {"RELEASES", func(b []byte) ([]Entry, error) { return Squirrel(b, dl+"w/RELEASES", "fabrikam") }},
		"omaha":       {"omaha.xml", func(b []byte) ([]Entry, error) { return Omaha(b, omahaApp) }},
		"evergreen": {"evergreen.json", func(b []byte) ([]Entry, error) {
			return Evergreen(b, map[string]string{"Channel": "Stable", "Type": "msi"})
		}},
		"cask": {"cask.json", func(b []byte) ([]Entry, error) { return Cask(b, "northwind-notes") }},
		"json": {"cask.json", func(b []byte) ([]Entry, error) { return JSON(b, "$..version", "") }},
		"text": {"RELEASES", func(b []byte) ([]Entry, error) { return Text(b, `fabrikam-(?P<version>[0-9.]+)-full`) }},
		"html": {"news-atom.xml", func(b []byte) ([]Entry, error) { return HTML(b, "entry > id", "") }},
		"xml":  {"sparkle.xml", func(b []byte) ([]Entry, error) { return XML(b, "//item/title", "") }},
	}
}

// lines are entries as a test compares them: what is told of each, then its files.
func lines(list []Entry) string {
	var b strings.Builder
	for _, e := range list {
		fmt.Fprint(&b, e.Version)
		if !e.Published.IsZero() {
			fmt.Fprint(&b, e.Published.Format(" 2006-01-02T15:04:05Z07:00"))
		}
		fmt.Fprintln(&b)
		for _, f := range e.Files {
			fmt.Fprintf(&b, "  %s|%s|%s|%s|%s|%d|%.14s|%.6s\n", f.Name, f.URL, f.Arch, f.Type, f.Language, f.Size, f.SHA256, f.SHA512)
		}
	}
	return b.String()
}

func TestPublished(t *testing.T) {
	for name, want := range map[string]string{
		"atom":      "Editor 8.7.2 2026-11-17T22:41:05Z\n  editor-8.7.2-x64.msi|" + dl + "editor-8.7.2-x64.msi|x64|msi||4096||\nEditor 8.7.1 2026-10-20T08:00:00Z\n",
		"rss":       "https://vendor.example/player/3.0.21 2026-11-16T14:30:00Z\n  player-3.0.21-win64.exe|https://vendor.example/dl/player-3.0.21-win64.exe||exe||2048||\nhttps://vendor.example/jobs\n",
		"json feed": "24.09 2026-11-10T17:00:00Z\n  archiver2409-arm64.exe|" + dl + "archiver2409-arm64.exe|arm64|exe||1024||\n",
		"sparkle": "1.4 2026-11-16T07:00:00Z\n  Notes-1.4.pkg|" + dl + "Notes-1.4.pkg||pkg||3000||\n" +
			"1.3 2026-10-01T08:00:00Z\n  Notes 1.3.exe|" + dl + "win/Notes%201.3.exe|arm64|exe||2000||\n",
		"sourceforge": "/Wingtip/24.09/wingtip2409-arm64.msi 2026-11-17T18:31:05Z\n  wingtip2409-arm64.msi|https://sourceforge.net/projects/wingtip/files/Wingtip/24.09/wingtip2409-arm64.msi/download|arm64|msi||1512||\n" +
			"/Wingtip/24.09/wingtip2409-x64.msi 2026-11-17T18:30:00Z\n  wingtip2409-x64.msi|https://sourceforge.net/projects/wingtip/files/Wingtip/24.09/wingtip2409-x64.msi/download|x64|msi||1600||\n" +
			"/Wingtip/24.09/README.txt 2026-11-17T18:29:00Z\n  README.txt|https://sourceforge.net/projects/wingtip/files/Wingtip/24.09/README.txt/download||||0||\n",
		"electron": "3.10 2026-11-17T21:05:44Z\n  Fabrikam Chat Setup 3.10-x64.exe|" + dl + "chat/Fabrikam%20Chat%20Setup%203.10-x64.exe|x64|exe||15||686015\n" +
			"  chat-3.10-arm64.exe|" + dl + "chat-3.10-arm64.exe|arm64|exe||15||686015\n",
		"squirrel": "1.9.0\n  fabrikam-1.9.0-full.nupkg|" + dl + "w/fabrikam-1.9.0-full.nupkg||||900||\n" +
			"1.10.0\n  Fabrikam-1.10.0-full.nupkg|" + dl + "w/Fabrikam-1.10.0-full.nupkg?a=b||||950||\n",
		"omaha": "131.0.6778.86\n  131.0.6778.86_installer.exe|" + dl + "release2/131.0.6778.86_installer.exe||exe||120000000|sha256:9834876|\n",
		"evergreen": "131.0.3 2026-11-17T00:00:00Z\n  northwind-x64.msi|" + dl + "131.0.3/northwind-x64.msi|x64|msi||900|sha256:9834876|\n" +
			"  northwind-arm64.msi|" + dl + "131.0.3/northwind-arm64.msi|arm64|msi||0||\n",
		"cask": "1.4,2031\n  Notes-1.4-2031.dmg|" + dl + "arm/Notes-1.4-2031.dmg|arm64|||0|sha256:9834876|\n" +
			"  Notes-1.4-2030.dmg|" + dl + "intel/Notes-1.4-2030.dmg|x64|||0|sha256:0034876|\n" +
			"1.2,1990\n  Notes-1.2-1990.dmg|" + dl + "intel/Notes-1.2-1990.dmg|x64|||0||\n",
	} {
		r := readers()[name]
		list, err := r.read(testdata(t, r.file))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := lines(list); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
	}
}

func TestNewsFields(t *testing.T) {
	for in, want := range map[[2]string]string{
		{"news-atom.xml", "id"}:      "tag:vendor.example,2008:Repository/1/v8.7.2",
		{"news-atom.xml", "link"}:    "https://vendor.example/litware/editor/releases/tag/v8.7.2",
		{"news-atom.xml", "content"}: "<p>Fixes the crash on start.</p>",
		{"news-rss.xml", "title"}:    "Tailspin Player 3.0.21 is out",
		{"news-rss.xml", "id"}:       "player-3.0.21",
		{"news-rss.xml", "content"}:  "<b>Security</b> fixes.",
		{"news.json", "title"}:       "Archiver 24.09",
	} {
		list, err := News(testdata(t, in[0]), "https://vendor.example/", in[1])
		if err != nil || list[0].Version != want {
			t.Errorf("%v: %+v, %v", in, list, err)
		}
	}
	list, err := News(testdata(t, "news-atom.xml"), "https://vendor.example/", "title")
	if err != nil || list[0].Notes != "<p>Fixes the crash on start.</p>" || list[0].NotesURL != "https://vendor.example/litware/editor/releases/tag/v8.7.2" {
		t.Errorf("notes: %+v, %v", list, err)
	}
}

func TestSparkleVersions(t *testing.T) {
	data := testdata(t, "sparkle.xml")
	for in, want := range map[[2]string]string{
		{"short", ""}: "1.4 1.3", {"build", ""}: "2031 2020 1999", {"both", ""}: "1.4,2031 1.3,2020", {"short", "beta"}: "1.5", {"both", "beta"}: "1.5,2101",
	} {
		if list, err := Sparkle(data, dl, in[0], in[1]); err != nil || versions(list) != want {
			t.Errorf("%v: %s, %v", in, versions(list), err)
		}
	}
	if list, err := Sparkle(data, dl, "short", "nightly"); err == nil || !strings.Contains(err.Error(), "channel") {
		t.Errorf("another channel: %v, %v", list, err)
	}
	list, err := Sparkle(data, dl, "short", "")
	if err != nil || list[0].NotesURL != "https://vendor.example/notes/1.4.html" || list[0].Notes != "<ul><li>Faster</li></ul>" {
		t.Errorf("notes: %+v, %v", list, err)
	}
}

func TestElectronBuilderOfOldVersions(t *testing.T) {
	list, err := ElectronBuilder([]byte("version: 1.0.0\npath: App-1.0.0.dmg\nsha512: "+strings.Repeat("A", 86)+"==\nreleaseDate: 2026-11-17\n"), dl+"latest-mac.yml")
	if want := "1.0.0 2026-11-17T00:00:00Z\n  App-1.0.0.dmg|" + dl + "App-1.0.0.dmg||||0||000000\n"; err != nil || lines(list) != want {
		t.Errorf("got %s, %v", lines(list), err)
	}
	for name, text := range map[string]string{
		"no version": "path: x.exe\n", "a list": "- a\n- b\n", "text": "Sign in", "half a digest": "version: 1.0.0\nfiles: [{url: a.exe, sha512: QUFB}]\n",
		"a file without an address": "version: 1.0.0\nfiles: [{size: 5}]\n", "an address that is none": "version: 1.0.0\nfiles: [{url: 'https://[x/a'}]\n",
		"a version of many": "version: [1, 2]\n", "aliases that grow": "a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nfiles: [*e,*e,*e]\n",
	} {
		if list, err := ElectronBuilder([]byte(text), dl); err == nil {
			t.Errorf("%s: %+v", name, list)
		}
	}
}

func TestSquirrelRefuses(t *testing.T) {
	const sum = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567 "
	for name, text := range map[string]string{
		"another application": sum + "other-1.0.0-full.nupkg 5\n", "deltas alone": sum + "fabrikam-1.0.0-delta.nupkg 5\n", "no size": sum + "fabrikam-1.0.0-full.nupkg\n",
		"no digest": "fabrikam-1.0.0-full.nupkg 5\n", "nothing between": sum + "fabrikam--full.nupkg 5\n", "comments alone": "# nothing\n",
	} {
		if list, err := Squirrel([]byte(text), dl, "fabrikam"); err == nil {
			t.Errorf("%s: %+v", name, list)
		}
	}
}

func TestOmahaAnswers(t *testing.T) {
	const id = "{8A69D345-D564-463C-AFF1-A69D9E530F96}"
	request, err := OmahaRequest(fleet.Omaha{App: id, AP: "x64-stable<", Platform: "win", Arch: "x64", OSVersion: "10.0.22631"})
	want := `<?xml version="1.0" encoding="UTF-8"?>
<request protocol="3.0" version="packmill-1" ismachine="1"><os platform="win" version="10.0.22631" arch="x64"></os><app appid="` + id + `" version="0.0.0.0" ap="x64-stable&lt;"><updatecheck></updatecheck></app></request>`
	if err != nil || string(request) != want {
		t.Errorf("the request is %s, %v", request, err)
	}
	answer := func(inner string) string { return `<response protocol="3.0">` + inner + `</response>` }
	for text, want := range map[string]string{
		answer(""): "not about",
		answer(`<app appid="{8a69d345-D564-463C-AFF1-A69D9E530F96}" status="error-unknownApplication"/>`): "error-unknownApplication",
		answer(`<app appid="` + id + `" status="ok"><updatecheck status="noupdate"/></app>`):              "noupdate",
		answer(`<app appid="` + id + `" status="ok"><updatecheck status="ok"/></app>`):                    "no version",
		answer(`<app appid="` + id + `" status="ok"><updatecheck status="ok"><urls><url codebase="https://a.example"/></urls><manifest version="1"><packages><package name="x" hash_sha256="12"/></packages></manifest></updatecheck></app>`): "no SHA-256",
		`<request/>`: "not of <response>",
	} {
		if list, err := Omaha([]byte(text), id); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v", text, list, err)
		}
	}
	plain := strings.Replace(string(testdata(t, "omaha.xml")), "https://", "http://", -1)
	if list, err := Omaha([]byte(plain), "{11111111-2222-3333-4444-555555555555}"); err != nil || len(list[0].Files) != 0 {
		t.Errorf("files that no download may fetch: %+v, %v", list, err)
	}
}

func TestEvergreenRows(t *testing.T) {
	data := testdata(t, "evergreen.json")
	for want, where := range map[string]map[string]string{
		"131.0.3 132.0": nil, "132.0": {"channel": "beta", "Language": "fi-FI"}, "131.0.3": {"Architecture": "x64", "Channel": "Stable"},
	} {
		if list, err := Evergreen(data, where); err != nil || versions(list) != want {
			t.Errorf("%v: %s, %v", where, versions(list), err)
		}
	}
	if list, err := Evergreen(data, map[string]string{"Ring": "Broad"}); err == nil || !strings.Contains(err.Error(), "none of its 4 rows") {
		t.Errorf("a field that no row has: %+v, %v", list, err)
	}
	for name, text := range map[string]string{
		"an object": `{"Version": "1"}`, "no rows": `[]`, "no address": `[{"Version": "1"}]`, "no version": `[{"URI": "https://a.example/x.msi"}]`,
		"half a digest": `[{"Version": "1", "URI": "https://a.example/x.msi", "Sha256": "12"}]`, "null": `null`, "a row of text": `["x"]`,
		"a version that is a list": `[{"Version": ["1"], "URI": "https://a.example/x.msi"}]`,
	} {
		if list, err := Evergreen([]byte(text), nil); err == nil {
			t.Errorf("%s: %+v", name, list)
		}
	}
}

func TestCaskStates(t *testing.T) {
	one := func(fields string) []byte {
		return []byte(`{"token": "t", "version": "1.0", "url": "https://a.example/t-1.0.pkg", "sha256": "no_check", ` + fields + `"variations": {}}`)
	}
	list, err := Cask(one(`"deprecated": true, "deprecation_reason": "discontinued", `), "t")
	if err != nil || lines(list) != "1.0\n  t-1.0.pkg|https://a.example/t-1.0.pkg||pkg||0||\n" {
		t.Errorf("a deprecated cask: %s, %v", lines(list), err)
	}
	if list, err := Cask(one(`"disabled": true, "disable_reason": "discontinued", "disable_date": "2026-09-01", `), "t"); err == nil || !strings.Contains(err.Error(), "discontinued") {
		t.Errorf("a disabled cask: %+v, %v", list, err)
	}
	for name, text := range map[string]string{
		"another cask": string(one("")), "no address": `{"token": "x", "version": "1"}`, "no version": `{"token": "x", "url": "https://a.example/"}`,
		"a digest that is none": `{"token": "x", "version": "1", "url": "https://a.example/x", "sha256": "abc"}`, "a list": `[]`, "a formula": `{"name": "x", "versions": {"stable": "1"}}`,
	} {
		if list, err := Cask([]byte(text), "x"); err == nil {
			t.Errorf("%s: %+v", name, list)
		}
	}
}

func TestHeader(t *testing.T) {
	for in, want := range map[[2]string]string{
		{"Location", "https://dl.vendor.example/app-1.2.msi"}:                                   "https://dl.vendor.example/app-1.2.msi",
		{"content-disposition", `attachment; filename="app 1.2.msi"`}:                           "app 1.2.msi",
		{"Content-Disposition", `attachment; filename*=UTF-8''app%201.3.msi; filename="a.msi"`}: "app 1.3.msi",
		{"X-Version", "1.2"}: "1.2",
	} {
		if list, err := Header(in[1], in[0]); err != nil || versions(list) != want {
			t.Errorf("%v: %q, %v", in, versions(list), err)
		}
	}
	for _, in := range [][2]string{{"Location", ""}, {"X-Version", "\x00\x01"}, {"Content-Disposition", "attachment"}, {"Content-Disposition", ";;;="}, {"Content-Disposition", "inline; filename=\xff\xfe"}} {
		if list, err := Header(in[1], in[0]); err == nil || fleet.KindOf(err) == fleet.Invalid {
			t.Errorf("%q: %+v, %v", in, list, err)
		}
	}
	for _, name := range []string{"ETag", "last-modified", "Date"} {
		if _, err := Header("x", name); fleet.KindOf(err) != fleet.Invalid || !strings.Contains(err.Error(), "by installer") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
