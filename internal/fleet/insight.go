package fleet

import "time"

// An InventoryRow is one device as a tenant's inventory told it. Device is a
// keyed hash; there is no name of device or user. A tenant that had no devices
// has one row without one, and so has what is told of the tenant itself.
type InventoryRow struct {
	Tenant     TenantID          `json:"tenant"`
	Device     string            `json:"device"`
	Platform   string            `json:"platform"`
	OSBuild    string            `json:"osBuild"`
	Attributes map[string]string `json:"attributes,omitempty"` // model, department, country
	LastSeen   string            `json:"lastSeen"`             // date
	Awaited    []Awaited         `json:"awaited,omitempty"`    // on a row without a device
	At         time.Time         `json:"at"`
}

// A DetectedApp is a program of one version as a tenant's console counts it on
// its devices, whoever installed it.
type DetectedApp struct {
	Name      string
	Publisher string
	Version   string
	Platform  string // windows, macos, linux; "" where the console does not know
	Devices   int
}

// An AppRow is a DetectedApp in evidence. A tenant's newest snapshot is all rows
// of its newest instant. It names no device and no person; of many programs those
// on the most devices have rows, and one row without a name sums the rest.
type AppRow struct {
	Tenant    TenantID  `json:"tenant"`
	Name      string    `json:"name,omitempty"`
	Publisher string    `json:"publisher,omitempty"`
	Version   string    `json:"version,omitempty"`
	Platform  string    `json:"platform,omitempty"`
	Devices   int       `json:"devices"`
	Rest      int       `json:"rest,omitempty"` // of the row without a name: how many it sums; Devices adds them up
	At        time.Time `json:"at"`
}

// A ConsoleEvent is one event of the console's own audit: somebody changed
// something. It holds no name of a person.
type ConsoleEvent struct {
	ID          string
	At          time.Time
	What        string   // in the console's words: "Patch MobileApp"
	Result      string   // in the console's words: "Success"
	Application string   // id of the application that the change was made with
	Person      bool     // a person did it, with that application
	Objects     []string // ids of what was changed
}

// A ConsoleAudit is what a console's own audit tells of a period.
type ConsoleAudit struct {
	Application string               // id of the application that packmill itself is there
	Events      []ConsoleEvent       // oldest first
	Objects     map[string]OwnObject // those that bear packmill's marker now, by id
	Others      map[string]bool      // ids of those of the same kinds that are there now without it
}

// An OwnObject is an object in a tenant that bears packmill's marker.
type OwnObject struct {
	Kind    string    `json:"kind"` // app, probe, configuration, update
	Package PackageID `json:"package"`
}

// A Reconciliation is one reading of a console's own audit, held against what
// evidence explains. It says how much was read and what was found, and nothing
// of who the people were.
type Reconciliation struct {
	Tenant      TenantID  `json:"tenant"`
	From        time.Time `json:"from"`
	Until       time.Time `json:"until"`
	Application string    `json:"application"` // id of packmill's own application there
	Events      int       `json:"events"`      // of the period
	Own         int       `json:"own"`         // of them, by packmill's application
	Explained   int       `json:"explained"`   // of those, within an effect that evidence has
	Foreign     int       `json:"foreign"`     // by others, of objects that are not packmill's
	// Findings are the writes that nothing explains, those that were not found
	// before; More is how many were left out because there were too many.
	Findings []ConsoleFinding `json:"findings,omitempty"`
	More     int              `json:"more,omitempty"`
	// Objects are packmill's objects by id: one that is gone tomorrow is known.
	Objects map[string]OwnObject `json:"objects,omitempty"`
	At      time.Time            `json:"at"`
}

// The kinds of a ConsoleFinding.
const (
	WriteUnexplained = "unexplained" // by packmill's application, and no effect of packmill's covers it
	WriteForeign     = "foreign"     // by somebody else, of an object with packmill's marker
)

// A ConsoleFinding is a write in a tenant that packmill does not explain.
type ConsoleFinding struct {
	Event       string    `json:"event"` // id in the console's own audit
	Kind        string    `json:"kind"`  // unexplained, foreign
	At          time.Time `json:"at"`
	What        string    `json:"what"`
	Result      string    `json:"result,omitempty"`
	Application string    `json:"application,omitempty"`
	Person      bool      `json:"person,omitempty"`
	Object      string    `json:"object,omitempty"`  // id of what was changed
	Package     PackageID `json:"package,omitempty"` // whose object it is, where that is known
}

// SilentShown is how many devices a Silence lists.
const SilentShown = 50

// A Silence is which members of a wave on one tenant had said nothing since it
// started, of any package that was asked for, at one look: those that are off,
// lost, or whose reports are still on their way. Devices are keyed hashes, the
// first in their order; Silent counts them all.
type Silence struct {
	Cycle   CycleID   `json:"cycle"`
	Wave    string    `json:"wave"`
	Tenant  TenantID  `json:"tenant"`
	Look    Duration  `json:"look"` // age of the wave
	Silent  int       `json:"silent"`
	Devices []string  `json:"devices"`
	At      time.Time `json:"at"`
}
