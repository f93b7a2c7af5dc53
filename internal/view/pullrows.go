package view

import (
	"fmt"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/change"
)

// unknown is what a row says whose fact nobody has.
func unknown(name, why string) checkRow {
	return checkRow{glyphNone, name, "not known yet: " + why}
}

// bumpRows are the eight rows of a proposal, always all of them.
func bumpRows(b Bump) []checkRow {
	r := b.Release
	rows := []checkRow{signerRow(r), agreed(sourceRow(r), b.Agreement, r.To), sizeRow(r), fixesRow(b), testRow(r), reachRow(r), windowRow(r), backRow(r)}
	if u := b.Unheld; u != nil {
		at := slices.IndexFunc(rows, func(row checkRow) bool { return row.name == rowOfHold(u.Hold) })
		rows[at].glyph = glyphStop
		rows[at].text = "**held as " + within(u.Hold, 40, Neutral) + "**: " + within(u.Why, rowBytes, Neutral) + "; " + rows[at].text
	}
	return rows
}

// rowOfHold is the row that a hold is about.
func rowOfHold(hold string) string {
	if hold == fleet.HoldTooYoung {
		return "Window"
	}
	return "Source and hash"
}

// A said is what one installer has to say in a row.
type said struct{ glyph, words string }

// eachInstaller puts what the installers say into one row: once where all say
// the same, the worst first where they do not. say gets the bytes it may take.
func eachInstaller(name string, r change.Release, say func(in change.Installer, n int) said) checkRow {
	if len(r.Installers) == 0 {
		return checkRow{glyphNone, name, "none of its own: a release of kind " + within(r.Kind, 40, Neutral) + " has no installer"}
	}
	rank := func(glyph string) int {
		return slices.Index([]string{glyphStop, glyphUrgent, glyphLook, glyphNone, glyphGood}, glyph)
	}
	type of struct {
		said
		first change.Installer
		keys  []string
	}
	var list []of
	for _, in := range r.Installers {
		s := say(in, rowBytes)
		i := slices.IndexFunc(list, func(o of) bool { return o.said == s })
		if i < 0 {
			i, list = len(list), append(list, of{said: s, first: in})
		}
		list[i].keys = append(list[i].keys, in.Key)
	}
	slices.SortStableFunc(list, func(a, b of) int { return rank(a.glyph) - rank(b.glyph) })
	if len(list) == 1 {
		return checkRow{list[0].glyph, name, list[0].words}
	}
	const shown = 3
	var parts []string
	for i, o := range list {
		if i == shown {
			parts = append(parts, fmt.Sprintf("%d more", len(list)-shown))
			break
		}
		parts = append(parts, within(some(o.keys, 2), 40, Neutral)+": "+say(o.first, rowBytes/shown).words)
	}
	return checkRow{list[0].glyph, name, strings.Join(parts, "; ")}
}

func signerRow(r change.Release) checkRow {
	return eachInstaller("Publisher certificate", r, func(i change.Installer, n int) said {
		switch i.SignerState {
		case change.SignerLost, change.SignerChanged, change.SignerReissued, change.SignerFirst:
			return said{glyphStop, within(signerWords(i), n, Neutral)}
		case change.SignerUnsigned:
			words := "unsigned"
			if i.Platform == "linux" {
				words = "none of its own; the package source's index vouches for the digest"
			}
			if i.PreviousSize > 0 {
				words += ", as before"
			}
			return said{glyphNone, words}
		default:
			return said{glyphGood, within(signerWords(i), n, Neutral)}
		}
	})
}

func sourceRow(r change.Release) checkRow {
	const name = "Source and hash"
	if n := len(r.Files); n > 0 && len(r.Installers) == 0 {
		return checkRow{glyphGood, name, "this repository: " + plural(n, "file") + " of the payload changed, each pinned by its digest"}
	}
	return eachInstaller(name, r, func(i change.Installer, n int) said {
		s := said{glyphGood, within(i.Source, n/2, Code)}
		if !i.HostKnown {
			s.glyph = glyphStop
		}
		if i.Host != "" && (!i.HostKnown || i.PreviousHost != i.Host) {
			s.words += ", host " + within(hostWords(i), n/3, Neutral)
		}
		s.words += ", " + Code(i.Digest.Short())
		if i.Read != "" {
			s.words += "; the bytes say version " + within(i.Read, n/6, Code)
		}
		return s
	})
}

