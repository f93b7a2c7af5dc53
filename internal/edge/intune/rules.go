package intune

import (
	"encoding/base64"
	"encoding/binary"
	"regexp"
	"strings"
	"unicode/utf16"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/detection"
)

const odataRule = "#microsoft.graph.win32LobApp"

// maxNeedScript is how long a requirement script may be, in bytes: it is handed
// on in a command line, which Windows limits to 32,767 characters.
const maxNeedScript = 11_000

// appRules are the detection rules of a release, which must all hold, and its
// requirement rules.
func appRules(app fleet.App) ([]rule, error) {
	detect := app.Installer.Detect
	if len(detect) == 0 && app.DetectText != "" {
		detect = []fleet.Detect{{Script: "detect"}} // a configuration: its detect script is the rule
	}
	if len(detect) == 0 {
		return nil, invalid(app, "there is no detection rule")
	}
	var out []rule
	scripts := 0
	for _, d := range detect {
		r, err := detectionRule(app, d)
		if err != nil {
			return nil, err
		}
		if d.Script != "" {
			scripts++
		}
		out = append(out, r)
	}
	if scripts > 1 {
		return nil, invalid(app, "the service takes one detection script, not %d", scripts)
	}
	if app.UpdateOnly {
		present, err := presentRules(app)
		if err != nil {
			return nil, err
		}
		out = append(out, present...)
	}
	if n := app.Installer.Needs; n != nil && n.Script != "" {
		r, err := requirementScript(app)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

func detectionRule(app fleet.App, d fleet.Detect) (rule, error) {
	operator := "equal"
	if d.Operator == ">=" {
		operator = "greaterThanOrEqual"
	}
	switch {
	case d.MSIProduct:
		return productRule(app, operator)
	case d.File != nil:
		return fileRule(app, *d.File, operator)
	case d.Registry != nil:
		return registryRule(app, *d.Registry, operator)
	case d.Script != "":
		if app.DetectText == "" {
			return rule{}, invalid(app, "the text of detection script %s is missing", d.Script)
		}
		// The service refuses displayName, runAsAccount and comparisonValue here.
		return rule{
			ODataType: odataRule + "PowerShellScriptRule", RuleType: "detection", EnforceSignatureCheck: new(bool), RunAs32Bit: new(bool),
			OperationType: "notConfigured", Operator: "notConfigured",
			ScriptContent: base64.StdEncoding.EncodeToString([]byte(app.DetectText)),
		}, nil
	}
	return rule{}, invalid(app, "a detection rule by bundle or package is not for Windows")
}

func productRule(app fleet.App, operator string) (rule, error) {
	facts := app.Download.MSI
	if facts == nil || !guid(facts.ProductCode) {
		return rule{}, invalid(app, "detection by MSI product needs the release's product code")
	}
	r := rule{ODataType: odataRule + "ProductCodeRule", RuleType: "detection", ProductCode: facts.ProductCode, ProductVersionOperator: "notConfigured"}
	if facts.ProductVersion != "" {
		r.ProductVersion, r.ProductVersionOperator = facts.ProductVersion, operator
	}
	return r, nil
}

func fileRule(app fleet.App, f fleet.FileRule, operator string) (rule, error) {
	full := strings.ReplaceAll(f.Path, "/", `\`)
	i := strings.LastIndex(full, `\`)
	if i <= 0 || i == len(full)-1 || !printable(full) {
		return rule{}, invalid(app, "detection path %q is no full path of a file", f.Path)
	}
	r := rule{
		ODataType: odataRule + "FileSystemRule", RuleType: "detection", Path: full[:i], FileOrFolderName: full[i+1:],
		Check32BitOn64System: new(bool), OperationType: "exists", Operator: "notConfigured",
	}
	if f.Version {
		if !dotted(app.Version) {
			return rule{}, invalid(app, "version %q cannot be compared with a file's version", app.Version)
		}
		r.OperationType, r.Operator, r.ComparisonValue = "version", operator, app.Version
	}
	return r, nil
}

func registryRule(app fleet.App, g fleet.RegistryRule, operator string) (rule, error) {
	hive, rest, _ := strings.Cut(g.Key, `\`)
	long := map[string]string{"HKLM": "HKEY_LOCAL_MACHINE", "HKCU": "HKEY_CURRENT_USER"}
	if long[hive] != "" {
		hive = long[hive]
	}
	if !strings.HasPrefix(hive, "HKEY_") || rest == "" || !printable(rest) {
		return rule{}, invalid(app, "registry key %q does not start with HKLM or HKCU", g.Key)
	}
	view := g.View == 32
	r := rule{
		ODataType: odataRule + "RegistryRule", RuleType: "detection", KeyPath: hive + `\` + rest,
		Check32BitOn64System: &view, OperationType: "exists", Operator: "notConfigured",
	}
	if g.Value == "" {
		return r, nil
	}
	r.ValueName, r.Operator, r.ComparisonValue = g.Value, operator, app.Version
	switch {
	case dotted(app.Version):
		r.OperationType = "version"
	case operator == "equal":
		r.OperationType = "string"
	default:
		return rule{}, invalid(app, "version %q cannot be compared by >=", app.Version)
	}
	return r, nil
}

// presentRules are requirement rules that hold where some version of the release
// is already: the app is then an update, and nothing for all other devices. The
// service asks detection rules first, so that a device with the release has it
// and is asked nothing more.
func presentRules(app fleet.App) ([]rule, error) {
	traces, err := detection.AnyVersion(app.Installer, app.Download)
	if err != nil {
		return nil, invalid(app, "it is to update what is there, and %w", err)
	}
	var out []rule
	for _, d := range traces {
		var r rule
		switch {
		case d.File != nil:
			r, err = fileRule(app, *d.File, "")
		default:
			key := *d.Registry
			key.Value = ""
			if r, err = registryRule(app, key, ""); err == nil {
				r.ValueName = d.Registry.Value
			}
		}
		if err != nil {
			return nil, err
		}
		r.RuleType = "requirement"
		out = append(out, r)
	}
	return out, nil
}

var dottedPattern = regexp.MustCompile(`^[0-9]{1,9}(\.[0-9]{1,9}){0,3}$`)

// dotted reports whether the service compares the text as a version.
func dotted(version string) bool { return dottedPattern.MatchString(version) }

// requirementScript makes "exits with 0" out of what the service knows, which
// is a comparison of what a script that succeeded printed.
func requirementScript(app fleet.App) (rule, error) {
	if app.NeedText == "" || len(app.NeedText) > maxNeedScript {
		return rule{}, invalid(app, "the requirement script must have 1 to %d bytes, it has %d", maxNeedScript, len(app.NeedText))
	}
	var utf16le []byte
	for _, u := range utf16.Encode([]rune(app.NeedText)) {
		utf16le = binary.LittleEndian.AppendUint16(utf16le, u)
	}
	script := "& \"$PSHOME\\powershell.exe\" -NoProfile -NonInteractive -ExecutionPolicy Bypass -EncodedCommand " +
		base64.StdEncoding.EncodeToString(utf16le) + " | Out-Null\r\n" +
		"if ($LASTEXITCODE -eq 0) { 'met' } else { 'not met' }\r\nexit 0\r\n"
	return rule{
		ODataType: odataRule + "PowerShellScriptRule", RuleType: "requirement", DisplayName: "needs", RunAsAccount: "system",
		EnforceSignatureCheck: new(bool), RunAs32Bit: new(bool), OperationType: "string", Operator: "equal", ComparisonValue: "met",
		ScriptContent: base64.StdEncoding.EncodeToString([]byte(script)),
	}, nil
}
