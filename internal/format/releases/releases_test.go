package releases

import (
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// versions are those of the entries, in their order.
func versions(list []Entry) string {
	var out []string
	for _, e := range list {
		out = append(out, e.Version)
	}
	return strings.Join(out, " ")
}

func TestJSON(t *testing.T) {
	doc := []byte(`{"a": [{"v": "1.2", "at": "2026-11-18"}, {"v": 24.10, "at": "2026-11-17T10:00:00+02:00"}], "n": null, "o": {}}`)
	for path, want := range map[string]string{"$.a[0].v": "1.2", "$.a[-1].v": "24.10", "$.a[*].v": "1.2 24.10", "$.n": "null"} {
		if got, err := JSON(doc, path, ""); err != nil || versions(got) != want {
			t.Errorf("%s: %q, %v", path, versions(got), err)
		}
	}
	for _, path := range []string{"$.missing", "$.o", "$.a"} {
		if _, err := JSON(doc, path, ""); err == nil || fleet.KindOf(err) == fleet.Invalid {
			t.Errorf("%s: %v", path, err)
		}
	}
	keyed := []byte(`{"r": {"c": {"v": "3", "at": "2026-03-01"}, "a": {"v": "1", "at": "2026-01-01"}, "b": {"v": "2", "at": "2026-02-01"}}, "k": [{"v": "9", "os": "win"}, {"v": "8", "os": "mac"}]}`)
	for range 20 { // a map would tell them in another order each time
		for path, want := range map[string]string{"$.r.*.v": "1 2 3", "$.r..v": "1 2 3", "$.k[?(@.os == 'win')].v": "9", "$.r['a','c'].v": "1 3"} {
			if got, err := JSON(keyed, path, ""); err != nil || versions(got) != want {
				t.Errorf("%s: %q, %v", path, versions(got), err)
			}
		}
		if got, err := JSON(keyed, "$.r.*.v", "$.r.*.at"); err != nil || got[2].Version != "3" || got[2].Published.Month() != 3 {
			t.Errorf("times by key: %+v, %v", got, err)
		}
	}
	if _, err := JSON(doc, "$[", ""); fleet.KindOf(err) != fleet.Invalid {
		t.Errorf("malformed path: %v", err)
	}
	got, err := JSON(doc, "$.a[*].v", "$.a[*].at")
	if err != nil || got[0].Published.Format("2006-01-02 15:04") != "2026-11-18 00:00" || got[1].Published.Hour() != 8 {
		t.Errorf("times: %+v, %v", got, err)
	}
	if _, err := JSON(doc, "$.a[0].v", "$.a[*].at"); err == nil {
		t.Error("two times of one version are taken")
	}
	if _, err := JSON(doc, "$.a[0].v", "$.a[0].v"); err == nil || !strings.Contains(err.Error(), "no release time") {
		t.Errorf("a version as a time: %v", err)
	}
}

func TestText(t *testing.T) {
	page := []byte("putty-0.82.msi putty-0.81.msi putty-0.82.msi tool_9.1+7")
	for pattern, want := range map[string]string{
		`putty-(?P<version>[0-9.]+)\.msi`: "0.82 0.81", `putty-([0-9.]+)\.msi`: "0.82 0.81", `0\.8[0-9]`: "0.82 0.81",
	} {
		if got, err := Text(page, pattern); err != nil || versions(got) != want {
			t.Errorf("%s: %q, %v", pattern, versions(got), err)
		}
	}
	got, err := Text(page, `tool_(?P<version>[0-9.]+)\+(?P<build>[0-9]+)`)
	if err != nil || got[0].Values["build"] != "7" {
		t.Errorf("named groups: %+v, %v", got, err)
	}
	if _, err := Text(page, "("); fleet.KindOf(err) != fleet.Invalid {
		t.Errorf("malformed pattern: %v", err)
	}
	if _, err := Text(page, "nothing-([0-9])"); err == nil {
		t.Error("a page without a match tells a version")
	}
	if _, err := Text([]byte(strings.Repeat("1", maxText+1)), "1+"); err == nil {
		t.Error("a version of 4 KiB is taken")
	}
}

func TestHTML(t *testing.T) {
	page := []byte(`<html><body><a class=dl href="/d/app-24.09-x64.msi">24.09</a><a class=dl href="/d/app-24.08-x64.msi"> 24.08 </a><p>none`)
	for in, want := range map[[2]string]string{
		{"a.dl", ""}:                "24.09 24.08",
		{"a[href$='.msi']", "href"}: "/d/app-24.09-x64.msi /d/app-24.08-x64.msi",
	} {
		if got, err := HTML(page, in[0], in[1]); err != nil || versions(got) != want {
			t.Errorf("%v: %q, %v", in, versions(got), err)
		}
	}
	if _, err := HTML(page, "a[", ""); fleet.KindOf(err) != fleet.Invalid {
		t.Errorf("malformed selector: %v", err)
	}
	if _, err := HTML(page, "em", ""); err == nil {
		t.Error("a page without the element tells a version")
	}
	deep := strings.Repeat("<div>", 100_000)
	if _, err := HTML([]byte(deep), "em", ""); err == nil {
		t.Error("nothing but divs tell a version")
	}
}

func TestXML(t *testing.T) {
	doc := []byte(`<?xml version="1.0"?><list><release version="1.2"><at>2026-11-18T09:00:00Z</at></release><release version="1.1"><at>2026-10-01T09:00:00Z</at></release></list>`)
	for path, want := range map[string]string{"//release/@version": "1.2 1.1", "string(//release[1]/@version)": "1.2", "//release[last()]/@version": "1.1"} {
		if got, err := XML(doc, path, ""); err != nil || versions(got) != want {
			t.Errorf("%s: %q, %v", path, versions(got), err)
		}
	}
	spaced := []byte(`<rss xmlns:s="http://www.andymatuschak.org/xml-namespaces/sparkle"><s:version>7</s:version><version>8</version></rss>`)
	if got, err := XML(spaced, "//s:version", ""); err != nil || versions(got) != "7" {
		t.Errorf("by prefix: %q, %v", versions(got), err)
	}
	if got, err := XML(doc, "//release/@version", "//at"); err != nil || got[1].Published.Month() != 10 {
		t.Errorf("times: %+v, %v", got, err)
	}
	for _, path := range []string{"//[", "count(//release)"} {
		if _, err := XML(doc, path, ""); fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("%s: %v", path, err)
		}
	}
	for name, text := range map[string]string{
		"nothing there": "<list/>", "no XML": "Sign in", "cut off": "<list><release", "deep": strings.Repeat("<a>", 100_000),
		"an entity that grows": `<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x version="&b;">&b;</x>`,
	} {
		if got, err := XML([]byte(text), "//release/@version", ""); err == nil || fleet.KindOf(err) == fleet.Invalid {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}
