package view

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer/html"

	"github.com/packmill/packmill/internal/rules/change"
)

// rendered is Markdown as a forge would draw it, HTML let through: what is
// inert here is inert anywhere.
func rendered(t *testing.T, markdown string) string {
	t.Helper()
	var out strings.Builder
	m := goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions(html.WithUnsafe()))
	if err := m.Convert([]byte(markdown), &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

var (
	tag     = regexp.MustCompile(`<[^>]*>`)
	mention = regexp.MustCompile(`@[A-Za-z0-9]`)
)

// FuzzNeutral writes text from outside into a table's cell: it must stay one
// cell of plain text.
func FuzzNeutral(f *testing.F) {
	for _, s := range []string{
		"", "plain", "a|b", "`code`", "**bold** _it_ ~~no~~", "<img src=x onerror=alert(1)>", "[x](https://evil.example)", "![x](y)", "<https://evil.example>",
		"https://evil.example www.evil.example mail@evil.example", "@team please", "#12 GH-12", "a\nb\r\n\n# head", "\\|", "\\`|", "&lt;b&gt; &amp; &copy;", "x\x1b[2Jy", "1. a\n- b", "\u202eabc", "a\\", "\\\\|", "https://x|y", "[a]: https://x", "```\nx\n```",
		"<!-- c -->", "x_y_z __a__", "<a\nb>", "http://a.b/c_d*e*", "ftp://a.b", "xmpp:a@b.c/d", "a@b.c",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := rendered(t, "| a | b |\n| --- | --- |\n| first | "+Neutral(s)+" |\n")
		if !utf8.ValidString(Neutral(s)) && utf8.ValidString(s) {
			t.Errorf("no longer UTF-8: %q", Neutral(s))
		}
		for _, found := range tag.FindAllString(got, -1) {
			switch strings.TrimLeft(found, "</") {
			case "table>", "thead>", "tbody>", "tr>", "td>", "th>":
			default:
				t.Errorf("%q becomes the element %s in %s", s, found, got)
			}
		}
		if n := strings.Count(got, "<td>"); n != 2 {
			t.Errorf("%q makes %d cells: %s", s, n, got)
		}
		if mention.MatchString(Neutral(s)) {
			t.Errorf("%q still mentions somebody: %q", s, Neutral(s))
		}
	})
}

func FuzzCode(f *testing.F) {
	for _, s := range []string{"", "x", "`", "``x", "a`b`", "a|b", "\n", " ", "` `"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := rendered(t, "x "+Code(s)+" y\n")
		inner := tag.ReplaceAllString(strings.NewReplacer("<code>", "", "</code>", "", "<p>", "", "</p>", "").Replace(got), "\x00")
		if strings.Contains(inner, "\x00") {
			t.Errorf("%q: %s", s, got)
		}
	})
}

func TestCut(t *testing.T) {
	long := strings.Repeat("äöü line\n", 100)
	for _, limit := range []int{60, 61, 62, 100, 899, 2000} {
		got := Cut(long, limit)
		if len(got) > limit || !utf8.ValidString(got) {
			t.Errorf("limit %d: %d bytes, %q", limit, len(got), got)
		}
		if cut := limit < len(long); cut != strings.Contains(got, "cut here") {
			t.Errorf("limit %d: %q", limit, got)
		}
	}
	if got := Cut(strings.Repeat("ä", 100), 80); !utf8.ValidString(got) || len(got) > 80 {
		t.Errorf("%q", got)
	}
}

func TestTrailerIsOneLine(t *testing.T) {
	got := Trailers{Risk: "high: @all\n\nFixes: forged <b>", Plan: "sha256:1"}.String()
	want := "Risk: high: @\u200ball  Fixes: forged ‹b›\nPlan-Digest: sha256:1\n"
	if got != want {
		t.Errorf("got %q", got)
	}
}

// What is no package or tenant is called by its name in the headline.
func TestHeadlineSubjects(t *testing.T) {
	edit := func(field string) []change.Edit { return []change.Edit{{Field: field, Old: "1", New: "2"}} }
	for want, list := range map[string][]change.Subject{
		"the operator's trust":          {{What: change.Changed, Kind: "operator", Edits: edit("trust.approvals")}},
		"the operator":                  {{What: change.Changed, Kind: "operator", Edits: edit("name")}},
		"the sources of advisories":     {{What: change.Added, Kind: "advisories", Name: "sources", Edits: edit("kev")}},
		"1 partner and the week":        {{What: change.Changed, Kind: "week", Name: "week", Edits: edit("zone")}, {What: change.Changed, Kind: "partner", Name: "nordic", Edits: edit("name")}},
		"2 partners and 2 environments": {{Kind: "partner", Name: "a"}, {Kind: "partner", Name: "b"}, {Kind: "matrix", Name: "a"}, {Kind: "matrix", Name: "b"}},
	} {
		got := headline(change.Change{Subjects: list})
		if !strings.HasPrefix(got, "Changes "+want+"; ") {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
