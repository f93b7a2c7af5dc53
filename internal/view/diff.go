package view

import (
	"fmt"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/rules/change"
)

// A line of a diff is a label and what there is to say, under the lines above
// it that are less deep. Code is told letter by letter.
type line struct {
	depth int
	text  string
	code  string
}

// A section of a diff is a headline and its lines.
type section struct {
	title string
	lines []line
}

func (s *section) say(depth int, format string, args ...any) {
	s.lines = append(s.lines, line{depth: depth, text: fmt.Sprintf(format, args...)})
}

func (s *section) quote(depth int, label, code string) {
	s.lines = append(s.lines, line{depth: depth, text: label, code: code})
}

// DiffText is a change in domain words, for a terminal.
func DiffText(c change.Change) string {
	var b strings.Builder
	b.WriteString(Plain(headline(c)) + "\n")
	if words := ruleWords(c); words != "" {
		b.WriteString(Plain(words) + "\n")
	}
	for _, f := range c.Findings {
		fmt.Fprintf(&b, "  %s %s: %s\n", findingWord(f), Plain(f.Object), Plain(f.Text))
	}
	for _, s := range sections(c) {
		b.WriteString("\n" + Plain(s.title) + "\n")
		for _, l := range s.lines {
			b.WriteString(strings.Repeat("  ", l.depth+1) + Plain(l.text))
			if l.code != "" {
				b.WriteString(" " + Plain(l.code))
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

// DiffMarkdown is a change in domain words, for a pull request or job summary.
func DiffMarkdown(c change.Change) string {
	var b strings.Builder
	b.WriteString("**" + Neutral(headline(c)) + "**\n")
	if words := ruleWords(c); words != "" {
		b.WriteString("\n" + Neutral(words) + "\n")
	}
	if len(c.Findings) > 0 {
		b.WriteString("\n")
	}
	for _, f := range c.Findings {
		fmt.Fprintf(&b, "- %s %s: %s\n", findingGlyph(f), Neutral(f.Object), Neutral(f.Text))
	}
	b.WriteString(sectionsMarkdown(sections(c)))
	return Cut(b.String(), summaryLimit)
}

func sectionsMarkdown(list []section) string {
	var b strings.Builder
	for _, s := range list {
		b.WriteString("\n#### " + Neutral(s.title) + "\n\n")
		for _, l := range s.lines {
			b.WriteString(strings.Repeat("  ", l.depth) + "- " + Neutral(l.text))
			if l.code != "" {
				b.WriteString(" " + Code(l.code))
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

// summaryLimit keeps Markdown within what a pull request takes.
const summaryLimit = 60_000

func findingWord(f change.Finding) string {
	if f.Level == change.Refused {
		return "refused:"
	}
	return "decide:"
}

func findingGlyph(f change.Finding) string {
	if f.Level == change.Refused {
		return glyphStop + " **refused**"
	}
	return glyphLook + " **decide**"
}

// headline is the change in one sentence.
func headline(c change.Change) string {
	if c.Empty() {
		return "Nothing changes for packages, tenants, policies or schedules."
	}
	var parts []string
	count := func(n int, noun string) {
		if n > 0 {
			parts = append(parts, plural(n, noun))
		}
	}
	count(len(c.Releases), "release")
	count(len(c.Packages), "package")
	count(len(c.Tenants), "tenant")
	if n := len(c.Policies); n > 0 {
		parts = append(parts, plural(n, "change of policy"))
	}
	count(len(c.Waves), "wave")
	for _, kind := range []string{"operator", "partner", "week", "matrix", "advisories", "answer"} {
		if words := subjectWords(kind, c.Subjects); words != "" {
			parts = append(parts, words)
		}
	}
	count(len(c.Freezes), "freeze")
	count(len(c.Holds), "hold")
	count(len(c.Cycles), "cycle")
	count(len(c.Approvals), "approval")
	s := "Changes " + joined(parts) + "; reaches " + reach(c.Reach) + "."
	return s
}

// ruleWords says whether what is allowed gets tighter or looser, "" when it
// stays as it is.
func ruleWords(c change.Change) string {
	switch c.Class {
	case change.Tightening:
		return "Tightening: every bound that changes is proven to allow nothing that was not allowed before."
	case change.Loosening:
		const shown = 5
		s := "Loosening: " + strings.Join(c.Looser[:min(len(c.Looser), shown)], "; ")
		if more := len(c.Looser) - shown; more > 0 {
			s += fmt.Sprintf("; and %d more", more)
		}
		return s + "."
	default:
		return ""
	}
}

// subjectWords names the subjects of one kind: of some there is only one, and
// an operator's trust is what others must see first.
func subjectWords(kind string, all []change.Subject) string {
	var list []change.Subject
	trust := false
	for _, s := range all {
		if s.Kind == kind {
			list = append(list, s)
			trust = trust || slices.ContainsFunc(s.Edits, func(e change.Edit) bool {
				return strings.HasPrefix(e.Field, "trust") || strings.HasPrefix(e.Field, "approvers")
			})
		}
	}
	switch {
	case len(list) == 0:
		return ""
	case kind == "operator" && trust:
		return "the operator's trust"
	case kind == "operator" || kind == "week":
		return "the " + kind
	case kind == "advisories":
		return "the sources of advisories"
	case kind == "matrix":
		return plural(len(list), "environment")
	default:
		return plural(len(list), kind)
	}
}

func joined(parts []string) string {
	if len(parts) < 2 {
		return strings.Join(parts, "")
	}
	return strings.Join(parts[:len(parts)-1], ", ") + " and " + parts[len(parts)-1]
}

// sections are everything there is to say, what matters most first.
func sections(c change.Change) []section {
	var out []section
	for _, y := range c.Cycles {
		out = append(out, cycleSection(y))
	}
	for _, a := range c.Approvals {
		out = append(out, approvalSection(a))
	}
	for _, h := range c.Holds {
		out = append(out, holdSection(h))
	}
	for _, r := range c.Releases {
		out = append(out, releaseSection(r))
	}
	for _, p := range c.Packages {
		s := section{title: fmt.Sprintf("Package %s %s", p.ID, p.What)}
		if p.What == change.Added {
			s.say(0, "%s, a package of kind %s", p.Name, p.Kind)
		}
		s.edits(0, p.Edits)
		s.say(0, "assigned on %s", reach(p.Reach))
		out = append(out, s)
	}
	for _, p := range c.Policies {
		s := section{title: "Policy of " + some(p.Subjects, 3)}
		s.edits(0, p.Edits)
		s.say(0, "holds for %s", reach(p.Reach))
		out = append(out, s)
	}
	for _, t := range c.Tenants {
		s := section{title: fmt.Sprintf("Tenant %s %s", t.ID, t.What)}
		if t.Devices >= 0 {
			s.say(0, "%s", plural(t.Devices, "device"))
		} else {
			s.say(0, "devices not known")
		}
		s.edits(0, t.Edits)
		out = append(out, s)
	}
	return append(out, restSections(c)...)
}

func restSections(c change.Change) []section {
	var out []section
	for _, f := range c.Freezes {
		s := section{title: fmt.Sprintf("Freeze %s %s", f.ID, f.What)}
		s.say(0, "from %s until %s, scope %s", instant(f.Value.From), instant(f.Value.Until), f.Value.Scope)
		s.say(0, "reason: %s", f.Value.Reason)
		s.edits(0, f.Edits)
		out = append(out, s)
	}
	for _, list := range [][]change.Subject{c.Waves, c.Subjects} {
		for _, t := range list {
			title := t.Kind + " " + t.Name
			if t.Kind == t.Name {
				title = "the " + t.Kind
			}
			s := section{title: fmt.Sprintf("%s %s", capital(title), t.What)}
			s.edits(0, t.Edits)
			out = append(out, s)
		}
	}
	return out
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func (s *section) edits(depth int, list []change.Edit) {
	for _, e := range list {
		text := e.Field + ": " + orNone(e.Old) + " " + glyphArrow + " " + orNone(e.New)
		if e.Direction != "" {
			text += " (" + e.Direction + ")"
		}
		s.say(depth, "%s", text)
	}
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
