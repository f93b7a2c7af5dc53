package desired

import (
	"maps"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// selects checks whom a wave selects.
func (x *checks) selects(w fleet.Wave) {
	if x.empty(w, "tenants", w.Select.Tenants) || x.empty(w, "attributes", w.Select.Attributes) {
		return
	}
	x.attributes(w)
	x.selectsTenants(w)
	x.salts(w)
}

// empty reports a list of no values, which would let everything pass.
func (x *checks) empty(w fleet.Wave, field string, pairs map[string]fleet.Values) bool {
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		if len(pairs[name]) == 0 {
			x.fault(wavesFile, k("waves", w.Name, "select", field, name), "lists no values: leave it out, or say what may stand there")
			return true
		}
	}
	return false
}

// salts reports a wave whose order is another than that of the waves before it:
// their percentages count from the first device of one order.
func (x *checks) salts(w fleet.Wave) {
	if !partial(w) {
		return
	}
	for _, before := range x.repo.Waves {
		if before.Name == w.Name {
			return
		}
		if partial(before) && fixed(before) != fixed(w) {
			x.fault(wavesFile, k("waves", w.Name, "select"), "takes a percentage by another salt than the wave %s: percentages count on, and do so in one order; say the same salt in both", before.Name)
			return
		}
	}
}

func partial(w fleet.Wave) bool { return w.Select.Percent != nil && *w.Select.Percent < 100 }

func fixed(w fleet.Wave) bool { return w.Select.Salt == fleet.SaltFixed }

// attributes checks that the attributes a wave asks for are ones that
// inventories tell, and that some tenant has the groups it names.
func (x *checks) attributes(w fleet.Wave) {
	known := fleet.Attributes()
	at := k("waves", w.Name, "select")
	for _, name := range slices.Sorted(maps.Keys(w.Select.Attributes)) {
		if !slices.Contains(known, name) {
			x.fault(wavesFile, append(slices.Clone(at), "attributes", name), "devices have no attribute %q%s (there are %s)", name, suggest(name, known), strings.Join(known, ", "))
		}
	}
	x.groups(w)
	for i, name := range w.Select.Cover {
		where := append(slices.Clone(at), "cover", index(i))
		switch {
		case name == fleet.GroupAttribute:
			x.fault(wavesFile, where, "a device may be in many groups: a wave cannot be chosen to show them")
		case !slices.Contains(known, name):
			x.fault(wavesFile, where, "devices have no attribute %q%s (there are %s)", name, suggest(name, known), strings.Join(known, ", "))
		}
	}
}

// groups checks that the groups a wave names have a folder in some tenant: those
// are the ones whose members are read.
func (x *checks) groups(w fleet.Wave) {
	var folders []string
	for _, p := range x.places {
		if p.role == roleTenant && x.faulty[p.Path] {
			return // its groups may be what is meant
		}
		if p.role == roleGroup {
			folders = append(folders, p.keys[1])
		}
	}
	for _, value := range w.Select.Attributes[fleet.GroupAttribute] {
		name := strings.TrimPrefix(value, "!")
		if strings.Contains(name, "*") || slices.Contains(folders, name) {
			continue
		}
		x.fault(wavesFile, k("waves", w.Name, "select", "attributes", fleet.GroupAttribute),
			"no tenant has a folder groups/%s%s", name, suggest(name, folders))
		return
	}
}

// selectsTenants reports a wave that no tenant's labels match: a slip in a label
// would leave its devices to a later wave and nobody would see it. Where a
// tenant could not be read, or there is none yet, nothing is known.
func (x *checks) selectsTenants(w fleet.Wave) {
	known := map[string][]string{} // label → what tenants say
	for _, p := range x.places {
		if p.role != roleTenant {
			continue
		}
		t, ok := x.repo.Tenants[fleet.TenantID(p.keys[0])]
		if !ok || x.faulty[p.Path] {
			return
		}
		matches := true
		for key, want := range w.Select.Tenants {
			matches = matches && want.Admit(t.Label(key))
			known[key] = append(known[key], t.Label(key))
		}
		if matches {
			return
		}
	}
	if len(known) == 0 {
		return
	}
	at := k("waves", w.Name, "select", "tenants")
	for _, key := range slices.Sorted(maps.Keys(w.Select.Tenants)) {
		want := w.Select.Tenants[key]
		if !slices.ContainsFunc(known[key], func(has string) bool { return want.Admit(has) }) {
			x.fault(wavesFile, append(at, key), "selects no tenant: none has the label %s: %q%s", key, want.String(), suggest(want[0], known[key]))
			return
		}
	}
	x.fault(wavesFile, at, "selects no tenant: none has all of these labels")
}
