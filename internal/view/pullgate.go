package view

import (
	"fmt"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/change"
)

// A GateRequest is the pull request that lets the next wave of a cycle open:
// what the wave before showed, and what the next one will do.
type GateRequest struct {
	Approval fleet.Approval
	Wave     fleet.Wave      // the wave it opens
	Plan     fleet.Plan      // of that wave
	Before   string          // the wave before, "" when this is the first
	Verdicts []fleet.Verdict // of the wave before, one for each entry
	Stopped  []Stop          // entries that do not go on
}

// A Stop is an entry of a cycle that does not go on, and why.
type Stop struct {
	Package fleet.PackageID
	Release string
	Word    string // halted, held, revoked
	Why     string
}

// GatePull is the pull request of a GateRequest.
func GatePull(g GateRequest) Pull {
	a := g.Approval
	passed, open := 0, 0
	for _, v := range g.Verdicts {
		switch v.Decision {
		case "pass":
			passed++
		case "inconclusive":
			open++
		}
	}
	var head strings.Builder
	fmt.Fprintf(&head, "### Wave %s of %s: %s\n", Neutral(a.Gate), Neutral(string(a.Cycle)), gateVerdict(passed, open, len(g.Stopped)))
	if g.Before != "" {
		fmt.Fprintf(&head, "\nWhat wave %s showed:\n\n%s", Neutral(g.Before), verdictTable(g.Verdicts))
	}
	if len(g.Stopped) > 0 {
		head.WriteString("\n" + stopTable(g.Stopped))
	}
	fmt.Fprintf(&head, "\n**Approving and merging this** opens wave %s: %s, from %s on. It approves plan %s; "+
		"a plan that comes out differently when it is applied is refused, and what is stopped stays stopped. Valid until %s.\n",
		Code(a.Gate), summaryWords(a.Summary), dash(opening(g.Plan)), Code(string(a.Plan)), utc(a.ValidUntil))
	t := Trailers{Impact: summaryWords(a.Summary), BackOut: "a revocation for each release; a wave that has not opened yet is disarmed by a hold", ChangeClass: "normal", Plan: a.Plan}
	t.Risk = "low: " + plural(passed, "release") + " passed the gate before"
	switch {
	case g.Before == "":
		t.Risk = "medium: first wave of the cycle"
	case open > 0:
		t.Risk = "medium: " + plural(open, "release") + " without enough reports to judge"
	}
	return Pull{
		Title: Plain(fmt.Sprintf("Approve %s of %s", a.Gate, a.Cycle)),
		Body:  assemble(head.String(), []fold{planFold(g.Plan)}, "", t),
	}
}

func gateVerdict(passed, open, stopped int) string {
	var parts []string
	if passed > 0 {
		parts = append(parts, glyphGood+" "+plural(passed, "release")+" passed")
	}
	if open > 0 {
		parts = append(parts, fmt.Sprintf("%s %d inconclusive", glyphLook, open))
	}
	if stopped > 0 {
		parts = append(parts, fmt.Sprintf("%s %d stopped", glyphStop, stopped))
	}
	if len(parts) == 0 {
		return glyphNone + " no verdict yet"
	}
	return strings.Join(parts, ", ")
}

func verdictTable(list []fleet.Verdict) string {
	t := Table{
		Columns: Cols("package", "verdict", "succeeded>", "failed>", "silent>", "success rate, bounds", "rule"),
		Empty:   "no verdict was given",
	}
	for _, v := range list {
		t.Add(string(v.Package), verdictWord(v.Decision), grouped(v.Counts.Succeeded), grouped(v.Counts.Failed),
			grouped(v.Counts.Silent), bounds(v), v.Rule)
	}
	return markdownOf(&t)
}

func verdictWord(decision string) string {
	switch decision {
	case "pass":
		return glyphGood + " pass"
	case "fail":
		return glyphStop + " fail"
	case "inconclusive":
		return glyphLook + " inconclusive"
	default:
		return glyphNone + " none"
	}
}

