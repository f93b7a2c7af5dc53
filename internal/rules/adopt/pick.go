package adopt

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// types are the installer types of packmill by the manifests' words, in the
// order in which one is preferred where a vendor offers several: what an MSI does
// can be read, and it is removed by what Windows knows of it.
var types = []struct{ theirs, ours string }{
	{"msi", "msi"}, {"wix", "msi"}, {"burn", "exe"}, {"inno", "exe"}, {"nullsoft", "exe"}, {"exe", "exe"},
	{"msix", "msix"}, {"appx", "msix"}, {"pkg", "pkg"}, {"portable", "portable"}, {"deb", "deb"}, {"rpm", "rpm"},
}

func typeOf(theirs string) (ours string, rank int) {
	for i, t := range types {
		if t.theirs == theirs {
			return t.ours, i
		}
	}
	return "", len(types)
}

var archs = map[string]string{"x64": "x64", "amd64": "x64", "x86": "x86", "arm64": "arm64", "universal": "universal", "any": "universal", "anycpu": "universal"}

// languageTag is the form that the schema asks for.
var languageTag = regexp.MustCompile(`^[a-zA-Z]{2,3}(-[A-Za-z0-9]{2,8})*$`)

// pick chooses the installers that are taken over: for each processor those for
// the whole machine before those for a user, of one type, in the languages asked
// for.
func (w *work) pick() ([]fleet.Offer, error) {
	var usable []fleet.Offer
	var why []string
	for _, o := range w.m.Installers {
		reason := unusable(&o)
		if reason == "" {
			usable = append(usable, o)
		} else if !slices.Contains(why, reason) {
			why = append(why, reason)
		}
	}
	if len(usable) == 0 {
		if len(why) == 0 {
			why = []string{"it lists no installer"}
		}
		e := w.refuse("nothing in the manifest can be installed by packmill: %s", strings.Join(why, "; "))
		e.Hint = hint(w.m)
		return nil, e
	}
	w.result.LeftOut = why
	var out []fleet.Offer
	for _, arch := range []string{"x64", "arm64", "x86", "universal"} {
		of := slices.DeleteFunc(slices.Clone(usable), func(o fleet.Offer) bool { return o.Arch != arch })
		if len(of) > 0 {
			best, err := w.best(arch, of)
			if err != nil {
				return nil, err
			}
			out = append(out, best...)
		}
	}
	return w.merged(out), nil
}

// unusable says why an offer cannot be taken over, "" when it can. It spells the
// processor as packages do.
func unusable(o *fleet.Offer) string {
	arch, known := archs[o.Arch]
	_, rank := typeOf(o.Type)
	switch {
	case o.Type == "dmg":
		return "a disk image (" + name(o.URL) + ") is no installer"
	case o.Type == "app":
		return "an application bundle (" + name(o.URL) + ") is no installer"
	case o.Type == "archive":
		return "of the archive " + name(o.URL) + " it is not said which file is meant, or packmill cannot read it"
	case rank == len(types):
		return fmt.Sprintf("type %q is none of packmill's", o.Type)
	case !known:
		return fmt.Sprintf("no device has the processor %q", o.Arch)
	case hostOf(o.URL) == "":
		return "the address of " + name(o.URL) + " is no plain https address"
	case strings.ContainsAny(o.URL, "{} ") || strings.ContainsAny(o.Member, "{}"):
		return "the address of " + name(o.URL) + " holds braces or spaces"
	}
	o.Arch = arch
	if !languageTag.MatchString(o.Language) {
		o.Language = ""
	}
	return ""
}

// hint says what to do about a manifest without an installer for packmill.
func hint(m *fleet.Manifest) string {
	if m.Kind == fleet.ManifestCask {
		return "packmill installs .pkg files on macOS: look whether the vendor offers one for managed devices and write its address into a package.cue by hand, or build a .pkg of the application and hand it in as an upload"
	}
	return "write the package by hand; another catalog may know an installer: winget:, cask:, scoop:, evergreen:"
}

// best are the offers for one processor that are taken over.
func (w *work) best(arch string, of []fleet.Offer) ([]fleet.Offer, error) {
	out := of
	keep := func(what string, good func(fleet.Offer) bool) {
		kept := slices.DeleteFunc(slices.Clone(out), func(o fleet.Offer) bool { return !good(o) })
		if len(kept) > 0 && len(kept) < len(out) {
			w.result.LeftOut = append(w.result.LeftOut, arch+": "+what)
		}
		if len(kept) > 0 {
			out = kept
		}
	}
	keep("installers for one user, as there is one for the machine", func(o fleet.Offer) bool { return o.Scope != "user" })
	rank := len(types)
	for _, o := range out {
		_, r := typeOf(o.Type)
		rank = min(rank, r)
	}
	keep("other types, as there is one of type "+types[rank].theirs, func(o fleet.Offer) bool { return o.Type == types[rank].theirs })
	return w.inLanguages(arch, out)
}

// inLanguages are the offers in the languages asked for, one each. An offer of no
// language is for all, and so is the only one there is.
func (w *work) inLanguages(arch string, of []fleet.Offer) ([]fleet.Offer, error) {
	by := map[string]fleet.Offer{}
	for _, o := range slices.Backward(of) {
		by[o.Language] = o // of several, the manifest's first
	}
	has := slices.Sorted(maps.Keys(by))
	want := slices.DeleteFunc(slices.Clone(has), func(l string) bool { return !slices.Contains(w.options.Languages, l) })
	switch {
	case len(has) == 1:
		of[0].Language = ""
		return of[:1], nil
	case len(w.options.Languages) > 0 && len(want) == 0 && has[0] != "":
		return nil, w.refuse("no installer for %s is in the language %s; there are %s", arch, strings.Join(w.options.Languages, " or "), strings.Join(has, ", "))
	case len(want) > 0:
	case has[0] == "", !slices.Contains(has, "en-US"):
		want = has[:1]
	default:
		want = []string{"en-US"}
	}
	var out []fleet.Offer
	var others []string
	for _, l := range has {
		switch {
		case slices.Contains(want, l):
			out = append(out, by[l])
		case l == "":
			w.result.LeftOut = append(w.result.LeftOut, arch+": the installer of no language, as there is one in a language asked for")
		default:
			others = append(others, l)
		}
	}
	if len(others) > 0 {
		w.result.LeftOut = append(w.result.LeftOut, arch+": languages "+strings.Join(others, ", ")+" (--language takes them)")
	}
	return out, nil
}

// merged makes one installer of several whose file is the same for every
// processor.
func (w *work) merged(list []fleet.Offer) []fleet.Offer {
	if len(list) < 2 || slices.ContainsFunc(list, func(o fleet.Offer) bool {
		return o.URL != list[0].URL || o.Type != list[0].Type || o.Scope != list[0].Scope
	}) {
		return list
	}
	has := func(arch string) bool {
		return slices.ContainsFunc(list, func(o fleet.Offer) bool { return o.Arch == arch })
	}
	if !has("x64") || !has("arm64") {
		return list
	}
	list[0].Arch = "universal"
	return list[:1]
}

// name is the last part of an address, fit for a message.
func name(address string) string {
	address, _, _ = strings.Cut(address, "?")
	return fmt.Sprintf("%.80q", address[strings.LastIndexByte(address, '/')+1:])
}
