package view

import (
	"fmt"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// AuditText is an audit for people: a line for every effect on a tenant, the
// story behind it where something is wrong, and the verdict last.
func AuditText(a fleet.Audit) string {
	var b strings.Builder
	table := AuditTable(a)
	if err := table.Text(&b); err != nil {
		return "" // a strings.Builder never fails
	}
	for _, r := range a.Rows {
		if !r.Passed() {
			failed(&b, r)
		}
	}
	for _, said := range []Table{RefusalTable(a), ObjectionTable(a), WriteTable(a), readingTable(a)} {
		if len(said.Rows) == 0 {
			continue
		}
		b.WriteString("\n")
		if err := said.Text(&b); err != nil {
			return ""
		}
	}
	if len(a.Findings) > 0 {
		b.WriteString("\n")
	}
	for _, f := range a.Findings {
		writeFinding(&b, "", f)
	}
	b.WriteString("\n" + auditVerdict(a) + "\n")
	return b.String()
}

// AuditTable is the rows of an audit, one check a column.
func AuditTable(a fleet.Audit) Table {
	t := Table{
		Columns: Cols("cycle", "wave", "tenant", "package", "release", "action", "merge", "approved by", "approval", "tests", "signature", "receipt"),
		Empty:   "no release has reached a tenant",
	}
	for _, r := range a.Rows {
		t.Add(string(r.Cycle), r.Wave, string(r.Tenant), string(r.Package), r.Release, r.Action,
			mergeMark(r), dash(strings.Join(r.Approvers, ", ")), mark(r.Approval.OK), mark(r.Tests.OK), mark(r.Signature.OK), mark(r.Receipt.OK))
	}
	return t
}

// RefusalTable is the gates that people refused and the cycles that tenants did,
// and what became of it.
func RefusalTable(a fleet.Audit) Table {
	t := Table{
		Title:   "Refusals",
		Columns: Cols("when", "cycle", "gate", "tenant", "refused by", "because", "plan", "merge", "proven", "since"),
		Empty:   "nobody refused anything",
	}
	for _, r := range a.Refusals {
		t.Add(utc(r.At), string(r.Cycle), dash(r.Gate), dash(string(r.Tenant)), refusedBy(r), dash(r.Because), dash(r.Plan.Short()), mergeName(r.Commit, r.PR), mark(r.Proven), refusalEnd(r.Since))
	}
	return t
}

// refusedBy is whose word a refusal is: the approvers that let it in, or who
// merged it where none counted.
func refusedBy(r fleet.AuditRefusal) string {
	switch {
	case len(r.By) > 0:
		return strings.Join(r.By, ", ")
	case r.MergedBy != "":
		return r.MergedBy + " (no approver)"
	default:
		return "nobody that is known"
	}
}

func refusalEnd(e fleet.AuditRefusalEnd) string {
	if e.How == "" {
		return "it stands"
	}
	s := e.How + " " + utc(e.At) + " by " + mergeName(e.Commit, e.PR)
	if len(e.By) > 0 {
		s += ", " + strings.Join(e.By, " and ")
	}
	return s
}

func mergeName(commit string, pr int) string {
	if pr == 0 {
		return shortCommit(commit)
	}
	return fmt.Sprintf("%s (PR %d)", shortCommit(commit), pr)
}

// ObjectionTable is the reviews that asked for changes in what was merged.
func ObjectionTable(a fleet.Audit) Table {
	t := Table{
		Title:   "Objections in reviews of what was merged",
		Columns: Cols("when", "by", "approver", "pull request", "approves", "merge", "outcome"),
		Empty:   "no review asked for changes in what was merged",
	}
	for _, o := range a.Objections {
		approver, outcome := "no", "merged all the same"
		if o.Approver {
			approver = "yes"
		}
		if o.Withdrawn {
			outcome = "withdrawn"
		}
		t.Add(utc(o.At), o.Login, approver, o.Title, dash(o.Approves), mergeName(o.Commit, o.PR), outcome)
	}
	return t
}

// WriteTable is the writes in tenants that packmill does not explain.
func WriteTable(a fleet.Audit) Table {
	t := Table{
		Title:   "Writes in tenants that packmill does not explain",
		Columns: Cols("when", "tenant", "what", "package", "object", "by", "why it is listed", "event", "acknowledged"),
		Empty:   "no such write is known",
	}
	for _, w := range a.Writes {
		by := "application " + dash(w.Application)
		if w.Person {
			by = "a person"
		}
		t.Add(utc(w.At), string(w.Tenant), w.What, dash(string(w.Package)), dash(w.Object), by, writeKind(w.Kind), w.Event, dash(w.Acknowledged))
	}
	return t
}

func writeKind(kind string) string {
	switch kind {
	case fleet.WriteUnexplained:
		return "packmill's application, outside of every effect"
	case fleet.WriteForeign:
		return "not packmill, to an object of packmill's"
	default:
		return kind
	}
}

// readingTable is how far the tenants' own audits were read, empty when none was
// ever.
func readingTable(a fleet.Audit) Table {
	t := Table{Title: "Tenants' own audits, held against evidence", Columns: Cols("tenant", "readings>", "from", "until", "gaps>")}
	if !slices.ContainsFunc(a.Readings, func(r fleet.AuditReading) bool { return r.Readings > 0 }) {
		return t
	}
	for _, r := range a.Readings {
		t.Add(string(r.Tenant), fmt.Sprint(r.Readings), utc(r.From), utc(r.Until), fmt.Sprint(r.Gaps))
	}
	return t
}

func mark(ok bool) string {
	if ok {
		return markYes + " yes"
	}
	return markNo + " no"
}

func mergeMark(r fleet.AuditRow) string {
	if !r.Merge.OK {
		return markNo + " no"
	}
	s := markYes + " " + shortCommit(r.Commit)
	if r.PR > 0 {
		s += fmt.Sprintf(" (PR %d)", r.PR)
	}
	return s
}

func shortCommit(id string) string { return id[:min(len(id), 10)] }

func failed(b *strings.Builder, r fleet.AuditRow) {
	fmt.Fprintf(b, "\n%s %s %s on %s, wave %s of %s\n", markNo, Plain(string(r.Package)), Plain(r.Release), Plain(string(r.Tenant)), Plain(r.Wave), Plain(string(r.Cycle)))
	for _, c := range []struct {
		name  string
		check fleet.AuditCheck
	}{{"merge", r.Merge}, {"approval", r.Approval}, {"tests", r.Tests}, {"signature", r.Signature}, {"receipt", r.Receipt}} {
		sign := markYes
		if !c.check.OK {
			sign = markNo
		}
		fmt.Fprintf(b, "  %s %-9s  %s%s\n", sign, c.name, Plain(c.check.What), at(c.check.Where))
	}
	for _, f := range r.Findings {
		writeFinding(b, "  ", f)
	}
}

func at(where string) string {
	if where == "" {
		return ""
	}
	return " [" + Plain(where) + "]"
}

func writeFinding(b *strings.Builder, indent string, f fleet.AuditFinding) {
	fmt.Fprintf(b, "%s%s %s: %s%s\n", indent, markNo, Plain(f.Object), Plain(f.What), at(f.Where))
}

func auditVerdict(a fleet.Audit) string {
	rows := "1 effect on a tenant"
	if n := len(a.Rows); n != 1 {
		rows = grouped(n) + " effects on tenants"
	}
	what := fmt.Sprintf("%s, %s, %s of evidence, main at %s", rows, plural(a.Merges, "merge"), plural(a.Batches, "batch"), shortCommit(a.Main))
	if a.Passed() {
		return markYes + " the audit passes; it looked at " + what
	}
	bad := len(a.Findings)
	for _, r := range a.Rows {
		if !r.Passed() {
			bad++
		}
	}
	return fmt.Sprintf("%s the audit fails in %s; it looked at %s", markNo, plural(bad, "place"), what)
}