func bounds(v fleet.Verdict) string { return fmt.Sprintf("%.1f – %.1f %%", v.Lower, v.Upper) }

func stopTable(list []Stop) string {
	t := Table{Columns: Cols("stopped", "release", "state", "why")}
	for _, s := range list {
		t.Add(string(s.Package), s.Release, glyphStop+" "+s.Word, s.Why)
	}
	return markdownOf(&t)
}

// A Revocation is the pull request that takes a release back.
type Revocation struct {
	ID      string // of the hold
	Hold    fleet.Hold
	Name    string         // of the package
	Way     string         // its rollback: previous, uninstall, forwardOnly
	Verdict *fleet.Verdict // what halted it, nil when a person asks
	Reach   change.Reach   // tenants with an intent to take it
	Errors  []string       // distinct error codes devices reported
}

// RevokePull is the pull request of a Revocation.
func RevokePull(r Revocation) Pull {
	h := r.Hold
	var head strings.Builder
	fmt.Fprintf(&head, "### %s Take back %s %s\n\n", glyphStop, Neutral(r.Name), Neutral(h.Release))
	fmt.Fprintf(&head, "Reason: %s\n", Neutral(h.Reason))
	if v := r.Verdict; v != nil {
		fmt.Fprintf(&head, "\nWave %s of %s judged it %s: %s.\n\n%s", Neutral(v.Wave), Neutral(string(v.Cycle)), utc(v.At),
			Neutral(v.Rule), verdictTable([]fleet.Verdict{*v}))
		head.WriteString("\nIt is halted already: nothing new starts, and what had not started was withdrawn. That needed no approval. Taking it back does.\n")
	}
	if len(r.Errors) > 0 {
		fmt.Fprintf(&head, "\nDevices reported: %s\n", Neutral(some(r.Errors, 10)))
	}
	fmt.Fprintf(&head, "\n**Approving and merging this** revokes artifact %s for good. On %s: %s. Other packages of the cycle go on.\n",
		Code(string(h.Artifact)), reach(r.Reach), Neutral(wayBack(r.Way, h.RollbackTo)))
	folds := []fold{{"Tenants (" + fmt.Sprint(len(r.Reach.Tenants)) + ")", tenantList(r.Reach)}}
	return Pull{
		Title: Plain(fmt.Sprintf("Revoke %s %s", h.Package, h.Release)),
		Body: assemble(head.String(), folds, "", Trailers{
			Risk: "medium: devices change again", Impact: reach(r.Reach),
			BackOut:     "a release with the next counter; a revocation itself is not taken back",
			ChangeClass: "emergency",
		}),
	}
}

// A Closing is the pull request that closes a cycle.
type Closing struct {
	Approval fleet.Approval
	Released []fleet.Verdict // last verdict of each entry that passed every wave
	Stopped  []Stop
}

// ClosePull is the pull request of a Closing.
func ClosePull(c Closing) Pull {
	a := c.Approval
	var head strings.Builder
	fmt.Fprintf(&head, "### Cycle %s: %s\n\n", Neutral(string(a.Cycle)), gateVerdict(len(c.Released), 0, len(c.Stopped)))
	head.WriteString(verdictTable(c.Released))
	if len(c.Stopped) > 0 {
		head.WriteString("\n" + stopTable(c.Stopped))
	}
	head.WriteString("\n**Merging this** closes the cycle: nothing of it starts after that. It changes no device.\n")
	return Pull{
		Title: "Close cycle " + Plain(string(a.Cycle)),
		Body: assemble(head.String(), nil, "", Trailers{
			Risk: "low: changes no device", Impact: plural(len(c.Released), "release") + " done, " + fmt.Sprint(len(c.Stopped)) + " stopped",
			BackOut: "none needed", ChangeClass: "standard", Plan: a.Plan,
		}),
	}
}
