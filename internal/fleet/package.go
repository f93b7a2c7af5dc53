package fleet

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// A Publisher is what holds for all packages of one vendor.
type Publisher struct {
	Name     string                    `json:"name"`
	Hosts    []string                  `json:"hosts"`
	Signers  map[string]ExpectedSigner `json:"signers,omitempty"`
	Unsigned string                    `json:"unsigned"` // "refused" or "accepted"
}

// An ExpectedSigner is a code-signing identity a publisher is known to use.
type ExpectedSigner struct {
	Kind    string `json:"kind"` // authenticode, appleDeveloperId, gpg
	Subject string `json:"subject"`
	Key     string `json:"key,omitempty"` // of kind gpg: armored public key that RPM packages are verified with
}

// A Package is one application, configuration, OS patch or driver: everything
// that does not change from release to release, and its releases by version.
type Package struct {
	ID          PackageID            `json:"id"`
	Name        string               `json:"name"`
	Kind        string               `json:"kind"` // application, configuration, osPatch, driver
	Description string               `json:"description,omitempty"`
	Icon        string               `json:"icon,omitempty"`
	Categories  []string             `json:"categories,omitempty"` // of the company portal
	Sources     []string             `json:"sources"`
	Upstream    *Upstream            `json:"upstream,omitempty"`
	Installers  map[string]Installer `json:"installers,omitempty"`
	Settings    map[string]Setting   `json:"settings,omitempty"`
	Driver      *Driver              `json:"driver,omitempty"`
	Patch       *OSPatch             `json:"patch,omitempty"`
	Updater     string               `json:"updater"` // none, disable, tolerate
	UpdaterOff  *UpdaterParts        `json:"updaterOff,omitempty"`
	Requires    []PackageID          `json:"requires,omitempty"`
	Conflicts   []PackageID          `json:"conflicts,omitempty"`
	Supersedes  map[PackageID]string `json:"supersedes,omitempty"` // replace, update
	Tests       Tests                `json:"tests"`
	Health      map[string]Probe     `json:"health,omitempty"`
	Rollback    string               `json:"rollback"` // previous, uninstall, forwardOnly
	Identity    *PackageIdentity     `json:"identity,omitempty"`
	Advisories  *Advisories          `json:"advisories,omitempty"`
	SupportEnds string               `json:"supportEnds,omitempty"` // date, 2006-01-02
	Releases    map[string]Release   `json:"releases,omitempty"`
}

// Latest is the release with the highest counter, false when there is none.
// Order is by counter, never by parsing versions.
func (p Package) Latest() (version string, r Release, ok bool) {
	for v, candidate := range p.Releases {
		if !ok || candidate.Counter > r.Counter {
			version, r, ok = v, candidate, true
		}
	}
	return version, r, ok
}

// Before is the release with the highest counter below that of version: what a
// device that is up to date has before it takes version.
func (p Package) Before(version string) (string, Release, bool) {
	limit, known := p.Releases[version]
	var best string
	var found bool
	for v, r := range p.Releases {
		if known && r.Counter < limit.Counter && (!found || r.Counter > p.Releases[best].Counter) {
			best, found = v, true
		}
	}
	return best, p.Releases[best], found
}

// InstallerKeys are the names of the installers, sorted.
func (p Package) InstallerKeys() []string { return slices.Sorted(maps.Keys(p.Installers)) }

// Versions are the released versions, oldest first by counter.
func (p Package) Versions() []string {
	out := slices.Collect(maps.Keys(p.Releases))
	slices.SortFunc(out, func(a, b string) int { return cmp.Compare(p.Releases[a].Counter, p.Releases[b].Counter) })
	return out
}

