package view

import (
	"fmt"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/why"
)

// ExplainTables are an explanation for people: what the tenant has, what comes,
// what keeps it back, what is due, and every rule with who decided it.
func ExplainTables(e why.Explanation) []Table {
	return []Table{explainSlots(e), explainWaves(e), explainKept(e), explainDue(e), explainRules(e)}
}

func explainSlots(e why.Explanation) Table {
	t := Table{
		Title:   fmt.Sprintf("%s on %s, %s", e.Package, e.Tenant, utc(e.At)),
		Columns: Cols("slot", "release", "since", "why", "decided by"),
	}
	t.Add("stable", dash(e.Stable.Release), utc(e.Stable.Since), e.Stable.Why, decidedBy(e.Stable.Decided))
	t.Add("candidate", dash(e.Candidate.Release), utc(e.Candidate.Since), dash(e.Candidate.Why), decidedBy(e.Candidate.Decided))
	t.Add("next", dash(e.Next.Release), "–", e.Next.Why, "–")
	return t
}

func explainWaves(e why.Explanation) Table {
	t := Table{Title: "The waves of what is next", Columns: Cols("wave", "phase", "devices>", "not before", "deadline", "says", "approved by"), Empty: "no wave takes anything to this tenant"}
	for _, w := range e.Next.Waves {
		says := w.Verdict
		if w.Skipped != "" {
			says = "left out: " + w.Skipped
		}
		if w.Late != "" {
			says = strings.TrimPrefix(says+"; late: "+w.Late, "; ")
		}
		t.Add(w.Wave, dash(w.Phase), fmt.Sprint(w.Devices), utc(w.NotBefore), utc(w.Deadline), dash(says), decidedBy(w.Decided))
	}
	return t
}

func explainKept(e why.Explanation) Table {
	t := Table{Title: "Kept back by", Columns: Cols("what", "wave", "why", "until", "where", "next command"), Empty: "nothing keeps it back"}
	for _, k := range e.Kept {
		t.Add(strings.TrimSpace(k.Kind+" "+k.Name), dash(k.Wave), k.Why, utc(k.Until), dash(k.Pos.String()), dash(k.Command))
	}
	return t
}

func explainDue(e why.Explanation) Table {
	t := Table{Title: "Due", Columns: Cols("when", "cycle", "wave", "what"), Empty: "nothing is due"}
	for _, d := range e.Due {
		when := utc(d.At)
		if !d.At.After(e.At) {
			when = "now"
		}
		t.Add(when, dash(string(d.Cycle)), dash(d.Wave), d.What)
	}
	return t
}

func explainRules(e why.Explanation) Table {
	t := Table{Title: "Rules, and who decided them", Columns: Cols("rule", "name", "says", "where", "decided by")}
	for _, r := range e.Rules {
		t.Add(r.Kind, dash(r.Name), r.Says, dash(r.Pos.String()), decidedBy(r.Decided))
	}
	return t
}

// decidedBy is a merge in a few words: what it was, when, on whose word.
func decidedBy(d why.Decision) string {
	if d.Commit == "" {
		return "–"
	}
	s := shortCommit(d.Commit)
	if d.PR > 0 {
		s += fmt.Sprintf(" (PR %d)", d.PR)
	}
	s += ", " + utc(d.At)
	if len(d.Approvers) > 0 {
		s += ", " + strings.Join(d.Approvers, " and ")
	}
	if d.Auto != "" {
		s += ", no human: packmill merged it after a signed verdict"
	}
	if d.Fault != "" {
		s += ", which " + d.Fault
	}
	return s
}

// ExplainRows is an explanation as one table, for spreadsheets.
func ExplainRows(e why.Explanation) Table {
	t := Table{Columns: Cols("part", "name", "release", "cycle", "wave", "says", "from", "until", "file", "line", "column", "commit", "pr", "approved by")}
	add := func(part, name, release string, cycle fleet.CycleID, wave, says string, from, until time.Time, pos fleet.Pos, d why.Decision) {
		t.Add(part, name, release, string(cycle), wave, says, stamped(from), stamped(until), pos.File, numbered(pos.Line), numbered(pos.Col), d.Commit, numbered(d.PR), strings.Join(d.Approvers, " "))
	}
	var never time.Time
	add("stable", "", e.Stable.Release, e.Stable.Cycle, e.Stable.Wave, e.Stable.Why, e.Stable.Since, never, fleet.Pos{}, e.Stable.Decided)
	add("candidate", "", e.Candidate.Release, e.Candidate.Cycle, e.Candidate.Wave, e.Candidate.Why, e.Candidate.Since, never, fleet.Pos{}, e.Candidate.Decided)
	add("next", "", e.Next.Release, e.Next.Cycle, "", e.Next.Why, never, never, fleet.Pos{}, why.Decision{})
	for _, w := range e.Next.Waves {
		says := w.Phase
		if w.Skipped != "" {
			says = "left out: " + w.Skipped
		}
		add("wave", fmt.Sprintf("%d devices", w.Devices), e.Next.Release, e.Next.Cycle, w.Wave, says, w.NotBefore, w.Deadline, fleet.Pos{}, w.Decided)
	}
	for _, k := range e.Kept {
		add("kept", strings.TrimSpace(k.Kind+" "+k.Name), e.Next.Release, "", k.Wave, k.Why, never, k.Until, k.Pos, why.Decision{})
	}
	for _, d := range e.Due {
		add("due", "", e.Next.Release, d.Cycle, d.Wave, d.What, d.At, never, fleet.Pos{}, why.Decision{})
	}
	for _, r := range e.Rules {
		add("rule", strings.TrimSpace(r.Kind+" "+r.Name), "", "", "", r.Says, never, never, r.Pos, r.Decided)
	}
	return t
}

// stamped is an instant for programs, "" for none.
func stamped(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func numbered(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}
