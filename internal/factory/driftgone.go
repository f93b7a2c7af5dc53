package factory

import (
	"slices"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/drift"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// gone are the apps, update profiles and whole configurations that packmill left in
// a tenant and that are not there any more: a person deleted them. What is in a slot
// after a change that may be half made nobody knows, and nothing is told of it.
func gone(facts rollout.Facts, h *rollout.History, t fleet.Tenant, found []fleet.PartState) []drift.Object {
	var out []drift.Object
	for _, at := range h.Slots() {
		if at.Tenant != t.ID {
			continue
		}
		pkg := facts.Repo.Packages[at.Package]
		wanted, _, _ := pkg.Latest()
		left := h.LastLeft(at)
		for _, slot := range []string{fleet.Candidate, fleet.Stable} {
			held := rollout.SlotLeft(left[slot])
			if held.Version == "" {
				continue
			}
			for _, kind := range lacking(facts.Record, t, pkg, at, slot, held, found) {
				out = append(out, drift.Object{
					Tenant: t.ID, Package: at.Package, Slot: slot, Kind: kind, State: drift.Missing, Applied: held.Version, Wanted: wanted,
					Note: "deleted in the tenant; the next release brings it again",
				})
			}
		}
	}
	return out
}

// lacking are the kinds of objects that a slot should have and has not: one for all
// where it has none, and of a slot that has some an app for each platform that its
// release was deployed to.
func lacking(rec *fleet.Record, t fleet.Tenant, pkg fleet.Package, at rollout.Slot, slot string, held rollout.LeftSlot, found []fleet.PartState) []string {
	have := slices.DeleteFunc(slices.Clone(found), func(p fleet.PartState) bool { return p.Package != at.Package || p.Slot != slot })
	if len(have) == 0 {
		switch {
		case pkg.Kind == "configuration":
			return []string{pkg.Kind}
		case pkg.ByWindowsUpdate():
			return []string{fleet.PartUpdate}
		}
		return []string{fleet.PartApp}
	}
	built := rollout.BuiltOf(rec, at.Package, held.Version)
	if built == nil || built.Artifact.Short() != held.Digest || pkg.ByWindowsUpdate() {
		return nil
	}
	var out []string
	for _, platform := range []string{"windows", "macos"} {
		meant, there := false, false
		for _, file := range built.Files {
			in, ok := installerOf(pkg, file)
			if !ok || in.Platform != platform || !rollout.KeptToWindows(t, in) {
				continue
			}
			meant = true
			there = there || slices.ContainsFunc(have, func(p fleet.PartState) bool { return p.Kind == fleet.PartApp && p.File == file.Digest })
		}
		if meant && !there {
			out = append(out, fleet.PartApp)
		}
	}
	return out
}
