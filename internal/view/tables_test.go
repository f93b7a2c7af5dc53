package view

import (
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

func TestTables(t *testing.T) {
	rec := testRecord()
	board := BoardOf(testCycle(t))
	plan := testPlans()[1]
	tests := map[string]Table{
		"plan": PlanTable(plan), "skipped": SkippedTable(plan), "detections": DetectionTable(append(rec.Detections,
			fleet.Detection{Package: "a/b", State: fleet.StateNone}, fleet.Detection{Package: "a/c", Current: "1", Found: "1", State: fleet.StateEqual},
			fleet.Detection{Package: "a/d", Found: "2", State: fleet.StateWatch}, fleet.Detection{Package: "a/e", State: fleet.StateHeld, Hold: fleet.HoldUnparsable, Why: "\"=1+1|x\" is no version"})),
		"status": StatusTable(board), "waves": WavesTable(board), "empty": TestTable(nil),
		"tests": TestTable([]fleet.Tested{{Package: zip, Version: "24.09", Cell: "wine", Installer: "x64", Result: "failed",
			Steps: []fleet.TestStep{{Name: "absent", Result: "passed"}, {Name: "install", Result: "failed", Detail: "exit code 1603"}, {Name: "gone", Result: "skipped"}}}}),
	}
	for name, table := range tests {
		var b strings.Builder
		for _, write := range []func() error{func() error { return table.Text(&b) }, func() error { b.WriteString("\n"); return table.CSV(&b) }, func() error { b.WriteString("\n"); return table.Markdown(&b) }} {
			if err := write(); err != nil {
				t.Fatal(err)
			}
		}
		golden(t, "table-"+name+".txt", b.String())
	}
}

func TestAudit(t *testing.T) {
	yes := func(what, where string) fleet.AuditCheck { return fleet.AuditCheck{OK: true, What: what, Where: where} }
	good := fleet.AuditRow{
		Cycle: week, Wave: "dogfood", Tenant: "example-msp/own", Package: zip, Release: "24.09", Artifact: digit(901), Action: "assign",
		Commit: "2222222222bbbb", PR: 7, Approvers: []string{"ann", "ben"},
		Merge: yes("merged as PR 3", "1111111111"), Approval: yes("2 approvers saw it", "2222222222"), Tests: yes("2 of 2 cells passed", "evidence/control:x"),
		Signature: yes("signed by a trusted key", "store"), Receipt: yes("done", "evidence/07:y"),
	}
	bad := good
	bad.Tenant, bad.Receipt = "nordic/acme", fleet.AuditCheck{What: "there is no receipt", Where: "evidence/0a"}
	bad.Findings = []fleet.AuditFinding{{Object: "nordic/acme", What: "an intent without a receipt", Where: "evidence/0a:z"}}
	pass := fleet.Audit{Main: "9c1e5d0f0000", Merges: 4, Batches: 31, Rows: []fleet.AuditRow{good}}
	golden(t, "audit-pass.txt", AuditText(pass))
	fail := pass
	fail.Rows = []fleet.AuditRow{good, bad}
	fail.Findings = []fleet.AuditFinding{{Object: "evidence/control", What: "a batch was altered", Where: "evidence/control:merges/ab/x.jsonl"}}
	golden(t, "audit-fail.txt", AuditText(fail))
	if !pass.Passed() || fail.Passed() || (fleet.Audit{Rows: []fleet.AuditRow{bad}}).Passed() {
		t.Error("an audit passes exactly when nothing is missing")
	}
}
