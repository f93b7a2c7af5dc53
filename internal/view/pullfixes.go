package view

import (
	"fmt"
	"strings"

	"github.com/packmill/packmill/internal/rules/bump"
)

// fixesRow tells none from not known: that nobody was asked is no good news, and
// neither is that a vendor names nothing.
func fixesRow(b Bump) checkRow {
	const name = "Fixes"
	if b.Known == nil {
		return unaskedRow(name, b)
	}
	k := *b.Known
	fixed, named := apart(k.List)
	row := checkRow{glyphLook, name, ""}
	switch {
	case len(k.List) > 0:
	case strings.TrimSpace(b.Notes) == "":
		return unknown(name, "no release notes were found, and the release file names no vulnerability")
	default:
		return checkRow{glyphNone, name, "neither the vendor's notes nor the release file name a vulnerability"}
	}
	if len(fixed) > 0 {
		row.text = plural(len(fixed), "vulnerability") + ": " + weaknessesWords(fixed)
	}
	if exploited(b) {
		row.glyph = glyphUrgent
	}
	if len(named) > 0 && len(fixed) > 0 {
		row.text += "; the vendor's notes also name " + weaknessesWords(named)
	} else if len(named) > 0 {
		row.text = "the vendor's notes name " + weaknessesWords(named) + "; if they are fixed, set change and fixes in the release file"
	}
	const shown = 4
	if len(k.Asked) > 0 {
		row.text += "; asked " + within(some(k.Asked, shown), 120, Neutral)
	}
	if len(k.Silent) > 0 {
		row.text += "; not known by " + within(some(k.Silent, shown), 120, Neutral) + ", asked without an answer"
	}
	row.text += dueWords(b.Release)
	return row
}

// unaskedRow is the row of a repository that names no source.
func unaskedRow(name string, b Bump) checkRow {
	const shown = 4
	r := b.Release
	named := bump.Named(b.Notes)
	switch {
	case len(r.Fixes) > 0:
		return checkRow{glyphLook, name, plural(len(r.Fixes), "vulnerability") + " by the release file: " + within(some(r.Fixes, shown), 120, Neutral) +
			"; KEV and EPSS not known yet: no source of them was asked" + dueWords(r)}
	case len(named) > 0:
		return checkRow{glyphLook, name, "the vendor's notes name " + within(some(named, shown), 120, Neutral) + ", which nobody checked; if they are fixed, set change and fixes in the release file"}
	default:
		return unknown(name, "the release file names no vulnerability, and no source of them was asked")
	}
}

// exploited reports whether the release fixes what is known to be exploited.
func exploited(b Bump) bool {
	if b.Known != nil {
		for _, w := range b.Known.List {
			if w.Exploited() {
				return true
			}
		}
	}
	return false
}

// apart are the vulnerabilities that the release fixes by its file, and those
// that the notes alone name.
func apart(list []bump.Weakness) (fixed, named []bump.Weakness) {
	for _, w := range list {
		if w.Fixed {
			fixed = append(fixed, w)
		} else {
			named = append(named, w)
		}
	}
	return fixed, named
}

// weaknessesWords are the first few of them.
func weaknessesWords(list []bump.Weakness) string {
	const shown = 4
	var parts []string
	for i, w := range list {
		if i == shown {
			parts = append(parts, fmt.Sprintf("%d more", len(list)-shown))
			break
		}
		parts = append(parts, weaknessWords(w))
	}
	return strings.Join(parts, ", ")
}

// weaknessWords are the id and, in brackets, what is known of it.
func weaknessWords(w bump.Weakness) string {
	var known []string
	switch {
	case w.KEV && w.Of != "":
		known = append(known, "KEV of "+within(w.Of, 80, Neutral))
	case w.KEV:
		known = append(known, "**KEV** since "+within(w.Added, 20, Neutral))
	}
	if w.KEV && w.Ransomware {
		known = append(known, "used by ransomware")
	}
	switch {
	case w.EPSS <= 0:
	case w.EPSS < 0.01:
		known = append(known, "EPSS below 0.01")
	default:
		known = append(known, fmt.Sprintf("EPSS %.2f", w.EPSS))
	}
	words := within(w.ID, 40, Neutral)
	if len(known) > 0 {
		words += " (" + strings.Join(known, ", ") + ")"
	}
	return words
}
