package updates

import (
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// A Spec is what a profile should be.
type Spec interface {
	kind() kind
	// body are the properties, without description; fixed are those that can be
	// written only once.
	body() map[string]any
	fixed() []string
	check() error
}

// Expedite is a profile that has devices take one quality update at once,
// whatever rings say (windowsQualityUpdateProfile). It names the update by the
// day of its release: what is newer than it is taken as well.
type Expedite struct {
	Name       string
	Release    time.Time // day of the update's release
	RebootDays int       // until a restart is forced: 0, 1, 2
}

func (Expedite) kind() kind      { return expediteKind }
func (Expedite) fixed() []string { return nil }

func (e Expedite) check() error {
	return within("days until a forced restart", e.RebootDays, 0, 2)
}

func (e Expedite) body() map[string]any {
	return map[string]any{
		"displayName": e.Name,
		"expeditedUpdateSettings": map[string]any{
			"qualityUpdateRelease": e.Release.UTC().Format("2006-01-02T00:00:00Z"), "daysUntilForcedReboot": e.RebootDays,
		},
	}
}

// Quality is a policy that lets devices have the quality updates that were
// approved in it by hand, and no others (windowsQualityUpdatePolicy).
type Quality struct {
	Name string
}

func (Quality) kind() kind      { return qualityKind }
func (Quality) fixed() []string { return nil }
func (Quality) check() error    { return nil }

func (q Quality) body() map[string]any {
	settings := []map[string]any{}
	for _, cadence := range []string{"monthly", "outOfBand"} {
		for _, category := range []string{security, "nonSecurity"} {
			settings = append(settings, map[string]any{"windowsQualityUpdateCadence": cadence, "windowsQualityUpdateCategory": category, "approvalMethodType": "manual"})
		}
	}
	return map[string]any{"displayName": q.Name, "hotpatchEnabled": false, "approvalSettings": settings}
}

// Feature keeps devices on one version of Windows, and takes those that are
// below it there (windowsFeatureUpdateProfile).
type Feature struct {
	Name    string
	Version string // as the service spells it: "Windows 11, version 24H2"
}

func (Feature) kind() kind      { return featureKind }
func (Feature) fixed() []string { return nil }

func (f Feature) check() error {
	if f.Version == "" {
		return invalid("a feature update profile names no version of Windows")
	}
	return nil
}

func (f Feature) body() map[string]any {
	return map[string]any{"displayName": f.Name, "featureUpdateVersion": f.Version, "installFeatureUpdatesOptional": false}
}

// Drivers is a profile that lets devices have the drivers that were approved in it
// by hand (windowsDriverUpdateProfile). That cannot be changed afterwards.
type Drivers struct {
	Name string
}

func (Drivers) kind() kind      { return driverKind }
func (Drivers) fixed() []string { return []string{"approvalType"} }
func (Drivers) check() error    { return nil }

func (d Drivers) body() map[string]any {
	return map[string]any{"displayName": d.Name, "approvalType": "manual"}
}

func utc(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func within(what string, n, least, most int) error {
	if n < least || n > most {
		return invalid("%s: %d is not between %d and %d", what, n, least, most)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return fleet.Errorf(fleet.Invalid, "intune.updates", "", format, args...)
}
