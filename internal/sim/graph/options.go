package graph

import (
	"net/http"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/event"
)

// Options are the world the server simulates.
type Options struct {
	Dir      string           // where it persists; must exist
	Now      func() time.Time // the virtual clock
	Seed     int64            // varies ids, delays, and which devices fail or stay silent
	Tenants  []Tenant
	Observer event.Observer // told after a change is stored and before it is answered

	Secret      string        // client secret the token endpoint asks for; "" takes any
	PageSize    int           // apps on a page; 25 when 0, as Intune's
	SASLifetime time.Duration // of an upload address; 8 h when 0
	ReadableSAS bool          // upload addresses may list staged blocks
	Lag         int           // up to how many reads a new object is not found, and a state takes to change
	ListLag     int           // up to how many listings a new app is missing from
	Throttle    int           // every n-th request of a tenant is refused with 429; never when 0
	Limit       Limit         // refusals by rate, on the virtual clock
	Fault       func(Call) Fault

	CheckIn     time.Duration // between two check-ins of a device; 1 h when 0
	Silence     float64       // share of devices switched off in a given week
	Deferring   float64       // share of devices whose user waits for the deadline
	FailureRate func(id fleet.PackageID, version string, artifact fleet.Digest) float64
	// Unhealthy is the share of devices that a version, once installed, makes
	// fail a probe.
	Unhealthy func(id fleet.PackageID, version, probe string) float64
	Luck      Luck // replaces the chances above
}

// Limit refuses requests beyond a rate, as the service does for each
// application in a tenant. The zero value refuses nothing.
type Limit struct {
	Requests, Writes int
	Window           time.Duration
}

// A Tenant is one directory and its devices.
type Tenant struct {
	Directory string // tenant id, a GUID
	Devices   []Device
}

// A Device is one managed device.
type Device struct {
	Name         string // unique within the tenant
	OS           string // "Windows" when empty
	OSVersion    string
	Arch         string // x64 when empty
	Manufacturer string
	Model        string
	Department   string                     // the device category
	SKU          string                     // edition as assignment filters name it: Enterprise, Education, …
	Zone         string                     // IANA zone of the device's own clock, UTC when empty
	User         string                     // name of its primary user; a user of its own when empty
	Shared       bool                       // it is nobody's: it has no primary user
	Enrolled     time.Time                  // it is not there before; from the beginning when zero
	Installed    map[fleet.PackageID]string // versions it has before the world begins
}

// A Call is one request as a Fault function sees it.
type Call struct {
	Tenant    string
	Operation string // for example "app.create", "blob.block", "app.assign"
	N         int    // which call of this operation in the tenant, from 1
}

// A Fault is what goes wrong with a call. The zero value is nothing.
type Fault struct {
	Status     int    // answered instead of doing anything
	RetryAfter int    // seconds, with Status
	Lose       bool   // done, but the connection breaks before the answer
	State      string // of a content file's creation, renewal or commit: the upload state it ends in
}

// Published are the limits Microsoft documents for Intune's apps.
func Published() Limit { return Limit{Requests: 1000, Writes: 100, Window: 20 * time.Second} }

func (o Options) withDefaults() Options {
	if o.PageSize == 0 {
		o.PageSize = 25
	}
	if o.SASLifetime == 0 {
		o.SASLifetime = 8 * time.Hour
	}
	if o.CheckIn == 0 {
		o.CheckIn = time.Hour
	}
	if o.FailureRate == nil {
		o.FailureRate = func(fleet.PackageID, string, fleet.Digest) float64 { return 0 }
	}
	if o.Unhealthy == nil {
		o.Unhealthy = func(fleet.PackageID, string, string) float64 { return 0 }
	}
	if o.Fault == nil {
		o.Fault = func(Call) Fault { return Fault{} }
	}
	return o
}

// A failure is an error that has an HTTP status.
type failure struct {
	status        int
	code, message string
	retryAfter    int
}

func (f *failure) Error() string { return f.code + ": " + f.message }

func fail(status int, code, message string) *failure {
	return &failure{status: status, code: code, message: message}
}

func notFound(what string) *failure {
	return fail(http.StatusNotFound, "ResourceNotFound", what+" was not found")
}

func badRequest(message string) *failure { return fail(http.StatusBadRequest, "BadRequest", message) }
