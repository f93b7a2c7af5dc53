package view

import (
	"fmt"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/change"
)

// A Bump is what is known about one new release when it is proposed.
type Bump struct {
	Change    change.Change
	Release   change.Release // the one of Change's that the pull request is about
	Notes     string         // the vendor's release notes, "" when none were found
	NotesFrom string         // where notes were looked for: an address or "npm"
	Inputs    []string       // what this text was made from: "main 9c1e5d0", "inventory 2026-11-18"

	Agreement *fleet.Agreement // what the package's sources say, nil when it has one
}

// BumpPull is the pull request that proposes a release: the verdict, a table
// with problems first, what approving means, and the details folded.
func BumpPull(b Bump) Pull {
	r := b.Release
	var head strings.Builder
	fmt.Fprintf(&head, "### %s %s: %s\n\n", Neutral(r.Name), Neutral(step(r.From, r.To)), bumpVerdict(b.Change))
	head.WriteString(checkTable(bumpRows(b)))
	for _, f := range b.Change.Findings {
		fmt.Fprintf(&head, "\n%s: %s.%s\n", findingGlyph(f), Neutral(f.Text), hint(f.Hint))
	}
	fmt.Fprintf(&head, "\n**Approving this pull request** makes %s %s a release of the repository, which is immutable from then on. "+
		"It reaches no device by itself: it is built and tested, and goes out with the next cycle, whose waves are approved one by one. "+
		"A new commit voids the approval.\n", Code(string(r.Package)), Neutral(r.To))
	folds := []fold{
		{"What changes in the repository", strings.TrimSpace(sectionsMarkdown(sections(b.Change)))},
		{"The publisher's signature, before and now", signerTable(r)},
		notes(b.Notes, b.NotesFrom),
		tenantFold(r.Reach),
		{"Check it yourself", checkYourself(r)},
	}
	foot := ""
	if len(b.Inputs) > 0 {
		foot = "Made from " + Neutral(joined(b.Inputs)) + ". This text is edited in place, never posted twice."
	}
	return Pull{
		Title: Plain(fmt.Sprintf("%s %s", r.Package, step(r.From, r.To))),
		Text:  assemble(head.String(), folds, foot, releaseTrailers(r)),
	}
}

func hint(text string) string {
	if text == "" {
		return ""
	}
	return " Next: " + Neutral(text) + "."
}

// bumpVerdict is the first thing to read: whether someone must decide.
func bumpVerdict(c change.Change) string {
	refused, decide := 0, 0
	for _, f := range c.Findings {
		if f.Level == change.Refused {
			refused++
		} else {
			decide++
		}
	}
	switch {
	case refused > 0:
		return glyphStop + " blocked, " + plural(refused, "reason")
	case decide == 1:
		return glyphLook + " 1 thing needs a decision"
	case decide > 1:
		return glyphLook + " " + plural(decide, "thing") + " need a decision"
	default:
		return glyphGood + " ready for review"
	}
}

func releaseTrailers(r change.Release) Trailers {
	level, why := r.Risk()
	return Trailers{
		Risk: level + ": " + why, Impact: reach(r.Reach), BackOut: wayBack(r.Rollback, r.From),
		ChangeClass: "normal", Fixes: r.Fixes,
	}
}

func bumpRows(b Bump) []checkRow {
	r := b.Release
	var rows []checkRow
	for _, i := range r.Installers {
		name := ""
		if len(r.Installers) > 1 {
			name = " (" + Neutral(i.Key) + ")"
		}
		rows = append(rows, signerRow(i, name), sourceRow(i, name), sizeRow(i, name))
	}
	if b.Agreement != nil {
		rows = append(rows, agreementRow(*b.Agreement, r.To))
	}
	if len(r.Files) > 0 {
		rows = append(rows, checkRow{glyphGood, "Payload", plural(len(r.Files), "file") + " changed, listed below"})
	}
	return append(rows, fixesRow(r), testRow(r), reachRow(r), datesRow(r), backRow(r))
}

// agreementRow is who named the version and who said otherwise.
func agreementRow(a fleet.Agreement, version string) checkRow {
	row := checkRow{glyph: glyphGood, name: "Sources"}
	var same, other []string
	for _, s := range a.Sources {
		switch {
		case s.Agrees:
			same = append(same, s.Source)
		case s.Failed != "":
			other = append(other, s.Source+" gave no answer")
		default:
			other = append(other, s.Source+" says "+s.Version)
		}
	}
	row.text = fmt.Sprintf("%d of %d sources say %s: %s", a.Agree, a.Of, Neutral(version), Neutral(some(same, 8)))
	if len(other) > 0 {
		row.glyph = glyphLook
		row.text += "; " + Neutral(some(other, 8))
	}
	return row
}

func signerRow(i change.Installer, suffix string) checkRow {
	row := checkRow{glyph: glyphGood, name: "Signature" + suffix, text: Neutral(signerWords(i))}
	switch i.SignerState {
	case change.SignerLost, change.SignerChanged, change.SignerFirst:
		row.glyph = glyphStop
	case change.SignerUnsigned:
		row.glyph = glyphNone
		row.text = "unsigned"
		if i.Platform == "linux" {
			row.text = "none of its own; the package source's index vouches for the digest"
		}
		if i.PreviousSize > 0 {
			row.text += ", as before"
		}
	}
	return row
}

