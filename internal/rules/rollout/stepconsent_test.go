package rollout_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// asking makes a tenant's policy ask for the word of its partner or site, whose
// approver is pia.
func asking(mode string, tenants ...fleet.TenantID) fact {
	return func(w *world) {
		w.repo.Partners = map[string]fleet.Partner{"nordic": {Approvers: []fleet.Person{{Login: "pia", From: "2026-01-01"}, {Login: "left", From: "2026-01-01", Until: "2026-11-01"}}}}
		for _, id := range tenants {
			tenant(id, func(t *fleet.Tenant) { t.Policy.Approval = mode })(w)
		}
	}
}

// answered is a tenant's word on the week, as a merge brought it; counts are
// the logins that the merge's record counts for it.
func answered(id fleet.TenantID, decision string, at time.Time, counts ...string) fact {
	return func(w *world) {
		if w.repo.TenantApprovals == nil {
			w.repo.TenantApprovals = map[fleet.TenantID]map[fleet.CycleID]fleet.TenantApproval{}
		}
		w.repo.TenantApprovals[id] = map[fleet.CycleID]fleet.TenantApproval{w47: {
			Cycle: w47, Decision: decision, Because: "inventory count", ValidUntil: on(25, 12, 0),
			Plans: map[string]fleet.Digest{"everyone": w.repo.Plans[w47]["everyone"].Digest},
		}}
		file, blob := fleet.TenantApprovalFile(id, w47), fmt.Sprint("answer-", len(w.rec.Merges))
		w.repo.Blobs[file] = blob
		w.rec.Merges = append(w.rec.Merges, fleet.Merge{Commit: "a-" + string(id), ApprovalBlobs: map[string]string{file: blob}, Counted: map[string][]string{file: counts}, Approvers: []string{}, At: at})
	}
}

func answer(id fleet.TenantID, change func(a *fleet.TenantApproval)) fact {
	return func(w *world) {
		a := w.repo.TenantApprovals[id][w47]
		change(&a)
		w.repo.TenantApprovals[id] = map[fleet.CycleID]fleet.TenantApproval{w47: a}
	}
}

// begun is the week with the last wave started and nothing assigned, its two
// customers asking.
func begun(mode string, tenants ...fleet.TenantID) fact {
	return all(asking(mode, tenants...), dogfooded, approve("everyone", on(20, 12, 0)), beat("announce 2026-W47", announceAt), start("everyone", announceAt))
}

func TestStepWaitsForPartners(t *testing.T) {
	at := announceAt.Add(time.Hour)
	both := begun(fleet.ByPartner, aalt, berg)
	deploys := func(tenants ...string) (out []string) {
		for _, id := range tenants {
			out = append(out, "deploy everyone "+id+" pad tool")
		}
		return out
	}
	asks := func(rest ...string) []string {
		return append([]string{"propose-tenant-approvals everyone nordic"}, rest...)
	}
	outs := func(why string) []string { return []string{"everyone " + why, "everyone armed"} }
	yes := all(both, answered(aalt, "approved", at, "pia"), answered(berg, "approved", at, "pia"))
	try(t, []situation{
		{"tenants that were not asked take part", begun("implicit"), at, deploys("nordic/aalto", "nordic/berg"), []string{"everyone armed"}},
		{"those that were and have not answered stay out, together", both, at, asks(deploys()...), outs("left out: nordic/aalto, nordic/berg: it waits for the approval of partner nordic (pia)")},
		{"all the same for a site", begun(fleet.BySite, berg), at, asks(deploys("nordic/aalto")...), outs("left out: nordic/berg: it waits for the approval of partner nordic (pia)")},
		{"a site names its own", all(begun(fleet.BySite, berg), tenant(berg, func(t *fleet.Tenant) { t.Approvers = []fleet.Person{{Login: "sol", From: "2026-01-01"}} })), at, asks(deploys("nordic/aalto")...),
			outs("left out: nordic/berg: it waits for the approval of the site (sol)")},
		{"where nobody may answer it says so", all(both, func(w *world) { w.repo.Partners = nil }), at, asks(deploys()...),
			outs("left out: nordic/aalto, nordic/berg: it waits for the approval of partner nordic, for which nobody may approve: name approvers in tenants/nordic/partner.cue")},
		{"once they agree they take part", yes, at, deploys("nordic/aalto", "nordic/berg"), []string{"everyone armed"}},
		{"one alone too, and the others are asked again", all(both, answered(aalt, "approved", at, "pia")), at, asks(deploys("nordic/aalto")...), outs("left out: nordic/berg: it waits for")},
		{"a refusal keeps a tenant out, and is not asked again", all(yes, answered(berg, "rejected", at, "pia")), at, deploys("nordic/aalto"), outs("left out: nordic/berg: refused: inventory count")},
		{"whoever says it, and whatever the policy asks for", all(begun("implicit"), answered(berg, "rejected", at)), at, deploys("nordic/aalto"), outs("left out: nordic/berg: refused")},
		{"not with the word of somebody who may not say it", all(both, answered(aalt, "approved", at), answered(berg, "approved", at, "pia")), at, deploys("nordic/berg"),
			outs("left out: nordic/aalto: its approval was not given by partner nordic (pia)")},
		{"not by a merge that was not recorded", all(yes, func(w *world) { w.rec.Merges = w.rec.Merges[:len(w.rec.Merges)-1] }), at, deploys("nordic/aalto"), outs("left out: nordic/berg: no merge of its approval")},
		{"not once it was changed after its review", all(yes, func(w *world) { w.repo.Blobs[fleet.TenantApprovalFile(berg, w47)] = "other" }), at, deploys("nordic/aalto"), outs("left out: nordic/berg: no merge of its approval")},
		{"not once a merge nobody stands behind touched it", all(yes, answered(berg, "approved", at)), at, deploys("nordic/aalto"), outs("left out: nordic/berg: its approval was not given by")},
		{"not for another plan", all(yes, answer(berg, func(a *fleet.TenantApproval) { a.Plans["everyone"] = artifact(tool, "x") })), at, deploys("nordic/aalto"), outs("left out: nordic/berg: its approval names another plan")},
		{"not for another wave", all(yes, answer(berg, func(a *fleet.TenantApproval) {
			a.Plans = map[string]fleet.Digest{"dogfood": artifact(tool, "x")}
		})), at, deploys("nordic/aalto"), outs("left out: nordic/berg: its approval is not for wave everyone")},
		{"not once it has expired", all(yes, answer(berg, func(a *fleet.TenantApproval) { a.ValidUntil = at.Add(-time.Second) })), at, deploys("nordic/aalto"), outs("left out: nordic/berg: its approval was valid until")},
		{"what is assigned stays, and is not told of again", all(yes, did("assign", "everyone", berg, pad, at), did("assign", "everyone", berg, tool, at), answer(berg, func(a *fleet.TenantApproval) { a.ValidUntil = at })), at.Add(time.Hour),
			deploys("nordic/aalto"), []string{"everyone armed"}},
	})
}

