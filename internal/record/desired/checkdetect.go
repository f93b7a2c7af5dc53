package desired

import (
	"reflect"
	"slices"
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

// upstream checks how versions are read, which of them are wanted, and how many
// sources must agree.
func (x *checks) upstream(file string, p fleet.Package) {
	if p.Upstream == nil {
		return
	}
	u, at := *p.Upstream, k("pkg", "upstream")
	switch {
	case u.Scheme == version.Regex:
		if why := version.PatternFault(u.Pattern); why != "" {
			x.fault(file, append(at, "pattern"), "the pattern %q orders no versions: %s", u.Pattern, why)
		}
	case u.Pattern != "":
		x.fault(file, append(at, "pattern"), "only scheme %q has a pattern; this is %q", version.Regex, u.Scheme)
	}
	for i, glob := range u.Ignore {
		x.glob(file, k("pkg", "upstream", "ignore", index(i)), glob)
	}
	for i, f := range u.Agree {
		if reflect.DeepEqual(f, u.From) || slices.ContainsFunc(u.Agree[:i], func(other fleet.Feed) bool { return reflect.DeepEqual(f, other) }) {
			x.fault(file, k("pkg", "upstream", "agree", index(i)), "is asked already: a source cannot confirm itself")
		}
	}
	switch sources := 1 + len(u.Agree); {
	case u.Quorum == 1 && sources > 1:
		x.fault(file, append(at, "quorum"), "one source agrees with itself: ask for 2 or more, or leave agree out")
	case u.Quorum > sources:
		x.fault(file, append(at, "quorum"), "%d sources must agree, and there are %d", u.Quorum, sources)
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
