package view

import (
	"regexp"
	"strings"
	"testing"
	"unicode"
)

func TestVendorText(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "one\ntwo", "one\ntwo\n"},
		{"nothing", " \n", ""},
		{"mention", "thanks @ann", "thanks @\u200bann\n"},
		{"references", "fixes #1, acme/tool#2, GH-3, gh-4", "fixes #\u200b1, acme/tool#\u200b2, GH\u200b-3, gh\u200b-4\n"},
		{"link", "see [the page](https://evil.example/x) and https://evil.example", "see the page and https:\u200b//evil.example\n"},
		{"image in a link", "[![build](https://a/b.svg)](https://a)", "build\n"},
		{"reference links", "[text][1] ![alt][2]", "text alt\n"},
		{"comment", "a<!-- packmill:plan -->b<!-- open\nend", "ab\n"},
		{"html", `<p>one<br/>two</p><img src=x onerror="y">three<script>alert(1)`, "one\ntwo\nthreealert(1)\n"},
		{"a tag in a tag", "<scr<b>ipt>x", "‹script>x\n"},
		{"a tag that a comment hides", "<scr<!-- -->ipt>x", "x\n"},
		{"open fence", "```go\nx := 1", "x := 1\n"},
		{"inline fence", "a ``` b", "a ''' b\n"},
		{"hidden", "a\u202eb\u200bc\u00add\U000e0041e\x1b[2Jf\ufeff", "abcde[2Jf\n"},
		{"less than", "a < b <3", "a < b <3\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, want := VendorText(tt.in, 20, 2000), "```text\n"+tt.want+"```\n"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
	for _, in := range []string{strings.Repeat("line\n", 50), strings.Repeat("line\n", 100_000)} {
		got := VendorText(in, 20, 2000)
		if n := strings.Count(in, "\n"); !strings.HasSuffix(got, "```\n\n… "+grouped(n-20)+" more lines\n") {
			t.Errorf("%d lines: %q", n, got)
		}
	}
}

// FuzzVendorText: nothing of a vendor's text opens HTML, leaves its block,
// mentions, refers or links, however long it is.
func FuzzVendorText(f *testing.F) {
	for _, s := range []string{"", "one\ntwo", "```\n<b>out</b>", "````\n```", "~~~\n<b>", "    ```\n<b>", "\x1b[2J", "a\r\n```\r\n<script>", "@a #1 GH-2 o/r#3 www.x https://y",
		"<!-- <!-- --> -->", "[![a](b)](c)", "<a\n>", "<<b>b>", "\u202e@x", "@\u200dx", "``` ```", "&lt;b&gt;", "<\u200bb>"} {
		f.Add(s)
	}
	mentions := regexp.MustCompile(`(?i)@[0-9A-Za-z_-]|#[0-9]|\bgh-[0-9]|://|www\.`)
	opens := regexp.MustCompile(`<[A-Za-z/!?]`)
	f.Fuzz(func(t *testing.T, s string) {
		got := VendorText(s, 20, 2000)
		if len(got) > 2000+100 {
			t.Errorf("%d bytes", len(got))
		}
		if bad := mentions.FindString(got) + opens.FindString(got); bad != "" {
			t.Errorf("%q acts in %q", bad, got)
		}
		for _, r := range got {
			if string(r) != zeroWidth && r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
				t.Errorf("%U is left in %q", r, got)
			}
		}
		html := rendered(t, got+"\nafter\n")
		rest := html[strings.Index(html, "</code></pre>")+len("</code></pre>"):]
		if !strings.HasPrefix(html, `<pre><code class="language-text">`) || strings.Contains(strings.ReplaceAll(strings.ReplaceAll(rest, "<p>", ""), "</p>", ""), "<") {
			t.Errorf("%q leaves its block: %s", s, html)
		}
	})
}
