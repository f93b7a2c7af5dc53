package graph

import (
	"crypto/x509"
	"net/http"
	"strings"
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

	Secret      string            // client secret the token endpoint asks for; "" takes any
	Certificate *x509.Certificate // whose key may sign assertions instead; nil takes none
	Subject     string            // of federated tokens that are taken instead; "" takes any
	PageSize    int               // apps on a page; 25 when 0, as Intune's
	SASLifetime time.Duration     // of an upload address; 8 h when 0
	ReadableSAS bool              // upload addresses may list staged blocks
	Lag         int               // up to how many reads a new object is not found, and a state takes to change
	ListLag     int               // up to how many listings a new app, script or group is missing from
	Throttle    int               // every n-th request of a tenant is refused with 429; never when 0
	Limit       Limit             // refusals by rate, on the virtual clock
	Fault       func(Call) Fault
	Pitfalls    Pitfalls

	AuditLag    time.Duration // up to how long the service's own audit takes to show an event
	ReportLag   time.Duration // up to how far the reports on a device are behind it; the service's are up to 48 h
	CheckIn     time.Duration // between two check-ins of a device; 1 h when 0
	Silence     float64       // share of devices switched off in a given week
	Deferring   float64       // share of devices whose user waits for the deadline
	FailureRate func(id fleet.PackageID, version string, artifact fleet.Digest) float64
	// Named is what a program of a package is listed as on devices that had it
	// before the world begins; the last part of the package's id when nil.
	Named func(id fleet.PackageID) Software
	// Unhealthy is the share of devices that a version, once installed, makes
	// fail a probe.
	Unhealthy func(id fleet.PackageID, version, probe string) float64
	Luck      Luck // replaces the chances above

	Updates Updates // what Windows Update has
}

// Limit refuses requests beyond a rate: of each application in a tenant, and of
// all that work in it together. The zero value refuses nothing.
type Limit struct {
	Requests, Writes             int // of one application
	TenantRequests, TenantWrites int // of all; no limit when 0
	Window                       time.Duration
}

// A Tenant is one directory and its devices.
type Tenant struct {
	Directory string // tenant id, a GUID
	Devices   []Device

	SignIn    int      // Entra's code that token requests are refused with; 0 lets them in
	Roles     []string // application permissions it granted; nil is all that packmill knows
	Lacks     []string // what has not reached it: paths, below the version, and names of properties
	Plans     []string // service plans it has licences of; nil is all that packmill asks for
	Approvals []string // kinds of change that need a second person: app, script
	Awaits    []string // apps, by display name, that its enrolment status page waits for
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
	Zone         string                     // IANA zone of the device's own clock, UTC when empty
	Installed    map[fleet.PackageID]string // versions it has before the world begins

	Agent string   // managementAgent of a device that Configuration Manager manages as well
	Owned []string // of its workloads, those that Configuration Manager owns: apps, updates

	Software []Software // other programs it has
}

// Software is a program that a device has and packmill knows nothing of.
type Software struct{ Name, Publisher, Version string }

// Published are the limits Microsoft documents for Intune's apps and its device
// configuration (Microsoft Graph: "Intune service-specific throttling limits").
func Published() Limit {
	return Limit{Requests: 1000, Writes: 100, TenantRequests: 2000, TenantWrites: 200, Window: 20 * time.Second}
}

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
	if o.Named == nil {
		o.Named = func(id fleet.PackageID) Software {
			_, name, _ := strings.Cut(string(id), "/")
			return Software{Name: name}
		}
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
	approval      string // code of the request that was made instead
}

func (f *failure) Error() string { return f.code + ": " + f.message }

func fail(status int, code, message string) *failure {
	return &failure{status: status, code: code, message: message}
}

func notFound(what string) *failure {
	return fail(http.StatusNotFound, "ResourceNotFound", what+" was not found")
}

func badRequest(message string) *failure { return fail(http.StatusBadRequest, "BadRequest", message) }
