package desired

import (
	"reflect"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// What a level below may not do, whether CUE sees it or not.
func TestPolicyGuards(t *testing.T) {
	checkRules(t, []rule{
		{"looser bound below", []edit{{group, `maxFailuresPercent: 0.5`, `maxFailuresPercent: 1.5`}}},
		{"looser word below", []edit{{tenant, `policy: pins:`, "policy: reboot: \"anytime\"\npolicy: pins:"}}},
		{"bound without a loosest value", []edit{{"tenants/operator.cue", `maxFailuresPercent: <=2`, `maxFailuresPercent: <2`}}},
		{"bound the operator left out", []edit{{"tenants/operator.cue", "	maxFailuresPercent: <=2\n", ""}}},
		{"all bounds left out", []edit{{"tenants/operator.cue", `	critical: withinHours:  <=72
	nonSecurity: deferDays: >=0
	reboot:             "windowOnly"
	maxFailuresPercent: <=2
	approval:           "implicit" | "partner" | "site"
	maxExceptionDays:   90
`, ""}}},
		{"misspelt bound", []edit{{partner, `maxFailuresPercent: <=1`, `maxFailurePercent: <=1`}}},
		{"default turned below", []edit{
			{"tenants/operator.cue", `	maxFailuresPercent: <=2`, "	if _strict {maxFailuresPercent: <=2}\n	maxFailuresPercent: <=50"},
			{"tenants/operator.cue", `operator:`, "_strict: *true | bool\noperator:"},
			{group, `group:`, "_strict: false\ngroup:"},
			{group, `maxFailuresPercent: 0.5`, `maxFailuresPercent: <=40`},
			{partner, `maxFailuresPercent: <=1`, ``},
		}},
		{"choice turned below", []edit{
			{"tenants/operator.cue", `maxFailuresPercent: <=2`, "maxFailuresPercent: [if _strict {<=2}, <=50][0]"},
			{"tenants/operator.cue", `operator:`, "_strict: *true | bool\noperator:"},
			{group, `group:`, "_strict: false\ngroup:"},
			{group, `maxFailuresPercent: 0.5`, `maxFailuresPercent: <=40`},
			{partner, `maxFailuresPercent: <=1`, ``},
		}},
		{"partner speaks for the operator", []edit{{partner, `partner:`, "operator: approvers: releases: [{login: \"me\", name: \"Me\", from: \"2026-01-01\"}]\npartner:"}}},
		{"tenant adds a key", []edit{{tenant, `tenant:`, "operator: trust: keys: mine: {pem: \"x\"}\ntenant:"}}},
		{"tenant adds an approver of its partner", []edit{{tenant, `tenant:`, "partner: approvers: [{login: \"me\", name: \"Me\", from: \"2026-01-01\"}]\ntenant:"}}},
		{"embedding at the top", []edit{{tenant, `tenant:`, "{operator: name: \"Me\"}\ntenant:"}}},
		{"comprehension at the top", []edit{{tenant, `tenant:`, "if true {operator: name: \"Me\"}\ntenant:"}}},
		{"computed name at the top", []edit{{tenant, `tenant:`, "(\"oper\" + \"ator\"): name: \"Me\"\ntenant:"}}},
		{"pattern at the top", []edit{{tenant, `tenant:`, "[=~\"oper\"]: name: \"Me\"\ntenant:"}}},
		{"exception limit below", []edit{{partner, `maxFailuresPercent: <=1`, `maxExceptionDays: 900`}}},
		{"pin without reason", []edit{{tenant, `, reason: "archive format of the document system"`, ``}}},
		{"pin without end", []edit{{tenant, `, expires: "2027-02-01T00:00:00Z"`, ``}}},
		{"pin that lasts too long", []edit{{tenant, `"2027-02-01T00:00:00Z"`, `"2027-03-01T00:00:00Z"`}}},
		{"expired opt-out", []edit{{tenant, `policy: pins:`, "policy: optOuts: \"acme/ledger-client\": {reason: \"x\", expires: \"2026-11-18T11:59:59Z\"}\npolicy: pins:"}}},
		{"expired pin", []edit{{tenant, `"2027-02-01T00:00:00Z"`, `"2026-11-18T12:00:00Z"`}}},
		{"expired driver block", []edit{{partner, `expires: "2027-01-31T00:00:00Z"`, `expires: "2026-10-31T00:00:00Z"`}}},
		{"driver block without end", []edit{{partner, `, expires: "2027-01-31T00:00:00Z"`, ``}}},
		{"longer deferral without reason", []edit{{partner, `maxFailuresPercent: <=1`, `nonSecurity: deferDays: >=14`}}},
		{"longer deferral explained elsewhere", []edit{
			{partner, `maxFailuresPercent: <=1`, `nonSecurity: {deferDays: >=14, because: quarter: {reason: "audit", expires: "2027-01-01T00:00:00Z"}}`},
			{tenant, `policy: pins:`, "policy: nonSecurity: deferDays: >=21\npolicy: pins:"},
		}},
		{"longer deferral that has ended", []edit{{partner, `maxFailuresPercent: <=1`, `nonSecurity: {deferDays: >=14, because: quarter: {reason: "audit", expires: "2026-11-01T00:00:00Z"}}`}}},
		{"grace that no level above grants", []edit{{partner, `maxFailuresPercent: <=1`, `critical: graceHours: <=24`}}},
		{"grace longer than above", []edit{{"tenants/operator.cue", `maxFailuresPercent: <=2`, "maxFailuresPercent: <=2\n	nonSecurity: graceHours: <=24"}, {partner, `maxFailuresPercent: <=1`, `nonSecurity: graceHours: 48`}}},
		{"limit without a number", []edit{{partner, `maxFailuresPercent: <=1`, `nonSecurity: withinDays: <14`}}},
		{"list where bounds stand", []edit{{partner, `maxFailuresPercent: <=1`, `maxFailuresPercent: [1]`}}},
		{"default in a bound", []edit{{partner, `maxFailuresPercent: <=1`, `maxFailuresPercent: *1 | <=1`}}},
		{"approvals are not asked of a freeze", []edit{{freeze, `freezes:`, "approvals: \"2026-W47\": dogfood: decision: \"approved\"\nfreezes:"}}},
		{"computed id of a hold", []edit{{holdFile, `holds: "7-zip-24.09"`, `holds: ("7-zip-" + "24.09")`}}},
		{"reference to nothing", []edit{{group, `maxFailuresPercent: 0.5`, `maxFailuresPercent: half`}}},
		{"hidden contradiction", []edit{{group, `group:`, "_x: 1 & 2\ngroup:"}}},
	})
}

// TestOptionalBounds are stated at some levels, and hold below them.
func TestOptionalBounds(t *testing.T) {
	repo, err := load(t, edited(t,
		edit{"tenants/operator.cue", `maxFailuresPercent: <=2`, "maxFailuresPercent: <=2\n	critical: graceHours: <=24"},
		edit{partner, `maxFailuresPercent: <=1`, "maxFailuresPercent: <=1\n	nonSecurity: withinDays: <=14"},
		edit{group, `maxFailuresPercent: 0.5`, "maxFailuresPercent: 0.5\n	nonSecurity: withinDays: 7\n	critical: graceHours: 8"},
	))
	if err != nil {
		t.Fatal(err)
	}
	type values struct{ grace, within, otherGrace float64 }
	of := func(p fleet.Policy) values {
		return values{p.CriticalGraceHours, p.NonSecurityWithinDays, p.NonSecurityGraceHours}
	}
	acme := repo.Tenants["nordic/acme"]
	for name, pair := range map[string][2]values{
		"own/office": {of(repo.Tenants["own/office"].Policy), {24, 0, 0}}, "nordic/acme": {of(acme.Policy), {24, 14, 0}}, "finance": {of(acme.Groups["finance"].Policy), {8, 7, 0}},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %+v, want %+v", name, pair[0], pair[1])
		}
	}
	if got := acme.Policy.Origins["nonSecurity.withinDays"].File; got != partner {
		t.Errorf("the limit was decided in %q", got)
	}
	if _, ok := acme.Policy.Origins["nonSecurity.graceHours"]; ok {
		t.Error("what nobody states was decided somewhere")
	}
}

