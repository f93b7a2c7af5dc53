package fleet

import (
	"maps"
	"slices"
	"time"
)

// An Operator is the party that runs the repository.
type Operator struct {
	Name      string              `json:"name"`
	Approvers map[string][]Person `json:"approvers"` // role → persons
	Trust     Trust               `json:"trust"`
	Store     *Store              `json:"store,omitempty"`
	Proposals *Proposals          `json:"proposals,omitempty"`
}

// Proposals bound the pull requests that propose new versions; 0 is no bound.
type Proposals struct {
	PerRun int                 `json:"perRun,omitempty"` // that one run opens
	Open   int                 `json:"open,omitempty"`   // that are open at once
	Labels map[string][]string `json:"labels,omitempty"` // by the release's change
	// Groups are the packages that share a pull request, by name.
	Groups map[string]ProposalGroup `json:"groups,omitempty"`
}

// A ProposalGroup is which packages are proposed together.
type ProposalGroup struct {
	Packages []string `json:"packages"` // ids; * stands for any characters
}

// GroupOf is the name of the package's group, "" when it has none: the first by
// name of those that match.
func (p Proposals) GroupOf(id PackageID) string {
	for _, name := range slices.Sorted(maps.Keys(p.Groups)) {
		for _, pattern := range p.Groups[name].Packages {
			if like(pattern, string(id)) {
				return name
			}
		}
	}
	return ""
}

// A Person may approve between two dates (2006-01-02, until exclusive).
type Person struct {
	Login string `json:"login"`
	Name  string `json:"name"`
	From  string `json:"from"`
	Until string `json:"until,omitempty"`
}

// InForce reports whether the person may approve at the instant t.
func (p Person) InForce(t time.Time) bool { return inForce(p.From, p.Until, t) }

func inForce(from, until string, t time.Time) bool {
	day := t.UTC().Format(time.DateOnly)
	return from <= day && (until == "" || day < until)
}

// Trust is the trust policy: who may sign, how many persons must approve.
type Trust struct {
	Keys      map[string]TrustedKey `json:"keys"`
	Approvals int                   `json:"approvals"` // persons needed for a merge
	// App is the login of packmill's own app at the forge: the only account
	// whose merges may count without people.
	App string `json:"app,omitempty"`
	// AutoRevoke lets App merge the revocation of a release that a signed
	// verdict failed.
	AutoRevoke bool      `json:"autoRevoke"`
	Exposure   *Exposure `json:"exposure,omitempty"`
}

// A TrustedKey is a public key and what it may sign.
type TrustedKey struct {
	PEM   string   `json:"pem"`
	Uses  []string `json:"uses"` // build, test, evidence
	From  string   `json:"from"`
	Until string   `json:"until,omitempty"`
}

// InForce reports whether the key was trusted at the instant t.
func (k TrustedKey) InForce(t time.Time) bool { return inForce(k.From, k.Until, t) }

// A Store is where artifacts live when it is not the OCI layout on disk.
type Store struct {
	Registry string `json:"registry"` // host[:port]/repository
}

// A Partner is a company that serves tenants under the operator's roof.
type Partner struct {
	Name       string             `json:"name"`
	Contacts   []string           `json:"contacts"`
	Approvers  []Person           `json:"approvers,omitempty"`
	Language   string             `json:"language"`
	Channels   map[string]Channel `json:"channels,omitempty"`
	Brand      *Brand             `json:"brand,omitempty"`
	Texts      string             `json:"texts,omitempty"` // folder of announcement templates beside partner.cue
	Repository *PinnedRepository  `json:"repository,omitempty"`
}

// A Channel is one way to reach an audience.
type Channel struct {
	Kind       string `json:"kind"` // mail, teams, slack, webhook, issue
	To         string `json:"to"`
	Visibility string `json:"visibility"` // private, shared
}

// A Brand is how a partner's messages look.
type Brand struct {
	From      string `json:"from"`
	Logo      string `json:"logo,omitempty"`
	Signature string `json:"signature,omitempty"`
}

// PinnedRepository is another repository at one commit.
type PinnedRepository struct {
	URL    string `json:"url"`
	Commit string `json:"commit"`
}

// A Tenant is one customer tenant. Policy is the effective one: operator,
// partner and tenant met, each bound's value taken on its tightening side.
type Tenant struct {
	ID        TenantID                   `json:"id"`
	Name      string                     `json:"name"`
	Zone      string                     `json:"zone"`
	Labels    map[string]string          `json:"labels,omitempty"`
	Intune    *Intune                    `json:"intune,omitempty"`
	Windows   map[string]Window          `json:"windows,omitempty"`
	Approvers []Person                   `json:"approvers,omitempty"` // for a policy that asks for the site's word
	Holidays  *Holidays                  `json:"holidays,omitempty"`  // the week's when absent
	Packages  map[PackageID][]Assignment `json:"packages"`
	Adopt     map[PackageID]string       `json:"adopt,omitempty"` // ids of app objects that become stable slots
	Groups    map[string]Group           `json:"groups,omitempty"`
	// Leave is how packages leave: uninstall while they are in Packages, keep once
	// they are not.
	Leave map[PackageID]string `json:"leave,omitempty"`
	// Acknowledged are words on writes that were made past packmill, by name.
	Acknowledged map[string]Acknowledged `json:"acknowledged,omitempty"`
	// Restore are the packages of which packmill undoes what people in the
	// tenant changed, for a while.
	Restore map[PackageID]Because `json:"restore,omitempty"`
	Policy  Policy                `json:"policy"`
}

