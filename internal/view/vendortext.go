package view

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds on a vendor's own text, before and after it was cleaned.
const (
	vendorRead = 64 << 10 // bytes that are looked at
	vendorLine = 300      // characters of a line
)

// What VendorText takes away, in this order: the later may only show once what
// hid it is gone.
var (
	comments   = regexp.MustCompile(`(?s)<!--.*?(-->|$)`)
	fences     = regexp.MustCompile("(?m)^ {0,3}(`{3,}|~{3,}).*$")
	images     = regexp.MustCompile(`!\[([^\]\n]*)\](\([^)\n]*\)|\[[^\]\n]*\])`)
	links      = regexp.MustCompile(`\[([^\]\n]*)\](\([^)\n]*\)|\[[^\]\n]*\])`)
	lineBreaks = regexp.MustCompile(`(?i)<(br|/p|/li|/tr|/h[1-6])\b[^<>]*>`)
	tags       = regexp.MustCompile(`</?[A-Za-z][^<>]*>`)
	opensTag   = regexp.MustCompile(`<([A-Za-z/!?])`)
)

// VendorText is text from a vendor as a closed block of code: words without
// their mark-up. HTML, comments, images and the targets of links are gone and
// what they show is kept; fences are gone, so that none is left open; nothing is
// a mention, a reference or a link, also not in the message of a commit, where
// a block of code means nothing. Characters that nobody sees are gone: they
// reorder what people read, or hide words from them.
//
// It is cut to the given number of lines and bytes and then says how many lines
// are missing. The length is bounded for any text.
func VendorText(s string, lines, bytes int) string {
	// What is not looked at still counts as lines that are left out.
	rest := ""
	if len(s) > vendorRead {
		s, rest = s[:vendorRead], s[vendorRead:]
	}
	s = strings.TrimSpace(unmarkup(strings.ToValidUTF8(s, "")))
	var all []string
	if s != "" {
		all = strings.Split(s, "\n")
	}
	left := len(all) + strings.Count(strings.TrimRight(rest, "\n"), "\n")
	var b strings.Builder
	for _, line := range all[:min(len(all), lines)] {
		line = inert(short(line, vendorLine))
		if b.Len()+len(line)+1 > bytes {
			break
		}
		b.WriteString(line + "\n")
		left--
	}
	out := "```text\n" + b.String() + "```\n"
	if left > 0 {
		out += fmt.Sprintf("\n… %s more %s\n", grouped(left), lineWord(left))
	}
	return out
}

func lineWord(n int) string {
	if n == 1 {
		return "line"
	}
	return "lines"
}

// wholeLines is s within n bytes, whole lines from its start, and then how many
// are missing and where they are.
func wholeLines(s string, n int, where string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	var b strings.Builder
	for i, l := range lines {
		if b.Len()+len(l)+1 > n {
			fmt.Fprintf(&b, "\n… %s more %s: %s\n", grouped(len(lines)-i), lineWord(len(lines)-i), where)
			break
		}
		b.WriteString(l + "\n")
	}
	return b.String()
}

// unmarkup is the words of a text that may be Markdown or HTML.
func unmarkup(s string) string {
	s = strings.Map(seen, strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n"))
	s = comments.ReplaceAllString(s, "")
	s = fences.ReplaceAllString(s, "")
	s = images.ReplaceAllString(s, "$1")
	s = links.ReplaceAllString(s, "$1")
	s = lineBreaks.ReplaceAllString(s, "\n")
	s = tags.ReplaceAllString(s, "")
	s = strings.ReplaceAll(s, "```", "'''")
	return opensTag.ReplaceAllString(s, "‹$1")
}

// seen keeps what people see, and the ends of lines. Format characters
// (Unicode category Cf) turn text around, are tags, or have no width; fillers
// are letters without a shape.
func seen(r rune) rune {
	switch {
	case r == '\n':
		return r
	case r == '\t':
		return ' '
	case unicode.IsControl(r), unicode.In(r, unicode.Cf, unicode.Co, unicode.Variation_Selector), r == unicode.ReplacementChar,
		r == '\u115f', r == '\u1160', r == '\u3164', r == '\uffa0', r == '\u2800', r == '\u2028', r == '\u2029':
		return -1
	default:
		return r
	}
}

// inert is a line that acts nowhere: not as a mention, a reference or a link.
func inert(line string) string {
	return unlink(strings.NewReplacer("@", "@"+zeroWidth, "#", "#"+zeroWidth).Replace(Plain(line)))
}

// short is s in at most n characters, "…" standing for what is left out.
func short(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	kept := 0
	for i := range s {
		if kept++; kept == n {
			return s[:i] + "…"
		}
	}
	return s
}

// within is the mark-up that make gives for as much of s as fits into n bytes.
func within(s string, n int, make func(string) string) string {
	out := make(short(s, 4*n)) // make may leave characters out
	for kept := n; len(out) > n && kept > 0; kept = kept * 3 / 4 {
		out = make(short(s, kept))
	}
	return out
}
