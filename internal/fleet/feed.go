package fleet

import "time"

// A Feed is one place that tells versions; exactly one field besides Match and
// Version is set.
type Feed struct {
	GitHubReleases  *GitHubReleases  `json:"githubReleases,omitempty"`
	GitHubTags      *GitHubTags      `json:"githubTags,omitempty"`
	GitLab          *GitLab          `json:"gitlab,omitempty"`
	Gitea           *Gitea           `json:"gitea,omitempty"`
	SourceForge     *SourceForge     `json:"sourceforge,omitempty"`
	HTTPJSON        *HTTPJSON        `json:"httpJSON,omitempty"`
	HTTPRegex       *HTTPRegex       `json:"httpRegex,omitempty"`
	HTTPHTML        *HTTPHTML        `json:"httpHTML,omitempty"`
	HTTPXML         *HTTPXML         `json:"httpXML,omitempty"`
	HTTPHeader      *HTTPHeader      `json:"httpHeader,omitempty"`
	News            *News            `json:"feed,omitempty"`
	Sparkle         *Sparkle         `json:"sparkle,omitempty"`
	Winget          *Winget          `json:"winget,omitempty"`
	Cask            *Cask            `json:"cask,omitempty"`
	NuGet           *NuGet           `json:"nuget,omitempty"`
	NPM             *NPM             `json:"npm,omitempty"`
	PyPI            *PyPI            `json:"pypi,omitempty"`
	Apt             *Apt             `json:"apt,omitempty"`
	RPM             *RPM             `json:"rpm,omitempty"`
	GoProxy         *GoProxy         `json:"goProxy,omitempty"`
	ElectronBuilder *ElectronBuilder `json:"electronBuilder,omitempty"`
	Squirrel        *Squirrel        `json:"squirrel,omitempty"`
	Omaha           *Omaha           `json:"omaha,omitempty"`
	Evergreen       *Evergreen       `json:"evergreen,omitempty"`
	Static          *Static          `json:"static,omitempty"`
	InFile          *InFile          `json:"installer,omitempty"`

	Match   string `json:"match,omitempty"`   // RE2 pattern that cuts the version out of what is told
	Version string `json:"version,omitempty"` // puts it together from the pattern's named groups
}

// GitHubReleases reads the releases of a repository. Tag is a pattern of the
// tag with {version} in it, "v{version}" for example; "{version}" by default.
type GitHubReleases struct {
	Repository string `json:"repository"`
	Tag        string `json:"tag"`
}

// GitHubTags reads the tags of a repository.
type GitHubTags struct {
	Repository string `json:"repository"`
	Tag        string `json:"tag"`
}

// GitLab reads the releases of a project of an instance.
type GitLab struct {
	Project  string `json:"project"`
	Instance string `json:"instance"`
	Tag      string `json:"tag"`
}

// Gitea reads the releases of a repository of an instance of Gitea or Forgejo.
type Gitea struct {
	Repository string `json:"repository"`
	Instance   string `json:"instance"`
	Tag        string `json:"tag"`
}

// SourceForge reads the paths of a project's files.
type SourceForge struct {
	Project string `json:"project"`
	Path    string `json:"path"`
}

// HTTPJSON reads versions from a JSON document by a JSONPath expression.
type HTTPJSON struct {
	URL       string `json:"url"`
	Path      string `json:"path"`
	Published string `json:"published,omitempty"` // JSONPath of the release time
}

// HTTPRegex reads versions from any text.
type HTTPRegex struct {
	URL     string `json:"url"`
	Pattern string `json:"pattern"`
}

// HTTPHTML reads versions from the elements of a page that a CSS selector
// names: from an attribute, or from their text.
type HTTPHTML struct {
	URL       string `json:"url"`
	Select    string `json:"select"`
	Attribute string `json:"attribute,omitempty"`
}

// HTTPXML reads versions from an XML document by XPath 1.0.
type HTTPXML struct {
	URL       string `json:"url"`
	Path      string `json:"path"`
	Published string `json:"published,omitempty"`
}

// HTTPHeader reads a version from a header of the answer at an address, whose
// redirect is not followed.
type HTTPHeader struct {
	URL    string `json:"url"`
	Header string `json:"header"`
}

// News reads versions from the entries of an Atom, RSS or JSON feed. Field is
// title, link, id or content.
type News struct {
	URL   string `json:"url"`
	Field string `json:"field"`
}

// Sparkle reads an appcast. Version is short, build or both.
type Sparkle struct {
	URL     string `json:"url"`
	Version string `json:"version"`
	Channel string `json:"channel,omitempty"`
}

// Winget reads the manifests of a package in a repository on GitHub or, when
// Source is set, in a REST source.
type Winget struct {
	ID         string `json:"id"`
	Repository string `json:"repository"`
	Source     string `json:"source,omitempty"`
}

// Cask reads a Homebrew cask.
type Cask struct {
	Token string `json:"token"`
	API   string `json:"api"`
}

// NuGet reads the versions of a package. Protocol is 2 or 3.
type NuGet struct {
	ID       string `json:"id"`
	Source   string `json:"source"`
	Protocol int    `json:"protocol"`
}

// NPM reads the dist-tags of an npm package from the configured registry.
type NPM struct {
	Package string `json:"package"`
	Tag     string `json:"tag"` // dist-tag, "latest" by default
}

// PyPI reads the versions of a project from the configured index.
type PyPI struct {
	Project string `json:"project"`
}

// Apt reads a package's version from the configured Debian mirror.
type Apt struct {
	Package      string `json:"package"`
	Suite        string `json:"suite"`
	Component    string `json:"component"`
	Architecture string `json:"architecture"`
}

// RPM reads a package's versions from a repository.
type RPM struct {
	URL          string `json:"url"`
	Package      string `json:"package"`
	Architecture string `json:"architecture"`
}

// GoProxy reads the newest tagged version of a Go module from GOPROXY.
// Detection only: source is never released.
type GoProxy struct {
	Module string `json:"module"`
}

// ElectronBuilder reads a latest*.yml.
type ElectronBuilder struct {
	URL string `json:"url"`
}

// Squirrel reads a RELEASES file.
type Squirrel struct {
	URL string `json:"url"`
	ID  string `json:"id"`
}

// Omaha asks an update server which version an application should have.
type Omaha struct {
	URL       string `json:"url"`
	App       string `json:"app"`
	AP        string `json:"ap"`
	Platform  string `json:"platform"`
	Arch      string `json:"arch"`
	OSVersion string `json:"osVersion"`
}

// Evergreen reads the rows of an application that have the wanted values.
type Evergreen struct {
	App   string            `json:"app"`
	API   string            `json:"api"`
	Where map[string]string `json:"where,omitempty"`
}

// Static is a version that a person wrote.
type Static struct {
	Version   string    `json:"version"`
	Published time.Time `json:"published,omitzero"`
	Page      string    `json:"page,omitempty"`
}

// InFile reads the version that an installer at a fixed address carries. Read is
// pe, msi or pkg.
type InFile struct {
	URL  string `json:"url"`
	Read string `json:"read"`
}
