package intune

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

const markerPrefix = "packmill: "

// A Marker is packmill's line in the notes of an app object: whose slot it is,
// and what it holds. The rest of the notes belongs to the tenant's people and
// is kept.
type Marker struct {
	Package    fleet.PackageID `json:"package"`
	Slot       string          `json:"slot"`
	Version    string          `json:"version,omitempty"`    // of the committed content
	Artifact   fleet.Digest    `json:"artifact,omitempty"`   // OCI manifest of the committed content
	File       fleet.Digest    `json:"file,omitempty"`       // committed .intunewin
	Generation int             `json:"generation,omitempty"` // of the slot
	Pending    fleet.Digest    `json:"pending,omitempty"`    // .intunewin being uploaded
	Spec       string          `json:"spec,omitempty"`       // identifies the app's properties as last written
	Targets    []string        `json:"targets,omitempty"`    // targets assigned here that are not packmill's own groups
	Adopted    bool            `json:"adopted,omitempty"`    // the tenant's people made the app
	Categories []string        `json:"categories,omitempty"` // ids of categories that packmill put the app into
	Related    bool            `json:"related,omitempty"`    // packmill made the app depend on others of its own
}

// line is the marker as it stands in the notes.
func (m Marker) line() string {
	slices.Sort(m.Targets)
	data, err := json.Marshal(m)
	if err != nil {
		panic("intune: marker has no JSON form: " + err.Error())
	}
	return markerPrefix + string(data)
}

// ParseMarker finds the marker in notes. Notes with no line that reads as one
// are somebody else's app.
func ParseMarker(notes string) (Marker, bool) {
	for line := range strings.Lines(notes) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), markerPrefix)
		if !ok {
			continue
		}
		var m Marker
		if json.Unmarshal([]byte(rest), &m) == nil && m.Package != "" && (m.Slot == fleet.Stable || m.Slot == fleet.Candidate) {
			return m, true
		}
	}
	return Marker{}, false
}

// withMarker puts m into notes in place of an earlier marker.
func withMarker(notes string, m Marker) string {
	return strings.Join(append(withoutMarker(notes), m.line()), "\n")
}

// withoutMarker are the lines of notes that are not packmill's.
func withoutMarker(notes string) []string {
	var kept []string
	for line := range strings.Lines(notes) {
		if !strings.HasPrefix(strings.TrimSpace(line), markerPrefix) {
			kept = append(kept, strings.TrimRight(line, "\r\n"))
		}
	}
	return kept
}

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

func (m groupMarker) line() string {
	data, err := json.Marshal(m)
	if err != nil {
		panic("intune: marker has no JSON form: " + err.Error())
	}
	return markerPrefix + string(data)
}

func parseGroupMarker(description string) (groupMarker, bool) {
	for line := range strings.Lines(description) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), markerPrefix)
		if !ok {
			continue
		}
		var m groupMarker
		if json.Unmarshal([]byte(rest), &m) == nil && m.Wave != "" {
			return m, true
		}
	}
	return groupMarker{}, false
}
