package change

import (
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

func TestAnswers(t *testing.T) {
	said := func(decision string) func(r *fleet.Repository) {
		return func(r *fleet.Repository) {
			r.TenantApprovals = map[fleet.TenantID]map[fleet.CycleID]fleet.TenantApproval{"nordic/acme": {"2026-W47": {Cycle: "2026-W47", Decision: decision, Because: "inventory count", ValidUntil: noon}}}
		}
	}
	c := compare(t, world(), edited(said("approved")))
	if len(c.Subjects) != 1 || c.Subjects[0].Kind != "answer" || c.Subjects[0].Name != "of nordic/acme to 2026-W47" || c.Subjects[0].What != Added {
		t.Errorf("%+v", c.Subjects)
	}
	wantFindings(t, c)
	refused := world()
	said("rejected")(refused)
	wantFindings(t, compare(t, refused, edited(said("approved"))), "decide nordic/acme 2026-W47: the tenant had refused: inventory count")
	wantFindings(t, compare(t, refused, world()), "decide nordic/acme 2026-W47: the tenant had refused: inventory count")
	agreed := world()
	said("approved")(agreed)
	wantFindings(t, compare(t, agreed, edited(said("rejected"))))
}

func TestUnattended(t *testing.T) {
	let := func(r *fleet.Repository) { r.Operator.Trust.App, r.Operator.Trust.AutoRevoke = "mill[bot]", true }
	wantFindings(t, compare(t, world(), edited(let)),
		"decide mill[bot]: its merges may count without people from now on, where policy says autoMerge or autoRevoke",
		"decide trust.autoRevoke: packmill may merge revocations of what a gate failed from now on, without people")
	before := world()
	let(before)
	wantFindings(t, compare(t, before, edited(let)))
	wantFindings(t, compare(t, before, world()))
}
