package view

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/change"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// CyclePull is the pull request that opens a cycle and approves its first wave.
// Plans are those of the cycle's waves, in order.
func CyclePull(repo *fleet.Repository, id fleet.CycleID, cycle fleet.Cycle, plans []fleet.Plan) Pull {
	entries := entriesOf(repo, cycle)
	reached := planReach(plans)
	var head strings.Builder
	fmt.Fprintf(&head, "### Cycle %s: %s for %s\n\n", Neutral(string(id)), plural(len(entries), "release"), reach(reached))
	head.WriteString(entryTable(entries))
	head.WriteString("\n" + waveTable(repo, plans) + coverageLine(plans...))
	head.WriteString(passes(cycle.Overrides) + "\n" + merging(plans) + "\n")
	if len(plans) > 0 {
		head.WriteString(approversLine(repo, plans[0]))
	}
	folds := make([]fold, 0, len(plans))
	for _, p := range plans {
		folds = append(folds, planFold(p))
	}
	return Pull{
		Title: Title(repo, rollout.Proposal{Opens: id}),
		Text:  assemble(head.String(), folds, "", openTrailers(entries, reached, plans)),
	}
}

// entriesOf are the entries of a cycle in domain words, sorted by package.
func entriesOf(repo *fleet.Repository, cycle fleet.Cycle) []change.Entry {
	out := make([]change.Entry, 0, len(cycle.Entries))
	for _, id := range slices.Sorted(maps.Keys(cycle.Entries)) {
		out = append(out, change.EntryOf(repo, id, cycle.Entries[id]))
	}
	return out
}

// planReach is whom plans touch together. Waves do not overlap: a device is in
// one of them only.
func planReach(plans []fleet.Plan) change.Reach {
	var r change.Reach
	tenants := map[fleet.TenantID]bool{}
	for _, p := range plans {
		r.Devices += p.Summary().Devices
		for _, row := range p.Rows {
			tenants[row.Tenant] = true
		}
	}
	r.Tenants = slices.Sorted(maps.Keys(tenants))
	return r
}

// passes says which freezes a cycle goes on through, and what that takes.
func passes(o *fleet.Overrides) string {
	if o == nil {
		return ""
	}
	names := make([]string, len(o.Freezes))
	for i, name := range o.Freezes {
		names[i] = Code(name)
	}
	return "\n**Goes on through the freezes** " + strings.Join(names, ", ") + ": " + Neutral(o.Reason) + ". Every approval of this cycle takes two persons.\n"
}

func merging(plans []fleet.Plan) string {
	if len(plans) == 0 {
		return "**Merging this** opens the cycle. No wave starts by it."
	}
	first := plans[0]
	return "**Approving and merging this** opens the cycle and its first wave, " + Code(first.Gate) + ": " + summaryWords(first.Summary()) +
		", as plan " + Code(string(first.Digest())) + " says line by line. Every later wave is approved by a merge of its own. " +
		"A plan that comes out differently when it is applied is refused."
}

func summaryWords(s fleet.Summary) string {
	return fmt.Sprintf("%s on %s of %s, installed by %s", plural(s.Packages, "package"), plural(s.Devices, "device"),
		plural(s.Tenants, "tenant"), utc(s.Deadline))
}

func openTrailers(entries []change.Entry, reached change.Reach, plans []fleet.Plan) Trailers {
	t := Trailers{Impact: reach(reached), BackOut: backOut(entries), ChangeClass: "normal"}
	t.Risk = "low: " + plural(len(entries), "release") + ", each stopped by its gate when it fails"
	for _, e := range entries {
		t.Fixes = append(t.Fixes, e.Fixes...)
	}
	for _, e := range entries {
		if e.From == "" || e.Class == "major" || e.Rollback == "forwardOnly" {
			t.Risk = "medium: holds " + string(e.Package) + " " + step(e.From, e.To)
			break
		}
	}
	if len(plans) > 0 {
		t.Plan = plans[0].Digest()
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

func waveTable(repo *fleet.Repository, plans []fleet.Plan) string {
	t := Table{Columns: Cols("wave", "opens", "tenants>", "devices>", "goes on when", "plan")}
	for _, p := range plans {
		s := p.Summary()
		rule := "–"
		if w, ok := repo.Wave(p.Gate); ok {
			rule = gateWords(w)
		}
		t.Add(p.Gate, dash(opening(p)), grouped(s.Tenants), grouped(s.Devices), rule, p.Digest().Short())
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

// planFold is a plan tenant by tenant: line by line it is in evidence, and the
// command prints it.
func planFold(p fleet.Plan) fold {
	const shown = 150
	t := Table{Columns: Cols("tenant", "devices>", "releases>", "not before", "deadline"), Empty: "this wave reaches nothing"}
	var last *fleet.PlanRow
	releases, devices, tenants := 0, 0, 0
	flush := func() {
		if last == nil {
			return
		}
		if tenants++; tenants <= shown {
			t.Add(string(last.Tenant), grouped(devices), grouped(releases), utc(last.NotBefore), utc(last.Deadline))
		}
	}
	for i := range p.Rows {
		r := &p.Rows[i]
		if last == nil || last.Tenant != r.Tenant {
			flush()
			releases, devices = 0, 0
		}
		releases++
		devices = max(devices, r.Devices)
		if last == nil || last.Tenant != r.Tenant || r.Deadline.After(last.Deadline) {
			last = r
		}
	}
	flush()
	body := "Digest " + Code(string(p.Digest())) + ". Every row: `packmill plan " + Plain(string(p.Cycle)) + " --gate " + Plain(p.Gate) + "`\n\n" + markdownOf(&t)
	if more := tenants - shown; more > 0 {
		body += fmt.Sprintf("\n%s not listed here.\n", plural(more, "tenant"))
	}
	for _, r := range p.Rows {
		if r.Adopts != "" {
			body += fmt.Sprintf("\n**Adopts** app %s of %s as the stable slot of %s.\n", Code(r.Adopts), Code(string(r.Tenant)), Code(string(r.Package)))
		}
	}
	body += groupsLine(p)
	if len(p.Skipped) > 0 {
		skipped := SkippedTable(p)
		skipped.Title = ""
		skipped.Rows = skipped.Rows[:min(len(skipped.Rows), shown)]
		body += "\nLeft out:\n\n" + markdownOf(&skipped)
	}
	return fold{fmt.Sprintf("Plan of %s: %s on %s", p.Gate, plural(len(p.Rows), "row"), plural(tenants, "tenant")), body}
}

// groupsLine is what becomes of the groups of a plan's wave, over all tenants.
func groupsLine(p fleet.Plan) string {
	joining, leaving := 0, 0
	for _, g := range p.Groups {
		joining, leaving = joining+g.Joining, leaving+g.Leaving
	}
	if joining+leaving == 0 {
		return ""
	}
	return fmt.Sprintf("\nGroups of the wave, against the last time: %s in, %s out.\n", plural(joining, "device"), plural(leaving, "device"))
}

func tenantFold(r change.Reach) fold {
	return fold{fmt.Sprintf("Tenants (%d)", len(r.Tenants)), tenantList(r)}
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
