package releases

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/unicode"

	"github.com/packmill/packmill/internal/fleet"
)

// TestHostile gives every reader what no document of its format is. The pattern
// and the selector of a package find text anywhere: they are tried with what holds
// none of it.
func TestHostile(t *testing.T) {
	documents := map[string]string{
		"nothing": "", "white space": " \n\t ", "a byte order mark": "\xef\xbb\xbf", "zeros": strings.Repeat("\x00", 1000),
		"a page":           "<!DOCTYPE html><html><head><title>Sign in</title><body><form action=/login><br>Please wait<script>if (1 < 2) {}</script></form></body></html>",
		"a page, as XHTML": `<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body><p>Sign in</p></body></html>`,
		"an error":         `{"error": "rate limited"}`, "an error in a list": `["rate limited"]`, "null": "null", "a number": "404",
		"no UTF-8": "\xc3\x28\xa0\xa1", "half of UTF-16": "\xff\xfe<", "a lie about UTF-16": "\xfe\xff<rss></rss>",
		"an unknown encoding": `<?xml version="1.0" encoding="x-unknown"?><rss/>`, "UTF-7": `<?xml version="1.0" encoding="utf-7"?><rss/>`,
		"deep elements": strings.Repeat("<rss>", 100_000), "deep arrays": strings.Repeat("[", 1_000_000), "deep objects": strings.Repeat(`{"a":`, 200_000), "deep YAML": "version: " + strings.Repeat("[", 100_000),
		"deep and closed":     strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000),
		"an entity":           `<!DOCTYPE rss [<!ENTITY a "1.2"><!ENTITY b SYSTEM "file:///etc/passwd">]><rss><channel><item><title>&a;&b;</title></item></channel></rss>`,
		"cut off":             `<?xml version="1.0"?><rss><channel><item><title>1.2</ti`,
		"empty channels":      "<rss>" + strings.Repeat("<channel><item></item></channel>", 10_000) + "</rss>",
		"many empty elements": strings.Repeat("<a>", maxElements+1), "many empty arrays": "[" + strings.Repeat("[],", maxValues) + "[]]",
		"many keys of YAML": strings.Repeat("a: 1\n", 200_000), "many keys without values": "{" + strings.Repeat("a, ", 300_000) + "a}",
		"many items": `<rss version="2.0"><channel>` + strings.Repeat("<item><title>1.2</title></item>", maxEntries+1) + "</channel>",
		"large":      strings.Repeat("<!-- 0123456789 -->", maxDocument/18),
	}
	for name, r := range readers() {
		for what, text := range documents {
			if list, err := r.read([]byte(text)); err == nil {
				t.Errorf("%s of %s tells %d versions: %q", name, what, len(list), list[0].Version)
			} else if fleet.KindOf(err) == fleet.Invalid {
				t.Errorf("%s of %s: the package file is said to be wrong: %v", name, what, err)
			} else if len(err.Error()) > 500 {
				t.Errorf("%s of %s: the error has %d bytes", name, what, len(err.Error()))
			}
		}
	}
}