// An Upstream says where new versions are found and how they compare.
type Upstream struct {
	From              Feed       `json:"from"`
	Scheme            string     `json:"scheme"`
	Pattern           string     `json:"pattern,omitempty"` // of scheme regex: RE2 whose groups are compared
	Epoch             int        `json:"epoch,omitempty"`   // how often the vendor began its numbers anew
	Prerelease        bool       `json:"prerelease"`
	MinimumReleaseAge ReleaseAge `json:"minimumReleaseAge"`
	Allowed           string     `json:"allowed,omitempty"`    // glob on the version, for example "24.*"
	Ignore            []string   `json:"ignore,omitempty"`     // globs on versions that are never proposed
	SizeFactor        int        `json:"sizeFactor,omitempty"` // how many times larger or smaller an installer may get; 0 is DefaultSizeFactor
	Agree             []Feed     `json:"agree,omitempty"`
	Quorum            int        `json:"quorum,omitempty"` // how many sources must agree, From among them; 0 is all
}

// An Installer is one thing the vendor ships: a platform, an architecture, a
// scope and a language, and how devices take it.
type Installer struct {
	Platform     string            `json:"platform"` // windows, macos, linux
	Arch         string            `json:"arch"`     // x64, arm64, x86, universal
	Type         string            `json:"type"`     // msi, exe, msix, store, pkg, dmg, deb, rpm, portable, script, profile
	Scope        string            `json:"scope"`    // machine, user
	Language     string            `json:"language,omitempty"`
	Source       *Source           `json:"source,omitempty"` // where propose finds the bytes of a new version
	Arguments    *Arguments        `json:"arguments,omitempty"`
	Properties   map[string]string `json:"properties,omitempty"`
	Transforms   []string          `json:"transforms,omitempty"`
	Licence      string            `json:"licence,omitempty"`
	Secrets      []string          `json:"secrets,omitempty"`
	RunAs        string            `json:"runAs"`              // system, user
	InUse        string            `json:"inUse"`              // wait, close, fail
	Programs     []string          `json:"programs,omitempty"` // file names of what InUse is about
	PutOff       []string          `json:"putOff,omitempty"`   // busy, restartPending
	Keep         []Kept            `json:"keep,omitempty"`
	Restart      string            `json:"restart"` // never, byExitCode
	Minutes      int               `json:"minutes"` // run-time limit
	Detect       []Detect          `json:"detect"`
	Needs        *Needs            `json:"needs,omitempty"`
	ExitCodes    map[string]string `json:"exitCodes,omitempty"`
	ProgramFiles string            `json:"programFiles,omitempty"` // folder of a portable program below the program folder
	Managed      bool              `json:"managed,omitempty"`      // of type pkg: the device management owns what it installs
	Scripts      *InstallScripts   `json:"scripts,omitempty"`      // of type pkg, run on devices around the installation
}

