package adopt

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/version"
)

// A Given is a file that somebody has, and what he says of it.
type Given struct {
	File    *fleet.Inspection
	URL     string // where it was downloaded; "" for a file that was handed in
	Name    string // of the program; what the file calls itself when empty
	Version string // what the file says when empty
	Type    string // installer type; what the file is when empty
	Key     string // armored OpenPGP key that signed an RPM package; "" when none is at hand
}

// File makes a package of one installer by what its bytes say, and of nothing
// else. What is in no installer (where newer versions will be, what an installer
// program leaves on a device) becomes a question. Its errors are of kind Refused:
// packmill deploys no such file, or the file does not name what it is of.
func File(g Given, o Options) (*Result, error) {
	w := &work{m: manifestOf(g), options: o, result: &Result{}}
	offer := w.m.Installers[0]
	if g.File.Type == "" && g.Type == "" {
		e := w.refuse("packmill deploys no such file: it is %s", g.File.Kind)
		e.Hint = otherwise(g.File.Kind)
		return nil, e
	}
	if g.File.Type == "msix" {
		e := w.refuse("packmill builds nothing of an MSIX: its console for Windows takes programs as Win32 apps, which carry none")
		e.Hint = "add the vendor's MSI or exe"
		return nil, e
	}
	if w.m.Version == "" {
		e := w.refuse("the file does not say which version it is")
		e.Hint = "--release names it, as the vendor does"
		return nil, e
	}
	id, err := w.id([]fleet.Offer{offer})
	if err != nil {
		return nil, err
	}
	p := &w.result.Package
	*p = fleet.Package{
		ID: id, Name: w.m.Name, Kind: "application", Sources: w.m.Read, Installers: map[string]fleet.Installer{}, Updater: "none",
	}
	key := keyOf(offer, nil)
	at := "installers." + key
	source, err := w.origin(at, g, offer)
	if err != nil {
		return nil, err
	}
	in := w.inspected(at, g.File, offer, source)
	w.afterwards(at, g, in)
	p.Installers[key] = in
	if bundles := g.File.Bundles; len(bundles) > 0 {
		p.Identity = &fleet.PackageIdentity{Bundles: bundles}
	}
	w.tests([]fleet.Offer{offer})
	w.vendorOf(g)
	return w.result, nil
}

// manifestOf is the file in the form of what other catalogs say.
func manifestOf(g Given) *fleet.Manifest {
	i := g.File
	m := &fleet.Manifest{
		Kind: fleet.ManifestFile, Read: []string{fmt.Sprintf("the file %s, %s", i.Name, i.SHA256)}, Publisher: vendorName(i),
		Version: cmp.Or(g.Version, i.Version),
	}
	if g.URL != "" {
		m.Read = []string{g.URL + ", " + string(i.SHA256)}
	}
	m.Name = cmp.Or(g.Name, titleOf(i, m.Version))
	m.ID = m.Name
	m.Installers = []fleet.Offer{{
		Platform: i.Platform, Arch: cmp.Or(archs[i.Arch], "universal"), Type: cmp.Or(g.Type, i.Type), Scope: i.Scope, Language: i.Language,
		URL: g.URL, Silent: i.Silent.Install, OS: i.OS,
	}}
	return m
}

var (
	inBrackets = regexp.MustCompile(`\s*[(\[][^)\]]*[)\]]`)
	archWords  = regexp.MustCompile(`(?i)[ _-]+(x64|x86|x86_64|amd64|arm64|64-bit|32-bit|win64|win32)\b`)
	setupWords = regexp.MustCompile(`(?i)[ _-]*\b(setup|installer|install)$`)
)

// titleOf is the program's name without its version and processor: "7-Zip" of
// "7-Zip 24.09 (x64 edition)". A file that names nothing has its own name.
func titleOf(i *fleet.Inspection, v string) string {
	name := cmp.Or(i.Product, strings.TrimSuffix(i.Name, path.Ext(i.Name)))
	if v != "" {
		for _, at := range slices.Backward(places(name, v)) {
			name = name[:at] + name[at+len(v):]
		}
	}
	name = setupWords.ReplaceAllString(strings.TrimRight(archWords.ReplaceAllString(inBrackets.ReplaceAllString(name, ""), ""), " -_v"), "")
	return strings.Join(strings.Fields(name), " ")
}

// organisation is the O= of a subject.
var organisation = regexp.MustCompile(`(?:^|,\s*)O=(?:"([^"]+)"|((?:[^,"\\]|\\.)+))`)