// TestEncodings reads every document as what else it might be served as.
func TestEncodings(t *testing.T) {
	for name, r := range readers() {
		data := bytes.TrimPrefix(testdata(t, r.file), []byte("\xef\xbb\xbf"))
		want, err := r.read(data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for what, encode := range map[string]func([]byte) ([]byte, error){
			"UTF-8 with a mark": func(b []byte) ([]byte, error) { return append([]byte("\xef\xbb\xbf"), b...), nil },
			"UTF-16LE":          unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().Bytes,
			"UTF-16BE, declared": func(b []byte) ([]byte, error) {
				b = bytes.Replace(bytes.Replace(b, []byte(`encoding="utf-8"`), []byte(`encoding="utf-16"`), 1), []byte(`encoding="UTF-8"`), []byte(`encoding="UTF-16"`), 1)
				return unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewEncoder().Bytes(b)
			},
			"CRLF": func(b []byte) ([]byte, error) { return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")), nil },
		} {
			encoded, err := encode(data)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := r.read(encoded); err != nil || lines(got) != lines(want) {
				t.Errorf("%s as %s: %s, %v", name, what, lines(got), err)
			}
		}
	}
}

// TestLatin1 reads documents that declare an encoding of single bytes.
func TestLatin1(t *testing.T) {
	const rss = `<?xml version="1.0" encoding="ISO-8859-1"?><rss version="2.0" xmlns:s="http://www.andymatuschak.org/xml-namespaces/sparkle"><channel><item>` +
		"<title>M\xfcller 1.2</title><s:shortVersionString>1.2</s:shortVersionString><description>\xe9</description><enclosure url=\"https://a.example/x.exe\"/></item></channel></rss>"
	if list, err := News([]byte(rss), "https://a.example/", "title"); err != nil || list[0].Version != "Müller 1.2" {
		t.Errorf("news: %+v, %v", list, err)
	}
	if list, err := Sparkle([]byte(rss), "https://a.example/", "short", ""); err != nil || list[0].Version != "1.2" || list[0].Notes != "é" {
		t.Errorf("sparkle: %+v, %v", list, err)
	}
	if list, err := XML([]byte(rss), "//title", ""); err != nil || list[0].Version != "Müller 1.2" {
		t.Errorf("xml: %+v, %v", list, err)
	}
	page := "<html><head><meta charset=iso-8859-1><body><b>M\xfcller 1.2</b>"
	if list, err := HTML([]byte(page), "b", ""); err != nil || list[0].Version != "Müller 1.2" {
		t.Errorf("html: %+v, %v", list, err)
	}
}

// TestTimes reads the spellings of feeds; what is no time of this world is not
// told.
func TestTimes(t *testing.T) {
	for text, want := range map[string]string{
		"Mon, 16 Nov 2026 09:30:00 EST": "2026-11-16 14:30", "Mon, 16 Nov 2026 09:30:00 UT": "2026-11-16 09:30", "Mon, 6 Nov 2026 09:30:00 +0100": "2026-11-06 08:30",
		"16 Nov 2026 09:30:00 GMT": "2026-11-16 09:30", "2026-11-16T09:30:00.5+01:00": "2026-11-16 08:30", "2026-11-16": "2026-11-16 00:00",
		"0001-01-02T00:00:00Z": "", "9999-01-01": "", "yesterday": "", "": "", "Mon, 16 Nov 2026 09:30:00 XYZ": "",
	} {
		got := ""
		if at := toldTime(text); !at.IsZero() {
			got = at.Format("2006-01-02 15:04")
		}
		if got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

func TestArchIn(t *testing.T) {
	for name, want := range map[string]string{
		"app-1.2-x64.msi": "x64", "app_x86_64.deb": "x64", "App Setup arm64.exe": "arm64", "app-ia32.exe": "x86", "app-universal.pkg": "universal",
		"app-x64-arm64.exe": "", "app.exe": "", "matrix86.exe": "", "app-amd64-x64.exe": "x64",
	} {
		if got := archIn(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// fuzz looks for documents that break a reader, or make it tell what it must not.
func fuzz(f *testing.F, name string) {
	r := readers()[name]
	f.Add(testdata(f, r.file))
	f.Add([]byte("\xff\xfe<\x00a\x00>\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := r.read(data)
		if (err == nil) == (len(list) == 0) {
			t.Fatalf("%d versions and the error %v", len(list), err)
		}
		if len(list) > maxEntries {
			t.Fatalf("%d entries", len(list))
		}
		for _, e := range list {
			if e.Version == "" || !readable(e.Version) || len(e.Version) > maxNotes || len(e.Notes) > maxNotes {
				t.Fatalf("a version that is none: %q", e.Version)
			}
			if !e.Published.IsZero() && e.Published.Location().String() != "UTC" {
				t.Fatalf("a time of %s", e.Published.Location())
			}
			if slices.ContainsFunc(e.Files, func(f File) bool {
				return f.Name == "" || f.URL == "" || f.Size < 0 || f.SHA256 != "" && !f.SHA256.Valid() || len(f.SHA512) != 0 && len(f.SHA512) != 128
			}) {
				t.Fatalf("a file that is none: %+v", e.Files)
			}
		}
	})
}

func FuzzAtom(f *testing.F)        { fuzz(f, "atom") }
func FuzzRSS(f *testing.F)         { fuzz(f, "rss") }
func FuzzJSONFeed(f *testing.F)    { fuzz(f, "json feed") }
func FuzzSparkle(f *testing.F)     { fuzz(f, "sparkle") }
func FuzzSourceForge(f *testing.F) { fuzz(f, "sourceforge") }
func FuzzElectron(f *testing.F)    { fuzz(f, "electron") }
func FuzzSquirrel(f *testing.F)    { fuzz(f, "squirrel") }
func FuzzOmaha(f *testing.F)       { fuzz(f, "omaha") }
func FuzzEvergreen(f *testing.F)   { fuzz(f, "evergreen") }
func FuzzCask(f *testing.F)        { fuzz(f, "cask") }
func FuzzJSON(f *testing.F)        { fuzz(f, "json") }
func FuzzText(f *testing.F)        { fuzz(f, "text") }
func FuzzHTML(f *testing.F)        { fuzz(f, "html") }
func FuzzXML(f *testing.F)         { fuzz(f, "xml") }

// FuzzHeader does the same for values of headers.
func FuzzHeader(f *testing.F) {
	f.Add(`attachment; filename*=UTF-8''app%201.3.msi`)
	f.Fuzz(func(t *testing.T, value string) {
		for _, name := range []string{"Location", "Content-Disposition"} {
			list, err := Header(value, name)
			if (err == nil) == (len(list) == 0) || err == nil && !readable(list[0].Version) {
				t.Fatalf("%q: %+v, %v", value, list, err)
			}
		}
	})
}
