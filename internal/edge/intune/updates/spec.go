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

// mostApprovals is how many approval settings a quality update policy has.
const mostApprovals = 6

// Quality is a policy that lets devices have the quality updates that were
// approved in it (windowsQualityUpdatePolicy).
type Quality struct {
	Name      string
	Hotpatch  bool
	Approvals []Approval // none: all by hand
}

// An Approval says how updates of a sort are approved.
type Approval struct {
	Cadence   string // monthly, outOfBand
	Category  string // security, nonSecurity, all
	Automatic bool
	DeferDays int // of an automatic one, 0 to 30
}

func (Quality) kind() kind      { return qualityKind }
func (Quality) fixed() []string { return nil }

func (q Quality) check() error {
	if len(q.Approvals) > mostApprovals {
		return invalid("a quality update policy has %d approval settings at most, not %d", mostApprovals, len(q.Approvals))
	}
	seen := map[Approval]bool{}
	for _, a := range q.Approvals {
		if err := within("days that an approval is deferred", a.DeferDays, 0, 30); err != nil {
			return err
		}
		if !a.Automatic && a.DeferDays != 0 {
			return invalid("an approval by hand is not deferred")
		}
		sort := Approval{Cadence: a.Cadence, Category: a.Category}
		if seen[sort] {
			return invalid("%s %s updates are approved in two ways", a.Cadence, a.Category)
		}
		seen[sort] = true
	}
	return nil
}

// byHand are the approvals of a policy that nothing gets through by itself.
func byHand() []Approval {
	return []Approval{
		{Cadence: "monthly", Category: "security"}, {Cadence: "monthly", Category: "nonSecurity"},
		{Cadence: "outOfBand", Category: "security"}, {Cadence: "outOfBand", Category: "nonSecurity"},
	}
}

func (q Quality) body() map[string]any {
	approvals := q.Approvals
	if len(approvals) == 0 {
		approvals = byHand()
	}
	settings := []map[string]any{}
	for _, a := range approvals {
		s := map[string]any{"windowsQualityUpdateCadence": a.Cadence, "windowsQualityUpdateCategory": a.Category, "approvalMethodType": "manual"}
		if a.Automatic {
			s["approvalMethodType"], s["deferredDeploymentInDay"] = "automatic", a.DeferDays
		}
		settings = append(settings, s)
	}
	return map[string]any{"displayName": q.Name, "hotpatchEnabled": q.Hotpatch, "approvalSettings": settings}
}

// Feature keeps devices on one version of Windows, and takes those that are
// below it there (windowsFeatureUpdateProfile).
type Feature struct {
	Name     string
	Version  string // as the service spells it: "Windows 11, version 24H2"
	Optional bool   // users choose
	Rollout  *Rollout
}

// A Rollout spreads the offers of a feature update: all at Start, or in equal
// parts from Start until End, every EveryDays days.
type Rollout struct {
	Start     time.Time
	End       time.Time // zero: all at Start
	EveryDays int       // with End
}

func (Feature) kind() kind      { return featureKind }
func (Feature) fixed() []string { return nil }

func (f Feature) check() error {
	switch r := f.Rollout; {
	case f.Version == "":
		return invalid("a feature update profile names no version of Windows")
	case r != nil && !r.End.IsZero() && (!r.End.After(r.Start) || r.EveryDays < 1):
		return invalid("a gradual rollout ends after it starts, and has days between its parts")
	}
	return nil
}

func (f Feature) body() map[string]any {
	out := map[string]any{"displayName": f.Name, "featureUpdateVersion": f.Version, "installFeatureUpdatesOptional": f.Optional}
	if r := f.Rollout; r != nil {
		settings := map[string]any{"offerStartDateTimeInUTC": utc(r.Start)}
		if !r.End.IsZero() {
			settings["offerEndDateTimeInUTC"], settings["offerIntervalInDays"] = utc(r.End), r.EveryDays
		}
		out["rolloutSettings"] = settings
	}
	return out
}

// Drivers is a profile that lets devices have the drivers that were approved in
// it (windowsDriverUpdateProfile). Whether they are approved by hand cannot be
// changed afterwards.
type Drivers struct {
	Name      string
	Automatic bool // recommended drivers, DeferDays after they appear
	DeferDays int
}

func (Drivers) kind() kind      { return driverKind }
func (Drivers) fixed() []string { return []string{"approvalType"} }

func (d Drivers) check() error {
	if !d.Automatic && d.DeferDays != 0 {
		return invalid("drivers that are approved by hand are not deferred")
	}
	return within("days that drivers are deferred", d.DeferDays, 0, 30)
}

func (d Drivers) body() map[string]any {
	out := map[string]any{"displayName": d.Name, "approvalType": "manual"}
	if d.Automatic {
		out["approvalType"], out["deploymentDeferralInDays"] = "automatic", d.DeferDays
	}
	return out
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
