package view

import (
	"fmt"
	"maps"
	"slices"

	"github.com/packmill/packmill/internal/rules/drift"
)

// longest is how much of a value a table shows.
const longestValue = 60

// DriftTables are what tenants hold that is not as main or the last release has
// it: the objects, then value by value what differs, then who could not be read.
func DriftTables(r drift.Report) []Table {
	objects := Table{Title: "Objects in tenants", Columns: Cols("tenant", "package", "slot", "setting", "kind", "state", "applied", "main", "note"), Empty: "packmill has no object in any tenant"}
	changes := Table{Title: "What differs", Columns: Cols("tenant", "package", "slot", "setting", "value", "state", "last applied", "main", "tenant has"), Empty: "nothing differs"}
	for _, o := range r.Objects {
		objects.Add(string(o.Tenant), dash(string(o.Package)), dash(o.Slot), dash(o.Setting), o.Kind, driftWord(o.State), dash(o.Applied), dash(o.Wanted), o.Note)
		for _, c := range o.Changes {
			changes.Add(string(o.Tenant), string(o.Package), o.Slot, o.Setting, c.Path, driftWord(c.State), shortValue(c.Base), shortValue(c.Want), shortValue(c.Have))
		}
	}
	unread := Table{Title: "Not read", Columns: Cols("tenant", "why"), Empty: "all tenants were read"}
	for _, id := range slices.Sorted(maps.Keys(r.Unread)) {
		unread.Add(string(id), r.Unread[id])
	}
	others := 0
	for _, n := range r.Foreign {
		others += n
	}
	if others > 0 {
		objects.Title += fmt.Sprintf(" (and %d configurations and update profiles of other people, left alone)", others)
	}
	return []Table{objects, changes, unread}
}

func driftWord(s drift.State) string {
	switch s {
	case drift.Same:
		return markYes + " same"
	case drift.Apply:
		return markNew + " main moved"
	case drift.Foreign:
		return markNone + " somebody else's"
	case drift.Missing:
		return markLook + " missing"
	case drift.Drift:
		return markLook + " the tenant moved"
	default:
		return markLook + " both moved"
	}
}

func shortValue(s string) string {
	runes := []rune(dash(s))
	if len(runes) > longestValue {
		return string(runes[:longestValue]) + "…"
	}
	return string(runes)
}
