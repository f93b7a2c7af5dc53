package view

import (
	"fmt"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/bump"
	"github.com/packmill/packmill/internal/rules/change"
)

// A Bump is what is known about one new release when it is proposed.
type Bump struct {
	Change    change.Change
	Release   change.Release   // the one of Change's that the pull request is about
	Major     bool             // its version is a major one, whatever its class
	Known     *bump.Weaknesses // nil where the repository names no source of vulnerabilities
	Unheld    *fleet.Command   // who let it pass although it is held; nil unless it is
	Notes     string           // the vendor's release notes, "" when none were found
	NotesFrom string           // where notes were looked for: an address, or a feed's name
	Inputs    []string         // what this text was made from: "main 9c1e5d0", "inventory 2026-11-18"

	Agreement *fleet.Agreement // what the package's sources say, nil when it has one
}

// bumpLimit is the size of the body in bytes: what a person reads whole. A
// character has at least one.
const bumpLimit = 7_900

// Bounds on the parts of the head, in bytes. Together with the trailers they
// leave room for folded parts, whatever the release says.
const (
	nameBytes    = 160
	rowBytes     = 330
	findingBytes = 260
	findingsMost = 4
)

// BumpPull is the pull request that proposes a release: the verdict, eight rows
// with problems first, what approving means, and the details folded. Whatever
// the release and the vendor's notes hold, the body stays within bumpLimit.
func BumpPull(b Bump) Pull {
	r := b.Release
	var head strings.Builder
	fmt.Fprintf(&head, "### %s: %s\n\n", within(r.Name+" "+step(r.From, r.To), nameBytes, Neutral), bumpVerdict(b))
	head.WriteString(checkTable(bumpRows(b)))
	head.WriteString(bumpFindings(b.Change.Findings))
	if u := b.Unheld; u != nil {
		fmt.Fprintf(&head, "\n%s **unheld** by %s on %s: %s\n", glyphStop, within(u.By, 60, Code), utc(u.At), within(u.Reason, findingBytes, Neutral))
	}
	fmt.Fprintf(&head, "\n**Approving this pull request** makes %s a release of the repository, which is immutable from then on. "+
		"It reaches no device by itself: it is built and tested, and goes out with the next cycle, whose waves are approved one by one. "+
		"A new commit voids the approval.\n", within(string(r.Package)+" "+r.To, nameBytes, Neutral))
	folds := []fold{
		signerFold(r),
		notes(b.Notes, b.NotesFrom),
		{"What changes in the repository", wholeLines(sectionsMarkdown(sections(b.Change)), 2000, "`packmill diff` tells them")},
		tenantsOf(r.Reach),
		{"Check it yourself", checkYourself(r)},
	}
	foot := ""
	if len(b.Inputs) > 0 {
		foot = "Made from " + within(joined(b.Inputs), findingBytes, Neutral) + ". "
	}
	return Pull{
		Title: short(Plain(fmt.Sprintf("%s %s", r.Package, step(r.From, r.To))), 200),
		Text:  assembleWithin(bumpLimit, head.String(), folds, foot+"This text is edited in place, never posted twice.", releaseTrailers(r)),
	}
}

// bumpFindings are the sentences below the table, the first few of them.
func bumpFindings(list []change.Finding) string {
	var b strings.Builder
	for i, f := range list {
		if i == findingsMost {
			fmt.Fprintf(&b, "\n%s more: `packmill diff` tells them.\n", plural(len(list)-i, "finding"))
			break
		}
		fmt.Fprintf(&b, "\n%s: %s.%s\n", findingGlyph(f), within(f.Text, findingBytes, Neutral), hint(f.Hint))
	}
	return b.String()
}

func hint(text string) string {
	if text == "" {
		return ""
	}
	return " Next: " + within(text, findingBytes, Neutral) + "."
}

