package desired

import (
	"reflect"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

const answerFile = "tenants/nordic/acme/approvals/2026-W47.cue"

func planDigest() fleet.Digest { return fleet.Digest("sha256:" + strings.Repeat("2", 64)) }

func sound() fleet.TenantApproval {
	return fleet.TenantApproval{Cycle: "2026-W47", Decision: "approved", Plans: map[string]fleet.Digest{"dogfood": planDigest()}, ValidUntil: at("2026-11-25T00:00:00Z")}
}

func TestTenantApprovalFile(t *testing.T) {
	tree := msp(t)
	refusal := sound()
	refusal.Decision, refusal.Because = "rejected", "line one\nline \"two\" \\(x)"
	tree[TenantApprovalPath("nordic/acme", "2026-W47")] = TenantApprovalFile(sound())
	tree[TenantApprovalPath("direct/solo", "2026-W47")] = TenantApprovalFile(refusal)
	without, err := load(t, msp(t))
	if err != nil {
		t.Fatal(err)
	}
	repo, err := load(t, tree)
	if err != nil {
		t.Fatal(err)
	}
	want := map[fleet.TenantID]map[fleet.CycleID]fleet.TenantApproval{"nordic/acme": {"2026-W47": sound()}, "direct/solo": {"2026-W47": refusal}}
	if !reflect.DeepEqual(repo.TenantApprovals, want) {
		t.Errorf("got %+v, want %+v", repo.TenantApprovals, want)
	}
	if !reflect.DeepEqual(repo.Tenants, without.Tenants) || !reflect.DeepEqual(repo.Partners, without.Partners) || !reflect.DeepEqual(repo.Operator, without.Operator) {
		t.Error("an answer changes what tenants, partners or the operator say")
	}
	if repo.Blobs[answerFile] == "" {
		t.Error("the file has no blob")
	}
	if got := string(TenantApprovalFile(refusal)); got != goldenRefusal {
		t.Errorf("got:\n%s\nwant:\n%s", got, goldenRefusal)
	}
	stockAgrees(t, tree)
	if _, err := LoadPart(t.Context(), tree, Part{Policy: repo}, Options{Evaluator: InProcess{}}); err != nil {
		t.Error(err)
	}
}

const goldenRefusal = `package tenants

import "github.com/packmill/packmill/schema"

approvals: "2026-W47": schema.#TenantApproval & {
	cycle:    "2026-W47"
	decision: "rejected"
	plans: {
		dogfood: "sha256:2222222222222222222222222222222222222222222222222222222222222222"
	}
	validUntil: "2026-11-25T00:00:00Z"
	because:    "line one\nline \"two\" \\(x)"
}
`

// TestTenantApprovals is one thing done wrong in an answer each.
func TestTenantApprovals(t *testing.T) {
	answer := func(edits ...string) edit {
		text := string(TenantApprovalFile(sound()))
		for i := 0; i < len(edits); i += 2 {
			if !strings.Contains(text, edits[i]) {
				t.Fatalf("no %q in %s", edits[i], text)
			}
			text = strings.Replace(text, edits[i], edits[i+1], 1)
		}
		return edit{answerFile, "", text}
	}
	moved := func(file string) edit { return edit{file, "", string(TenantApprovalFile(sound()))} }
	const digest = "2222222222222222222222222222222222222222222222222222222222222222"
	checkRules(t, []rule{
		{"another cycle than the file's", []edit{answer(`	cycle:    "2026-W47"`, `	cycle:    "2026-W46"`)}},
		{"for another cycle", []edit{answer(`approvals: "2026-W47"`, `approvals: "2026-W46"`)}},
		{"file of no cycle", []edit{moved("tenants/nordic/acme/approvals/week.cue")}},
		{"cycle that there is not", []edit{{"tenants/nordic/acme/approvals/2026-W46.cue", "", strings.ReplaceAll(string(TenantApprovalFile(sound())), "2026-W47", "2026-W46")}}},
		{"tenant that there is not", []edit{moved("tenants/nordic/nobody/approvals/2026-W47.cue")}},
		{"of a partner", []edit{moved("tenants/nordic/approvals/2026-W47.cue")}},
		{"another digest", []edit{answer(digest, strings.ReplaceAll(digest, "2", "3"))}},
		{"no digest", []edit{answer(digest, "22")}},
		{"gate that has no plan", []edit{answer("dogfood:", "dogfod:")}},
		{"no gate", []edit{answer("dogfood: \"sha256:"+digest+"\"\n", "\n")}},
		{"no end", []edit{answer("validUntil: \"2026-11-25T00:00:00Z\"\n", "\n")}},
		{"no word we know", []edit{answer(`"approved"`, `"maybe"`)}},
		{"refusal without a reason", []edit{answer(`"approved"`, `"rejected"`)}},
		{"more than it may say", []edit{answer("approvals:", "policy: approval: \"implicit\"\napprovals:")}},
		{"its own approver", []edit{answer("approvals:", "tenant: approvers: [{login: \"me\", name: \"Me\", from: \"2026-01-01\"}]\napprovals:")}},
		{"in the package of schedules", []edit{answer("package tenants", "package schedules")}},
		{"the site's approver until before from", []edit{{tenant, `tenant: schema.#Tenant & {`, "tenant: schema.#Tenant & {\n\tapprovers: [{login: \"sol\", name: \"Sol\", from: \"2026-03-01\", until: \"2026-02-01\"}]"}}},
		{"app that is no login", []edit{{"tenants/operator.cue", `approvers:`, "trust: app: \"mill [bot]\"\n\tapprovers:"}}},
	})
}