// InstallScripts are shell scripts of the package, below its folder.
type InstallScripts struct {
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// A Source says where the bytes of a version are, with {version} (and {major},
// {minor}, {digits}: the version's digits alone) filled in; exactly one of
// Asset, URL and PURL is set.
type Source struct {
	Asset  string `json:"asset,omitempty"`  // name of a file that the feed lists, * for any part
	Listed bool   `json:"listed,omitempty"` // the file that the feed lists for the installer
	URL    string `json:"url,omitempty"`    // https address
	PURL   string `json:"purl,omitempty"`   // package URL: pkg:npm/…, pkg:deb/…
	Member string `json:"member,omitempty"` // path inside the downloaded archive

	Checksum *Checksum `json:"checksum,omitempty"` // where the vendor publishes the download's digest
}

// A Checksum is a file of digests that the vendor publishes; exactly one field
// is set, which placeholders are filled in.
type Checksum struct {
	Asset string `json:"asset,omitempty"` // name of a file that the feed lists, * for any part
	URL   string `json:"url,omitempty"`   // https address
}

// Arguments are the command-line arguments for a silent run.
type Arguments struct {
	Install   string `json:"install,omitempty"`
	Uninstall string `json:"uninstall,omitempty"`
}

// A Kept is a file, a folder or a registry key that outlives an installation;
// exactly one of File and Key is set.
type Kept struct {
	File    string `json:"file,omitempty"`
	Key     string `json:"key,omitempty"`
	View    int    `json:"view"`    // of the registry, 64 or 32
	Restore string `json:"restore"` // onFailure, always
}

// UpdaterParts are what a vendor's updater consists of, to be switched off after
// the installation.
type UpdaterParts struct {
	Services []string       `json:"services,omitempty"` // names of services
	Tasks    []string       `json:"tasks,omitempty"`    // paths of scheduled tasks
	Values   []UpdaterValue `json:"values,omitempty"`   // that are set
}

// An UpdaterValue is set below HKLM: a text, or a number.
type UpdaterValue struct {
	Key    string  `json:"key"`
	Value  string  `json:"value"` // its name
	Text   *string `json:"text,omitempty"`
	Number *int    `json:"number,omitempty"`
	View   int     `json:"view"` // 64 or 32
}

// A Detect is one detection rule; exactly one of the fields after Operator is
// set. All rules of an installer must hold for the release to be present.
type Detect struct {
	Operator   string        `json:"operator"` // "=" or ">="
	MSIProduct bool          `json:"msiProduct,omitempty"`
	File       *FileRule     `json:"file,omitempty"`
	Registry   *RegistryRule `json:"registry,omitempty"`
	Bundle     string        `json:"bundle,omitempty"`
	Package    string        `json:"package,omitempty"`
	Script     string        `json:"script,omitempty"`
}

// A FileRule looks at a file, its version resource when Version is true.
type FileRule struct {
	Path    string `json:"path"`
	Version bool   `json:"version"`
}

// A RegistryRule compares a registry value with the release's version, or asks
// for the key alone when Value is empty. View is 32 or 64.
type RegistryRule struct {
	Key   string `json:"key"`
	Value string `json:"value,omitempty"`
	View  int    `json:"view"`
}

// Needs are the requirement rules of an installer.
type Needs struct {
	OS       string `json:"os,omitempty"` // for example ">=10.0.19045"
	DiskMB   int    `json:"diskMB,omitempty"`
	MemoryMB int    `json:"memoryMB,omitempty"`
	Script   string `json:"script,omitempty"`
}

// Tests say where a package is tested and what the test starts.
type Tests struct {
	Matrix     []string    `json:"matrix"`
	Launch     string      `json:"launch,omitempty"`
	Services   []string    `json:"services,omitempty"`
	Keeps      []string    `json:"keeps,omitempty"` // files and registry values that an upgrade leaves alone
	Neighbours []PackageID `json:"neighbours,omitempty"`
}

// A Probe is a health check delivered with the package.
type Probe struct {
	Script string   `json:"script"`
	Every  Duration `json:"every"`
}

// A PackageIdentity is what others call a package.
type PackageIdentity struct {
	Winget     string   `json:"winget,omitempty"`     // package identifier
	Cask       string   `json:"cask,omitempty"`       // token
	Chocolatey string   `json:"chocolatey,omitempty"` // name in the community repository
	Bundles    []string `json:"bundles,omitempty"`    // macOS bundle identifiers
}

// Advisories name the package in vulnerability sources.
type Advisories struct {
	CVEProducts []CVEProduct `json:"cveProducts,omitempty"`
	CPEs        []string     `json:"cpes,omitempty"`
	NoSource    string       `json:"noSource,omitempty"`
}

// A CVEProduct is a vendor and product pair of CVE records.
type CVEProduct struct {
	Vendor  string `json:"vendor"`
	Product string `json:"product"`
}

// A Release is one version of a package, immutable once merged. The artifact
// built from it is named in evidence, never here.
type Release struct {
	Counter    int                 `json:"counter"`
	Epoch      int                 `json:"epoch,omitempty"`    // Upstream.Epoch when it was proposed
	Baseline   bool                `json:"baseline,omitempty"` // the fleet had it before: never rolled out
	Change     string              `json:"change"`             // major, minor, patch, security, config, new
	Published  *time.Time          `json:"published,omitempty"`
	Installers map[string]Download `json:"installers,omitempty"`
	Files      map[string]Digest   `json:"files,omitempty"` // a configuration's payload: path below the package → digest
	Fixes      []string            `json:"fixes,omitempty"`
}

// A Download is the bytes of one installer, exactly one of URL, PURL, Upload
// being set. Member is the file inside that is meant; Size and SHA256 are those
// of the downloaded file, MemberSHA256 those of the member.
type Download struct {
	URL          string    `json:"url,omitempty"`
	PURL         string    `json:"purl,omitempty"`
	Upload       Digest    `json:"upload,omitempty"`
	Member       string    `json:"member,omitempty"`
	MemberSHA256 Digest    `json:"memberSHA256,omitempty"`
	Size         int64     `json:"size"`
	SHA256       Digest    `json:"sha256"`
	Signer       SignedBy  `json:"signer"`
	MSI          *MSIFacts `json:"msi,omitempty"`
	PE           *PEFacts  `json:"pe,omitempty"`
	Deb          *DebFacts `json:"deb,omitempty"`
	RPM          *RPMFacts `json:"rpm,omitempty"`
	Pkg          *PkgFacts `json:"pkg,omitempty"`
	Base         *Patched  `json:"base,omitempty"`

	// SHA512 is the vendor's word, in hexadecimal, about bytes that are read for
	// the first time. It is never written down: SHA256 of what was read is.
	SHA512 string `json:"-"`
}

// MSIFacts are read from an MSI's Property table.
type MSIFacts struct {
	ProductCode    string `json:"productCode"`
	UpgradeCode    string `json:"upgradeCode,omitempty"`
	ProductVersion string `json:"productVersion,omitempty"`
}

// PEFacts are read from a PE file's version resource; empty where absent.
type PEFacts struct {
	FileVersion    string `json:"fileVersion,omitempty"`
	ProductVersion string `json:"productVersion,omitempty"`
	ProductName    string `json:"productName,omitempty"`
	Machine        string `json:"machine"` // x64, arm64, x86
}

// DebFacts are read from a .deb's control file.
type DebFacts struct {
	Package      string `json:"package"`
	Version      string `json:"version"`
	Architecture string `json:"architecture"`
}

// RPMFacts are read from the header of an RPM package.
type RPMFacts struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Release string `json:"release"`
	Arch    string `json:"arch"`
	Epoch   int64  `json:"epoch,omitempty"` // none counts as 0
}

