package view

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/change"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// A stop is an entry of a cycle that does not go on, and why.
type stop struct {
	pkg     fleet.PackageID
	release string
	word    string // halted, held, revoked
	why     string
}

// ApprovalPull is the pull request that lets the next wave of a cycle open:
// what the wave before showed, and what this one will do. rec holds the
// verdicts so far.
func ApprovalPull(repo *fleet.Repository, rec *fleet.Record, a fleet.Approval, plan fleet.Plan) Pull {
	cycle := repo.Cycles[a.Cycle]
	before := waveBefore(cycle, a.Gate)
	verdicts := lastVerdicts(rec, a.Cycle, cycle, before)
	stops := stopsOf(repo, rec, a.Cycle, a.ValidUntil)
	passed, open := tally(verdicts)
	var head strings.Builder
	fmt.Fprintf(&head, "### Wave %s of %s: %s\n", Neutral(a.Gate), Neutral(string(a.Cycle)), gateVerdict(passed, open, len(stops)))
	if before != "" {
		fmt.Fprintf(&head, "\nWhat wave %s showed:\n\n%s", Neutral(before), verdictTable(verdicts))
	}
	if len(stops) > 0 {
		head.WriteString("\n" + stopTable(stops))
	}
	fmt.Fprintf(&head, "\n**Approving and merging this** opens wave %s: %s; it opens %s. It approves plan %s. "+
		"A plan that comes out differently when it is applied is refused, and what is stopped stays stopped. Valid until %s.\n",
		Code(a.Gate), summaryWords(a.Summary)+without(plan, stops), dash(opening(plan)), Code(string(a.Plan)), utc(a.ValidUntil))
	head.WriteString(coverageLine(plan))
	if wave, ok := repo.Wave(before); ok && wave.Advance == "autoMerge" && repo.Operator.Trust.App != "" && open == 0 && len(stops) == 0 {
		fmt.Fprintf(&head, "\nWave %s says `advance: \"autoMerge\"`: %s merges this by itself once its checks have passed. To stop that, request changes, or commit a rejection here.\n",
			Code(before), Code(repo.Operator.Trust.App))
	}
	head.WriteString(approversLine(repo, plan))
	t := Trailers{Impact: summaryWords(moving(plan, stops).Summary()), BackOut: "a revocation for each release; before the wave opens, a hold disarms it", ChangeClass: "normal", Plan: a.Plan}
	switch {
	case before == "":
		t.Risk = "medium: first wave of the cycle"
	case open > 0:
		t.Risk = "medium: " + plural(open, "release") + " without enough reports to judge"
	default:
		t.Risk = "low: " + plural(passed, "release") + " passed the gate before"
	}
	return Pull{
		Title: Title(repo, rollout.Proposal{Approval: &a}),
		Text:  assemble(head.String(), []fold{planFold(plan)}, "", t),
	}
}

// moving is a plan without what is stopped. It is told, never approved: what an
// approval names is the whole plan.
func moving(p fleet.Plan, stops []stop) fleet.Plan {
	p.Rows = slices.DeleteFunc(slices.Clone(p.Rows), func(r fleet.PlanRow) bool {
		return slices.ContainsFunc(stops, func(s stop) bool { return s.pkg == r.Package })
	})
	return p
}

func without(p fleet.Plan, stops []stop) string {
	n := p.Summary().Packages - moving(p, stops).Summary().Packages
	switch n {
	case 0:
		return ""
	case 1:
		return ", of which 1 package is stopped and goes nowhere"
	default:
		return fmt.Sprintf(", of which %d packages are stopped and go nowhere", n)
	}
}

// waveBefore is the wave before gate in the cycle's order, "" for the first.
func waveBefore(c fleet.Cycle, gate string) string {
	if i := slices.Index(c.Waves, gate); i > 0 {
		return c.Waves[i-1]
	}
	return ""
}