// vendorName is who publishes: what the file says, else who signed it.
func vendorName(i *fleet.Inspection) string {
	name, mail, _ := strings.Cut(i.Publisher, "<")
	if _, domain, found := strings.Cut(strings.TrimSuffix(mail, ">"), "@"); found && i.Platform == "linux" {
		// Who maintains a package there is a person of the distribution's or the
		// vendor's.
		if registered, err := publicsuffix.EffectiveTLDPlusOne(strings.ToLower(domain)); err == nil {
			return registered
		}
	}
	if name = strings.TrimSpace(name); name != "" {
		return name
	}
	if m := organisation.FindStringSubmatch(i.Signer.Subject); m != nil {
		return strings.ReplaceAll(m[1]+m[2], `\`, "")
	}
	return ""
}

// inFileReaders are the readers of the installer types whose version is read from the file that an
// address gives.
var inFileReaders = map[string]string{"msi": "msi", "exe": "pe", "portable": "pe", "pkg": "pkg"}

// origin is where the bytes of a version are, and with it the package's upstream
// where the address tells one.
func (w *work) origin(at string, g Given, offer fleet.Offer) (*fleet.Source, error) {
	if g.URL == "" {
		return nil, nil // handed in: versions come as this one did
	}
	if hostOf(g.URL) == "" || strings.ContainsAny(g.URL, "{} ") {
		return nil, w.refuse("the address %.200q is no plain https address", g.URL)
	}
	for _, way := range []func([]fleet.Offer) (found, bool){w.github, w.sourceforge} {
		up, ok := way([]fleet.Offer{offer})
		if !ok {
			continue
		}
		scheme, err := w.ordered(offer, up.version)
		if err != nil {
			return nil, err
		}
		w.result.Package.Upstream = &fleet.Upstream{From: up.feed, Scheme: scheme}
		return up.sources[0], nil
	}
	template, held := fill(g.URL, w.m.Version)
	ours, _ := typeOf(offer.Type)
	if read := inFileReaders[ours]; read != "" && !held && g.Version == "" && (read != "pe" || offer.Platform == "windows") {
		scheme, err := w.ordered(offer, w.m.Version)
		if err != nil {
			return nil, err
		}
		w.result.Package.Upstream = &fleet.Upstream{From: fleet.Feed{InFile: &fleet.InFile{URL: g.URL, Read: read}}, Scheme: scheme}
		w.ask("upstream.from", "Does this address always give the newest version? Then it is asked whether the file changed. Else, where does the vendor tell new versions?")
		return &fleet.Source{URL: g.URL}, nil
	}
	w.ask("upstream", "Where does the vendor tell new versions? The address of one file does not say. Until this is answered new versions are added by hand.")
	return &fleet.Source{URL: template}, nil
}

// ordered is the scheme of the versions of a format that has its own, else the
// one that fits the version.
func (w *work) ordered(o fleet.Offer, v string) (string, error) {
	if o.Type == "deb" || o.Type == "rpm" {
		if _, err := version.Parse(o.Type, v); err == nil {
			return o.Type, nil
		}
	}
	return w.scheme(v)
}

// largeMB is from where on the room that a program takes is worth a rule:
// less than that is free on every device that still works.
const largeMB = 200

// inspected makes the installer.
func (w *work) inspected(at string, i *fleet.Inspection, o fleet.Offer, source *fleet.Source) fleet.Installer {
	ours, _ := typeOf(o.Type)
	in := fleet.Installer{Platform: o.Platform, Arch: o.Arch, Type: ours, Language: o.Language, Source: source}
	if o.Scope == "user" {
		in.Scope, in.RunAs = "user", "user"
	}
	needs := fleet.Needs{}
	if i.DiskMB >= largeMB {
		needs.DiskMB = i.DiskMB
	}
	if dotted.MatchString(o.OS) && len(o.OS) < 64 {
		needs.OS = ">=" + o.OS
	}
	if needs != (fleet.Needs{}) {
		in.Needs = &needs
	}
	if i.Restarts {
		in.Restart = "byExitCode"
	}
	switch in.Type {
	case "exe":
		switch fleet.InstallerKind(i.Maker) {
		case fleet.InstallerBurn, fleet.InstallerInstallShieldMSI, fleet.InstallerAdvanced:
			// They hand on what Windows Installer says.
			in.ExitCodes = map[string]string{"3010": "softReboot", "1641": "hardReboot"}
		}
		if i.Silent != (fleet.Arguments{}) {
			arguments := i.Silent
			in.Arguments = &arguments
		}
	case "portable":
		if o.Platform == "windows" {
			in.ProgramFiles = folder(w.m.Name)
		}
	}
	in.Detect = w.seen(at+".detect", i, o, in)
	return in
}

// seen says how a device is seen to have the release.
func (w *work) seen(at string, i *fleet.Inspection, o fleet.Offer, in fleet.Installer) []fleet.Detect {
	switch in.Type {
	case "deb", "rpm":
		if len(i.Packages) == 1 {
			return []fleet.Detect{{Package: i.Packages[0]}}
		}
	case "pkg":
		if len(i.Bundles) == 1 {
			return []fleet.Detect{{Bundle: i.Bundles[0]}}
		}
		if len(i.Bundles) == 0 && len(i.Packages) == 1 {
			return []fleet.Detect{{Package: i.Packages[0]}}
		}
		w.ask(at, "By which of its application bundles is it seen to be there? It installs %s.%s", some(i.Bundles, i.Packages), untilThen)
		return []fleet.Detect{{Bundle: unansweredBundle}}
	case "portable":
		if o.Platform == "linux" { // packmill makes a package of it
			return []fleet.Detect{{Package: fleet.LinuxPackage(w.result.Package.ID, "")}}
		}
		return w.detect(at, o, in)
	case "msi":
		return w.detect(at, o, in)
	}
	return []fleet.Detect{{Registry: &fleet.RegistryRule{Key: unansweredKey}}}
}

func some(lists ...[]string) string {
	all := slices.Concat(lists...)
	if len(all) == 0 {
		return "none that it names"
	}
	return fmt.Sprintf("%.300q", all)
}

// afterwards asks what only an installation shows. An installer program is opaque:
// one look at a test machine answers all of it, and so it is one question.
func (w *work) afterwards(at string, g Given, in fleet.Installer) {
	p, i := &w.result.Package, g.File
	p.Rollback = "uninstall"
	switch in.Type {
	case "exe":
		p.Rollback = "forwardOnly"
		text := "Install it once on a test machine. Which key below Uninstall has it, what does its QuietUninstallString run, and does the program update itself?"
		if in.Arguments == nil || in.Arguments.Install == "" {
			text = "Which arguments make it run silently? What made it is not known. " + text
		}
		text += untilThen
		for _, field := range []string{at + ".arguments", at + ".detect", "updater", "rollback"} {
			w.ask(field, "%s", text)
		}
	case "msi":
		if !i.Replaces {
			w.ask(at, "What becomes of the version before? The package's Upgrade table removes none, so that both would be installed side by side.")
		}
	case "portable":
		if g.Type == "" && in.Platform == "windows" {
			w.ask(at+".type", "Is it the program itself, which packmill puts in place? No maker of installers left a mark in it. An installer is added with --type exe.")
		}
	case "pkg":
		p.Rollback = "forwardOnly"
		w.ask("rollback", "How is it taken off a device? macOS has no command for it that fits all. Once it is known: \"uninstall\", or \"previous\" if an older one installs over a newer one.")
	}
	if in.Type != "exe" && len(i.Updaters) > 0 {
		w.ask("updater", "Does it update itself? It contains %s. If it does: \"disable\" where the installation can, else \"tolerate\", and compare with \">=\".", strings.Join(i.Updaters, ", "))
	}
}

// vendorOf proposes the file of a publisher that is new. Who signed is known: it
// is for the reviewer to know him too.
func (w *work) vendorOf(g Given) {
	p := fleet.Publisher{Name: w.m.Publisher, Hosts: []string{}}
	if p.Name == "" {
		p.Name = w.result.Package.ID.Publisher()
	}
	if h := hostOf(g.URL); h != "" {
		p.Hosts = append(p.Hosts, h)
	}
	if s := g.File.Signer; s.Unsigned {
		p.Unsigned = "accepted"
	} else {
		if g.File.Verdict == "selfSigned" {
			w.result.PublisherQuestions = append(w.result.PublisherQuestions, Question{"signers", "Is this the vendor's own certificate? It vouches for itself: anybody can make one with this name."})
		}
		p.Signers = map[string]fleet.ExpectedSigner{"first": {Kind: signerKind(g.File), Subject: s.Subject, Key: g.Key}}
	}
	w.result.Publisher = p
}

// signerKind is what signs files of a platform.
func signerKind(i *fleet.Inspection) string {
	switch i.Platform {
	case "macos":
		return "appleDeveloperId"
	case "linux":
		return "gpg"
	}
	return "authenticode"
}

// otherwise says what to do about a file that packmill does not deploy.
func otherwise(kind string) string {
	switch kind {
	case "a macOS disk image":
		return "packmill installs .pkg files on macOS: look whether the vendor offers one for managed devices, or build a .pkg of the application in it and add that"
	case "a macOS program":
		return "build a .pkg of it and add that: packmill places no single program on macOS"
	case "a zip archive", "a tar archive", "a gzip archive", "an xz archive", "a zstd archive", "a bzip2 archive", "a 7z archive":
		return "take the installer out of it and add that; then write the archive as source and its path as member"
	}
	return "it deploys .msi, .exe, .pkg, .deb and .rpm files, and single programs"
}
