package view

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// PlanTable is a plan's rows.
func PlanTable(p fleet.Plan) Table {
	t := Table{
		Title:   fmt.Sprintf("Plan of %s of %s, %s", p.Gate, p.Cycle, p.Digest()),
		Columns: Cols("tenant", "package", "from", "to", "wave", "devices>", "not before", "deadline", "why"),
		Empty:   "this wave reaches nothing",
	}
	for _, r := range p.Rows {
		opens, deadline := utc(r.NotBefore), utc(r.Deadline)
		if r.LocalTime {
			opens = r.NotBefore.Format("2006-01-02 15:04") + " local"
			deadline = r.Deadline.Format("2006-01-02 15:04") + " local"
		}
		t.Add(string(r.Tenant), string(r.Package), dash(r.From), r.To, r.Wave, fmt.Sprint(r.Devices), opens, deadline, rowWords(r))
	}
	if words := coverageWords(p); words != "" {
		t.Title += "; devices of the fleet it stands for: " + words
	}
	return t
}

// rowWords are why a row is, and what else it does in the tenant.
func rowWords(r fleet.PlanRow) string {
	words := r.Why
	if r.Adopts != "" {
		words += "; ADOPTS the tenant's app " + r.Adopts + " as its stable slot"
	}
	if r.Awaited != "" {
		words += "; enrolment status page " + r.Awaited
	}
	return words
}

// GroupTable is whom a plan puts into the groups of its wave, and takes out.
func GroupTable(p fleet.Plan) Table {
	t := Table{Title: "Groups of wave " + p.Gate, Columns: Cols("tenant", "holds", "devices>", "joining>", "leaving>"), Empty: "no group changes"}
	for _, g := range p.Groups {
		holds := "devices"
		if g.Users {
			holds = "devices, their users in another"
		}
		t.Add(string(g.Tenant), holds, fmt.Sprint(g.Devices), fmt.Sprint(g.Joining), fmt.Sprint(g.Leaving))
	}
	return t
}

// LeavesTable is what tenants' files take from tenants, which the next run does.
func LeavesTable(list []rollout.Leaving) Table {
	t := Table{Title: "Leaving", Columns: Cols("tenant", "package", "release", "what", "why", "waits for")}
	for _, l := range list {
		t.Add(string(l.Tenant), string(l.Package), l.Release, l.Action, l.Why, dash(l.Waits))
	}
	return t
}

// SkippedTable is what a plan leaves out.
func SkippedTable(p fleet.Plan) Table {
	t := Table{Title: "Left out", Columns: Cols("tenant", "package", "why"), Empty: "nothing is left out"}
	for _, s := range p.Skipped {
		t.Add(string(s.Tenant), cmp.Or(string(s.Package), "every package"), s.Why)
	}
	return t
}

// DetectionTable is what was found upstream, and what is held and why.
func DetectionTable(list []fleet.Detection) Table {
	t := Table{Columns: Cols("package", "released", "upstream", "result", "why"), Empty: "no package has an upstream"}
	for _, d := range list {
		t.Add(string(d.Package), dash(d.Current), dash(d.Found), detectionWord(d), d.Why)
	}
	return t
}

func detectionWord(d fleet.Detection) string {
	switch d.State {
	case fleet.StateHeld:
		return markLook + " held: " + d.Hold
	case fleet.StateNew:
		return markNew + " new"
	case fleet.StateEqual:
		return markYes + " up to date"
	case fleet.StateWatch:
		return markNone + " watched only"
	default:
		return markNone + " no upstream"
	}
}

// TestTable is the outcome of test cells; a failing cell tells its first
// failing step.
func TestTable(list []fleet.Tested) Table {
	t := Table{Columns: Cols("package", "version", "cell", "installer", "result", "steps"), Empty: "no cell has run"}
	for _, c := range list {
		t.Add(string(c.Package), c.Version, c.Cell, c.Installer, c.Result, stepWords(c.Steps))
	}
	return t
}

func stepWords(steps []fleet.TestStep) string {
	var words []string
	for _, s := range steps {
		switch {
		case s.Result == "passed":
			words = append(words, s.Name)
		case s.Detail != "":
			words = append(words, fmt.Sprintf("%s %s (%s)", s.Name, s.Result, s.Detail))
		default:
			words = append(words, s.Name+" "+s.Result)
		}
	}
	return strings.Join(words, ", ")
}