// lastVerdicts are the newest verdicts of a wave for exactly the artifacts of
// the cycle, by package. An empty wave means any wave.
func lastVerdicts(rec *fleet.Record, id fleet.CycleID, c fleet.Cycle, wave string) []fleet.Verdict {
	last := map[fleet.PackageID]fleet.Verdict{}
	for _, v := range rec.Verdicts {
		if v.Cycle == id && (wave == "" || v.Wave == wave) && c.Entries[v.Package].Artifact == v.Artifact {
			last[v.Package] = v
		}
	}
	out := make([]fleet.Verdict, 0, len(last))
	for _, pkg := range slices.Sorted(maps.Keys(last)) {
		out = append(out, last[pkg])
	}
	return out
}

// stopsOf are the entries that a verdict, a hold or a revocation stopped.
func stopsOf(repo *fleet.Repository, rec *fleet.Record, id fleet.CycleID, at time.Time) []stop {
	cycle := repo.Cycles[id]
	var out []stop
	for _, pkg := range slices.Sorted(maps.Keys(cycle.Entries)) {
		e := cycle.Entries[pkg]
		if h, ok := repo.Revoked(pkg, e); ok {
			out = append(out, stop{pkg, e.Release, "revoked", h.Reason})
			continue
		}
		if v := failure(rec, id, pkg, e.Artifact); v != nil {
			out = append(out, stop{pkg, e.Release, "halted", "wave " + v.Wave + ": " + v.Rule})
			continue
		}
		if h, ok := repo.Held(pkg, e.Release, at); ok {
			out = append(out, stop{pkg, e.Release, "held", h.Reason})
		}
	}
	return out
}

// failure is the first verdict that failed an artifact, nil when none did.
func failure(rec *fleet.Record, id fleet.CycleID, pkg fleet.PackageID, artifact fleet.Digest) *fleet.Verdict {
	for i := range rec.Verdicts {
		if v := &rec.Verdicts[i]; v.Cycle == id && v.Package == pkg && v.Artifact == artifact && v.Decision == "fail" {
			return v
		}
	}
	return nil
}

