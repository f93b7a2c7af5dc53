// Package adopt makes a package of what another catalog says of an application.
//
// What the manifest tells is taken over where it is a fact about the installer:
// addresses, product codes, arguments, exit codes. Where the vendor himself
// publishes is read off the addresses, because the catalog is somebody else's copy
// of the vendor's word. What cannot be known from a manifest becomes a Question at
// the field it concerns, and the field gets a value that does no harm until it is
// answered: a rule that finds nothing, a way back that is none. Nothing is guessed.
package adopt

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/version"
)

// Options are what the person who imports says.
type Options struct {
	// ID is the package's id; derived from the manifest when empty.
	ID fleet.PackageID
	// Publisher is the first part of the id, when ID is empty.
	Publisher string
	// Languages are the installers' languages to take where there are several;
	// English of the United States, or else the first, when empty.
	Languages []string
	// Environments are those of catalog/matrices.cue.
	Environments map[string]fleet.Environment
}

// A Question is something that the manifest could not tell.
type Question struct {
	At   string // path of the field below pkg or publisher: "installers.x64.detect"
	Text string // one sentence or two, without control characters
}

// A Result is a package that validates, and what is open about it.
type Result struct {
	Package   fleet.Package
	Questions []Question
	LeftOut   []string // installers that were not taken over, and why

	Publisher          fleet.Publisher // a proposal for a publisher that is new
	PublisherQuestions []Question
}

// Package makes a package of a manifest. Its errors are of kind Refused: there is
// nothing in the manifest that packmill could install, or no order for its version.
func Package(m *fleet.Manifest, o Options) (*Result, error) {
	w := &work{m: m, options: o, result: &Result{}}
	picked, err := w.pick()
	if err != nil {
		return nil, err
	}
	id, err := w.id(picked)
	if err != nil {
		return nil, err
	}
	p := &w.result.Package
	*p = fleet.Package{ID: id, Name: m.Name, Kind: "application", Sources: m.Read, Installers: map[string]fleet.Installer{}, Updater: "none"}
	p.Identity = identity(m)
	up, err := w.upstream(picked)
	if err != nil {
		return nil, err
	}
	if m.Updates {
		p.Updater = "tolerate"
		w.ask("updater", "The manifest says that the program updates itself. Can the installation disable that? Then write \"disable\" and compare with \"=\".")
	} else if m.Kind != fleet.ManifestCask {
		w.ask("updater", "Does the program update itself? The manifest does not say, and none is assumed.")
	}
	for i, offer := range picked {
		key := keyOf(offer, picked)
		p.Installers[key] = w.installer("installers."+key, offer, up.sources[i])
	}
	w.rollback(picked)
	w.tests(picked)
	w.publisher(picked, up)
	return w.result, nil
}

// A work is one manifest on its way.
type work struct {
	m       *fleet.Manifest
	options Options
	result  *Result
}

func (w *work) ask(at, format string, args ...any) {
	w.result.Questions = append(w.result.Questions, Question{At: at, Text: fmt.Sprintf(format, args...)})
}

func (w *work) refuse(format string, args ...any) *fleet.Error {
	return fleet.Errorf(fleet.Refused, "adopt", w.m.ID, format, args...)
}

func identity(m *fleet.Manifest) *fleet.PackageIdentity {
	switch m.Kind {
	case fleet.ManifestWinget:
		return &fleet.PackageIdentity{Winget: m.ID}
	case fleet.ManifestCask:
		var bundles []string
		for _, o := range m.Installers {
			if b := bundleOf(o); b != "" && !slices.Contains(bundles, b) {
				bundles = append(bundles, b)
			}
		}
		return &fleet.PackageIdentity{Cask: m.ID, Bundles: bundles}
	}
	return nil
}

// rollback is "uninstall" where packmill knows how all installers are removed.
func (w *work) rollback(picked []fleet.Offer) {
	w.result.Package.Rollback = "uninstall"
	for _, o := range picked {
		switch o.Type {
		case "msi", "wix", "burn", "msix", "appx", "portable":
		default:
			w.result.Package.Rollback = "forwardOnly"
		}
	}
	if w.result.Package.Rollback == "forwardOnly" {
		w.ask("rollback", "How is a release taken back? Once it is known how the program is removed: \"uninstall\", or \"previous\" if an older one installs over a newer one.")
	}
}

// tests names the environments that run what was taken over.
func (w *work) tests(picked []fleet.Offer) {
	matrix := []string{}
	for _, name := range slices.Sorted(maps.Keys(w.options.Environments)) {
		env := w.options.Environments[name]
		if slices.ContainsFunc(picked, func(o fleet.Offer) bool {
			ours, _ := typeOf(o.Type)
			return env.Takes(fleet.Installer{Platform: o.Platform, Arch: o.Arch, Type: ours})
		}) {
			matrix = append(matrix, name)
		}
	}
	w.result.Package.Tests.Matrix = matrix
	if len(matrix) == 0 {
		w.ask("tests", "Where is it tested? No environment of catalog/matrices.cue runs these installers.")
	}
}

// publisher proposes the file of a publisher that is new.
func (w *work) publisher(picked []fleet.Offer, up found) {
	p := fleet.Publisher{Name: w.m.Publisher, Hosts: []string{}}
	say := func(at, format string, args ...any) {
		w.result.PublisherQuestions = append(w.result.PublisherQuestions, Question{at, fmt.Sprintf(format, args...)})
	}
	if p.Name == "" {
		p.Name = w.result.Package.ID.Publisher()
		say("name", "What is the vendor called? The manifest does not say; this is the name of the folder, which --publisher chooses at the import.")
	}
	for i, o := range picked {
		hosts := []string{hostOf(o.URL)}
		if up.sources[i] != nil {
			hosts = append(hosts, hostOf(up.sources[i].URL))
		}
		for _, h := range hosts {
			if h != "" && !slices.Contains(p.Hosts, h) {
				p.Hosts = append(p.Hosts, h)
			}
		}
	}
	slices.Sort(p.Hosts)
	say("hosts", "Are these the vendor's own? They are the hosts of the manifest's addresses; where these redirect to is not known.")
	say("signers", "Who signs the installers? The first `packmill propose` shows the subject, and holds the release until it is written here.")
	w.result.Publisher = p
}

// scheme is how the versions of a feed are ordered, by the form of one.
func (w *work) scheme(v string) (string, error) {
	schemes := []string{version.Windows, version.Semver, version.Loose}
	if strings.Contains(v, ",") {
		schemes = []string{version.Composite}
	}
	for _, scheme := range schemes {
		if _, err := version.Parse(scheme, v); err == nil {
			return scheme, nil
		}
	}
	return "", w.refuse("no scheme orders versions such as %q; there are %s", v, strings.Join(version.Schemes(), ", "))
}
