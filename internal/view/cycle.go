package view

import (
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/change"
	"github.com/packmill/packmill/internal/rules/software"
)

// How far an entry has come in one wave. Any other word is shown as it is.
const (
	PhaseWaiting      = "waiting"      // the wave is not approved or has not started
	PhaseArmed        = "armed"        // assigned, its instant has not come
	PhaseBaking       = "baking"       // devices take it, the gate looks
	PhasePassed       = "passed"       // the gate's last word
	PhaseFailed       = "failed"       // the gate's last word: halted
	PhaseInconclusive = "inconclusive" // the gate cannot tell yet
	PhaseStopped      = "stopped"      // halted, held or revoked before this wave
)

// What became of an entry as a whole.
const (
	StateRunning  = "running"
	StateReleased = "released" // through every wave
	StateHalted   = "halted"   // a gate failed it
	StateHeld     = "held"     // a person holds it
	StateRevoked  = "revoked"  // taken back by a merge
)

// A Cycle is what the pages and the status of a cycle are made from: the two
// kinds of fact, and the phases that were derived from them.
type Cycle struct {
	Repo    *fleet.Repository
	Record  *fleet.Record
	ID      fleet.CycleID
	Closed  bool
	Waves   []CycleWave    // in order
	Entries []CycleEntry   // by package id
	Zone    *time.Location // of the times that are printed, UTC when nil
	Version string         // of packmill
}

// A CycleWave is how far a wave has come.
type CycleWave struct {
	Name     string
	Phase    string // closed, opening, armed, baking, judged
	Opens    time.Time
	Approval *fleet.Approval // merged and in force; nil otherwise
	Merge    *fleet.Merge    // that brought the approval
	Refusal  string          // why a merged approval does not count
}

// A CycleEntry is how far one release of a cycle has come.
type CycleEntry struct {
	Package fleet.PackageID
	Entry   fleet.Entry
	State   string       // running, released, halted, held, revoked
	Why     string       // for the last three
	Phases  []string     // one for each wave
	Merge   *fleet.Merge // that brought the release, nil when it is not known
}

// A Board is a cycle as it is told: `cycle status` and cycle.json hold it, the
// pages draw it.
type Board struct {
	Cycle    fleet.CycleID     `json:"cycle"`
	Operator string            `json:"operator"`
	State    string            `json:"state"` // open, closed
	CutOff   time.Time         `json:"cutOff"`
	Main     string            `json:"main"`   // commit of main
	Heads    map[string]string `json:"heads"`  // evidence branch → chain head
	Data     time.Time         `json:"data"`   // newest fact
	Oldest   time.Time         `json:"oldest"` // oldest inventory among the tenants', zero when there is none
	Version  string            `json:"version"`
	Waves    []BoardWave       `json:"waves"`
	Packages []BoardPackage    `json:"packages"`
	Held     []fleet.Detection `json:"held"` // sources held before the cut-off
	Tenants  []BoardTenant     `json:"tenants"`
	Story    []BoardLine       `json:"story"`
	// Silent are the devices that had said nothing at the newest look, by keyed
	// hash; Uncatalogued the programs in use that the catalog does not have, most
	// used first; Writes those in tenants that packmill does not explain, oldest
	// first.
	Silent       []fleet.Silence    `json:"silent"`
	Uncatalogued []software.Program `json:"uncatalogued"`
	Writes       []fleet.AuditWrite `json:"writes"`
}

// A BoardWave is one wave of a board.
type BoardWave struct {
	Name      string       `json:"name"`
	Phase     string       `json:"phase"`
	Opens     time.Time    `json:"opens"`
	Tenants   int          `json:"tenants"` // with an intent
	Devices   int          `json:"devices"` // frozen members
	Rule      string       `json:"rule"`    // the gate in words
	Plan      fleet.Digest `json:"plan"`
	Approvers []string     `json:"approvers"`
	Auto      bool         `json:"auto,omitempty"` // no human approved it: packmill merged it after a pass
	Approved  time.Time    `json:"approved"`
	PR        int          `json:"pr"`
	Refusal   string       `json:"refusal"`
}

// A BoardPackage is one release's way through the waves.
type BoardPackage struct {
	Package  fleet.PackageID `json:"package"`
	Name     string          `json:"name"`
	Kind     string          `json:"kind"`
	From     string          `json:"from"`
	To       string          `json:"to"`
	Class    string          `json:"class"`
	Fixes    []string        `json:"fixes"`
	Rollback string          `json:"rollback"`
	Artifact fleet.Digest    `json:"artifact"`
	State    string          `json:"state"`
	Why      string          `json:"why"`
	Waves    []BoardCell     `json:"waves"`
	Passed   int             `json:"testsPassed"`
	Tests    int             `json:"tests"`
	PR       int             `json:"pr"` // that brought the release
	Signed   []string        `json:"approvers"`
	Kept     []change.Kept   `json:"kept"` // tenants whose pin or opt-out keeps the release away
}

// A BoardCell is one release in one wave.
type BoardCell struct {
	Wave     string       `json:"wave"`
	Phase    string       `json:"phase"`
	Counts   fleet.Counts `json:"counts"`
	Devices  int          `json:"devices"` // frozen members the package was assigned to
	Decision string       `json:"decision"`
	Lower    float64      `json:"lower"`
	Upper    float64      `json:"upper"`
	Rule     string       `json:"rule"`
	At       time.Time    `json:"at"` // of the verdict
}

// A BoardTenant is one tenant's share of a cycle.
type BoardTenant struct {
	Tenant   fleet.TenantID `json:"tenant"`
	Name     string         `json:"name"`
	Devices  int            `json:"devices"`  // frozen members in any wave
	Packages int            `json:"packages"` // with an intent
	Receipts int            `json:"receipts"` // effects with a receipt that says done
	Intents  int            `json:"intents"`  // effects: assignments, promotions and ways back
	Counts   fleet.Counts   `json:"counts"`   // device and package pairs, newest look
}

// A BoardLine is something that happened.
type BoardLine struct {
	At   time.Time `json:"at"`
	Mark string    `json:"mark"` // good, bad, look, none
	Text string    `json:"text"`
}
