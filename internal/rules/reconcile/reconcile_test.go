package reconcile

import (
	"fmt"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

const (
	tenant = fleet.TenantID("nordic/aurora")
	zip    = fleet.PackageID("igor/zip")
	editor = fleet.PackageID("litware/editor")
)

var at = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func hour(n float64) time.Time { return at.Add(time.Duration(n * float64(time.Hour))) }

// testRecord has an effect on the zip from hour 0 to 1, and one on the editor
// that was begun in hour 5 with a lease of an hour and never ended.
func testRecord() *fleet.Record {
	return &fleet.Record{
		Intents: []fleet.Intent{
			{ID: "i1", Tenant: tenant, Package: zip, At: at, NotAfter: hour(0.5)},
			{ID: "i2", Tenant: tenant, Package: editor, At: hour(5), NotAfter: hour(6)},
			{ID: "i3", Tenant: "nordic/other", Package: zip, At: hour(10), NotAfter: hour(20)},
		},
		Receipts: []fleet.Receipt{{Intent: "i1", Tenant: tenant, Package: zip, At: hour(1)}},
	}
}

func own(id string, when time.Time, objects ...string) fleet.ConsoleEvent {
	return fleet.ConsoleEvent{ID: id, At: when, What: "Patch MobileApp", Result: "Success", Application: "packmill", Objects: objects}
}

func others(id string, when time.Time, objects ...string) fleet.ConsoleEvent {
	return fleet.ConsoleEvent{ID: id, At: when, What: "Patch MobileApp", Result: "Success", Application: "portal", Person: true, Objects: objects}
}

func TestJudge(t *testing.T) {
	objects := map[string]fleet.OwnObject{"zip-app": {Kind: "app", Package: zip}, "editor-app": {Kind: "app", Package: editor}}
	refused := others("r", hour(2), "zip-app")
	refused.Result = "Failure"
	pretender := own("p", hour(0.5), "zip-app")
	pretender.Person = true
	nobody := own("n", hour(0.5), "zip-app")
	nobody.Application = ""
	for name, tt := range map[string]struct {
		events []fleet.ConsoleEvent
		change func(*fleet.Record)
		want   string // own/explained/foreign, then findings
	}{
		"in its effect":                  {events: []fleet.ConsoleEvent{own("a", hour(0.5), "zip-app")}, want: "1/1/0"},
		"clocks differ":                  {events: []fleet.ConsoleEvent{own("a", at.Add(-4*time.Minute), "zip-app"), own("b", hour(1).Add(4*time.Minute), "zip-app")}, want: "2/2/0"},
		"after its receipt":              {events: []fleet.ConsoleEvent{own("a", hour(1.5), "zip-app")}, want: "1/0/0 unexplained:a:igor/zip"},
		"before its intent":              {events: []fleet.ConsoleEvent{own("a", hour(-1), "zip-app")}, want: "1/0/0 unexplained:a:igor/zip"},
		"another package's effect":       {events: []fleet.ConsoleEvent{own("a", hour(0.5), "editor-app")}, want: "1/0/0 unexplained:a:litware/editor"},
		"another tenant's effect":        {events: []fleet.ConsoleEvent{own("a", hour(12), "zip-app")}, want: "1/0/0 unexplained:a:igor/zip"},
		"no receipt, a long call":        {events: []fleet.ConsoleEvent{own("a", hour(7.5), "editor-app")}, want: "1/1/0"},
		"no receipt, much later":         {events: []fleet.ConsoleEvent{own("a", hour(8.5), "editor-app")}, want: "1/0/0 unexplained:a:litware/editor"},
		"what is gone, in an effect":     {events: []fleet.ConsoleEvent{own("a", hour(0.5), "spare")}, want: "1/1/0"},
		"what is gone, outside":          {events: []fleet.ConsoleEvent{own("a", hour(3), "spare")}, want: "1/0/0 unexplained:a:"},
		"no object":                      {events: []fleet.ConsoleEvent{own("a", hour(3))}, want: "1/0/0 unexplained:a:"},
		"the tenant's own, in an effect": {events: []fleet.ConsoleEvent{own("a", hour(0.5), "their-app")}, want: "1/0/0 unexplained:a:"},
		"theirs beside ours, in one":     {events: []fleet.ConsoleEvent{own("a", hour(0.5), "zip-app", "their-app")}, want: "1/0/0 unexplained:a:"},
		"theirs, which was ours": {events: []fleet.ConsoleEvent{own("a", hour(0.5), "their-app")}, want: "1/1/0", change: func(r *fleet.Record) {
			r.Receipts[0].Adopted = "Their-App"
		}},
		"theirs, which was another's": {events: []fleet.ConsoleEvent{own("a", hour(0.5), "their-app")}, want: "1/0/0 unexplained:a:litware/editor", change: func(r *fleet.Record) {
			r.Receipts = append(r.Receipts, fleet.Receipt{Intent: "i0", Tenant: tenant, Package: editor, At: hour(-9), Adopted: "their-app"})
		}},
		"theirs, which they changed since": {events: []fleet.ConsoleEvent{others("a", hour(3), "their-app")}, want: "0/0/1", change: func(r *fleet.Record) {
			r.Receipts[0].Adopted = "their-app"
		}},
		"theirs, known as ours before": {events: []fleet.ConsoleEvent{own("a", hour(0.5), "their-app")}, want: "1/1/0", change: func(r *fleet.Record) {
			r.Reconciled = []fleet.Reconciliation{{Tenant: tenant, Objects: map[string]fleet.OwnObject{"their-app": {Kind: "app", Package: zip}}, Until: hour(-3)}}
		}},
		"somebody's own":                {events: []fleet.ConsoleEvent{others("a", hour(3), "their-app")}, want: "0/0/1"},
		"somebody on ours":              {events: []fleet.ConsoleEvent{others("a", hour(3), "their-app", "zip-app")}, want: "0/0/0 foreign:a:igor/zip"},
		"somebody was refused":          {events: []fleet.ConsoleEvent{refused}, want: "0/0/1"},
		"a person with our application": {events: []fleet.ConsoleEvent{pretender}, want: "0/0/0 foreign:p:igor/zip"},
		"nobody that is known":          {events: []fleet.ConsoleEvent{nobody}, want: "0/0/0 foreign:n:igor/zip"},
		"before it was ours":            {events: []fleet.ConsoleEvent{others("a", hour(-2), "zip-app")}, want: "0/0/1"},
		"before, but it was ours by then": {events: []fleet.ConsoleEvent{others("a", hour(-2), "zip-app")}, want: "0/0/0 foreign:a:igor/zip", change: func(r *fleet.Record) {
			r.Reconciled = []fleet.Reconciliation{{Tenant: tenant, Objects: objects, Until: hour(-3)}}
		}},
		"deleted by somebody": {events: []fleet.ConsoleEvent{others("a", hour(3), "old-app")}, want: "0/0/0 foreign:a:igor/zip", change: func(r *fleet.Record) {
			r.Reconciled = []fleet.Reconciliation{{Tenant: tenant, Objects: map[string]fleet.OwnObject{"old-app": {Kind: "app", Package: zip}}, Until: hour(1)}}
		}},
		"told before": {events: []fleet.ConsoleEvent{others("a", hour(3), "zip-app"), others("b", hour(3), "zip-app")}, want: "0/0/0 foreign:b:igor/zip", change: func(r *fleet.Record) {
			r.Reconciled = []fleet.Reconciliation{{Tenant: tenant, Findings: []fleet.ConsoleFinding{{Event: "a"}}}}
		}},
	} {
		rec := testRecord()
		if tt.change != nil {
			tt.change(rec)
		}
		r := Judge(rec, tenant, fleet.ConsoleAudit{Application: "packmill", Events: tt.events, Objects: objects, Others: map[string]bool{"their-app": true}}, hour(-24), hour(24), hour(24))
		got := fmt.Sprintf("%d/%d/%d", r.Own, r.Explained, r.Foreign)
		for _, f := range r.Findings {
			got += fmt.Sprintf(" %s:%s:%s", f.Kind, f.Event, f.Package)
		}
		if got != tt.want || r.Events != len(tt.events) {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// TestJudgeIsBounded keeps a row small, and tells objects once.
func TestJudgeIsBounded(t *testing.T) {
	var events []fleet.ConsoleEvent
	for i := range 250 {
		events = append(events, others(fmt.Sprint(i), hour(3), "zip-app"))
	}
	rec := testRecord()
	audit := fleet.ConsoleAudit{Application: "packmill", Events: events, Objects: map[string]fleet.OwnObject{"zip-app": {Kind: "app", Package: zip}}}
	r := Judge(rec, tenant, audit, at, hour(4), hour(4))
	if len(r.Findings) != most || r.More != 150 || len(r.Objects) != 1 {
		t.Errorf("%d findings, %d more, %d objects", len(r.Findings), r.More, len(r.Objects))
	}
	rec.Reconciled = append(rec.Reconciled, r)
	if again := Judge(rec, tenant, audit, at, hour(4), hour(5)); len(again.Objects) != 0 {
		t.Errorf("objects told again: %v", again.Objects)
	}
}

func TestSince(t *testing.T) {
	rec := testRecord()
	if got := Since(rec, tenant, hour(48)); !got.Equal(hour(-24)) {
		t.Errorf("first from %v", got)
	}
	if got := Since(rec, "nordic/new", hour(48)); !got.Equal(hour(24)) {
		t.Errorf("a new tenant from %v", got)
	}
	if got := Since(rec, tenant, hour(24*100)); !got.Equal(hour(24 * 70)) {
		t.Errorf("late from %v", got)
	}
	rec.Reconciled = []fleet.Reconciliation{{Tenant: tenant, Until: hour(30)}, {Tenant: tenant, Until: hour(20)}}
	if got := Since(rec, tenant, hour(48)); !got.Equal(hour(6)) {
		t.Errorf("then from %v", got)
	}
}