// TestTenantCalendar decodes what a tenant says of its days and windows.
func TestTenantCalendar(t *testing.T) {
	repo, err := load(t, edited(t, edit{tenant, `zone:`, "holidays: {country: \"SE\", add: \"2026-12-24\": \"closed\", remove: [\"2026-06-06\"]}\n\twindows: weekend: {on: [\"Sat\"], from: \"22:00\", until: \"04:00\", for: [\"install\"], holidays: \"shut\", dst: fold: \"second\"}\n\tzone:"}))
	if err != nil {
		t.Fatal(err)
	}
	acme := repo.Tenants["nordic/acme"]
	if h := acme.Holidays; h == nil || h.Country != "SE" || h.Add["2026-12-24"] != "closed" || len(h.Remove) != 1 {
		t.Errorf("holidays %+v", h)
	}
	if w := acme.Windows["weekend"]; w.Holidays != "shut" || w.DST != (fleet.DSTRule{Gap: "later", Fold: "second"}) {
		t.Errorf("window %+v", w)
	}
	if h := repo.Tenants["own/office"].Holidays; h != nil {
		t.Errorf("holidays that nobody stated: %+v", h)
	}
	if s := repo.Week.Steps["deploy"]; s.Holiday != "keep" || repo.Waves[0].OnMissedWindow != "next" || repo.Week.Holidays != nil {
		t.Errorf("defaults: %+v, %+v, %+v", s, repo.Waves[0], repo.Week.Holidays)
	}
}

