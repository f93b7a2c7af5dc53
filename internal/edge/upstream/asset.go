package upstream

import (
	"path"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/releases"
)

// asset is the file of that name among those that the feed lists for a version. A name may hold *; it must then fit one file.
func (t told) asset(name, v string) (releases.File, error) {
	return t.pick(v, "asset "+name, func(f releases.File) bool {
		ok, err := path.Match(name, f.Name)
		return err == nil && ok
	})
}

// listed is the file that the feed lists for an installer's platform: what the feed tells of a file must be what the installer says, and it
// must be the only such file.
func (t told) listed(in fleet.Installer, v string) (releases.File, error) {
	same := func(told, want string) bool { return told == "" || want == "" || strings.EqualFold(told, want) }
	return t.pick(v, "file for "+strings.TrimSpace(in.Arch+" "+in.Type+" "+in.Language), func(f releases.File) bool {
		return same(f.Arch, in.Arch) && same(f.Type, in.Type) && same(f.Scope, in.Scope) && same(f.Language, in.Language)
	})
}

func (t told) pick(v, what string, fits func(releases.File) bool) (releases.File, error) {
	entry, ok := t.entries[v]
	if !ok {
		return releases.File{}, holdf(fleet.HoldUnreachable, "the feed lists no release %s", v)
	}
	fit := slices.DeleteFunc(slices.Clone(entry.Files), func(f releases.File) bool { return !fits(f) })
	switch {
	case len(fit) == 0:
		return releases.File{}, holdf(fleet.HoldUnreachable, "release %s has no %s (yet)", v, what)
	case len(fit) > 1 && slices.ContainsFunc(fit, func(f releases.File) bool { return f.URL != fit[0].URL }):
		return releases.File{}, holdf(fleet.HoldUnparsable, "release %s has more than one %s: %s and %s", v, what, fit[0].Name, fit[1].Name)
	}
	return fit[0], nil
}
