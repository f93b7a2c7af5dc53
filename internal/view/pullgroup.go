package view

import (
	"fmt"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/rules/change"
)

// A Group is what is known about new releases that are proposed together.
type Group struct {
	Name  string
	Reach change.Reach // of all of them
	Bumps []Bump       // one a package; Change is that of the one release
}

// groupRowsBytes is the room for the rows of packages, in bytes: what is left of
// bumpLimit for the head around them, the trailers and some of the details.
const groupRowsBytes = 4_000

// GroupPull is the pull request that proposes several releases: one row a
// package, problems first, the worst of which decides the headline, and the rows
// of each release folded as far as there is room. Whatever the releases hold,
// and however many there are, the body stays within bumpLimit; packages without
// a row are counted.
func GroupPull(g Group) Pull {
	bumps := slices.Clone(g.Bumps)
	slices.SortStableFunc(bumps, func(a, b Bump) int { return urgency(a) - urgency(b) })
	title := fmt.Sprintf("%s: %s", g.Name, plural(len(bumps), "version"))
	var head strings.Builder
	fmt.Fprintf(&head, "### %s: %s\n\n", within(title, nameBytes, Neutral), groupVerdict(bumps))
	head.WriteString(groupTable(bumps))
	fmt.Fprintf(&head, "\n**Approving this pull request** makes all %s releases of the repository, which are immutable from then on. "+
		"They reach no device by themselves: each is built and tested, and goes out with the next cycle, whose waves are approved one by one. "+
		"A new commit voids the approval; whoever wants one of them left out says `packmill ignore` of it.\n", grouped(len(bumps)))
	folds := make([]fold, 0, len(bumps)+1)
	for _, b := range bumps {
		folds = append(folds, groupFold(b))
	}
	folds = append(folds, fold{"Check it yourself", "```sh\npackmill validate\npackmill diff\n```\n"})
	return Pull{
		Title: short(Plain(title), 200),
		Text:  assembleWithin(bumpLimit, head.String(), folds, "This text is edited in place, never posted twice.", groupTrailers(g, bumps)),
	}
}

// bumpGlyph and words are the verdict on one release.
func bumpGlyph(b Bump) (glyph, words string) {
	glyph, words, _ = strings.Cut(bumpVerdict(b), " ")
	return glyph, words
}

// urgency orders releases by their verdicts, smallest first.
func urgency(b Bump) int {
	glyph, _ := bumpGlyph(b)
	rank := 2 * slices.Index([]string{glyphStop, glyphLook, glyphGood}, glyph)
	if exploited(b) {
		rank--
	}
	return rank
}

// groupVerdict is the verdict on the worst release, and which that is.
func groupVerdict(bumps []Bump) string {
	if len(bumps) == 0 {
		return glyphNone + " nothing is proposed"
	}
	glyph, words := bumpGlyph(bumps[0])
	if glyph == glyphGood {
		return glyph + " " + words
	}
	more := 0
	for _, b := range bumps[1:] {
		if g, _ := bumpGlyph(b); g != glyphGood {
			more++
		}
	}
	out := glyph + " " + words + ", in " + within(string(bumps[0].Release.Package), nameBytes, Neutral)
	if more > 0 {
		out += fmt.Sprintf(", and %d more to look at", more)
	}
	return out
}

func groupTable(bumps []Bump) string {
	var b strings.Builder
	b.WriteString("| | Package | Version | Change | Result |\n|---|---|---|---|---|\n")
	for i, bump := range bumps {
		row := groupRow(bump)
		if b.Len()+len(row) > groupRowsBytes {
			fmt.Fprintf(&b, "| | … and %s | | | no room for them here: `packmill diff` shows all |\n", plural(len(bumps)-i, "more package"))
			break
		}
		b.WriteString(row)
	}
	return b.String()
}

func groupRow(b Bump) string {
	r := b.Release
	glyph, words := bumpGlyph(b)
	var look []string
	for _, row := range bumpRows(b) {
		if row.glyph == glyphStop || row.glyph == glyphUrgent || row.glyph == glyphLook {
			look = append(look, row.name)
		}
	}
	if len(look) > 0 {
		words += "; look at: " + strings.Join(look, ", ")
	}
	return fmt.Sprintf("| %s | %s | %s %s %s | %s | %s |\n", glyph, within(string(r.Package), 80, Neutral),
		within(r.From, 50, Neutral), glyphArrow, within(r.To, 50, Neutral), within(r.Class, 20, Neutral), words)
}

// groupFold is what the pull request of the release alone would say of it.
func groupFold(b Bump) fold {
	body := checkTable(bumpRows(b)) + bumpFindings(b.Change.Findings)
	if strings.TrimSpace(b.Notes) != "" {
		body += "\n" + notes(b.Notes, b.NotesFrom).title + ":\n\n" + VendorText(b.Notes, 10, 500) + "\n"
	}
	return fold{short(Plain(string(b.Release.Package)+" "+step(b.Release.From, b.Release.To)), nameBytes), body}
}

// groupTrailers are those of the riskiest release, and what is true of all.
func groupTrailers(g Group, bumps []Bump) Trailers {
	out := Trailers{Impact: reach(g.Reach), ChangeClass: "normal"}
	levels := []string{"low", "medium", "high"}
	worst := -1
	var backs []string
	for _, b := range bumps {
		level, why := b.Release.Risk()
		if rank := slices.Index(levels, level); rank > worst {
			worst, out.Risk = rank, level+": "+why+" ("+string(b.Release.Package)+")"
		}
		backs = append(backs, string(b.Release.Package)+" "+wayBack(b.Release.Rollback, b.Release.From))
		out.Fixes = append(out.Fixes, b.Release.Fixes...)
	}
	out.BackOut = some(backs, 5)
	slices.Sort(out.Fixes)
	out.Fixes = slices.Compact(out.Fixes)
	return out
}
