package policy

import (
	"slices"

	"github.com/packmill/packmill/internal/edge/intune/marker"
	"github.com/packmill/packmill/internal/fleet"
)

// A Marker is packmill's line in the description of a configuration: which part
// of which package it is, in which slot, and what it holds. The rest of the
// description is the payload's.
type Marker struct {
	Package    fleet.PackageID `json:"package"`
	Slot       string          `json:"slot"`
	Setting    string          `json:"setting"`
	Kind       string          `json:"kind"`
	ID         string          `json:"id,omitempty"`       // of the object itself; a copy has another
	Version    string          `json:"version,omitempty"`  // release that was last applied
	Artifact   fleet.Digest    `json:"artifact,omitempty"` // OCI manifest of that release
	File       fleet.Digest    `json:"file,omitempty"`     // payload that was last applied
	Every      fleet.Duration  `json:"every,omitempty"`    // of a health script
	Parts      int             `json:"parts,omitempty"`    // objects that the release has in all
	Generation int             `json:"generation,omitempty"`
	At         int64           `json:"at,omitempty"`      // when it was applied, Unix time
	Names      []string        `json:"names,omitempty"`   // properties that are stated, of kinds that are patched
	Targets    []string        `json:"targets,omitempty"` // targets assigned here that are not packmill's own groups
}

// line is the marker as it stands in the description.
func (m Marker) line() string {
	slices.Sort(m.Targets)
	return marker.Line(m)
}

// ParseMarker finds the marker in a description. One without a line that reads
// as one belongs to somebody else.
func ParseMarker(description string) (Marker, bool) {
	return marker.Find(description, func(m Marker) bool {
		_, known := collectionOf(m.Kind)
		return known && m.Package != "" && m.Setting != "" && (m.Slot == fleet.Stable || m.Slot == fleet.Candidate)
	})
}

// withMarker puts m into a description in place of an earlier marker. A payload's
// description that is blank counts as none.
func withMarker(description string, m Marker) string {
	if marker.Without(description) == "" {
		return m.line()
	}
	return marker.Put(description, m.line())
}