func tally(list []fleet.Verdict) (passed, open int) {
	for _, v := range list {
		switch v.Decision {
		case "pass":
			passed++
		case "inconclusive":
			open++
		}
	}
	return passed, open
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
		Columns: Cols("package", "wave", "verdict", "succeeded>", "failed>", "silent>", "success rate, bounds", "rule"),
		Empty:   "no verdict was given",
	}
	for _, v := range list {
		t.Add(string(v.Package), v.Wave, verdictWord(v.Decision), grouped(v.Counts.Succeeded), grouped(v.Counts.Failed),
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

func stopTable(list []stop) string {
	t := Table{Columns: Cols("stopped", "release", "state", "why")}
	for _, s := range list {
		t.Add(string(s.pkg), s.release, glyphStop+" "+s.word, s.why)
	}
	return markdownOf(&t)
}

// RevocationPull is the pull request that takes a release back: what halted it,
// and the way every tenant goes that was to take it.
func RevocationPull(repo *fleet.Repository, rec *fleet.Record, h fleet.Hold, cycle fleet.CycleID) Pull {
	pkg := repo.Packages[h.Package]
	reached, errors := taken(rec, h, cycle)
	var head strings.Builder
	fmt.Fprintf(&head, "### %s Take back %s %s\n\n", glyphStop, Neutral(cmpName(pkg, h.Package)), Neutral(h.Release))
	fmt.Fprintf(&head, "Reason: %s\n", Neutral(h.Reason))
	if v := failure(rec, cycle, h.Package, h.Artifact); v != nil {
		fmt.Fprintf(&head, "\nThe gate of wave %s of %s failed it at %s:\n\n%s", Neutral(v.Wave), Neutral(string(cycle)), utc(v.At),
			verdictTable([]fleet.Verdict{*v}))
		head.WriteString("\nIt is halted already: nothing new starts, and what had not started is withdrawn. That needs no approval. Taking it back does.\n")
	}
	if len(errors) > 0 {
		fmt.Fprintf(&head, "\nDevices reported: %s\n", Neutral(some(errorWords(errors), 10)))
	}
	way := wayBack(pkg.Rollback, h.RollbackTo)
	if n := stoppedOnly(repo, rec, h, reached.Tenants); n > 0 {
		way += "; stopped only on " + plural(n, "tenant") + " that handed over an app of their own"
	}
	fmt.Fprintf(&head, "\n**Approving and merging this** revokes artifact %s for good, on %s. The way back: %s. Other packages of the cycle go on.\n",
		Code(string(h.Artifact)), reach(reached), Neutral(way))
	return Pull{
		Title: Title(repo, rollout.Proposal{Hold: &h}),
		Text: assemble(head.String(), []fold{tenantFold(reached)}, "", Trailers{
			Risk: "medium: devices change again, " + way, Impact: reach(reached),
			BackOut:     "a release with the next counter; a revocation itself is not taken back",
			ChangeClass: "emergency",
		}),
	}
}

// stoppedOnly counts the tenants on which a package that can be taken back is not.
func stoppedOnly(repo *fleet.Repository, rec *fleet.Record, h fleet.Hold, tenants []fleet.TenantID) (n int) {
	if repo.Packages[h.Package].Rollback == rollout.BackNone {
		return 0
	}
	for _, t := range tenants {
		if rollout.WayBackOf(repo, rec, t, h.Package, fleet.Entry{Release: h.Release, Artifact: h.Artifact}).Mode == rollout.BackNone {
			n++
		}
	}
	return n
}

func cmpName(p fleet.Package, id fleet.PackageID) string {
	if p.Name == "" {
		return string(id)
	}
	return p.Name
}

// taken is whom a release reached: every tenant with an intent to take it, the
// devices it was frozen for there, and the error codes they reported.
func taken(rec *fleet.Record, h fleet.Hold, cycle fleet.CycleID) (change.Reach, []string) {
	waves := map[fleet.TenantID]map[string]bool{}
	for _, i := range rec.Intents {
		if i.Cycle == cycle && i.Package == h.Package && i.Artifact == h.Artifact && i.Action == "assign" {
			if waves[i.Tenant] == nil {
				waves[i.Tenant] = map[string]bool{}
			}
			waves[i.Tenant][i.Wave] = true
		}
	}
	r := change.Reach{Tenants: slices.Sorted(maps.Keys(waves))}
	for _, m := range rec.Members {
		if m.Cycle == cycle && waves[m.Tenant][m.Wave] {
			r.Devices += len(m.Devices)
		}
	}
	var errors []string
	for _, report := range rec.Reports {
		if report.Cycle == cycle && report.Package == h.Package && report.Artifact == h.Artifact {
			errors = append(errors, report.Errors...)
		}
	}
	slices.Sort(errors)
	return r, slices.Compact(errors)
}

// ClosePull is the pull request that closes a cycle whose entries all have
// their last word.
func ClosePull(repo *fleet.Repository, rec *fleet.Record, id fleet.CycleID) Pull {
	cycle := repo.Cycles[id]
	stops := stopsOf(repo, rec, id, cycle.CutOff)
	var done []fleet.Verdict
	for _, v := range lastVerdicts(rec, id, cycle, "") {
		if !slices.ContainsFunc(stops, func(s stop) bool { return s.pkg == v.Package }) {
			done = append(done, v)
		}
	}
	var head strings.Builder
	passed, open := tally(done)
	fmt.Fprintf(&head, "### Cycle %s: %s\n\n", Neutral(string(id)), gateVerdict(passed, open, len(stops)))
	head.WriteString(verdictTable(done))
	if len(stops) > 0 {
		head.WriteString("\n" + stopTable(stops))
	}
	head.WriteString("\n**Approving and merging this** closes the cycle: nothing of it starts after that. It changes no device.\n")
	return Pull{
		Title: Title(repo, rollout.Proposal{Approval: &fleet.Approval{Cycle: id, Gate: rollout.CloseGate}}),
		Text: assemble(head.String(), nil, "", Trailers{
			Risk: "low: changes no device", Impact: plural(passed, "release") + " done, " + fmt.Sprint(len(stops)) + " stopped",
			BackOut: "none needed", ChangeClass: "standard", Plan: closingPlan(repo, id),
		}),
	}
}

// closingPlan is the plan of a cycle's last wave, which its closing names.
func closingPlan(repo *fleet.Repository, id fleet.CycleID) fleet.Digest {
	waves := repo.Cycles[id].Waves
	if len(waves) == 0 {
		return ""
	}
	return repo.Plans[id][waves[len(waves)-1]].Digest
}
