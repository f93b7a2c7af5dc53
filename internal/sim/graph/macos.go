package graph

import (
	"bytes"
	"os"
	"strconv"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/xar"
)

// A payload is what a macOS device finds when it has decrypted a content.
type payload struct {
	Bundles []fleet.BundleFacts `json:",omitempty"` // that a package says it installs
	Image   bool                `json:",omitempty"` // it is a disk image, which nobody looks into here
	Wrong   string              `json:",omitempty"` // why it is neither
}

// mounted reads decrypted content as a device would: a package is read, a disk
// image is known by the last block of its file (Apple's "koly" trailer).
func mounted(plain *os.File, size int64) payload {
	const trailer = 512
	tail := make([]byte, trailer)
	if n, err := plain.ReadAt(tail, max(size-trailer, 0)); err == nil && n == trailer && bytes.HasPrefix(tail, []byte("koly")) {
		return payload{Image: true}
	}
	f, err := xar.Read(plain, size)
	if err != nil {
		return payload{Wrong: err.Error()}
	}
	facts := f.Facts()
	if len(facts.Bundles) == 0 {
		for _, b := range f.Apps() { // a release names a few at most
			facts.Bundles = append(facts.Bundles, fleet.BundleFacts{ID: b.ID, Version: b.ShortVersion, Build: b.Version})
		}
	}
	return payload{Bundles: facts.Bundles}
}

// unable says why a device cannot install the content as an app of a kind, "" when it
// can.
func (p payload) unable(kind string) string {
	switch {
	case p.Wrong != "":
		return p.Wrong
	case p.Image != (kind == dmgType):
		return "the content is no file of its kind"
	}
	return ""
}

// installs are the applications that a device has afterwards, and what it reports
// of one that states no version: "0" where bare, else the app's. What is in a disk
// image is believed.
func (e *epoch) installs(bare bool) map[string]string {
	out := map[string]string{}
	if e.Payload.Image {
		for _, b := range bundlesOf(e.Props) {
			out[b.id] = b.version
		}
		return out
	}
	for _, b := range e.Payload.Bundles {
		out[b.ID] = b.Version
		switch {
		case b.Version == "" && bare:
			out[b.ID] = "0"
		case b.Version == "":
			out[b.ID] = e.Version
		}
	}
	return out
}

// bundled reports whether a macOS device has all applications of an app. What was
// there before the world began is known by its version.
func (r *run) bundled(e *epoch) bool {
	if r.has.bundles == nil {
		return r.has.version != "" && (r.has.version == e.Version || anyVersion(e.Props))
	}
	for _, b := range bundlesOf(e.Props) {
		have, ok := r.has.bundles[b.id]
		if !ok || have != b.version && !anyVersion(e.Props) {
			return false
		}
	}
	return true
}

// versionNumbers are the parts of a version; what is no number is 0.
func versionNumbers(text string) []int {
	var out []int
	for part := range strings.SplitSeq(text, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			n = 0
		}
		out = append(out, n)
	}
	return out
}
