package view

import (
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// A Pull is the text of a pull request.
type Pull struct {
	Title string
	Text  string // Markdown; its last paragraph holds the trailers
}

// bodyLimit is the size a body never passes, in bytes. GitHub takes 65,536
// characters.
const bodyLimit = 60_000

// Trailers are the last paragraph of a pull request, and so of the commit that
// merges it: what `git log --format=%(trailers)` answers an auditor with.
type Trailers struct {
	Risk        string // "low: patch release of a known package"
	Impact      string // "11 tenants, up to 540 devices"
	BackOut     string // "back to 24.08"
	ChangeClass string // normal, standard, emergency
	Plan        fleet.Digest
	Fixes       []string
}

// String is the paragraph, one trailer a line, without those that are empty.
func (t Trailers) String() string {
	var b strings.Builder
	put := func(key, value string) {
		if value != "" {
			b.WriteString(key + ": " + trailer(value) + "\n")
		}
	}
	put("Risk", t.Risk)
	put("Impact", t.Impact)
	put("Back-out", t.BackOut)
	put("Change-Class", t.ChangeClass)
	put("Plan-Digest", string(t.Plan))
	put("Fixes", strings.Join(t.Fixes, ", "))
	return b.String()
}

// trailer is text from anywhere as one harmless line that stays readable in
// `git log`: no mention, no HTML, no reference, no link. A second line would end
// the paragraph that git reads.
func trailer(s string) string {
	return within(s, trailerBytes, func(s string) string {
		s = strings.NewReplacer("@", "@"+zeroWidth, "#", "#"+zeroWidth, "<", "‹", ">", "›", "`", "'").Replace(Plain(s))
		return unlink(s)
	})
}

// trailerBytes is the length of a trailer's value, many vulnerabilities at once
// for example.
const trailerBytes = 400

// A fold is a part of a body that is closed until someone opens it.
type fold struct {
	title string
	body  string // Markdown
}

// assemble puts a body together within bodyLimit.
func assemble(head string, folds []fold, foot string, t Trailers) string {
	return assembleWithin(bodyLimit, head, folds, foot, t)
}

// assembleWithin puts a body together in at most limit bytes: the head and the
// trailers are always whole, folded parts are given up from the last one on,
// and the body says so.
func assembleWithin(limit int, head string, folds []fold, foot string, t Trailers) string {
	end := ""
	if foot != "" {
		end = "\n<sub>" + foot + "</sub>\n"
	}
	end += "\n" + t.String()
	const left = "\nMore was left out here to keep this text within its limit; `packmill diff` shows all of it.\n"
	room := limit - len(end) - len(left)
	var b strings.Builder
	b.WriteString(Cut(head, room))
	for _, f := range folds {
		if f.body == "" {
			continue
		}
		part := "\n<details><summary>" + Neutral(f.title) + "</summary>\n\n" + strings.TrimRight(f.body, "\n") + "\n\n</details>\n"
		if b.Len()+len(part) > room {
			b.WriteString(left)
			break
		}
		b.WriteString(part)
	}
	return b.String() + end
}

// A checkRow is one row of the table a reviewer reads first.
type checkRow struct {
	glyph string
	name  string
	text  string // Markdown
}

// checkTable is the table, problems first.
func checkTable(rows []checkRow) string {
	var b strings.Builder
	b.WriteString("| | Check | Result |\n|---|---|---|\n")
	for _, glyph := range []string{glyphStop, glyphUrgent, glyphLook, glyphNone, glyphGood} {
		for _, r := range rows {
			if r.glyph == glyph {
				b.WriteString("| " + r.glyph + " | **" + r.name + "** | " + r.text + " |\n")
			}
		}
	}
	return b.String()
}
