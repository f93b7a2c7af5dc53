package intune

import (
	"slices"

	"github.com/packmill/packmill/internal/edge/intune/marker"
	"github.com/packmill/packmill/internal/fleet"
)

// A Marker is packmill's line in the notes of an app object: whose slot it is,
// and what it holds. The rest of the notes belongs to the tenant's people and
// is kept.
type Marker struct {
	Package    fleet.PackageID `json:"package"`
	Slot       string          `json:"slot"`
	ID         string          `json:"id,omitempty"`         // of the app itself; a copy has another
	Version    string          `json:"version,omitempty"`    // of the committed content
	Artifact   fleet.Digest    `json:"artifact,omitempty"`   // OCI manifest of the committed content
	File       fleet.Digest    `json:"file,omitempty"`       // committed .intunewin
	Generation int             `json:"generation,omitempty"` // of the slot
	Pending    fleet.Digest    `json:"pending,omitempty"`    // .intunewin being uploaded
	Spec       string          `json:"spec,omitempty"`       // identifies the app's properties as last written
	Targets    []string        `json:"targets,omitempty"`    // targets assigned here that are not packmill's own groups
	Adopted    bool            `json:"adopted,omitempty"`    // the tenant's people made the app
	Categories []string        `json:"categories,omitempty"` // ids of categories that packmill put the app into

	// Requires are the packages whose apps packmill made this one depend on, and
	// Supersedes those whose apps it made this one supersede, and how.
	Requires   []fleet.PackageID          `json:"requires,omitempty"`
	Supersedes map[fleet.PackageID]string `json:"supersedes,omitempty"`

	// Related stands in lines from before Requires did: packmill made the app depend
	// on others of its own. It is read, and gone once the app is published again.
	Related bool `json:"related,omitempty"`
}

// relates reports whether packmill related the app to others.
func (m Marker) relates() bool { return m.Related || len(m.Requires)+len(m.Supersedes) > 0 }

// made reports whether a relation of the app to one of a package is packmill's.
// What the marker does not name people of the tenant made, between apps of
// packmill's too. Of a line from before packages were named, each dependency as
// packmill makes them is its own.
func (m Marker) made(r relation, id fleet.PackageID) bool {
	switch {
	case id == "":
		return false
	case r.ODataType == odataSupersedence:
		return m.Supersedes[id] != ""
	case r.ODataType == odataDependency:
		return slices.Contains(m.Requires, id) || m.Related && r.Needs == autoInstall
	}
	return false
}

// line is the marker as it stands in the notes.
func (m Marker) line() string {
	slices.Sort(m.Targets)
	slices.Sort(m.Requires)
	return marker.Line(m)
}

// ParseMarker finds the marker in notes. Notes with no line that reads as one
// are somebody else's app.
func ParseMarker(notes string) (Marker, bool) {
	return marker.Find(notes, func(m Marker) bool {
		return m.Package != "" && (m.Slot == fleet.Stable || m.Slot == fleet.Candidate)
	})
}

// withMarker puts m into notes in place of an earlier marker.
func withMarker(notes string, m Marker) string { return marker.Put(notes, m.line()) }

// groupMarker is packmill's text in the description of a wave's group.
type groupMarker struct {
	Wave  string `json:"wave"`
	Users bool   `json:"users,omitempty"` // it holds users, not devices
}

func (m groupMarker) kind() string {
	if m.Users {
		return kindUsers
	}
	return kindDevices
}

func (m groupMarker) line() string { return marker.Line(m) }

func parseGroupMarker(description string) (groupMarker, bool) {
	return marker.Find(description, func(m groupMarker) bool { return m.Wave != "" })
}
