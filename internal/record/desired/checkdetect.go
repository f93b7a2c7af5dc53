package desired

import (
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/detection"
	"github.com/packmill/packmill/internal/rules/version"
)

// detection tries a package's rules out on imagined devices. One cause shows in
// many releases, and merged ones do not change: each installer is told about
// the newest release that has one.
func (x *checks) detection(file string, p fleet.Package) {
	found := detection.Contradictions(p)
	newest := map[string]string{}
	for _, c := range found {
		newest[c.Installer] = c.Release
	}
	for _, c := range found {
		if newest[c.Installer] == c.Release {
			x.fault(file, k("pkg", "installers", c.Installer, "detect"), "cannot work for %s: %s", c.Release, c.What)
		}
	}
}

// placeholders reports words in braces that nothing is filled in for.
func (x *checks) placeholders(file string, keys []string, template string, known []string) {
	for _, word := range version.Unknown(template, known) {
		hint := suggest(word, known)
		if hint == "" {
			hint = ": known here is " + strings.Join(known, ", ")
		}
		x.fault(file, keys, "%s is no placeholder%s", word, hint)
	}
}
