package adopt

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// responses are the meanings of exit codes by winget's words; what is missing
// there is a failure, as every unknown code is.
var responses = map[string]string{
	"rebootRequiredToFinish":    "softReboot",
	"rebootInitiated":           "hardReboot",
	"packageInUse":              "retry",
	"packageInUseByApp":         "retry",
	"packageInUseByApplication": "retry",
	"fileInUse":                 "retry",
	"installInProgress":         "retry",
}

var (
	exitCode = regexp.MustCompile(`^-?[0-9]{1,10}$`)
	dotted   = regexp.MustCompile(`^[0-9]+(\.[0-9]+)*$`)
	guid     = regexp.MustCompile(`^\{[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}$`)
)

// installer makes one installer; at is its path for questions.
func (w *work) installer(at string, o fleet.Offer, source *fleet.Source) fleet.Installer {
	in := fleet.Installer{Platform: o.Platform, Arch: o.Arch, Language: o.Language, Source: source}
	in.Type, _ = typeOf(o.Type)
	if o.Scope == "user" {
		in.Scope, in.RunAs = "user", "user"
	}
	if o.Elevation == "elevationProhibited" {
		in.RunAs = "user"
	}
	if dotted.MatchString(o.OS) && len(o.OS) < 64 {
		in.Needs = &fleet.Needs{OS: ">=" + o.OS}
	}
	w.arguments(at, o, &in)
	in.ExitCodes = exitCodes(o)
	if in.Type == "portable" {
		in.ProgramFiles = folder(w.m.Name)
	}
	in.Detect = w.detect(at+".detect", o, in)
	if w.m.Updates {
		for i := range in.Detect {
			in.Detect[i].Operator = ">="
		}
	}
	return in
}

// arguments fills in the arguments of an exe, and what is added to an MSI's.
func (w *work) arguments(at string, o fleet.Offer, in *fleet.Installer) {
	switch in.Type {
	case "msi":
		if o.Custom != "" {
			in.Arguments = &fleet.Arguments{Install: o.Custom}
		}
		return
	case "exe":
	default:
		return
	}
	kind := fleet.InstallerKind(o.Type).Switches()
	a := &fleet.Arguments{Install: o.Silent}
	if a.Install == "" {
		a.Install = kind.Install
	}
	switch {
	case a.Install == "":
		w.ask(at+".arguments", "Which arguments make the installer run silently? The manifest tells none, and its kind is not known.")
	case strings.Contains(a.Install+o.Custom, "<"):
		w.ask(at+".arguments", "What stands for the words in angle brackets? They are filled in by the catalog's own client.")
	}
	a.Install = joined(a.Install, o.Custom)
	if kind.BySelf {
		a.Uninstall = kind.Uninstall
	} else {
		w.ask(at+".arguments", "Which program removes it? Write uninstall: its path in quotation marks and %s. The manifest does not tell it, and nothing is deployed without.", removal(o.Type))
	}
	if *a != (fleet.Arguments{}) {
		in.Arguments = a
	}
}

// joined are the arguments with those added that are not there yet: manifests
// state /NORESTART beside a silent run that has it. Quoted ones, which may hold
// spaces, are added as they are.
func joined(arguments, added string) string {
	if !strings.Contains(added, `"`) {
		has := strings.Fields(strings.ToLower(arguments))
		added = strings.Join(slices.DeleteFunc(strings.Fields(added), func(word string) bool {
			return slices.Contains(has, strings.ToLower(word))
		}), " ")
	}
	return strings.TrimSpace(arguments + " " + added)
}

// removal names the arguments that a kind's uninstallers take.
func removal(kind string) string {
	arguments := fleet.InstallerKind(kind).Switches().Uninstall
	switch fleet.InstallerKind(kind) {
	case fleet.InstallerInno:
		return arguments + ", as Inno Setup's uninstallers take them"
	case fleet.InstallerNSIS:
		return arguments + ", as NSIS's uninstallers take it"
	}
	return "its silent arguments"
}

func exitCodes(o fleet.Offer) map[string]string {
	out := map[string]string{}
	for _, code := range slices.Sorted(maps.Keys(o.ReturnCodes)) {
		if meaning := responses[o.ReturnCodes[code]]; meaning != "" && exitCode.MatchString(code) {
			out[code] = meaning
		}
	}
	for _, code := range o.SuccessCodes {
		if exitCode.MatchString(code) && code != "0" {
			out[code] = "success"
		}
	}
	return out
}

// Unanswered rules find nothing on any device, so that a release whose detection
// is not known fails its first test instead of being taken for installed.
var (
	unansweredKey    = `HKLM\SOFTWARE\packmill\unanswered`
	unansweredBundle = "packmill.unanswered"
)

