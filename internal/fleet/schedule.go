package fleet

import (
	"time"
)

// A Week is the rhythm: named steps, each on a weekday at a local time.
type Week struct {
	Zone  string              `json:"zone"` // IANA zone of all steps
	DST   DSTRule             `json:"dst"`
	Steps map[string]WeekStep `json:"steps"` // detect, cutOff, announce, and the steps waves open on
	// Holidays are the operator's days off, and those of tenants that state
	// none of their own.
	Holidays *Holidays `json:"holidays,omitempty"`
}

// A DSTRule says what a local time means that a change of clocks skips (gap)
// or repeats (fold).
type DSTRule struct {
	Gap  string `json:"gap"`  // later, skip
	Fold string `json:"fold"` // first, second
}

// A WeekStep is a weekday ("Mon" … "Sun") and a time ("14:00").
type WeekStep struct {
	On      string `json:"on"`
	At      string `json:"at"`
	Holiday string `json:"holiday"` // on a day that is not worked: keep, next
}

// A Wave is one part of the fleet that gets a release at the same time. Waves
// open in Order; a device belongs to the first wave that selects it.
type Wave struct {
	Name       string   `json:"name"`
	Order      int      `json:"order"`
	Select     Select   `json:"select"`
	MinDevices int      `json:"minDevices"`
	Opens      Opens    `json:"opens"`
	Arm        Duration `json:"arm"` // how long before it opens its assignments are pushed to tenants
	Soak       Duration `json:"soak"`
	Gate       Gate     `json:"gate"`
	Advance    string   `json:"advance"` // merge, autoMerge
	// OnMissedWindow is what becomes of an assignment whose time is over before
	// a runner came: next, runIfWithin; Within is how late the latter may be, 0
	// for an hour.
	OnMissedWindow string   `json:"onMissedWindow"`
	Within         Duration `json:"within,omitempty"`
	// Lanes are the lanes outside the week it takes part in. LanesOnly keeps it
	// out of the week itself.
	Lanes     map[string]LaneWave `json:"lanes,omitempty"`
	LanesOnly bool                `json:"lanesOnly,omitempty"`
	// InactiveAfterDays is how long a device may have been unseen when the
	// wave is frozen, DefaultInactiveAfterDays if it is 0.
	InactiveAfterDays int `json:"inactiveAfterDays"`
}

// Opens is the step of the week a wave opens on, at one instant in the
// operator's zone or at the local time of each tenant.
type Opens struct {
	Step string `json:"step"`
	Zone string `json:"zone"` // operator, tenant
}

// A Gate judges a wave: percentages, confidence (0.8 … <1), minimum reports,
// what silence counts as, the ages of the wave at which it is judged.
type Gate struct {
	Success      float64    `json:"success"`
	Error        float64    `json:"error"`
	Confidence   float64    `json:"confidence"`
	MinReports   int        `json:"minReports"`
	Silent       string     `json:"silent"` // failed, excluded
	Looks        []Duration `json:"looks"`
	Inconclusive string     `json:"inconclusive"` // wait, extend, pool, askHuman

	Stop           *Stop    `json:"stop,omitempty"`           // stops early; without it the exact bound stops, at looks
	ReportDeadline Duration `json:"reportDeadline,omitempty"` // age until which silence only waits; 0 is from the start
	MaxExtend      int      `json:"maxExtend,omitempty"`      // looks that an undecided last one may add
	Signals        []string `json:"signals,omitempty"`        // none: the installation and all the package's probes
	SignOffs       int      `json:"signOffs,omitempty"`       // persons whose word a pass needs
}

// A Freeze stops new waves between two instants.
type Freeze struct {
	From   time.Time `json:"from"`
	Until  time.Time `json:"until"`
	Scope  string    `json:"scope"` // all, nonSecurity
	Reason string    `json:"reason"`
}

// A Hold stops a release; a revocation also takes it back.
type Hold struct {
	Kind       string     `json:"kind"` // hold, safeguardHold, revocation
	Package    PackageID  `json:"package"`
	Release    string     `json:"release"`
	Artifact   Digest     `json:"artifact,omitempty"`
	Reason     string     `json:"reason"`
	Expires    *time.Time `json:"expires,omitempty"`
	RollbackTo string     `json:"rollbackTo,omitempty"` // version; empty for uninstall and forwardOnly
}

// Of reports whether a hold is about an entry: its release, in the artifact the
// hold names if it names one.
func (h Hold) Of(id PackageID, e Entry) bool {
	return h.Package == id && h.Release == e.Release && (h.Artifact == "" || h.Artifact == e.Artifact)
}

// ApprovalFile is the path of the file that approves a gate of a cycle.
func ApprovalFile(id CycleID, gate string) string { return id.Dir() + "/approvals/" + gate + ".cue" }

// CyclePath is the path of the file that holds a cycle.
func CyclePath(id CycleID) string { return id.Dir() + "/cycle.cue" }

// A Cycle is one turn of the mill: the entries that travel together, and the
// waves they travel through, in order.
type Cycle struct {
	CutOff  time.Time           `json:"cutOff"`
	Entries map[PackageID]Entry `json:"entries"`
	Waves   []string            `json:"waves"`
	// Overrides are the freezes it passes, nil for none.
	Overrides *Overrides `json:"overrides,omitempty"`
}

// An Entry is one release in a cycle with the artifact that was built from it:
// the digest of its OCI manifest.
type Entry struct {
	Release  string `json:"release"`
	Artifact Digest `json:"artifact"`
	// CarriedFrom is the cycle in which the same artifact began its way: what
	// its waves passed there, they need not pass again.
	CarriedFrom CycleID `json:"carriedFrom,omitempty"`
}

// A PlanRecord is what plan.cue holds for one gate: the digest an approval
// names, and what it was computed from.
type PlanRecord struct {
	Digest  Digest            `json:"digest"`
	Inputs  map[string]string `json:"inputs"` // evidence branch → chain head the plan was computed at
	Summary Summary           `json:"summary"`
}

// A Summary is a plan in numbers that a person can judge.
type Summary struct {
	Packages int       `json:"packages"`
	Tenants  int       `json:"tenants"`
	Devices  int       `json:"devices"`
	Deadline time.Time `json:"deadline"`
}

// An Approval lets one gate of a cycle open, for exactly one plan.
type Approval struct {
	Cycle      CycleID   `json:"cycle"`
	Gate       string    `json:"gate"` // the wave it opens, or "close"
	Decision   string    `json:"decision"`
	Summary    Summary   `json:"summary"`
	Plan       Digest    `json:"plan"`
	ValidUntil time.Time `json:"validUntil"`
	Because    string    `json:"because,omitempty"`
}