// A budget of exposure limits something, and people can meet it.
func TestExposureRules(t *testing.T) {
	budget := func(text string) []edit {
		return []edit{{"tenants/operator.cue", "operator: schema.#Operator & {", "operator: schema.#Operator & {\n\ttrust: exposure: " + text}}
	}
	checkRules(t, []rule{
		{"budget of nothing", budget(`perMerge: approvers: 2`)},
		{"more approvers than there are", budget(`perHour: {devices: 500, approvers: 6}`)},
		{"one approver is no more than usual", budget(`perMerge: {tenants: 3, approvers: 1}`)},
		{"budget of halves", budget(`perMerge: {devices: 2.5, approvers: 2}`)},
	})
	repo, err := load(t, edited(t, budget(`perMerge: {devices: 500, approvers: 2}`)...))
	if err != nil {
		t.Fatal(err)
	}
	if e := repo.Operator.Trust.Exposure; e == nil || e.PerHour != nil || e.PerMerge.Tenants != nil || *e.PerMerge.Devices != 500 || e.PerMerge.Approvers != 2 {
		t.Errorf("exposure: %+v", e)
	}
}

// One run tells everything that can be known, and nothing that only follows
// from another finding.
func TestManyFaults(t *testing.T) {
	checkRules(t, []rule{
		{"in every lane and level", []edit{
			{sevenZip, `kind: "application"`, `kind: "aplication"`}, {sevenZip, `matrix: ["windows-11"]`, `matrix: ["windows-12"]`},
			{ledger, `requires: ["igor-pavlov/7-zip"]`, `requires: ["igor-pavlov/8-zip"]`},
			{"schedules/week.cue", `zone: "Europe/Helsinki"`, `zoen: "Europe/Helsinki"`},
			{"schedules/waves.cue", `opens: step: "dogfood"`, `opens: step: "dogfod"`}, {"schedules/waves.cue", `order: 2`, `order: 1`},
			{cycleFile, `"everyone"`, `"everybody"`}, {holdFile, `release:    "24.09"`, `release:    "24.10"`},
			{approval, `devices: 40`, `devices: 4`}, {planFile, `evidence/control`, `evidence/main`},
			{tenant, `"acme/ledger-client": [`, `"acme/ledger": [`}, {group, `maxFailuresPercent: 0.5`, `maxFailuresPercent: 5`},
			{"tenants/direct/solo/tenant.cue", `"igor-pavlov/7-zip"`, `"igor-pavlov/7zip"`}, {"tenants/own/office/tenant.cue", `role: "own"`, `role: 7`},
			{freeze, `"2027-01-04T00:00:00+02:00"`, `"2036-01-04T00:00:00+02:00"`},
		}},
		{"with a broken operator", []edit{
			{"tenants/operator.cue", `reboot:             "windowOnly"`, `reboot:             "window"`},
			{tenant, `"acme/ledger-client": [`, `"acme/ledger": [`},
			{freeze, `"2027-01-04T00:00:00+02:00"`, `"2036-01-04T00:00:00+02:00"`},
			{ledger, `requires: ["igor-pavlov/7-zip"]`, `requires: ["igor-pavlov/8-zip"]`},
		}},
	})
}

