package desired

import (
	"slices"

	"cuelang.org/go/cue"

	"github.com/packmill/packmill/internal/fleet"
)

// schedulesFolder decodes what a folder below schedules/ sets.
func (e *policyEval) schedulesFolder(inst instance) {
	before := len(e.findings)
	for _, f := range inst.own {
		switch f.role {
		case roleWeek:
			take(e, inst, "#Week", []string{"week"}, &e.repo.Week)
		case roleWaves:
			e.waves(inst)
		case roleFreeze:
			takeInto(e, inst, "#Freeze", []string{"freezes", f.keys[0]}, e.repo.Freezes, f.keys[0])
		case roleHold:
			takeInto(e, inst, "#Hold", []string{"holds", f.keys[0]}, e.repo.Holds, f.keys[0])
		case roleCycle:
			takeInto(e, inst, "#Cycle", []string{"cycles", f.keys[0]}, e.repo.Cycles, fleet.CycleID(f.keys[0]))
		case rolePlan:
			e.plans(inst, f.keys[0])
		case roleApproval:
			id := fleet.CycleID(f.keys[0])
			if e.repo.Approvals[id] == nil {
				e.repo.Approvals[id] = map[string]fleet.Approval{}
			}
			takeInto(e, inst, "#Approval", []string{"approvals", f.keys[0], f.keys[1]}, e.repo.Approvals[id], f.keys[1])
		}
	}
	e.whole(inst, before)
}

// whole checks an instance as stock CUE does, for what the values that were
// taken do not reach: definitions and hidden fields of the author.
func (e *policyEval) whole(inst instance, before int) {
	said := slices.ContainsFunc(chain(inst.folder), func(f string) bool { return e.flawed[f] })
	if len(e.findings) > before || said {
		return
	}
	if err := inst.value.Validate(); err != nil {
		e.fault(inst, "", nil, err)
	}
}

func takeInto[K comparable, T any](e *policyEval, inst instance, def string, keys []string, into map[K]T, key K) {
	var value T
	if take(e, inst, def, keys, &value) {
		into[key] = value
	}
}

// fields are the names a struct of an instance has, sorted.
func (e *policyEval) fields(inst instance, keys []string) []string {
	iter, err := inst.value.LookupPath(cuePath(keys)).Fields(cue.Final())
	if err != nil {
		e.fault(inst, "", keys, err)
		return nil
	}
	var names []string
	for iter.Next() {
		names = append(names, iter.Selector().Unquoted())
	}
	slices.Sort(names)
	return names
}

func (e *policyEval) waves(inst instance) {
	for _, name := range e.fields(inst, []string{"waves"}) {
		wave := fleet.Wave{}
		if !namePart.MatchString(name) {
			e.name(inst, []string{"waves", name}, "wave")
			continue
		}
		if take(e, inst, "#Wave", []string{"waves", name}, &wave) {
			wave.Name = name
			e.repo.Waves = append(e.repo.Waves, wave)
		}
	}
	fleet.SortWaves(e.repo.Waves)
}

func (e *policyEval) plans(inst instance, cycle string) {
	plans := map[string]fleet.PlanRecord{}
	e.repo.Plans[fleet.CycleID(cycle)] = plans
	for _, gate := range e.fields(inst, []string{"plans", cycle}) {
		takeInto(e, inst, "#Plan", []string{"plans", cycle, gate}, plans, gate)
	}
}

// name reports a key that cannot be a name.
func (e *policyEval) name(inst instance, keys []string, what string) {
	pos := fleet.Pos{File: inst.folder}
	if s := inst.sources(keys); len(s) > 0 {
		pos = s[0].at
	}
	e.findings = append(e.findings, invalid(pos, pathOf(keys), "%q cannot be the name of a %s: %s", keys[len(keys)-1], what, namePart))
}
