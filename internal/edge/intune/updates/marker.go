package updates

import (
	"slices"

	"github.com/packmill/packmill/internal/edge/intune/marker"
	"github.com/packmill/packmill/internal/fleet"
)

// maxDescription is how long a description may be (Microsoft: policy resource of
// windowsUpdates; Intune's own profiles do not say).
const maxDescription = 1500

// A Key names a profile of packmill's in a tenant: a slot of a package.
type Key struct {
	Package fleet.PackageID `json:"package,omitempty"`
	Part    string          `json:"part"` // stable, candidate
}

func (k Key) String() string {
	if k.Package == "" {
		return k.Part
	}
	return string(k.Package) + " (" + k.Part + ")"
}

// A Marker is packmill's line in the description of a profile: whose it is, and
// what it lets devices have. The rest of the description belongs to the tenant's
// people and is kept.
type Marker struct {
	Key
	ID         string       `json:"id,omitempty"`         // of the profile: a copy that people made says another's
	Release    string       `json:"release,omitempty"`    // of the package
	Artifact   fleet.Digest `json:"artifact,omitempty"`   // that the release was approved as
	Generation int          `json:"generation,omitempty"` // of the slot
	Updates    []string     `json:"updates,omitempty"`    // what may be approved: ids of catalog items, or of drivers once they are found
	Driver     *DriverName  `json:"driver,omitempty"`     // of a driver: what it is found by
	Spec       string       `json:"spec,omitempty"`       // identifies the properties as last written
	Targets    []string     `json:"targets,omitempty"`    // what packmill assigned, by Target's key
	Gradual    *Gradual     `json:"gradual,omitempty"`    // of a version that is deployed in parts
}

// line is the marker as it stands in the description.
func (m Marker) line() string {
	m.Targets = slices.Sorted(slices.Values(m.Targets))
	return marker.Line(m)
}

// ParseMarker finds the marker in a description. A description without a line
// that reads as one is somebody else's profile.
func ParseMarker(description string) (Marker, bool) {
	return marker.Find(description, func(m Marker) bool { return m.Part != "" })
}

// withMarker puts m into a description in place of an earlier marker.
func withMarker(description string, m Marker) (string, error) {
	text := marker.Put(description, m.line())
	if len(text) > maxDescription {
		return "", &fleet.Error{Op: "intune.updates", Object: m.Key.String(), Kind: fleet.Stalled,
			Err:  fleet.Errorf(fleet.Stalled, "intune.updates", m.Key.String(), "the description would have %d characters; %d are allowed", len(text), maxDescription),
			Hint: "shorten what people wrote into the profile's description"}
	}
	return text, nil
}