func TestPolicyValues(t *testing.T) {
	tree := edited(t,
		edit{"tenants/operator.cue", `nonSecurity: deferDays: >=0`, `nonSecurity: deferDays: >=2`},
		edit{partner, `maxFailuresPercent: <=1`, "maxFailuresPercent: <=1\n\tcritical: withinHours: <=48\n\tnonSecurity: {deferDays: >=14, because: quarter: {reason: \"audit\", expires: \"2027-01-01T00:00:00Z\"}}"},
	)
	repo, err := load(t, tree)
	if err != nil {
		t.Fatal(err)
	}
	type values struct {
		hours     float64
		defer_    int
		reboot    string
		failures  float64
		approval  string
		days      int
		pins      int
		blocks    int
		decidedBy string // of maxFailuresPercent
	}
	of := func(p fleet.Policy) values {
		return values{p.CriticalWithinHours, p.NonSecurityDeferDays, p.Reboot, p.MaxFailuresPercent, p.Approval, p.MaxExceptionDays, len(p.Pins), len(p.DriverBlock), p.Origins["maxFailuresPercent"].String()}
	}
	acme := repo.Tenants["nordic/acme"]
	for name, pair := range map[string][2]values{
		"own/office":  {of(repo.Tenants["own/office"].Policy), {72, 2, "windowOnly", 2, "implicit", 90, 0, 0, "tenants/operator.cue:18:22"}},
		"nordic/acme": {of(acme.Policy), {48, 14, "windowOnly", 1, "implicit", 90, 1, 1, "tenants/nordic/partner.cue:13:22"}},
		"finance":     {of(acme.Groups["finance"].Policy), {48, 14, "windowOnly", 0.5, "partner", 90, 1, 1, "tenants/nordic/acme/groups/finance/group.cue:8:22"}},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s: got %+v, want %+v", name, pair[0], pair[1])
		}
	}
	if got, want := acme.Groups["finance"].Policy.Origins["approval"].String(), "tenants/nordic/acme/groups/finance/group.cue:9:2"; got != want {
		t.Errorf("approval of finance was decided at %s, want %s", got, want)
	}
	if got, want := acme.Policy.Origins["nonSecurity.deferDays"].String(), "tenants/nordic/partner.cue:15:27"; got != want {
		t.Errorf("deferral of acme was decided at %s, want %s", got, want)
	}
	if pin := acme.Policy.Pins["igor-pavlov/7-zip"]; pin.Version != "24.*" || pin.Reason == "" || pin.Expires.IsZero() {
		t.Errorf("pin: %+v", pin)
	}
	if p := repo.Partners["direct"]; p.Name != "Example MSP" || p.Language != "en" {
		t.Errorf("the operator is the direct customers' partner; got %+v", p)
	}
	for field, want := range map[string]string{
		"critical.withinHours": "number & >0 & <=48", "nonSecurity.deferDays": "int & >=14", "reboot": `"windowOnly"`,
		"maxFailuresPercent": "number & >=0 & <=1", "approval": `"implicit" | "partner" | "site"`, "maxExceptionDays": "int & >=0 & <=90",
	} {
		if got := acme.Policy.Bounds[field]; got != want {
			t.Errorf("bound of %s: got %s, want %s", field, got, want)
		}
	}
	if name := acme.Name; name != "nordic/acme" {
		t.Errorf("a tenant without a name has its id; got %q", name)
	}
}

// Without a time, exceptions are not judged by it: what they mean is decided
// where they are applied.
func TestNoTime(t *testing.T) {
	tree := edited(t, edit{tenant, `"2027-02-01T00:00:00Z"`, `"2020-02-01T00:00:00Z"`})
	if _, err := Load(t.Context(), tree, Options{Evaluator: InProcess{}}); err != nil {
		t.Error(err)
	}
}
