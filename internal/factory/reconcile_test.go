package factory_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
)

// A witness is a console that tells its own audit.
type witness struct {
	factory.Console
	events []fleet.ConsoleEvent
	fails  error
	asked  *[]time.Time
}

func (c witness) AuditEvents(_ context.Context, from, until time.Time) (fleet.ConsoleAudit, error) {
	*c.asked = append(*c.asked, from, until)
	audit := fleet.ConsoleAudit{Application: "mill", Objects: map[string]fleet.OwnObject{"app-1": {Kind: "app", Package: judged}}}
	for _, e := range c.events {
		if !e.At.Before(from) && !e.At.After(until) {
			audit.Events = append(audit.Events, e)
		}
	}
	return audit, c.fails
}

// TestReconcile reads two tenants' audits, one of them out of reach, records what
// it read, and finds nothing twice.
func TestReconcile(t *testing.T) {
	c := newCourt(t, "failed")
	ctx := t.Context()
	began := asked.Add(-3 * time.Hour)
	intent := fleet.Intent{ID: "i", Cycle: cycle47, Wave: "everyone", Tenant: near, Package: judged, Action: "assign", At: began, NotAfter: began.Add(time.Hour)}
	if err := c.Ledger.Append(ctx, evidence.Shard(near), evidence.IntentsDir(cycle47, "everyone"), []fleet.Intent{intent}); err != nil {
		t.Fatal(err)
	}
	var when []time.Time
	write := func(id, application string, person bool, at time.Time) fleet.ConsoleEvent {
		return fleet.ConsoleEvent{ID: id, At: at, What: "Patch MobileApp", Result: "Success", Application: application, Person: person, Objects: []string{"app-1"}}
	}
	c.tells[near] = witness{asked: &when, events: []fleet.ConsoleEvent{
		write("before", "mill", false, began.Add(-time.Hour)), write("within", "mill", false, began.Add(time.Minute)), write("hand", "portal", true, began.Add(2*time.Hour)),
	}}
	c.tells[far] = witness{asked: &when, fails: errors.New("out of reach")}
	tenants := []fleet.Tenant{{ID: near}, {ID: far}}
	list, err := c.Reconcile(ctx, tenants)
	if err == nil || !strings.Contains(err.Error(), string(far)) {
		t.Errorf("error %v", err)
	}
	if len(list) != 1 || list[0].Own != 2 || list[0].Explained != 1 || len(list[0].Findings) != 2 || list[0].Events != 3 {
		t.Fatalf("%+v", list)
	}
	if !when[0].Equal(began.Add(-24*time.Hour)) || !when[1].Equal(asked) {
		t.Errorf("read from %v to %v", when[0], when[1])
	}
	if err := c.RecordReconciled(ctx, list); err != nil {
		t.Fatal(err)
	}
	rec, err := c.Ledger.Read(ctx)
	if err != nil || len(rec.Reconciled) != 1 || len(rec.Unknown) != 0 {
		t.Fatalf("%+v, %v, %v", rec.Reconciled, rec.Unknown, err)
	}
	again, err := c.Reconcile(ctx, tenants[:1])
	if err != nil || len(again) != 1 || len(again[0].Findings) != 0 || len(again[0].Objects) != 0 || !again[0].From.Equal(asked.Add(-24*time.Hour)) {
		t.Errorf("%+v, %v", again, err)
	}
	var audit fleet.Audit
	factory.AuditWrites(&audit, c.facts.Repo, append(rec.Reconciled, again...))
	var got []string
	for _, f := range audit.Findings {
		got = append(got, f.What)
	}
	want := []string{
		"Patch MobileApp of acme/zip at 2026-11-24 08:00Z by packmill's own application, and no effect of packmill's covers it (event before)",
		"Patch MobileApp of acme/zip at 2026-11-24 11:00Z by a person, to an object with packmill's marker (event hand)",
	}
	if !slices.Equal(got, want) || audit.Passed() {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for name, tt := range map[string]struct {
		said map[string]fleet.Acknowledged
		left int // findings
	}{
		"by their events":       {map[string]fleet.Acknowledged{"x": {Reason: "agreed", By: "Pia", Events: []string{"hand", "before"}}}, 0},
		"one of them":           {map[string]fleet.Acknowledged{"x": {Reason: "agreed", By: "Pia", Events: []string{"hand"}}}, 1},
		"by object and time":    {map[string]fleet.Acknowledged{"x": {Reason: "agreed", By: "Pia", Objects: []string{"app-1"}, From: at(began.Add(-2 * time.Hour)), Until: at(began.Add(2 * time.Hour))}}, 1},
		"of another object":     {map[string]fleet.Acknowledged{"x": {Reason: "agreed", By: "Pia", Objects: []string{"app-2"}, From: at(began), Until: at(asked)}}, 2},
		"of another time":       {map[string]fleet.Acknowledged{"x": {Reason: "agreed", By: "Pia", Objects: []string{"app-1"}, From: at(began), Until: at(began.Add(time.Hour))}}, 2},
		"by an object for ever": {map[string]fleet.Acknowledged{"x": {Reason: "agreed", By: "Pia", Objects: []string{"app-1"}, From: at(began)}}, 2},
		"by nothing but a name": {map[string]fleet.Acknowledged{"x": {Reason: "agreed", By: "Pia"}}, 2},
		"not at all":            {nil, 2},
	} {
		tenant := c.facts.Repo.Tenants[near]
		tenant.Acknowledged = tt.said
		repo := &fleet.Repository{Tenants: map[fleet.TenantID]fleet.Tenant{near: tenant}}
		var a fleet.Audit
		factory.AuditWrites(&a, repo, append(rec.Reconciled, again...))
		words := 0
		for _, w := range a.Writes {
			if w.Acknowledged == "x: agreed (Pia)" {
				words++
			}
		}
		if len(a.Findings) != tt.left || len(a.Writes) != 2 || words != 2-tt.left {
			t.Errorf("%s: %d findings, %d writes, %d of them acknowledged", name, len(a.Findings), len(a.Writes), words)
		}
	}
	var readings []string
	for _, r := range audit.Readings {
		readings = append(readings, fmt.Sprintf("%s %d %d", r.Tenant, r.Readings, r.Gaps))
	}
	if want := []string{"alpine/edel 2 0", "alpine/isar 0 0"}; !slices.Equal(readings, want) {
		t.Errorf("readings %q, want %q", readings, want)
	}
}

// TestReadingGaps counts what nobody read, and says what was too much to list.
func TestReadingGaps(t *testing.T) {
	rows := []fleet.Reconciliation{
		{Tenant: near, From: utc(20, 0), Until: utc(21, 0)}, {Tenant: near, From: utc(20, 12), Until: utc(22, 0)}, {Tenant: near, From: utc(23, 0), Until: utc(24, 0), More: 7},
	}
	var audit fleet.Audit
	factory.AuditWrites(&audit, &fleet.Repository{Tenants: map[fleet.TenantID]fleet.Tenant{near: {}}}, rows)
	if len(audit.Readings) != 1 || audit.Readings[0].Gaps != 1 || audit.Readings[0].Readings != 3 || !audit.Readings[0].Until.Equal(utc(24, 0)) {
		t.Errorf("%+v", audit.Readings)
	}
	if len(audit.Findings) != 1 || !strings.Contains(audit.Findings[0].What, "7 more writes") {
		t.Errorf("%+v", audit.Findings)
	}
}

func at(t time.Time) *time.Time { return &t }
