package view

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/change"
)

// An Opening is the pull request that opens a cycle, and with it its first
// wave.
type Opening struct {
	ID       fleet.CycleID
	Change   change.Cycle        // the cycle in domain words, as change.Compare tells it
	Waves    []fleet.Wave        // in order
	Plans    []fleet.Plan        // one for each wave, in order
	Approval *fleet.Approval     // of the first wave, nil when it is not part of this
	Left     map[string][]string // "package@version" → why it is not in the cycle
}

// OpenPull is the pull request of an Opening.
func OpenPull(o Opening) Pull {
	var head strings.Builder
	fmt.Fprintf(&head, "### Cycle %s: %s for %s\n\n", Neutral(string(o.ID)), plural(len(o.Change.Entries), "release"), reach(o.Change.Reach))
	head.WriteString(entryTable(o.Change.Entries))
	head.WriteString("\n" + waveTable(o.Waves, o.Plans))
	head.WriteString("\n" + merging(o) + "\n")
	folds := make([]fold, 0, len(o.Plans)+2)
	for _, p := range o.Plans {
		folds = append(folds, planFold(p))
	}
	folds = append(folds, leftFold(o.Left))
	return Pull{
		Title: "Open cycle " + Plain(string(o.ID)),
		Body:  assemble(head.String(), folds, "", openTrailers(o)),
	}
}

func merging(o Opening) string {
	if o.Approval == nil {
		return "**Merging this** opens the cycle. No wave starts by it: each is approved by a merge of its own."
	}
	return "**Merging this** opens the cycle and approves wave " + Code(o.Approval.Gate) + ": " + summaryWords(o.Approval.Summary) +
		", as plan " + Code(string(o.Approval.Plan)) + " says line by line. Every later wave is approved by a merge of its own. " +
		"A plan that comes out differently when it is applied is refused. Valid until " + utc(o.Approval.ValidUntil) + "."
}

func summaryWords(s fleet.Summary) string {
	return fmt.Sprintf("%s on %s of %s, installed by %s", plural(s.Packages, "package"), plural(s.Devices, "device"),
		plural(s.Tenants, "tenant"), utc(s.Deadline))
}

func openTrailers(o Opening) Trailers {
	t := Trailers{Impact: reach(o.Change.Reach), BackOut: backOut(o.Change.Entries), ChangeClass: "normal"}
	t.Risk = "low: " + plural(len(o.Change.Entries), "release") + ", each stopped by its gate when it fails"
	for _, e := range o.Change.Entries {
		if e.From == "" || e.Class == "major" || e.Rollback == "forwardOnly" {
			t.Risk = "medium: holds " + string(e.Package) + " " + step(e.From, e.To)
			break
		}
	}
	if o.Approval != nil {
		t.Plan = o.Approval.Plan
	}
	for _, e := range o.Change.Entries {
		t.Fixes = append(t.Fixes, e.Fixes...)
	}
	slices.Sort(t.Fixes)
	t.Fixes = slices.Compact(t.Fixes)
	return t
}

// backOut is the way back of a whole cycle: how many go which way.
func backOut(entries []change.Entry) string {
	counts := map[string]int{}
	for _, e := range entries {
		counts[e.Rollback]++
	}
	words := map[string]string{"previous": "to the release before", "uninstall": "by uninstalling", "forwardOnly": "forward only"}
	var parts []string
	for _, way := range slices.Sorted(maps.Keys(counts)) {
		if counts[way] > 0 && words[way] != "" {
			parts = append(parts, fmt.Sprintf("%d %s", counts[way], words[way]))
		}
	}
	if len(parts) == 0 {
		return "a hold on each entry"
	}
	return "a revocation for each release: " + strings.Join(parts, ", ")
}

func entryTable(entries []change.Entry) string {
	t := Table{Columns: Cols("package", "from", "to", "class", "fixes", "way back")}
	for _, e := range entries {
		t.Add(string(e.Package), dash(e.From), e.To, e.Class, dash(some(e.Fixes, 4)), wayBack(e.Rollback, e.From))
	}
	return markdownOf(&t)
}

func dash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

func waveTable(waves []fleet.Wave, plans []fleet.Plan) string {
	t := Table{Columns: Cols("wave", "opens", "tenants>", "devices>", "goes on when", "plan")}
	for i, w := range waves {
		var opens, tenants, devices, digest string
		if i < len(plans) {
			s := plans[i].Summary()
			tenants, devices, digest = grouped(s.Tenants), grouped(s.Devices), plans[i].Digest().Short()
			opens = opening(plans[i])
		}
		t.Add(w.Name, dash(opens), dash(tenants), dash(devices), gateWords(w), dash(digest))
	}
	return markdownOf(&t)
}

// opening is when a plan's wave opens.
func opening(p fleet.Plan) string {
	if len(p.Rows) == 0 {
		return ""
	}
	s := utc(p.Rows[0].NotBefore)
	if p.Rows[0].LocalTime {
		s = p.Rows[0].NotBefore.Format("2006-01-02 15:04") + " local time"
	}
	return s
}

// gateWords is what a wave's gate asks for, in a sentence's part.
func gateWords(w fleet.Wave) string {
	return fmt.Sprintf("success ≥ %s, errors ≤ %s, %s of soak", percent(w.Gate.Success), percent(w.Gate.Error), span(w.Soak))
}

// planFold is a plan line by line, as far as there is room to read it.
func planFold(p fleet.Plan) fold {
	const rows = 150
	table := PlanTable(p)
	more := len(table.Rows) - rows
	if more > 0 {
		table.Rows = table.Rows[:rows]
	}
	body := "Digest " + Code(string(p.Digest())) + "\n\n" + markdownOf(&table)
	if more > 0 {
		body += fmt.Sprintf("\n%s more: `packmill plan %s --gate %s` prints all.\n", plural(more, "row"), Plain(string(p.Cycle)), Plain(p.Gate))
	}
	if len(p.Skipped) > 0 {
		skipped := SkippedTable(p)
		skipped.Rows = skipped.Rows[:min(len(skipped.Rows), rows)]
		body += "\n" + markdownOf(&skipped)
	}
	return fold{fmt.Sprintf("Plan of %s: %s", p.Gate, plural(len(p.Rows), "row")), body}
}

func leftFold(left map[string][]string) fold {
	if len(left) == 0 {
		return fold{}
	}
	t := Table{Columns: Cols("release", "why it is not in this cycle")}
	for _, id := range slices.Sorted(maps.Keys(left)) {
		t.Add(id, strings.Join(left[id], "; "))
	}
	return fold{"Left out: " + plural(len(left), "release"), markdownOf(&t)}
}
