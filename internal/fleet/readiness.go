package fleet

import "time"

// A Readiness is what one look, which changed nothing, found of a tenant: whether
// it can be worked in, and with what. Evidence keeps it, so that later work knows
// what the tenant can do without asking again.
type Readiness struct {
	Tenant TenantID  `json:"tenant"`
	At     time.Time `json:"at"`
	State  string    `json:"state"` // ReadyState…

	Millis   int     `json:"millis"` // from a request to its answer, the fastest
	Skew     int     `json:"skew"`   // the service's clock minus ours, in seconds
	Requests int     `json:"requests"`
	Writes   int     `json:"writes"`         // that may be sent at once, with Requests of any kind
	Load     float64 `json:"load,omitempty"` // share of a limit that the service told of

	Lacks    []Lack            `json:"lacks,omitempty"`    // permissions that were not granted
	Unused   []string          `json:"unused,omitempty"`   // granted ones that nothing here needs
	Features map[string]string `json:"features,omitempty"` // FeatureYes…, by name
	Licences map[string]bool   `json:"licences,omitempty"` // by what they are for

	Devices   DeviceCounts    `json:"devices"`
	Apps      int             `json:"apps"` // of anybody
	Ours      int             `json:"ours"` // packmill's own
	Pages     []EnrolmentPage `json:"pages,omitempty"`
	Approvals []string        `json:"approvals,omitempty"` // kinds of change that need a second person
	Pending   []PendingChange `json:"pending,omitempty"`   // packmill's own, that wait for one

	Findings []ReadyFinding `json:"findings,omitempty"` // the worst first
}

// States of a tenant.
const (
	ReadyYes         = "ready"
	ReadyStalled     = "stalled"     // a person must act before everything works
	ReadyRefused     = "refused"     // it lets packmill in not at all, or to too little
	ReadyUnreachable = "unreachable" // nobody knows
)

// What is known of a feature.
const (
	FeatureYes     = "yes"
	FeatureNo      = "no"      // has not reached the tenant
	FeatureDenied  = "denied"  // the permission to see it is missing
	FeatureUnknown = "unknown" // could not be found out
)

// Features that work depends on.
const (
	FeatureArchitectures = "allowedArchitectures"
	FeatureScripts       = "deviceHealthScripts"
	FeatureCatalog       = "mobileAppCatalogPackages"
)

// A Lack is a permission that was not granted.
type Lack struct {
	Role   string `json:"role"`
	For    string `json:"for"`
	Needed bool   `json:"needed"` // by every tenant
}

// DeviceCounts are a tenant's managed devices.
type DeviceCounts struct {
	All     int `json:"all"`
	Windows int `json:"windows"`
	// Of those that Configuration Manager manages as well: all, those whose apps
	// or updates it owns, and those that do not tell who owns what.
	CoManaged int `json:"coManaged"`
	AppsCM    int `json:"appsCM"`
	UpdatesCM int `json:"updatesCM"`
	Untold    int `json:"untold"`
}

// An EnrolmentPage is an enrolment status page, which keeps new devices until the
// apps it names are there.
type EnrolmentPage struct {
	ID   string   `json:"id"`
	Apps int      `json:"apps"`
	Ours []string `json:"ours,omitempty"` // "package slot" of packmill's among them
}

// A PendingChange is a change of packmill's that people of the tenant must
// approve, or have approved.
type PendingChange struct {
	ID      string    `json:"id"`
	Status  string    `json:"status"` // needsApproval, approved
	Reason  string    `json:"reason"`
	Since   time.Time `json:"since"`
	Expires time.Time `json:"expires,omitzero"`
}

// A ReadyFinding is something that a person should know, and what to do about it.
type ReadyFinding struct {
	Kind string `json:"kind"` // refused, stalled, internal, note
	What string `json:"what"`
	Next string `json:"next,omitempty"`
}