func sourceRow(i change.Installer, suffix string) checkRow {
	row := checkRow{glyph: glyphGood, name: "Source and digest" + suffix}
	from := Code(i.Source)
	if i.Host != "" {
		from += ", host " + Neutral(hostWords(i))
	}
	if !i.HostKnown {
		row.glyph = glyphStop
	}
	row.text = from + ", " + Code(string(i.Digest))
	if i.Read != "" {
		row.text += "; the bytes say version " + Code(i.Read)
	}
	return row
}

func sizeRow(i change.Installer, suffix string) checkRow {
	row := checkRow{glyph: glyphGood, name: "Size" + suffix, text: sizeWords(i)}
	if growth, ok := i.Growth(); ok && (growth > 20 || growth < -20) {
		row.glyph = glyphLook
	}
	return row
}

func fixesRow(r change.Release) checkRow {
	if len(r.Fixes) == 0 {
		return checkRow{glyphNone, "Fixes", "no vulnerability is named by the release file"}
	}
	return checkRow{glyphLook, "Fixes", plural(len(r.Fixes), "vulnerability") + ": " + Neutral(some(r.Fixes, 8))}
}

func testRow(r change.Release) checkRow {
	if len(r.Matrix) == 0 {
		return checkRow{glyphLook, "Tests", "the package names no test environment"}
	}
	return checkRow{glyphNone, "Tests", "run after the merge, before any device: " + Neutral(some(r.Matrix, 8))}
}

func reachRow(r change.Release) checkRow {
	row := checkRow{glyphGood, "Reach", reach(r.Reach)}
	if len(r.Reach.Tenants) == 0 || r.Reach.Unknown > 0 {
		row.glyph = glyphLook
	}
	if n := len(r.Reach.Kept); n > 0 {
		row.glyph = glyphLook
		row.text += fmt.Sprintf("; %s kept back: %s", plural(n, "tenant"), Neutral(keptWords(r.Reach.Kept)))
	}
	return row
}

func keptWords(kept []change.Kept) string {
	words := make([]string, 0, 4)
	for _, k := range kept {
		words = append(words, string(k.Tenant)+" "+k.Why)
	}
	return some(words, 3)
}

func datesRow(r change.Release) checkRow {
	if len(r.Dates) == 0 {
		return checkRow{glyphNone, "Dates", "not known yet"}
	}
	row := checkRow{glyph: glyphGood, name: "Dates"}
	var parts []string
	for _, d := range r.Dates {
		s := fmt.Sprintf("%s %s", d.Wave, instant(d.Opens))
		if d.LocalTime {
			s += " local time"
		}
		if d.Frozen != "" {
			row.glyph = glyphLook
			s += " (frozen by " + d.Frozen + ")"
		}
		parts = append(parts, Neutral(s))
	}
	row.text = Neutral(string(r.Dates[0].Cycle)) + ": " + strings.Join(parts, " "+glyphArrow+" ")
	return row
}

func backRow(r change.Release) checkRow {
	row := checkRow{glyphGood, "Way back", Neutral(wayBack(r.Rollback, r.From))}
	if r.Rollback == "forwardOnly" {
		row.glyph = glyphLook
	}
	return row
}

func signerTable(r change.Release) string {
	if len(r.Installers) == 0 {
		return ""
	}
	t := Table{Columns: Cols("installer", "before", "now")}
	for _, i := range r.Installers {
		before := i.PreviousSigner
		if before == "" && i.PreviousSize > 0 {
			before = "unsigned"
		}
		now := i.Signer
		if now == "" {
			now = "unsigned"
		}
		t.Add(i.Key, orNone(before), now)
	}
	return markdownOf(&t)
}

// notes is the vendor's own text: quoted letter by letter, so that nothing in
// it is read as ours, or that there was none to find.
func notes(text, from string) fold {
	if strings.TrimSpace(text) == "" {
		where := ""
		if from != "" {
			where = "; looked at " + Neutral(from)
		}
		return fold{"Release notes", "No release notes were found" + where + "."}
	}
	return fold{"Release notes (the vendor's text, not checked by us)", Quoted(text, 60, 8000)}
}

func tenantList(r change.Reach) string {
	const shown = 200
	t := Table{Columns: Cols("tenant")}
	for i, id := range r.Tenants {
		if i == shown {
			t.Add(fmt.Sprintf("%d more", len(r.Tenants)-shown))
			break
		}
		t.Add(string(id))
	}
	return markdownOf(&t)
}

func checkYourself(r change.Release) string {
	var b strings.Builder
	b.WriteString("```sh\npackmill validate\npackmill diff\n")
	fmt.Fprintf(&b, "packmill build %s@%s   # downloads the bytes and compares the digests\n", Plain(string(r.Package)), Plain(r.To))
	b.WriteString("```\n")
	return b.String()
}

func markdownOf(t *Table) string {
	var b strings.Builder
	if err := t.Markdown(&b); err != nil {
		return "" // a strings.Builder never fails
	}
	return b.String()
}
