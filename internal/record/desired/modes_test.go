package desired

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/change"
)

// A party is what one level says of the policy, "" for nothing.
type parties struct{ operator, partner, tenant, group string }

// files are the four levels as a repository.
func (p parties) files() []childFile {
	file := func(path, field, policy string) childFile {
		text := "package tenants\n\nimport \"github.com/packmill/packmill/schema\"\n\n" + field + "\n"
		if policy != "" {
			text += "policy: " + policy + "\n"
		}
		return childFile{path, []byte(text)}
	}
	return []childFile{
		file("tenants/operator.cue", `operator: schema.#Operator & {name: "O", approvers: a: [{login: "a", name: "A", from: "2026-01-01"}]}`, p.operator),
		file("tenants/nordic/partner.cue", `partner: schema.#Partner & {name: "P", contacts: []}`, p.partner),
		file("tenants/nordic/acme/tenant.cue", `tenant: schema.#Tenant & {id: "nordic/acme", zone: "UTC", packages: {}}`, p.tenant),
		file("tenants/nordic/acme/groups/finance/group.cue", `group: schema.#Group & {name: "Finance"}`, p.group),
	}
}

// met is the policy of the tenant and of its group; false when it is refused.
func (p parties) met(t *testing.T) (tenant, group fleet.Policy, ok bool) {
	t.Helper()
	result, err := evaluateFiles(p.files(), func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Findings) > 0 {
		return tenant, group, false
	}
	acme := result.Repository.Tenants["nordic/acme"]
	return acme.Policy, acme.Groups["finance"].Policy, true
}

const operatorSays = `{critical: withinHours: <=72, nonSecurity: deferDays: >=0, reboot: "anytime" | "windowOnly", maxFailuresPercent: <=5, approval: "implicit" | "partner" | "site", maxExceptionDays: 90}`

// statement is a random policy: stricter and looser bounds, single values,
// words, exceptions, or nothing of a field.
func statement(r *rand.Rand) string {
	var fields []string
	some := func(format string, choices ...any) {
		if r.IntN(3) > 0 {
			fields = append(fields, fmt.Sprintf(format, choices[r.IntN(len(choices))]))
		}
	}
	some(`critical: withinHours: %s`, "<=24", "<=48", "<=72", "<=200", "<72", "<=72 & >1", "48")
	some(`nonSecurity: {deferDays: %s, because: x: {reason: "r", expires: "2027-01-01T00:00:00Z"}}`, ">=0", ">=7", ">=14", "7")
	some(`reboot: %s`, `"windowOnly"`, `"anytime"`, `"anytime" | "windowOnly"`)
	some(`maxFailuresPercent: %s`, "<=5", "<=2", "<=0.5", "<=50", "1", "0")
	some(`approval: %s`, `"partner" | "site"`, `"implicit" | "site"`, `"site"`, `"implicit"`)
	some(`pins: "a/b": {version: "%s", reason: "r", expires: "2027-01-01T00:00:00Z"}`, "1.*")
	return "{" + strings.Join(fields, ", ") + "}"
}

// TestModesMeet adds a party to a repository at random: partner, tenant or
// group begins to say something of its own. Whatever it says, what holds
// afterwards allows nothing that was not allowed before, and nobody else's
// exception is gone; else the repository is refused.
func TestModesMeet(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(20, 26))
	met, refused := 0, 0
	for range 80 {
		before := parties{operator: operatorSays}
		for _, level := range []*string{&before.partner, &before.tenant, &before.group} {
			if r.IntN(2) == 0 {
				*level = statement(r)
			}
		}
		after := before
		added := []*string{&after.partner, &after.tenant, &after.group}[r.IntN(3)]
		*added = statement(r)
		if *added == "{}" {
			continue
		}
		first := before
		switch added { // the party said nothing before
		case &after.partner:
			first.partner = ""
		case &after.tenant:
			first.tenant = ""
		default:
			first.group = ""
		}
		wasTenant, wasGroup, ok := first.met(t)
		if !ok {
			continue
		}
		isTenant, isGroup, ok := after.met(t)
		if !ok {
			refused++
			continue
		}
		met++
		neverLooser(t, fmt.Sprintf("tenant of %+v, before %+v", after, first), wasTenant, isTenant)
		neverLooser(t, fmt.Sprintf("group of %+v, before %+v", after, first), wasGroup, isGroup)
		neverLooser(t, fmt.Sprintf("group below its tenant in %+v", after), isTenant, isGroup)
	}
	if met < 10 || refused < 10 {
		t.Errorf("%d met and %d were refused: the test looks at too few", met, refused)
	}
}

func neverLooser(t *testing.T, what string, was, is fleet.Policy) {
	t.Helper()
	proof, err := change.Prove(was.Bounds, is.Bounds)
	if err != nil || !proof.Tightens() {
		t.Errorf("%s: %v looser, %v\n was %v\n is %v", what, proof.Looser, err, was.Bounds, is.Bounds)
	}
	if is.CriticalWithinHours > was.CriticalWithinHours || is.NonSecurityDeferDays < was.NonSecurityDeferDays || is.MaxFailuresPercent > was.MaxFailuresPercent ||
		is.MaxExceptionDays > was.MaxExceptionDays || was.Reboot == "windowOnly" && is.Reboot != was.Reboot || was.Approval == "site" && is.Approval != "site" || was.Approval == "partner" && is.Approval == "implicit" {
		t.Errorf("%s: was %+v, is %+v", what, was, is)
	}
	for id := range was.Pins {
		if _, kept := is.Pins[id]; !kept {
			t.Errorf("%s: the pin of %s is gone", what, id)
		}
	}
}
