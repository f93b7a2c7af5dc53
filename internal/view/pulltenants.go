package view

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// TenantsAsked is what a partner is asked: its word on a cycle for some of its
// tenants, and the rows of the cycle's plans by gate.
type TenantsAsked struct {
	Cycle     fleet.CycleID
	Partner   string
	Approvals map[fleet.TenantID]fleet.TenantApproval
	Rows      map[string][]fleet.PlanRow
}

// TenantsPull is the pull request that asks a partner for its word, with what
// would happen on each of its tenants.
func TenantsPull(repo *fleet.Repository, asked TenantsAsked) Pull {
	tenants := slices.Sorted(maps.Keys(asked.Approvals))
	t := Table{Columns: Cols("tenant", "wave", "devices>", "releases", "not before", "deadline")}
	devices, packages := 0, map[fleet.PackageID]bool{}
	var until fleet.TenantApproval
	for _, id := range tenants {
		a := asked.Approvals[id]
		if a.ValidUntil.After(until.ValidUntil) {
			until = a
		}
		for _, gate := range repo.Cycles[asked.Cycle].Waves {
			if a.Plans[gate] != "" {
				devices += askedRow(&t, id, gate, asked.Rows[gate], packages)
			}
		}
	}
	var head strings.Builder
	fmt.Fprintf(&head, "### %s asks for the word of %s on %s\n\n%s", Neutral(string(asked.Cycle)), Neutral(partnerName(repo, asked.Partner)), plural(len(tenants), "tenant"), markdownOf(&t))
	fmt.Fprintf(&head, "\nThe operator approves each wave for the fleet; your policy asks for your word beside it. **Approving and merging this** lets these tenants take part. "+
		"It counts when it comes from %s.\n", speakers(repo, tenants))
	fmt.Fprintf(&head, "\nTo refuse for a tenant, change `decision` in its file to `\"rejected\"` and say `because`; to decide later, take its file out. "+
		"What is not said by the time a wave's approval ends counts as a refusal: the tenant stays as it is and the next cycle asks again. Valid until %s.\n", utc(until.ValidUntil))
	return Pull{
		Title: answerTitle(repo, asked.Approvals),
		Text: assemble(head.String(), nil, "", Trailers{
			Risk: "low: the waves and their gates stay as approved", Impact: fmt.Sprintf("%s on %s of %s", plural(len(packages), "package"), plural(devices, "device"), plural(len(tenants), "tenant")),
			BackOut: "a rejection by a later merge, before it is assigned; a revocation after that", ChangeClass: "normal",
		}),
	}
}

// askedRow adds what a wave does on a tenant and gives the devices it reaches.
func askedRow(t *Table, id fleet.TenantID, gate string, rows []fleet.PlanRow, packages map[fleet.PackageID]bool) int {
	var mine []fleet.PlanRow
	var releases []string
	devices := 0
	for _, r := range rows {
		if r.Tenant != id {
			continue
		}
		mine = append(mine, r)
		packages[r.Package] = true
		devices = max(devices, r.Devices)
		releases = append(releases, string(r.Package)+" "+r.To)
	}
	if len(mine) == 0 {
		return 0
	}
	last := slices.MaxFunc(mine, func(a, b fleet.PlanRow) int { return a.Deadline.Compare(b.Deadline) })
	t.Add(string(id), gate, grouped(devices), some(releases, 8), utc(last.NotBefore), utc(last.Deadline))
	return devices
}

func partnerName(repo *fleet.Repository, partner string) string {
	if name := repo.Partners[partner].Name; name != "" {
		return name
	}
	return partner
}

// speakers are the logins that may speak for tenants, with the tenants where
// not all have the same.
func speakers(repo *fleet.Repository, tenants []fleet.TenantID) string {
	by := map[string][]string{}
	for _, id := range tenants {
		var logins []string
		for _, p := range repo.TenantApprovers(id) {
			logins = append(logins, Code(p.Login))
		}
		slices.Sort(logins)
		who := strings.Join(slices.Compact(logins), " or ")
		if who == "" {
			who = "nobody yet (name approvers in `tenants/" + Plain(id.Partner()) + "/partner.cue`)"
		}
		by[who] = append(by[who], string(id))
	}
	var parts []string
	for _, who := range slices.Sorted(maps.Keys(by)) {
		if len(by) == 1 {
			return who
		}
		parts = append(parts, who+" for "+Neutral(some(by[who], 8)))
	}
	return strings.Join(parts, "; from ")
}

// answerTitle is the title of the pull request that asks one partner.
func answerTitle(repo *fleet.Repository, answers map[fleet.TenantID]fleet.TenantApproval) string {
	first := slices.Min(slices.Collect(maps.Keys(answers)))
	return Plain(fmt.Sprintf("Ask %s about %s of %s", partnerName(repo, first.Partner()), answers[first].Cycle, plural(len(answers), "tenant")))
}