// agreed adds to the row of the source who named the version and who said
// otherwise.
func agreed(row checkRow, a *fleet.Agreement, version string) checkRow {
	if a == nil {
		return row
	}
	var other []string
	for _, s := range a.Sources {
		switch {
		case s.Agrees:
		case s.Failed != "":
			other = append(other, s.Source+" gave no answer")
		default:
			other = append(other, s.Source+" says "+s.Version)
		}
	}
	row.text += fmt.Sprintf("; %d of %d sources say %s", a.Agree, a.Of, within(version, 40, Neutral))
	if len(other) > 0 {
		row.text += ", but " + within(some(other, 3), rowBytes/2, Neutral)
		if row.glyph == glyphGood {
			row.glyph = glyphLook
		}
	}
	return row
}

func sizeRow(r change.Release) checkRow {
	return eachInstaller("Size", r, func(i change.Installer, _ int) said {
		if growth, ok := i.Growth(); ok && (growth > 20 || growth < -20) {
			return said{glyphLook, sizeWords(i)}
		}
		return said{glyphGood, sizeWords(i)}
	})
}

// dueWords say by when policy wants a security release everywhere.
func dueWords(r change.Release) string {
	switch {
	case r.WithinHours == 0:
		return ""
	case r.Due == nil:
		return fmt.Sprintf("; class %g h, due not known yet: nobody says when it was published", r.WithinHours)
	default:
		return fmt.Sprintf("; class %g h, counted from the vendor's release %s, **due %s**", r.WithinHours, utc(*r.Published), utc(*r.Due))
	}
}

func testRow(r change.Release) checkRow {
	if len(r.Matrix) == 0 {
		return checkRow{glyphLook, "Test matrix", "the package names no test environment"}
	}
	return checkRow{glyphNone, "Test matrix", "no result yet; will run after the merge, before any device: " + within(some(r.Matrix, 6), rowBytes/2, Neutral)}
}

func reachRow(r change.Release) checkRow {
	row := checkRow{glyphGood, "Reach", reach(r.Reach)}
	if len(r.Reach.Tenants) == 0 || r.Reach.Unknown > 0 {
		row.glyph = glyphLook
	}
	if n := len(r.Reach.Kept); n > 0 {
		row.glyph = glyphLook
		row.text += fmt.Sprintf("; %s kept back: %s", plural(n, "tenant"), within(keptWords(r.Reach.Kept), rowBytes/2, Neutral))
	}
	return row
}

func keptWords(kept []change.Kept) string {
	words := make([]string, 0, len(kept))
	for _, k := range kept {
		words = append(words, string(k.Tenant)+" "+k.Why)
	}
	return some(words, 3)
}

// windowRow is when the release would travel if it were merged now.
func windowRow(r change.Release) checkRow {
	const name, shown = "Window", 5
	if len(r.Dates) == 0 {
		return unknown(name, "the week gives no date for the waves")
	}
	row := checkRow{glyph: glyphGood, name: name}
	var parts []string
	for _, d := range r.Dates {
		if d.Frozen != "" {
			row.glyph = glyphLook
		}
		parts = append(parts, waveWords(d))
	}
	if n := len(parts); n > shown {
		parts = append(append(parts[:shown-1:shown-1], fmt.Sprintf("%d waves", n-shown)), parts[n-1])
	}
	row.text = within(string(r.Dates[0].Cycle)+": "+strings.Join(parts, " "+glyphArrow+" "), rowBytes, Neutral)
	if last := r.Dates[len(r.Dates)-1]; r.Due != nil && last.Opens.After(*r.Due) {
		row.glyph = glyphLook
		row.text += "; the last wave opens after the due time"
	}
	return row
}

func waveWords(d change.Date) string {
	s := d.Wave + " " + instant(d.Opens)
	if d.LocalTime {
		s += " local time"
	}
	if d.Frozen != "" {
		s += " (frozen by " + d.Frozen + ")"
	}
	return s
}

func backRow(r change.Release) checkRow {
	row := checkRow{glyphGood, "Way back", within(wayBack(r.Rollback, r.From), nameBytes, Neutral)}
	if r.Rollback == "forwardOnly" {
		row.glyph = glyphLook
	}
	return row
}
