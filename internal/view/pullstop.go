package view

import (
	"fmt"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// A Stop is a version that must not be merged any more, and why.
type Stop struct {
	Package fleet.PackageID
	Version string
	Hold    string
	Why     string
}

// The comments around what Stopped adds.
const (
	stopBegin = "<!-- packmill:stopped -->\n"
	stopEnd   = "<!-- /packmill:stopped -->\n\n"
)

// IsStopped reports whether a pull request's text says that it must not be
// merged.
func IsStopped(body string) bool { return strings.HasPrefix(body, stopBegin) }

// Stopped is a pull request's text with the word in front that it must not be
// merged, and why; without stops it is the text alone. What an earlier call put
// there goes.
func Stopped(body string, stops []Stop) string {
	if rest, found := strings.CutPrefix(body, stopBegin); found {
		if _, after, ended := strings.Cut(rest, stopEnd); ended {
			body = after
		}
	}
	if len(stops) == 0 {
		return body
	}
	var b strings.Builder
	b.WriteString(stopBegin)
	for i, s := range stops {
		if i == 5 {
			fmt.Fprintf(&b, "> … and %s more\n", plural(len(stops)-i, "version"))
			break
		}
		fmt.Fprintf(&b, "> %s **Do not merge: %s %s is held as %s.** %s\n>\n", glyphStop, within(string(s.Package), 160, Neutral), within(s.Version, 80, Neutral),
			within(s.Hold, 40, Neutral), within(s.Why, rowBytes, Neutral))
	}
	return b.String() + stopEnd + body
}
