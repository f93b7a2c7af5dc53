package vendors

import "time"

// Data is everything the simulated vendors will ever publish.
type Data struct {
	GitHub  []Repository `json:"github,omitempty"`
	NPM     []NPMPackage `json:"npm,omitempty"`
	Debian  []DebRelease `json:"debian,omitempty"`
	Modules []Module     `json:"modules,omitempty"`
	Pages   []Page       `json:"pages,omitempty"`
	Faults  []Fault      `json:"faults,omitempty"`

	Exploited []Exploited `json:"exploited,omitempty"` // by CISA's catalog
	Scores    []Score     `json:"scores,omitempty"`    // of EPSS
}

// Shown says when something can be seen: from At on, until Until if that is
// set.
type Shown struct {
	At    time.Time `json:"at"`
	Until time.Time `json:"until,omitzero"`
}

// In reports whether an instant falls into the time.
func (s Shown) In(now time.Time) bool {
	return !now.Before(s.At) && (s.Until.IsZero() || now.Before(s.Until))
}

// A Repository is one on GitHub with its releases, in any order.
type Repository struct {
	Name     string    `json:"name"` // owner/name
	Releases []Release `json:"releases"`
}

// A Release is one of a repository.
type Release struct {
	Shown
	Tag        string             `json:"tag"`
	Prerelease bool               `json:"prerelease,omitempty"`
	Draft      bool               `json:"draft,omitempty"`
	Notes      string             `json:"notes,omitempty"`  // Markdown
	Assets     map[string]Content `json:"assets,omitempty"` // by file name
}

// An NPMPackage is a package of the registry.
type NPMPackage struct {
	Name     string       `json:"name"`
	Versions []NPMVersion `json:"versions"` // dist-tag "latest" names the last visible one
}

// An NPMVersion is one version; Files are the members of its tarball below
// "package/", beside package.json.
type NPMVersion struct {
	Shown
	Version string             `json:"version"`
	Files   map[string]Content `json:"files,omitempty"`
}

// A DebRelease is a Debian package in a suite of the mirror. The index lists
// the last visible one of each name, as archives do; the pool keeps all.
type DebRelease struct {
	Shown
	Suite string  `json:"suite"`
	Deb   Content `json:"deb"` // of kind deb
}

// A Module is a Go module with its versions.
type Module struct {
	Path     string          `json:"path"`
	Versions []ModuleVersion `json:"versions"`
}

// A ModuleVersion is "v1.2.3" and its time.
type ModuleVersion struct {
	Shown
	Version string `json:"version"`
}

// A Page is what a host answers at a path. Of several pages with one address
// the last visible one counts.
type Page struct {
	Shown
	Host    string  `json:"host"`
	Path    string  `json:"path"` // "/latest.json"
	Content Content `json:"content"`
}

// A Fault is trouble at every address that begins with a path, between two
// instants.
type Fault struct {
	Shown
	Path string `json:"path"` // "/github.com/acme/tool/", host and all
	Kind string `json:"kind"`
}

// The kinds of faults.
const (
	RateLimited = "rate-limited" // 429 with Retry-After of an hour
	Unavailable = "unavailable"  // 503
	HTML        = "html"         // a page for people in place of the answer
	Truncated   = "truncated"    // the connection ends halfway
	Changed     = "changed"      // other bytes, which every listing states as if they had always been
)
