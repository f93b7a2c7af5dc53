package fleet

// A Manifest is what another catalog says of one version of an application:
// winget, Homebrew, Scoop or Evergreen. It is a stranger's word: nothing in it
// is a fact of ours until somebody looked.
type Manifest struct {
	Kind      string   // winget, cask, scoop, evergreen
	Read      []string // where it was read: paths, addresses
	ID        string   // package identifier, token, name in the bucket, application
	Publisher string   // as people know the vendor; "" where the format tells none
	Name      string   // as people know the application
	Version   string   // as the catalog spells it
	Homepage  string   // address of the application's page
	Updates   bool     // the manifest says that the application updates itself

	Installers []Offer
	Check      *ScoopCheck // Scoop's checkver; nil elsewhere
}

// The kinds of manifests.
const (
	ManifestWinget    = "winget"
	ManifestCask      = "cask"
	ManifestScoop     = "scoop"
	ManifestEvergreen = "evergreen"

	// ManifestFile is an installer's own word.
	ManifestFile = "file"
)

// An Offer is one installer that a manifest lists.
type Offer struct {
	Platform string // windows, macos
	Arch     string // x64, x86, arm64, universal; as the manifest spells it where it is none of them
	// Type is how the file installs, in winget's words and some more: msi, wix,
	// exe, nullsoft, inno, burn, msix, appx, portable, pkg; and for what packmill
	// has no type: dmg, app, archive, or the manifest's own word.
	Type     string
	Scope    string // machine, user, or "" where it is not said
	Language string // BCP 47 tag, "" where it is not said
	URL      string
	Template string            // Scoop's autoupdate address, with its $variables
	Member   string            // path of the file that is meant inside the file at URL
	Row      map[string]string // Evergreen: the other values of the row, by name

	Silent       string // arguments of a silent run
	Custom       string // arguments that are always added
	ProductCode  string // name of the key below Uninstall, or MSI product code
	Display      string // version that Windows shows, where it is said to differ
	Family       string // package family name of an MSIX
	OS           string // lowest system version: "10.0.17763.0"
	Elevation    string // winget's ElevationRequirement
	SuccessCodes []string
	ReturnCodes  map[string]string // exit code → winget's ReturnResponse

	Receipts []string // macOS: ids of package receipts that an uninstallation forgets
	Quits    []string // macOS: bundle ids that an uninstallation quits
}

// A ScoopCheck is how Scoop finds a new version
// (github.com/ScoopInstaller/Scoop/wiki/App-Manifest-Autoupdate).
type ScoopCheck struct {
	GitHub      string // address of the repository
	SourceForge string // "project" or "project/path"
	URL         string
	Regex       string
	JSONPath    string
	XPath       string
	Replace     string // how the version is put together from the regex's groups
	Other       string // what else it asks for that has no counterpart: "script"
}