const untilThen = " Until this is answered the rule below finds nothing, and tests fail."

// detect says how a device is seen to have the release.
func (w *work) detect(at string, o fleet.Offer, in fleet.Installer) []fleet.Detect {
	switch in.Type {
	case "msi":
		return []fleet.Detect{{MSIProduct: true}}
	case "portable":
		key := `HKLM\SOFTWARE\packmill\` + string(w.result.Package.ID)
		return []fleet.Detect{{Registry: &fleet.RegistryRule{Key: key, Value: "Version"}}}
	case "msix":
		family, _, known := strings.Cut(o.Family, "_")
		w.ask(at, "How is an MSIX deployed and detected? packmill's console for Windows takes programs as Win32 apps, which carry none. Its package family is %q.", o.Family)
		if known && family != "" {
			return []fleet.Detect{{Package: family}}
		}
	case "pkg":
		return w.detectPkg(at, o)
	case "exe":
		if rule := w.uninstallKey(at, o); rule != nil {
			return []fleet.Detect{{Registry: rule}}
		}
	}
	return []fleet.Detect{{Registry: &fleet.RegistryRule{Key: unansweredKey}}}
}

// uninstallKey is the entry of an exe in the list of programs
// (learn.microsoft.com, "Uninstall Registry Key"), nil when its name is not known
// or belongs to one version.
func (w *work) uninstallKey(at string, o fleet.Offer) *fleet.RegistryRule {
	const list = `\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\`
	_, held := within(o.ProductCode, w.m.Version)
	switch {
	case o.ProductCode == "":
		w.ask(at, "By what is a device seen to have it? The manifest names no key below Uninstall."+untilThen)
		return nil
	case held || guid.MatchString(o.ProductCode) || strings.ContainsAny(o.ProductCode, `\/{}`):
		w.ask(at, "By what is a device seen to have it? The key %q below Uninstall is that of one version alone.%s", o.ProductCode, untilThen)
		return nil
	}
	r := &fleet.RegistryRule{Key: "HKLM" + list + o.ProductCode, Value: "DisplayVersion"}
	if o.Scope == "user" {
		r.Key = "HKCU" + list + o.ProductCode
	}
	if o.Display != "" && o.Display != w.m.Version {
		w.ask(at, "Windows shows %q for %s. What does it show for the next release? Compared is whether the two are equal.", o.Display, w.m.Version)
	}
	if o.Arch == "x86" && o.Scope != "user" {
		r.View = 32
	} else if o.Type == "nullsoft" || o.Type == "exe" || o.Arch == "universal" {
		w.ask(at, "In which view of the registry is the key? Many installers are 32-bit programs whatever they install; looked at is the 64-bit view.")
	}
	return r
}

// detectPkg is by the bundle where the manifest calls it so, else by the receipt
// that the installer leaves.
func (w *work) detectPkg(at string, o fleet.Offer) []fleet.Detect {
	if bundle := bundleOf(o); bundle != "" {
		return []fleet.Detect{{Bundle: bundle}}
	}
	receipts := slices.DeleteFunc(slices.Clone(o.Receipts), func(r string) bool { return !plainID.MatchString(r) })
	if len(receipts) == 1 {
		w.ask(at, "Which application bundle does it install? The cask names only the receipt below; whether its version equals the release's is not known.")
		return []fleet.Detect{{Package: receipts[0]}}
	}
	known := "none"
	if len(o.Receipts) > 0 {
		known = fmt.Sprintf("%.300q", o.Receipts)
	}
	w.ask(at, "Which application bundle does it install? The cask does not say; receipts that it names: %s.%s", known, untilThen)
	return []fleet.Detect{{Bundle: unansweredBundle}}
}

// plainID is an identifier that stands for one thing: casks also write patterns.
var plainID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// bundleOf is the application's bundle id, "" when the cask does not tell it: an
// id that names a receipt and a program to quit. Other programs to quit may be
// helpers, or an updater that several applications share.
func bundleOf(o fleet.Offer) string {
	bundle := ""
	for _, id := range o.Quits {
		if slices.Contains(o.Receipts, id) && plainID.MatchString(id) {
			if bundle != "" {
				return ""
			}
			bundle = id
		}
	}
	return bundle
}

// folder is a name as a folder below the program folder.
func folder(name string) string {
	out := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == ' ', r == '.', r == '_', r == '+', r == '-':
			return r
		}
		return -1
	}, name)
	out = strings.TrimRight(strings.TrimLeft(out, " ._+-"), " .")
	return out[:min(len(out), 64)]
}
