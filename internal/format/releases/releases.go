// Package releases reads what vendors and package managers publish about
// releases: appcasts, news feeds, manifests, indexes, pages. Each reader is a
// pure function of an answer's bytes and gives entries of one shape.
//
// Answers are hostile until read: readers are handed bodies of bounded size,
// never panic, and ignore fields they do not know. What they cannot find in a
// document that should have it is an error, never a guess. Whether an entry's
// version is one that a package may take is not decided here.
package releases

import (
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// An Entry is one version as a document tells it.
type Entry struct {
	Version    string    // as it is written there
	Published  time.Time // UTC; zero when the document does not say
	Prerelease bool      // the document says so; the version may say it, too
	Files      []File
	Notes      string // the vendor's words about it, of whatever markup
	NotesURL   string
	More       string // where the rest is told, for documents that list versions only

	// Values are what a pattern's named groups found beside the version.
	Values map[string]string
}

// A File is a download that an entry lists. Empty fields are not told.
type File struct {
	Name     string // last part of the address when the document gives no name
	URL      string
	Arch     string // x64, arm64, x86, universal
	Type     string // as packages spell it: msi, exe, msix, pkg, …
	Scope    string // machine, user
	Language string // BCP 47: "en-US"
	Size     int64  // bytes
	SHA256   fleet.Digest
	SHA512   string // hexadecimal
}

// Limits of what a document may hold.
const (
	maxEntries = 20_000
	maxText    = 4 << 10 // of a version, a name or an address
	maxNotes   = 64 << 10
	// Trees of a document take some hundred bytes for each part.
	maxDocument = 32 << 20
	maxElements = 1 << 19 // of XML and HTML, attributes counted
	maxValues   = 1 << 20 // of JSON
	maxManifest = 1 << 20 // bytes of what lists one release, or some
)
