package factory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/rules/reconcile"
)

// An AuditReader is a Console that tells its own audit.
type AuditReader interface {
	// AuditEvents tells the events of a period, both ends included, and what bears
	// packmill's marker now.
	AuditEvents(ctx context.Context, from, until time.Time) (fleet.ConsoleAudit, error)
}

// A MarkReader is a console for configurations that tells which of a tenant's bear
// packmill's marker, and the ids of the others.
type MarkReader interface {
	Marked(ctx context.Context) (own map[string]fleet.OwnObject, others []string, err error)
}

// An UpdateMarkReader tells the same of what Windows Update is told through.
type UpdateMarkReader interface {
	MarkedUpdates(ctx context.Context) (own map[string]fleet.OwnObject, others []string, err error)
}

// Reconcile reads the tenants' own audits since they were last read and holds
// them against evidence. It records nothing: RecordReconciled does. A tenant that
// cannot be read does not keep the others back; what went wrong there is the
// error, beside rows that stand.
func (f *Factory) Reconcile(ctx context.Context, tenants []fleet.Tenant) ([]fleet.Reconciliation, error) {
	before, err := f.Ledger.Read(ctx)
	if err != nil {
		return nil, err
	}
	type reading struct {
		from, until time.Time
		audit       fleet.ConsoleAudit
		err         error
	}
	readings := make([]reading, len(tenants))
	var group sync.WaitGroup
	turn := make(chan struct{}, max(f.Parallel, 1))
	for i, t := range tenants {
		turn <- struct{}{}
		f.progress(i, len(tenants), "audit of "+string(t.ID))
		group.Go(func() {
			defer func() { <-turn }()
			now := f.Clock.Now()
			r := &readings[i]
			r.from, r.until = reconcile.Since(before, t.ID, now), now
			r.audit, r.err = f.consoleAudit(ctx, t, r.from, r.until)
		})
	}
	group.Wait()
	f.progress(len(tenants), len(tenants), "audits")
	// Read after the audits: what they tell has its intents in evidence by now.
	if f.Git != nil {
		if err := f.Git.Fetch(ctx); err != nil {
			return nil, err
		}
	}
	rec, err := f.Ledger.Read(ctx)
	if err != nil {
		return nil, err
	}
	var out []fleet.Reconciliation
	var failures []error
	for i, t := range tenants {
		r := readings[i]
		if r.err != nil {
			failures = append(failures, fmt.Errorf("audit of %s: %w", t.ID, r.err))
			continue
		}
		out = append(out, reconcile.Judge(rec, t.ID, r.audit, r.from, r.until, r.until))
	}
	return out, errors.Join(failures...)
}

func (f *Factory) consoleAudit(ctx context.Context, t fleet.Tenant, from, until time.Time) (fleet.ConsoleAudit, error) {
	console, err := f.Consoles(ctx, t)
	if err != nil {
		return fleet.ConsoleAudit{}, err
	}
	reader, ok := console.(AuditReader)
	if !ok {
		return fleet.ConsoleAudit{}, fleet.Errorf(fleet.Invalid, "factory.reconcile", string(t.ID), "its console has no audit of its own that could be read")
	}
	audit, err := reader.AuditEvents(ctx, from, until)
	if err != nil {
		return audit, err
	}
	if c, ok := console.(Configurer); ok {
		if m, ok := c.Configurations().(MarkReader); ok {
			err = marked(ctx, &audit, m.Marked)
		}
	}
	if m, ok := console.(UpdateMarkReader); ok && err == nil {
		err = marked(ctx, &audit, m.MarkedUpdates)
	}
	return audit, err
}

// marked adds what a part of a console tells of packmill's objects. Health scripts
// are told by two parts, each of which knows its own: what one of them owns is
// nobody else's.
func marked(ctx context.Context, audit *fleet.ConsoleAudit, read func(context.Context) (map[string]fleet.OwnObject, []string, error)) error {
	own, others, err := read(ctx)
	if err != nil {
		return err
	}
	if audit.Objects == nil {
		audit.Objects = map[string]fleet.OwnObject{}
	}
	if audit.Others == nil {
		audit.Others = map[string]bool{}
	}
	maps.Copy(audit.Objects, own)
	for _, id := range others {
		audit.Others[id] = true
	}
	for id := range audit.Objects {
		delete(audit.Others, id)
	}
	return nil
}

