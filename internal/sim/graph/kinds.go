package graph

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
)

// An appKind is a type of app object and what the service demands of one.
type appKind struct {
	odata    string   // @odata.type
	cast     string   // path segment of its contents, without namespace
	os       string   // of the devices it is for
	required []string // texts it cannot be without
	content  bool     // somebody uploads it
	settings string   // type of its assignments' settings, "" where it takes none
}

const (
	win32Type = "#microsoft.graph.win32LobApp"
	storeType = "#microsoft.graph.winGetApp"
	pkgType   = "#microsoft.graph.macOSPkgApp"
	lobType   = "#microsoft.graph.macOSLobApp"
	dmgType   = "#microsoft.graph.macOSDmgApp"
)

// appKinds are the types that are simulated.
func appKinds() []appKind {
	bundle := []string{"fileName", "primaryBundleId", "primaryBundleVersion"}
	return []appKind{
		{win32Type, "win32LobApp", "Windows", []string{"installCommandLine", "uninstallCommandLine", "setupFilePath", "fileName"}, true, "#microsoft.graph.win32LobAppAssignmentSettings"},
		{storeType, "winGetApp", "Windows", []string{"packageIdentifier", "repositoryType"}, false, "#microsoft.graph.winGetAppAssignmentSettings"},
		{pkgType, "macOSPkgApp", "macOS", bundle, true, ""},
		{lobType, "macOSLobApp", "macOS", []string{"fileName", "bundleId", "buildNumber", "versionNumber"}, true, "#microsoft.graph.macOsLobAppAssignmentSettings"},
		{dmgType, "macOSDmgApp", "macOS", bundle, true, ""},
	}
}

func kindOf(odata string) (appKind, bool) {
	i := slices.IndexFunc(appKinds(), func(k appKind) bool { return k.odata == odata })
	if i < 0 {
		return appKind{}, false
	}
	return appKinds()[i], true
}

// kind is the type of an app that was let in.
func (a *app) kind() appKind {
	k, _ := kindOf(text(a.Props, "@odata.type"))
	return k
}

func (e *epoch) kind() appKind {
	k, _ := kindOf(text(e.Props, "@odata.type"))
	return k
}

// judge refuses properties that the service refuses.
func (k appKind) judge(props map[string]json.RawMessage) error {
	for _, name := range append([]string{"displayName", "publisher"}, k.required...) {
		if text(props, name) == "" {
			return badRequest("property " + name + " is required")
		}
	}
	switch k.odata {
	case win32Type:
		return checkRules(props)
	case pkgType:
		if err := checkAround(props); err != nil {
			return err
		}
		return checkIncluded(props)
	case dmgType:
		return checkIncluded(props)
	case lobType:
		if !strings.HasSuffix(strings.ToLower(text(props, "fileName")), ".pkg") {
			return badRequest("fileName must end in .pkg")
		}
	}
	return nil
}

// aroundCharacters is what a script around an installation must have fewer of
// ("Add an unmanaged macOS PKG app to Microsoft Intune").
const aroundCharacters = 15360

// checkAround refuses scripts around an installation that are no text, or too
// long.
func checkAround(props map[string]json.RawMessage) error {
	for _, name := range []string{"preInstallScript", "postInstallScript"} {
		var script *struct {
			Content []byte `json:"scriptContent"`
		}
		if raw := props[name]; raw == nil {
			continue
		} else if json.Unmarshal(raw, &script) != nil {
			return badRequest(name + " is no script in Base64")
		}
		if script != nil && utf8.RuneCount(script.Content) >= aroundCharacters {
			return badRequest(name + " is too long")
		}
	}
	return nil
}

// checkIncluded refuses what is not detectable: no bundle, more than 500, or a
// system that is none.
func checkIncluded(props map[string]json.RawMessage) error {
	included := bundlesOf(props)
	if len(included) == 0 || len(included) > 500 {
		return badRequest("includedApps must name 1 to 500 apps")
	}
	for _, b := range included {
		if b.id == "" || b.version == "" {
			return badRequest("an included app has no bundle id or version")
		}
	}
	if minimumOf(props) == nil {
		return badRequest("minimumSupportedOperatingSystem is required")
	}
	return nil
}

// A bundle is an application that a macOS app is detected by.
type bundle struct{ id, version string }

// bundlesOf are the applications that a macOS app is detected by.
func bundlesOf(props map[string]json.RawMessage) []bundle {
	var out []bundle
	var included []struct{ BundleID, BundleVersion string }
	if json.Unmarshal(props["includedApps"], &included) == nil {
		for _, i := range included {
			out = append(out, bundle{i.BundleID, i.BundleVersion})
		}
	}
	var children []struct{ BundleID, BuildNumber string }
	if json.Unmarshal(props["childApps"], &children) == nil {
		for _, c := range children {
			out = append(out, bundle{c.BundleID, c.BuildNumber})
		}
	}
	return out
}

// anyVersion reports whether a macOS app is there in whatever version.
func anyVersion(props map[string]json.RawMessage) bool {
	var ignore bool
	return json.Unmarshal(props["ignoreVersionDetection"], &ignore) == nil && ignore
}

// minimumOf is the system a macOS app asks for, as numbers; nil for none.
func minimumOf(props map[string]json.RawMessage) []int {
	var flags map[string]any
	if json.Unmarshal(props["minimumSupportedOperatingSystem"], &flags) != nil {
		return nil
	}
	for name, on := range flags {
		if on == true && strings.HasPrefix(name, "v") {
			return versionNumbers(strings.ReplaceAll(name[1:], "_", "."))
		}
	}
	return nil
}

// takes refuses assignments that are not for an app of the kind: settings of
// another one, or removing what it cannot remove.
func (k appKind) takes(d assigned, body map[string]json.RawMessage) error {
	var settings struct {
		Type string `json:"@odata.type"`
	}
	if d.Settings != nil && json.Unmarshal(body["settings"], &settings) == nil && settings.Type != k.settings {
		return badRequest("settings of type " + settings.Type + " are not for this kind of app")
	}
	if d.Intent == "uninstall" && k.odata == pkgType {
		return badRequest("an unmanaged package cannot be removed")
	}
	return nil
}