// bumpVerdict is the first thing to read: whether someone must decide.
func bumpVerdict(b Bump) string {
	refused, decide := 0, 0
	for _, f := range b.Change.Findings {
		if f.Level == change.Refused {
			refused++
		} else {
			decide++
		}
	}
	glyph := glyphLook
	if b.Unheld != nil {
		decide++
	}
	for _, r := range bumpRows(b) {
		if r.glyph == glyphStop {
			glyph = glyphStop
		}
	}
	words := ""
	switch {
	case refused > 0:
		words = glyphStop + " blocked, " + plural(refused, "reason")
	case decide == 1:
		words = glyph + " 1 thing needs a decision"
	case decide > 1:
		words = glyph + " " + plural(decide, "thing") + " need a decision"
	case b.Major || b.Release.Class == "major":
		words = glyphLook + " ready for review, a major version"
	default:
		words = glyphGood + " ready for review"
	}
	if exploited(b) {
		words += ", " + glyphUrgent + " exploited in the wild"
	}
	return words
}

func releaseTrailers(r change.Release) Trailers {
	level, why := r.Risk()
	return Trailers{
		Risk: level + ": " + why, Impact: reach(r.Reach), BackOut: wayBack(r.Rollback, r.From),
		ChangeClass: "normal", Fixes: r.Fixes,
	}
}

// signerFold is the signature before and now, where it is not the same.
func signerFold(r change.Release) fold {
	t := Table{Columns: Cols("installer", "before", "now")}
	for i, in := range r.Installers {
		if i == 6 {
			t.Add(plural(len(r.Installers)-i, "more installer"), "", "")
			break
		}
		before := in.PreviousSigner
		if before == "" && in.PreviousSize > 0 {
			before = "unsigned"
		}
		now := in.Signer
		if now == "" {
			now = "unsigned"
		}
		before, now = short(orNone(before), 100), short(now, 100)
		if in.SignerState == change.SignerReissued {
			before, now = before+", issued by "+short(in.PreviousIssuer, 100), now+", issued by "+short(in.Issuer, 100)
		}
		t.Add(short(in.Key, 40), before, now)
	}
	f := fold{title: "The publisher's certificate, before and now"}
	for _, in := range r.Installers {
		if in.SignerState != change.SignerSame && in.SignerState != change.SignerUnsigned {
			f.body = markdownOf(&t)
		}
	}
	return f
}

// notes is the vendor's own text, or that there was none to find.
func notes(text, from string) fold {
	where := ""
	if from != "" {
		where = within(from, nameBytes, Code)
	}
	if strings.TrimSpace(text) == "" {
		if where != "" {
			where = "; looked at " + where
		}
		return fold{"Release notes", "No release notes were found" + where + "."}
	}
	if where != "" {
		where = "From " + where + ":\n\n"
	}
	return fold{"Release notes (the vendor's text, not checked by us)", where + VendorText(text, 25, 1400)}
}

// tenantsOf is the first few tenants by name.
func tenantsOf(r change.Reach) fold {
	const shown = 20
	if len(r.Tenants) == 0 {
		return fold{}
	}
	names := make([]string, 0, shown)
	for _, id := range r.Tenants {
		names = append(names, short(string(id), 60))
	}
	return fold{"Tenants (" + grouped(len(r.Tenants)) + ")", within(some(names, shown), 1400, Neutral) + "\n"}
}

func checkYourself(r change.Release) string {
	var b strings.Builder
	b.WriteString("```sh\npackmill validate\npackmill diff\n")
	fmt.Fprintf(&b, "packmill build '%s@%s'   # downloads the bytes and compares the digests\n", Plain(string(r.Package)), shellSafe(r.To))
	b.WriteString("```\n")
	return b.String()
}

// shellSafe is a version that a person may paste between single quotes.
func shellSafe(s string) string {
	return short(strings.NewReplacer("'", "", "`", "").Replace(Plain(s)), 80)
}

func markdownOf(t *Table) string {
	var b strings.Builder
	if err := t.Markdown(&b); err != nil {
		return "" // a strings.Builder never fails
	}
	return b.String()
}
