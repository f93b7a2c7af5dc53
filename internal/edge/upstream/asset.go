package upstream

import (
	"path"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/releases"
)

// asset is the file of that name among those that the feed lists for a version. A
// name may hold *; it must then fit one file.
func (t told) asset(name, v string) (releases.File, error) {
	return t.pick(v, "asset "+name, func(f releases.File) int {
		if ok, err := path.Match(name, f.Name); err == nil && ok {
			return 1
		}
		return 0
	})
}

// listed is the file that the feed lists for an installer's platform: what the
// feed tells of a file must be what the installer says. Of several, the one wins of
// which most is told that is said, and nothing that is not said: an installer
// without a language gets the file without one.
func (t told) listed(in fleet.Installer, v string) (releases.File, error) {
	return t.pick(v, "file for "+strings.TrimSpace(in.Arch+" "+in.Type+" "+in.Language), func(f releases.File) int {
		fit := 1
		for _, pair := range [][2]string{{f.Arch, in.Arch}, {f.Type, in.Type}, {f.Scope, in.Scope}, {f.Language, in.Language}} {
			switch told, want := pair[0], pair[1]; {
			case strings.EqualFold(told, want):
				fit++
			case told != "" && want != "":
				return 0
			}
		}
		return fit
	})
}

// pick is the file that fits best; 0 is not at all.
func (t told) pick(v, what string, fits func(releases.File) int) (releases.File, error) {
	entry, ok := t.entries[v]
	if !ok {
		return releases.File{}, holdf(fleet.HoldUnreachable, "the feed lists no release %s", v)
	}
	best := 0
	var fit []releases.File
	for _, f := range entry.Files {
		switch n := fits(f); {
		case n == 0 || n < best:
		case n > best:
			best, fit = n, []releases.File{f}
		default:
			fit = append(fit, f)
		}
	}
	switch {
	case len(fit) == 0:
		return releases.File{}, holdf(fleet.HoldUnreachable, "release %s has no %s (yet)%s", v, what, t.names(v))
	case len(fit) > 1 && slices.ContainsFunc(fit, func(f releases.File) bool { return f.URL != fit[0].URL }):
		return releases.File{}, holdf(fleet.HoldUnparsable, "release %s has more than one %s: %s and %s", v, what, fit[0].Name, fit[1].Name)
	}
	return fit[0], nil
}

// names are some of the files that a version has, for whoever looks for another.
func (t told) names(v string) string {
	var out []string
	for i, f := range t.entries[v].Files {
		if i == 5 {
			out = append(out, "…")
			break
		}
		out = append(out, shorten(f.Name))
	}
	if len(out) == 0 {
		return ""
	}
	return ": it has " + strings.Join(out, ", ")
}