func TestStepTakesSilenceForARefusal(t *testing.T) {
	due := deployAt.Add(24 * time.Hour)
	one := begun(fleet.ByPartner, berg)
	missed := "everyone nordic/aalto: missed, and left to the next cycle"
	out := func(why string) []string { return []string{"everyone left out: nordic/berg: " + why, missed} }
	judge := "judge everyone pad tool 24h last"
	try(t, []situation{
		{"it asks until the wave's approval ends", one, due, []string{"propose-tenant-approvals everyone nordic", judge}, out("it waits for the approval of partner nordic (pia)")},
		{"and no longer", one, due.Add(time.Second), []string{judge}, out("no answer came by 2026-11-24 12:00Z, which counts as a refusal")},
		{"a late answer comes too late", all(one, answered(berg, "approved", due.Add(time.Second), "pia")), due.Add(time.Minute), []string{judge}, out("its approval came after 2026-11-24 12:00Z, which counts as a refusal")},
		{"one in time is acted on a while after the start too", all(one, answered(berg, "approved", deployAt.Add(10*time.Minute), "pia")), deployAt.Add(time.Hour), []string{"deploy everyone nordic/aalto pad tool", "deploy everyone nordic/berg pad tool"},
			[]string{"everyone the gate looks next"}},
		{"and not when the time that was agreed is over", all(one, answered(berg, "approved", due, "pia")), due.Add(time.Hour), []string{judge}, []string{"everyone nordic/aalto, nordic/berg: missed"}},
	})
}

func TestStepAsksPartnersInTime(t *testing.T) {
	soaked := dogfoodAt.Add(24 * time.Hour)
	asked := asking(fleet.ByPartner, aalt, berg)
	try(t, []situation{
		{"not while the wave before runs", all(asked, dogfooding), dogfoodAt, nil, []string{"dogfood the gate looks next"}},
		{"together with the wave's own approval", all(asked, dogfooded), soaked, []string{"propose-tenant-approvals everyone nordic", "propose-approval everyone"}, []string{"everyone its approval waits"}},
		{"once for all tenants of a partner", all(asked, dogfooded, approve("everyone", soaked)), soaked, []string{"propose-tenant-approvals everyone nordic"}, []string{"everyone announced first"}},
		{"not when the wave is rejected", all(asked, dogfooded, approve("everyone", soaked), amend("everyone", func(a *fleet.Approval) { a.Decision = "rejected" })), soaked, []string{"propose-close"}, []string{"everyone refused", "closing it waits for a merge"}},
		{"not those who answered", all(asked, dogfooded, answered(aalt, "approved", soaked, "pia"), answered(berg, "rejected", soaked, "pia")), soaked, []string{"propose-approval everyone"}, []string{"everyone its approval waits"}},
		{"for the first wave too, once it is approved", all(asking(fleet.ByPartner, own), opened), dogfoodAt.Add(-4 * time.Hour), []string{"propose-tenant-approvals dogfood us"}, []string{"dogfood approved"}},
	})
}

// BenchmarkStepConsent is what is due for 500 tenants with 100 packages each,
// half of them to be assigned: nobody asked, all silent, all agreed by a merge
// each.
func BenchmarkStepConsent(b *testing.B) {
	for _, said := range []string{"implicit", "silent", "agreed"} {
		w := large(500, 100)
		for _, id := range w.repo.TenantIDs() {
			if said != "implicit" {
				tenant(id, func(t *fleet.Tenant) { t.Policy.Approval = fleet.ByPartner })(w)
			}
			if said == "agreed" {
				w.repo.Plans[w47] = map[string]fleet.PlanRecord{"everyone": {}}
				answered(id, "approved", cutOffAt, "pia")(w)
				answer(id, func(a *fleet.TenantApproval) {
					a.Plans, a.ValidUntil = map[string]fleet.Digest{"dogfood": w.rec.Starts[0].Plan}, deployAt.Add(time.Hour)
				})(w)
			}
		}
		f := rollout.Facts{Repo: w.repo, Record: w.rec}
		b.Run(said, func(b *testing.B) {
			deploys := 0
			for b.Loop() {
				actions, _, err := rollout.Step(f, deployAt)
				if err != nil {
					b.Fatal(err)
				}
				deploys = 0
				for _, a := range actions {
					if a.Kind == rollout.Deploy {
						deploys++
					}
				}
			}
			b.ReportMetric(float64(deploys), "deploys")
		})
	}
}
