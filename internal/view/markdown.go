package view

import (
	"strings"
	"unicode/utf8"
)

// zeroWidth stands between the characters of what a forge would otherwise turn
// into a mention, a reference or a link. It is invisible.
const zeroWidth = "\u200b"

// Neutral is text from outside as inert Markdown on one line: no mark-up, no
// HTML, no mention, no reference to an issue, no link.
func Neutral(s string) string {
	s = Plain(s)
	var b strings.Builder
	for i, r := range s {
		switch {
		case strings.ContainsRune("\\`*_{}[]()<>#|~!", r) && escapes(s, i, r):
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '@':
			b.WriteString("@" + zeroWidth)
		case r == '&':
			b.WriteString("&amp;")
		default:
			b.WriteRune(r)
		}
	}
	return unlink(b.String())
}

// escapes says whether the rune at i can start mark-up. Brackets, braces and
// underscores inside words are left as they are where that is harmless.
func escapes(s string, i int, r rune) bool {
	switch r {
	case '(', ')', '{', '}', '!':
		return false // only marks beside a bracket, which is escaped
	case '_':
		before, _ := utf8.DecodeLastRuneInString(s[:i])
		after, _ := utf8.DecodeRuneInString(s[i+1:])
		return !word(before) || !word(after)
	default:
		return true
	}
}

func word(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z'
}

// unlink breaks what GitHub links by itself: addresses, and "GH-12". References
// with "#" were escaped, which does not stop them, so they are broken here too.
func unlink(s string) string {
	return strings.NewReplacer(
		"://", ":"+zeroWidth+"//",
		"www.", "www"+zeroWidth+".",
		"\\#", "\\#"+zeroWidth,
		"GH-", "GH"+zeroWidth+"-",
		"gh-", "gh"+zeroWidth+"-",
		"Gh-", "Gh"+zeroWidth+"-",
		"gH-", "gH"+zeroWidth+"-",
	).Replace(s)
}

// Code is s as inline code that its content cannot leave.
func Code(s string) string {
	s = Plain(s)
	if s == "" {
		return ""
	}
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	if len(fence) > 1 || strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		s = " " + s + " "
	}
	return fence + strings.ReplaceAll(s, "|", "\\|") + fence
}

// Cut is s within limit bytes: whole lines from its start, and a last line that
// says that something is missing.
func Cut(s string, limit int) string {
	const mark = "\n(cut here: the text is longer than its place allows)\n"
	if len(s) <= limit {
		return s
	}
	head := s[:max(0, limit-len(mark))]
	if i := strings.LastIndexByte(head, '\n'); i >= 0 {
		head = head[:i]
	}
	return strings.ToValidUTF8(head, "") + mark
}
