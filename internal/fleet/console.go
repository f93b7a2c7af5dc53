package fleet

import (
	"context"
	"io"
	"time"
)

// The slots: a tenant holds two app objects for each package, with stable ids.
const (
	Stable    = "stable"
	Candidate = "candidate"
)

// A Device is a managed device as the tenant's console tells it, under the
// console's own id: never written to evidence like this.
type Device struct {
	ID         string // id of the directory object, as groups take it
	Platform   string // windows, macos, linux
	OSVersion  string
	LastSeen   time.Time
	Attributes map[string]string // model, department, country, …
}

// Attributes of a device that Configuration Manager manages as well (Microsoft:
// "Co-management workloads"): who owns a workload, where it is not the console.
const (
	AppsOwner            = "appsOwner"
	UpdatesOwner         = "updatesOwner"
	ConfigurationManager = "configurationManager"
)

// An App is one release of a package as one slot of a tenant should hold it.
type App struct {
	Package     PackageID
	Slot        string
	Name        string
	Publisher   string
	Description string
	Version     string
	Artifact    Digest // OCI manifest the content comes from
	File        BuiltFile
	Installer   Installer
	Download    Download
	DetectText  string // text of the detection script, when a rule names one
	NeedText    string // text of the requirement script, when Installer.Needs names one
	BeforeText  string // of the script that runs before the installation, "" for none
	AfterText   string // and after it
	ContentInfo []byte // how File is encrypted, where it is no container that says so itself
	Icon        []byte // a PNG or a JPEG, nil for none
	Generation  int    // rises with every change of the slot
	UpdateOnly  bool   // for devices alone that have some version of it

	Patch  *OSPatch // what Windows Update delivers instead of a file
	Driver *Driver  // the same
	// Blocked are, with a driver, those of the catalog that the tenant's policy
	// keeps from its devices now: the console declines them where it offers them.
	Blocked []DriverRelease

	Windows     []Window // the tenant's maintenance windows; none is no restriction
	Shut        []string // days it does not work, soon, 2006-01-02
	RebootsOnly bool     // devices may restart in a window for reboots alone

	Categories []string    // names of the tenant's own categories that the app is shown in
	ScopeTags  []string    // names or ids of the tenant's role scope tags, none for the default one
	Requires   []PackageID // packages whose apps in the tenant are installed first
	// Supersedes are the packages whose apps in the tenant give way to this one,
	// each "replace" (removed first) or "update" (installed over). Back says that a
	// later release is taken back: then nothing gives way that did not before.
	Supersedes map[PackageID]string
	Back       bool

	Parts   []Part // of a configuration, what consoles set by other means than an installation
	Restore bool   // what people changed of the app or its parts is overwritten
	// Before gives the content of a part in an earlier artifact: what was last
	// applied decides who has moved since. It may be nil where there are no parts.
	Before func(ctx context.Context, artifact Digest, setting, kind string) ([]byte, error)
}

// A DriverRelease is a driver as Windows Update can be told which one is meant.
type DriverRelease struct {
	Class, Version, Publisher string
}

// The kinds of parts, each an object of its own on the console.
const (
	PartCatalogPolicy       = "catalogPolicy"
	PartDeviceConfiguration = "deviceConfiguration"
	PartCompliancePolicy    = "compliancePolicy"
	PartProfile             = "profile" // of macOS
	PartHealthScript        = "healthScript"
	PartApp                 = "app"    // what PartState tells of apps
	PartUpdate              = "update" // and of what Windows Update is told through
)

// A Part is one setting of a configuration as a console takes it.
type Part struct {
	Setting string // key in the package
	Kind    string // PartCatalogPolicy, …
	File    BuiltFile
	Every   Duration // how often a health script runs; 0 is once
	Open    Content
}

// A PartState is one object on a tenant's console: of a configuration, an app, or
// what Windows Update is told through.
type PartState struct {
	ID       string
	Package  PackageID
	Setting  string // "" for somebody else's
	Kind     string
	Name     string
	Slot     string
	Version  string // last applied
	Artifact Digest
	File     Digest // payload that was last applied
	Parts    int    // objects the release has in all
	Content  []byte // JSON as the console tells it, without what packmill adds
	Moved    bool   // of an app or an update, which have no Content: it is not as it was last written
	// Targets are packmill's own in the object's assignment set now, and Timed says
	// that they have a start and a deadline. Named are those that its marker says
	// packmill assigned, as sets name them: "all devices", a group's id, "-" and a
	// group's id.
	Targets []Target
	Timed   bool
	Named   []string
}

// Content opens the bytes of an App's file; it may be opened more than once.
type Content func() (io.ReadCloser, error)

// A Target is one element of an assignment set.
type Target struct {
	Intent     string // required, available, uninstall
	Group      string // id of a group, "all devices" or "all users"
	Exclude    bool   // Group is left out; nothing else than Intent is said of it then
	Filter     string // id of an assignment filter, "" for none
	Unfiltered bool   // Filter's devices are left out, instead of all others
	Opens      time.Time
	Deadline   time.Time
	LocalTime  bool // the instants' wall-clock reading, in each device's zone
	Notify     string
	Foreground bool    // the download does not wait for other traffic
	Restart    Restart // how long a restart can be put off
}

// A Restart is how people are warned of a restart that an installation asks for,
// in minutes. The zero value leaves it to the service.
type Restart struct {
	Grace     int // from the installation to the restart
	Countdown int // shown before it
	Snooze    int // that one press of the button puts the warning off, 0 for no button
}

// An AppState is what a slot holds now. A package for several platforms has an
// app object for each: the state is that of the release that came last, and the
// targets are those of all.
type AppState struct {
	ID         string // id of the app object, "" when there is none
	Version    string
	Artifact   Digest // committed content, "" when nothing was committed
	Generation int
	Targets    []Target
	Foreign    bool     // people of the tenant have assigned it too
	Supersedes bool     // apps of other packages give way to it
	Stopped    string   // why the service itself gives it to nobody any more, "" while it does
	Duplicates []string // other app objects that claim to be this slot, left by a lost answer: not used
}

// A DeviceStatus is the installation state one device reported for an app.
type DeviceStatus struct {
	Device  string
	State   string // installed, failed, pending, absent (not there: removed, or not yet offered), exempt (its requirements rule the device out)
	Version string
	Error   string // hex code, "" when none
	At      time.Time
}

// A DeviceHealth is what one probe on one device last found.
type DeviceHealth struct {
	Device string
	Signal string // name of the probe
	State  string // ok, failed, waiting (the release is not there yet, or the probe did not run)
	At     time.Time
}

// A DeviceProbe is a probe as it should run on the devices of a group.
type DeviceProbe struct {
	Package PackageID
	Name    string
	Script  string // PowerShell; exit code 0 is healthy
	Every   Duration
	Group   string // id of the group it is added to
}
