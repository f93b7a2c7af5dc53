package view

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/change"
)

// Glyphs stand before a word, never instead of one. Pull requests have those a
// forge draws in colour.
const (
	glyphGood   = "✅"
	glyphLook   = "🟡"
	glyphUrgent = "🔴"
	glyphStop   = "⛔"
	glyphNone   = "⚪"
	glyphArrow  = "→"
)

// Marks do the same where text is monospaced or printed.
const (
	markYes  = "✓"
	markNo   = "✗"
	markLook = "!"
	markNew  = "●"
	markNone = "·"

	marks = "✓✗!●·◔◐○■" // all that stand before a word in a table
)

// plural is "1 tenant", "12 tenants", "2 batches", "3 policies": the first word
// of the noun takes the ending.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	first, rest, more := strings.Cut(noun, " ")
	switch {
	case strings.HasSuffix(first, "ch"), strings.HasSuffix(first, "s"):
		first += "es"
	case strings.HasSuffix(first, "y"):
		first = strings.TrimSuffix(first, "y") + "ies"
	default:
		first += "s"
	}
	if more {
		first += " " + rest
	}
	return grouped(n) + " " + first
}

// grouped is a number with thin groups of three digits from 10,000 on.
func grouped(n int) string {
	s := strconv.Itoa(n)
	if n < 10000 {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// sized is a number of bytes in the unit people would choose.
func sized(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	case n < 1<<30:
		return fmt.Sprintf("%.2f MiB", float64(n)/(1<<20))
	default:
		return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
	}
}

// signed is a percentage with its sign: "+0.3 %".
func signed(percent float64) string {
	return fmt.Sprintf("%+.1f %%", percent)
}

// percent is a percentage without needless digits: "98 %", "98.5 %".
func percent(p float64) string { return strconv.FormatFloat(p, 'f', -1, 64) + " %" }

// instant is a time in the zone it carries: "Mon 2026-11-23 14:00 +02:00", with
// "UTC" in place of a zero offset. A zero time is a dash.
func instant(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	if _, offset := t.Zone(); offset == 0 {
		return t.Format("Mon 2006-01-02 15:04") + " UTC"
	}
	return t.Format("Mon 2006-01-02 15:04 -07:00")
}

// utc is a time in UTC as tables have it: "2026-11-23 12:00Z".
func utc(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04Z")
}

// span is a duration without zero parts: "24h", "1h30m".
func span(d fleet.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// step is "24.08 → 24.09", or "24.09 (first release)".
func step(from, to string) string {
	if from == "" {
		return to + " (first release)"
	}
	return from + " " + glyphArrow + " " + to
}

// reach is whom something touches, in a sentence's part.
func reach(r change.Reach) string {
	if len(r.Tenants) == 0 {
		return "no tenant"
	}
	s := plural(len(r.Tenants), "tenant")
	switch {
	case r.Unknown == len(r.Tenants):
		return s + ", devices not known"
	case r.Unknown > 0:
		return fmt.Sprintf("%s, at least %s (%s without an inventory)", s, plural(r.Devices, "device"), plural(r.Unknown, "tenant"))
	default:
		return s + ", up to " + plural(r.Devices, "device")
	}
}

// some lists up to limit words and counts the rest.
func some[S ~string](list []S, limit int) string {
	words := make([]string, 0, limit+1)
	for i, s := range list {
		if i == limit {
			words = append(words, fmt.Sprintf("%d more", len(list)-limit))
			break
		}
		words = append(words, string(s))
	}
	return strings.Join(words, ", ")
}

// wayBack is a rollback in words.
func wayBack(rollback, from string) string {
	switch rollback {
	case "previous":
		if from == "" {
			return "uninstall: there is no release before"
		}
		return "back to " + from
	case "uninstall":
		return "uninstall"
	case "forwardOnly":
		return "none: stop, and go forward with the next release"
	default:
		return "not stated"
	}
}

// signerWords is what became of an installer's signature.
func signerWords(i change.Installer) string {
	switch i.SignerState {
	case change.SignerSame:
		return "same: " + i.Signer
	case change.SignerChanged:
		return "changed: " + i.PreviousSigner + " " + glyphArrow + " " + i.Signer
	case change.SignerReissued:
		return "same name, another issuer: " + i.Signer + ", issued by " + i.PreviousIssuer + " " + glyphArrow + " " + i.Issuer
	case change.SignerLost:
		return "lost: unsigned, before " + i.PreviousSigner
	case change.SignerExpected:
		return "first release, signed as the publisher's file expects: " + i.Signer
	case change.SignerFirst:
		return "first time seen: " + i.Signer
	case change.SignerUnsigned:
		return "unsigned"
	default:
		return "not known"
	}
}
