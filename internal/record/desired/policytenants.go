package desired

import (
	"maps"
	"path"
	"slices"
	"strings"

	"cuelang.org/go/cue"

	"github.com/packmill/packmill/internal/fleet"
)

// A levelPolicy is the policy in force at one folder of tenants/.
type levelPolicy struct {
	bounds     map[string]bound
	policy     fleet.Policy
	exceptions []exception
}

// tenantsFolder decodes what a folder below tenants/ sets. What a level says is
// read from the instance of that level: an entry that a file further down adds
// to the operator or the partner is never seen.
func (e *policyEval) tenantsFolder(inst instance, levels map[string]levelPolicy) {
	before := len(e.findings)
	if e.folders["tenants"] == nil {
		e.findings = append(e.findings, invalid(fleet.Pos{File: operatorFile}, "", "%v", errMissing))
		return
	}
	if inst.own[0].role == roleAnswer { // the folder holds nothing else
		e.answers(inst)
		e.whole(inst, before)
		return
	}
	level, ok := e.policy(inst, levels)
	if ok {
		levels[inst.folder] = level
	}
	for _, f := range inst.own {
		switch f.role {
		case roleOperator:
			take(e, inst, "#Operator", []string{"operator"}, &e.repo.Operator)
		case rolePartner:
			takeInto(e, inst, "#Partner", []string{"partner"}, e.repo.Partners, f.keys[0])
		case roleTenant:
			var t fleet.Tenant
			if take(e, inst, "#Tenant", []string{"tenant"}, &t) { // without a policy, its names are still looked up
				t.Policy = level.policy
				if inst.packages != nil {
					t.Packages = inst.packages
				}
				e.repo.Tenants[fleet.TenantID(f.keys[0])] = t
			}
		case roleGroup:
			var g fleet.Group
			t, known := e.repo.Tenants[fleet.TenantID(f.keys[0])]
			if take(e, inst, "#Group", []string{"group"}, &g) && known {
				g.Policy = level.policy
				t.Groups = maps.Clone(t.Groups)
				if t.Groups == nil {
					t.Groups = map[string]fleet.Group{}
				}
				t.Groups[f.keys[1]] = g
				e.repo.Tenants[fleet.TenantID(f.keys[0])] = t
			}
		}
	}
	e.whole(inst, before)
}

// answers decodes what partners and sites say to cycles.
func (e *policyEval) answers(inst instance) {
	for _, f := range inst.own {
		id := fleet.TenantID(f.keys[1])
		if e.repo.TenantApprovals[id] == nil {
			e.repo.TenantApprovals[id] = map[fleet.CycleID]fleet.TenantApproval{}
		}
		takeInto(e, inst, "#TenantApproval", []string{"approvals", f.keys[0]}, e.repo.TenantApprovals[id], fleet.CycleID(f.keys[0]))
	}
}

// above is the policy of the nearest folder above that has one.
func above(folder string, levels map[string]levelPolicy) (levelPolicy, bool) {
	for folder != "tenants" && folder != "." {
		folder = path.Dir(folder)
		if l, ok := levels[folder]; ok {
			return l, true
		}
	}
	return levelPolicy{}, false
}

// policy takes the policy of an instance: its bounds and its entries.
func (e *policyEval) policy(inst instance, levels map[string]levelPolicy) (levelPolicy, bool) {
	keys := []string{"policy"}
	before := len(e.findings)
	given := inst.value.LookupPath(cuePath(keys))
	v := e.c.def("#Policy")
	if given.Exists() {
		v = v.Unify(given)
	}
	if err := v.Validate(); err != nil {
		e.fault(inst, "#Policy", keys, err)
		return levelPolicy{}, false
	}
	bounds, faults := e.c.policy(v)
	for _, field := range slices.Sorted(maps.Keys(faults)) {
		if inst.folder != "tenants" || stated(v.LookupPath(cue.ParsePath(field))) {
			e.policyFinding(inst, field, faults[field].Error())
		}
	}
	if inst.folder == "tenants" {
		e.complete(inst, v)
	}
	entries := e.entries(inst, v)
	if len(e.findings) > before {
		return levelPolicy{}, false
	}
	l := levelPolicy{bounds: bounds, policy: fleet.Policy{DriverBlock: entries.DriverBlock, Pins: entries.Pins, OptOuts: entries.OptOuts}}
	l.exceptions = entries.list()
	e.guard(inst, v, &l, levels)
	e.newExceptions(inst, l, levels)
	fill(&l.policy, l.bounds)
	return l, len(e.findings) == before
}

// complete checks that the operator states every bound.
func (e *policyEval) complete(inst instance, v cue.Value) {
	list, _ := e.c.directions()
	for _, d := range list {
		if !d.optional && !stated(v.LookupPath(cue.ParsePath(d.field))) {
			e.policyFinding(inst, d.field, "tenants/operator.cue must state it")
		}
	}
}

// guard checks a level against the one above: nobody below loosens anything,
// whatever CUE made of it, and a longer deferral is explained in the file that
// asks for it.
func (e *policyEval) guard(inst instance, v cue.Value, l *levelPolicy, levels map[string]levelPolicy) {
	list, _ := e.c.directions()
	parent, hasParent := above(inst.folder, levels)
	for _, d := range list {
		b := l.bounds[d.field]
		if hasParent && d.tighter(b, parent.bounds[d.field]) {
			e.policyFinding(inst, d.field, "is "+d.String(b)+", looser than "+d.String(parent.bounds[d.field])+where(parent.bounds[d.field]))
		}
	}
	// Read from the operator alone, like trust and approvers.
	if hasParent {
		l.bounds["maxExceptionDays"] = parent.bounds["maxExceptionDays"]
		longer := l.bounds["nonSecurity.deferDays"].number > parent.bounds["nonSecurity.deferDays"].number
		if longer && !e.explainsDeferral(inst, v) {
			e.policyFinding(inst, "nonSecurity.deferDays", "a deferral longer than the level above needs a reason and an end: nonSecurity: because: <name>: {reason: …, expires: …}")
		}
	}
}

// where says where a bound was decided.
func where(b bound) string {
	if b.pos.File == "" {
		return ", which holds because no level above states it"
	}
	return " at " + b.pos.String()
}

// explainsDeferral reports whether the folder's own file gives a reason for a
// longer deferral.
func (e *policyEval) explainsDeferral(inst instance, v cue.Value) bool {
	iter, err := v.LookupPath(cue.ParsePath("nonSecurity.because")).Fields(cue.Final())
	if err != nil {
		return false
	}
	for iter.Next() {
		for _, part := range conjuncts(iter.Value()) {
			if path.Dir(part.Pos().Filename()) == inst.folder {
				return true
			}
		}
	}
	return false
}

// stated reports whether an author said anything about a field.
func stated(v cue.Value) bool {
	return slices.ContainsFunc(conjuncts(v), func(part cue.Value) bool {
		file := part.Pos().Filename()
		return file != "" && !isSchema(file)
	})
}

// policyFinding reports a fault of a policy field at the folder's own file.
func (e *policyEval) policyFinding(inst instance, field, text string) {
	keys := append([]string{"policy"}, strings.Split(field, ".")...)
	pos := fleet.Pos{File: inst.own[0].Path, Line: 1, Col: 1}
	for n := len(keys); n > 0; n-- {
		if list := inst.sources(keys[:n]); len(list) > 0 {
			pos = list[len(list)-1].at
			break
		}
	}
	e.findings = append(e.findings, invalid(pos, pathOf(keys), "%s", text))
}