// Label is a label of the tenant, "" when it has none of that name; "tenant" and
// "partner" name the tenant itself.
func (t Tenant) Label(key string) string {
	switch key {
	case "tenant":
		return string(t.ID)
	case "partner":
		return t.ID.Partner()
	default:
		return t.Labels[key]
	}
}

// Intune is the connection to a tenant of Microsoft Entra.
type Intune struct {
	Directory string   `json:"directory"`           // tenant id, a GUID
	Cloud     string   `json:"cloud,omitempty"`     // global, usGov, usGovDoD, china; "" is global
	ScopeTags []string `json:"scopeTags,omitempty"` // names or ids of role scope tags that apps bear
}

// A Window is a maintenance window in the tenant's zone; Until before From
// runs past midnight.
type Window struct {
	On    []string `json:"on"`
	From  string   `json:"from"`
	Until string   `json:"until"`
	For   []string `json:"for"` // install, reboot
	// Holidays says what it does on days the tenant does not work: open, shut.
	Holidays string  `json:"holidays"`
	DST      DSTRule `json:"dst"` // of its two edges
}

// An Assignment says who in a tenant gets a package, and how.
type Assignment struct {
	Intent  string   `json:"intent"` // required, available, updateOnly, uninstall
	Group   string   `json:"group"`  // "all devices", "all users" or a group's name
	Exclude []string `json:"exclude,omitempty"`
	Filter  string   `json:"filter,omitempty"` // name of an assignment filter
	// FilterMode says whose devices Filter names: those that get it (include, as
	// where it says nothing), or those that do not (exclude).
	FilterMode string        `json:"filterMode,omitempty"`
	Notify     string        `json:"notify"`             // showReboot, showAll, hideAll
	Delivery   string        `json:"delivery,omitempty"` // foreground
	Restart    *RestartGrace `json:"restart,omitempty"`
}

// A RestartGrace is how long the people at a device can put off the restart
// that an installation asks for.
type RestartGrace struct {
	GraceMinutes     int `json:"graceMinutes"`
	CountdownMinutes int `json:"countdownMinutes"`
	SnoozeMinutes    int `json:"snoozeMinutes,omitempty"` // 0: it cannot be put off by a button
}

// A Group is a department, country or user group with a policy of its own.
type Group struct {
	Name   string `json:"name"`
	Policy Policy `json:"policy"`
}

// A Policy is the effective policy of a tenant or group.
type Policy struct {
	CriticalWithinHours  float64 `json:"criticalWithinHours"`
	CriticalGraceHours   float64 `json:"criticalGraceHours,omitempty"`
	NonSecurityDeferDays int     `json:"nonSecurityDeferDays"`
	// NonSecurityWithinDays is the deadline after the deferral, 0 for none.
	NonSecurityWithinDays float64                `json:"nonSecurityWithinDays,omitempty"`
	NonSecurityGraceHours float64                `json:"nonSecurityGraceHours,omitempty"`
	Reboot                string                 `json:"reboot"` // windowOnly, anytime
	MaxFailuresPercent    float64                `json:"maxFailuresPercent"`
	Approval              string                 `json:"approval"` // implicit, partner, site
	MaxExceptionDays      int                    `json:"maxExceptionDays"`
	DriverBlock           map[string]Because     `json:"driverBlock,omitempty"`
	Pins                  map[PackageID]PinnedTo `json:"pins,omitempty"`
	OptOuts               map[PackageID]Because  `json:"optOuts,omitempty"`
	Origins               map[string]Pos         `json:"origins,omitempty"` // field → the file that decided it
	// Bounds are the bounds as declared, all levels met: field of the schema
	// ("critical.withinHours") → CUE expression of literals ("number & >0 & <=72").
	Bounds map[string]string `json:"bounds,omitempty"`
}

// BlocksDriver is the block that keeps a release of a driver from the tenant at
// an instant, by its pattern: the package's id, a hyphen and the version are
// compared with it, * standing for any characters.
func (p Policy) BlocksDriver(id PackageID, version string, at time.Time) (pattern string, why Because, blocked bool) {
	for _, pattern := range slices.Sorted(maps.Keys(p.DriverBlock)) {
		if b := p.DriverBlock[pattern]; at.Before(b.Expires) && like(pattern, string(id)+"-"+version) {
			return pattern, b, true
		}
	}
	return "", Because{}, false
}

// An Acknowledged is people's word on writes that packmill cannot explain: those of
// some events, or what others than packmill's application wrote to some objects in a
// period, both ends included.
type Acknowledged struct {
	Reason  string     `json:"reason"`
	By      string     `json:"by"`
	Events  []string   `json:"events,omitempty"`
	Objects []string   `json:"objects,omitempty"`
	From    *time.Time `json:"from,omitempty"`
	Until   *time.Time `json:"until,omitempty"`
}

// Because is a loosening's reason and end.
type Because struct {
	Reason  string    `json:"reason"`
	Expires time.Time `json:"expires"`
}

// PinnedTo keeps a package on the versions that match the glob.
type PinnedTo struct {
	Version string    `json:"version"`
	Reason  string    `json:"reason"`
	Expires time.Time `json:"expires"`
}
