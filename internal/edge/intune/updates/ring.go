package updates

import (
	"math"

	"github.com/packmill/packmill/internal/fleet"
)

const odataRing = "#microsoft.graph.windowsUpdateForBusinessConfiguration"

// Ring is how devices themselves go about updates: when they take what is
// released, when they must, when they restart
// (windowsUpdateForBusinessConfiguration).
type Ring struct {
	Name              string
	QualityDeferDays  int  // 0 to 30
	FeatureDeferDays  int  // 0 to 365
	QualityDeadline   *int // days until a quality update must be in, 0 to 30; nil sets none
	FeatureDeadline   *int // the same of feature updates
	GraceDays         int  // that a device has at least, 0 to 7
	RestartAfter      bool // not by itself before the deadline
	DriversExcluded   bool
	QualityPaused     bool // for 35 days, then it goes on by itself
	FeaturePaused     bool
	QualityRolledBack bool // devices remove the newest quality update
	FeatureRolledBack bool
	KeepDays          int    // that the way back from a feature update stays open, 2 to 60
	UserPause         bool   // users may pause
	ActiveStart       string // no restart from here: 08:00:00
	ActiveEnd         string // to here
}

// The days a quality and a feature update may be deferred, and those a feature
// update can be taken back, as Intune bounds them.
const (
	mostQualityDefer = 30
	mostFeatureDefer = 365
	mostDeadline     = 30
	mostGrace        = 7
	leastKeep        = 2
	mostKeep         = 60
	usualKeep        = 10
)

// RingOf is the ring that a tenant's policy amounts to. The policy's deferral is
// of releases that fix nothing, and a ring has one deferral for all quality
// updates: it defers none, so that a security update is not held back by it, and
// the approvals of packmill's waves hold back what is not to go out yet. The
// deadline is the one of serious fixes, with the tenant's grace; drivers are
// left out where the tenant blocks all of them; a tenant whose restarts are kept
// to its windows has devices wait for the deadline before they restart by
// themselves.
func RingOf(p fleet.Policy) Ring {
	deadline := min(int(p.CriticalWithinHours/24), mostDeadline)
	r := Ring{
		Name: "packmill update ring", QualityDeadline: &deadline, KeepDays: usualKeep,
		GraceDays:    min(int(math.Ceil(p.CriticalGraceHours/24)), mostGrace),
		RestartAfter: p.Reboot == "windowOnly", FeatureDeferDays: min(p.NonSecurityDeferDays, mostFeatureDefer),
	}
	_, r.DriversExcluded = p.DriverBlock["*"]
	return r
}

func (Ring) kind() kind      { return ringKind }
func (Ring) fixed() []string { return nil }

func (r Ring) check() error {
	for _, err := range []error{
		within("days that quality updates are deferred", r.QualityDeferDays, 0, mostQualityDefer),
		within("days that feature updates are deferred", r.FeatureDeferDays, 0, mostFeatureDefer),
		within("days of grace", r.GraceDays, 0, mostGrace),
		within("days that a feature update can be taken back", r.KeepDays, leastKeep, mostKeep),
		deadline("quality", r.QualityDeadline), deadline("feature", r.FeatureDeadline),
	} {
		if err != nil {
			return err
		}
	}
	if (r.ActiveStart == "") != (r.ActiveEnd == "") {
		return invalid("active hours have a start and an end")
	}
	return nil
}

func deadline(what string, days *int) error {
	if days == nil {
		return nil
	}
	return within("deadline of "+what+" updates in days", *days, 0, mostDeadline)
}

func (r Ring) body() map[string]any {
	out := map[string]any{
		"@odata.type": odataRing, "displayName": r.Name,
		"qualityUpdatesDeferralPeriodInDays": r.QualityDeferDays, "featureUpdatesDeferralPeriodInDays": r.FeatureDeferDays,
		"deadlineForQualityUpdatesInDays": r.QualityDeadline, "deadlineForFeatureUpdatesInDays": r.FeatureDeadline,
		"deadlineGracePeriodInDays": r.GraceDays, "postponeRebootUntilAfterDeadline": r.RestartAfter, "driversExcluded": r.DriversExcluded,
		"qualityUpdatesPaused": r.QualityPaused, "featureUpdatesPaused": r.FeaturePaused,
		"qualityUpdatesWillBeRolledBack": r.QualityRolledBack, "featureUpdatesWillBeRolledBack": r.FeatureRolledBack,
		"featureUpdatesRollbackWindowInDays": r.KeepDays, "automaticUpdateMode": "autoInstallAtMaintenanceTime",
		"businessReadyUpdatesOnly": "businessReadyOnly", "microsoftUpdateServiceAllowed": true, "userPauseAccess": "disabled",
	}
	if r.UserPause {
		out["userPauseAccess"] = "enabled"
	}
	if r.ActiveStart != "" {
		out["installationSchedule"] = map[string]any{
			"@odata.type": "#microsoft.graph.windowsUpdateActiveHoursInstall", "activeHoursStart": r.ActiveStart, "activeHoursEnd": r.ActiveEnd,
		}
	}
	return out
}
