package upstream

import (
	"path"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/releases"
)

// asset fills in where the file of that name is among those that the feed lists
// for a version. A name may hold *; it must then fit one file.
func (t told) asset(at *Located, name, v string) error {
	return t.pick(at, v, "asset "+name, func(f releases.File) bool {
		ok, err := path.Match(name, f.Name)
		return err == nil && ok
	})
}

// listed fills in where the file is that the feed lists for an installer's
// platform: what the feed tells of a file must be what the installer says, and it
// must be the only such file.
func (t told) listed(at *Located, in fleet.Installer, v string) error {
	same := func(told, want string) bool { return told == "" || want == "" || strings.EqualFold(told, want) }
	return t.pick(at, v, "file for "+strings.TrimSpace(in.Arch+" "+in.Type+" "+in.Language), func(f releases.File) bool {
		return same(f.Arch, in.Arch) && same(f.Type, in.Type) && same(f.Scope, in.Scope) && same(f.Language, in.Language)
	})
}

func (t told) pick(at *Located, v, what string, fits func(releases.File) bool) error {
	entry, ok := t.entries[v]
	if !ok {
		return holdf(fleet.HoldUnreachable, "the feed lists no release %s", v)
	}
	fit := slices.DeleteFunc(slices.Clone(entry.Files), func(f releases.File) bool { return !fits(f) })
	switch {
	case len(fit) == 0:
		return holdf(fleet.HoldUnreachable, "release %s has no %s (yet)", v, what)
	case len(fit) > 1 && slices.ContainsFunc(fit, func(f releases.File) bool { return f.URL != fit[0].URL }):
		return holdf(fleet.HoldUnparsable, "release %s has more than one %s: %s and %s", v, what, fit[0].Name, fit[1].Name)
	}
	at.URL, at.Size, at.Digest, at.SHA512 = fit[0].URL, fit[0].Size, fit[0].SHA256, fit[0].SHA512
	return nil
}
