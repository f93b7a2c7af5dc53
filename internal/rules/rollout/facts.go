package rollout

import (
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// Facts are all that decisions are made from: desired state at one commit of
// main and observed state up to one point of every evidence branch.
type Facts struct {
	Repo   *fleet.Repository
	Record *fleet.Record
	// Unrecorded are the merges into main that evidence has no record of yet,
	// oldest first.
	Unrecorded []string
	// Plans are the plans of open cycles recomputed from the facts, by cycle
	// and gate: what an approval's digest is compared with.
	Plans map[fleet.CycleID]map[string]fleet.Plan
}

// The kinds of action, in the order Step lists them.
const (
	RecordMerge            = "record-merge"             // copy a merge's reviews into evidence
	Detect                 = "detect"                   // look upstream and propose what is new
	Build                  = "build"                    // build a merged release
	Test                   = "test"                     // run the cells of a built release
	TakeInventory          = "inventory"                // read a tenant's devices
	OpenCycle              = "open"                     // propose the cycle of this week
	StartWave              = "start"                    // freeze a wave's membership
	Deploy                 = "deploy"                   // assign a wave's releases on one tenant
	Judge                  = "judge"                    // give a gate's verdict
	Withdraw               = "withdraw"                 // take back assignments after a fail
	ProposeRevoke          = "propose-revoke"           // propose the revocation of a failed release
	RollBack               = "roll-back"                // go the declared way back on one tenant
	ProposeApproval        = "propose-approval"         // propose to open the next gate
	ProposeTenantApprovals = "propose-tenant-approvals" // ask a partner for its tenants' approvals
	AutoMerge              = "auto-merge"               // merge what packmill proposed, where policy lets it
	Announce               = "announce"                 // tell partners what comes
	Promote                = "promote"                  // make stable what passed every wave
	Uninstall              = "uninstall"                // take a package that leaves a tenant from its devices
	Reinstate              = "reinstate"                // give a package back that was to be taken from devices
	Restore                = "restore"                  // undo what people changed of packmill's objects
	Remove                 = "remove"                   // take packmill's objects of a package out of a tenant
	ProposeClose           = "propose-close"            // propose to close a finished cycle
)

// An Action is one thing to do now. Fields that its kind has no use for are
// empty.
type Action struct {
	Kind     string            `json:"kind"`
	Cycle    fleet.CycleID     `json:"cycle,omitempty"`
	Wave     string            `json:"wave,omitempty"`
	Tenant   fleet.TenantID    `json:"tenant,omitempty"`
	Partner  string            `json:"partner,omitempty"`
	Packages []fleet.PackageID `json:"packages,omitempty"`
	Version  string            `json:"version,omitempty"`
	Artifact fleet.Digest      `json:"artifact,omitempty"`
	Look     fleet.Duration    `json:"look,omitempty"`
	Commit   string            `json:"commit,omitempty"`
	Last     bool              `json:"last,omitempty"`  // the look is the gate's last
	CutOff   time.Time         `json:"cutOff,omitzero"` // of the cycle to open
	Why      string            `json:"why"`
}

// A Wait is something that is not due yet, or that a person must do.
type Wait struct {
	Cycle    fleet.CycleID     `json:"cycle,omitempty"`
	Wave     string            `json:"wave,omitempty"`
	Tenants  []fleet.TenantID  `json:"tenants,omitempty"`  // that it keeps back, all of them; empty for everyone
	Packages []fleet.PackageID `json:"packages,omitempty"` // likewise
	Kind     fleet.Kind        `json:"-"`
	Why      string            `json:"why"`
	Until    time.Time         `json:"until,omitzero"` // when it is due, zero if that is not known
	Command  string            `json:"command,omitempty"`
}

// Lease is how long after an intent its call may begin. A rollback waits it
// out, so that no late runner can act after it.
const Lease = 30 * time.Minute

// Claim is how long after an intent its calls are its writer's alone. Another
// run takes them up only then: two that make the same change at once would
// create objects twice and get into each other's uploads, since consoles know no
// conditional requests. A run that is tried again under its old name need not
// wait.
const Claim = Lease / 2