// RecordReconciled writes what was read to evidence, so that a clone alone can be
// audited for it afterwards.
func (f *Factory) RecordReconciled(ctx context.Context, list []fleet.Reconciliation) error {
	rows := map[place][]fleet.Reconciliation{}
	for _, r := range list {
		at := place{evidence.Shard(r.Tenant), evidence.ReconciledDir(r.Tenant)}
		rows[at] = append(rows[at], r)
	}
	return f.Ledger.AppendAll(ctx, batches(rows))
}

// AuditWrites adds to an audit what readings of the tenants' own audits found, be
// they in evidence or fresh. Writes that nothing explains are findings, unless the tenant's file acknowledges
// them: then they are listed as that.
func AuditWrites(a *fleet.Audit, repo *fleet.Repository, list []fleet.Reconciliation) {
	byTenant := map[fleet.TenantID][]fleet.Reconciliation{}
	for _, r := range list {
		byTenant[r.Tenant] = append(byTenant[r.Tenant], r)
	}
	for id := range repo.Tenants {
		if len(byTenant[id]) == 0 {
			byTenant[id] = nil
		}
	}
	a.Readings, a.Writes = []fleet.AuditReading{}, []fleet.AuditWrite{}
	for id, rows := range byTenant {
		a.Readings = append(a.Readings, readingOf(id, rows))
		where := evidence.Shard(id) + ":" + evidence.ReconciledDir(id)
		told := map[string]bool{}
		for _, r := range rows {
			for _, x := range r.Findings {
				if !told[x.Event] { // two runs may have read one period
					told[x.Event] = true
					a.Writes = append(a.Writes, fleet.AuditWrite{Tenant: id, ConsoleFinding: x, Where: where, Acknowledged: reconcile.Acknowledged(repo.Tenants[id], x)})
				}
			}
		}
	}
	slices.SortFunc(a.Readings, func(x, y fleet.AuditReading) int { return cmp.Compare(x.Tenant, y.Tenant) })
	slices.SortFunc(a.Writes, func(x, y fleet.AuditWrite) int {
		return cmp.Or(x.At.Compare(y.At), cmp.Compare(x.Tenant, y.Tenant), cmp.Compare(x.Event, y.Event))
	})
	for _, w := range a.Writes {
		if w.Acknowledged != "" {
			continue // it stays listed, with what people said of it
		}
		a.Findings = append(a.Findings, fleet.AuditFinding{Object: string(w.Tenant), What: writeWords(w), Where: w.Where})
	}
	for _, r := range a.Readings {
		if r.More > 0 {
			a.Findings = append(a.Findings, fleet.AuditFinding{Object: string(r.Tenant), What: fmt.Sprintf("%d more writes that nothing explains were too many to list", r.More),
				Where: evidence.Shard(r.Tenant) + ":" + evidence.ReconciledDir(r.Tenant)})
		}
	}
}

// writeWords is a write that packmill does not explain, in a sentence.
func writeWords(w fleet.AuditWrite) string {
	who := "packmill's own application, and no effect of packmill's covers it"
	if w.Kind == fleet.WriteForeign {
		who = "application " + cmp.Or(w.Application, "unknown")
		if w.Person {
			who = "a person"
		}
		who += ", to an object with packmill's marker"
	}
	what := cmp.Or(w.What, "a write")
	if w.Package != "" {
		what += " of " + string(w.Package)
	}
	return fmt.Sprintf("%s at %s by %s (event %s)", what, readable(w.At), who, w.Event)
}

// readingOf is how much of a tenant's own audit was read.
func readingOf(id fleet.TenantID, rows []fleet.Reconciliation) fleet.AuditReading {
	out := fleet.AuditReading{Tenant: id}
	rows = slices.SortedFunc(slices.Values(rows), func(a, b fleet.Reconciliation) int { return a.From.Compare(b.From) })
	for i, r := range rows {
		if i == 0 {
			out.From = r.From
		}
		if i > 0 && r.From.After(out.Until) {
			out.Gaps++
		}
		if r.Until.After(out.Until) {
			out.Until, out.More = r.Until, r.More
		}
		out.Readings++
	}
	return out
}