// PkgFacts are read from a macOS installer package. Identifier and Version are
// what devices keep a receipt of; Bundles are the applications it installs, none
// where they are more than MaxBundles.
type PkgFacts struct {
	Identifier string        `json:"identifier"`
	Version    string        `json:"version"`
	Bundles    []BundleFacts `json:"bundles,omitempty"`
}

// MaxBundles is how many applications of a package a release names.
const MaxBundles = 8

// BundleFacts are read from what a package says of an application inside: Version
// is the one for people (CFBundleShortVersionString), Build the other
// (CFBundleVersion).
type BundleFacts struct {
	ID      string `json:"id"`
	Version string `json:"version,omitempty"`
	Build   string `json:"build,omitempty"`
}

// Equal reports whether two packages say the same of themselves.
func (p PkgFacts) Equal(o PkgFacts) bool {
	return p.Identifier == o.Identifier && p.Version == o.Version && slices.Equal(p.Bundles, o.Bundles)
}

// Patched is a base installer with patches applied to it in order.
type Patched struct {
	Base    Blob   `json:"base"`
	Patches []Blob `json:"patches"`
}

// A Blob is bytes somewhere, by digest.
type Blob struct {
	URL    string `json:"url,omitempty"`
	PURL   string `json:"purl,omitempty"`
	Upload Digest `json:"upload,omitempty"`
	Size   int64  `json:"size"`
	SHA256 Digest `json:"sha256"`
}
