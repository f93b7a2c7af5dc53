package intune

import (
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/intunewin"
	"github.com/packmill/packmill/internal/rules/wrapper"
)

// wrapped is what the content's wrapper script does, nil where the content has
// none: configurations, and what was built before there was one.
func wrapped(app fleet.App, f *intunewin.File) (s *wrapper.Setup, signed bool, err error) {
	data, err := setupFile(f, wrapper.SetupName, wrapper.MaxSetup)
	if err != nil || data == nil {
		return nil, false, err
	}
	script, err := setupFile(f, wrapper.ScriptName, maxScript)
	if err != nil {
		return nil, false, err
	}
	if script == nil {
		return nil, false, invalid(app, "the content has %s and no %s", wrapper.SetupName, wrapper.ScriptName)
	}
	read, err := wrapper.Read(data)
	if err != nil {
		return nil, false, err
	}
	if read.Package != app.Package || read.Version != app.Version || app.File.Installer != "" && read.Installer != app.File.Installer {
		return nil, false, invalid(app, "%s is for %s %s %s, the app is %s %s", wrapper.SetupName, read.Package, read.Version, read.Installer, app.Version, app.File.Installer)
	}
	return &read, wrapper.Signed(script), nil
}

// maxScript is how large a wrapper script may be, with its signature.
const maxScript = 1 << 20

// setupFile is a file at the top of the setup folder, nil when it is not there.
func setupFile(f *intunewin.File, name string, limit int64) ([]byte, error) {
	for _, e := range f.Inner().File {
		if !strings.EqualFold(e.Name, name) {
			continue
		}
		r, err := e.Open()
		if err != nil {
			return nil, err
		}
		defer r.Close()
		data, err := io.ReadAll(io.LimitReader(r, limit+1))
		if err == nil && int64(len(data)) > limit {
			err = fleet.Errorf(fleet.Invalid, "intune.publish", name, "has more than %d bytes", limit)
		}
		return data, err
	}
	return nil, nil
}

// commands are the two command lines devices run in the setup folder: those of
// the wrapper script with the tenant's windows, where there is one.
func commands(app fleet.App, f *intunewin.File) (install, uninstall string, err error) {
	s, signed, err := wrapped(app, f)
	if err != nil {
		return "", "", err
	}
	if s != nil {
		when := wrapper.WhenOf(app.Windows, app.Shut)
		if !app.RebootsOnly {
			when.Reboot = nil // the console restarts devices, as the exit code asks
		}
		if install, err = wrapper.ConsoleLine(wrapper.ModeInstall, when, signed); err != nil {
			return "", "", fmt.Errorf("the tenant's windows: %w", err)
		}
		uninstall, err = wrapper.ConsoleLine(wrapper.ModeUninstall, when, signed)
		return install, uninstall, err
	}
	in := app.Installer
	if app.RebootsOnly && in.Restart == "byExitCode" {
		return "", "", &fleet.Error{Op: "intune.publish", Object: string(app.Package), Kind: fleet.Refused,
			Err:  fmt.Errorf("policy keeps restarts to the window, and %s has no wrapper script that could", app.Version),
			Hint: "build the release again"}
	}
	if has(f, wrapper.InstallScript) && has(f, wrapper.UninstallScript) {
		return wrapper.InstallScript, wrapper.UninstallScript, nil
	}
	switch in.Type {
	case "msi":
		return msiCommands(app, f.SetupFile)
	case "exe":
		if in.Arguments == nil || in.Arguments.Install == "" || in.Arguments.Uninstall == "" {
			return "", "", invalid(app, "an exe needs arguments for a silent run, to install and to uninstall")
		}
		for _, line := range []string{in.Arguments.Install, in.Arguments.Uninstall} {
			if !printable(line) {
				return "", "", invalid(app, "arguments hold control characters")
			}
		}
		setup, err := quoted(app, f.SetupFile)
		return setup + " " + in.Arguments.Install, uninstallLine(setup, in.Arguments.Uninstall), err
	case "portable", "script":
		return "", "", invalid(app, "a package of type %s needs %s and %s in its setup folder", in.Type, wrapper.InstallScript, wrapper.UninstallScript)
	}
	return "", "", invalid(app, "type %q cannot be deployed as a Win32 app", in.Type)
}

// uninstallLine runs the setup file with arguments, unless they name a program
// of their own: most installers leave one on the device.
func uninstallLine(setup, arguments string) string {
	if strings.HasPrefix(arguments, `"`) || strings.HasPrefix(arguments, "%") {
		return arguments
	}
	return setup + " " + arguments
}

func msiCommands(app fleet.App, setup string) (install, uninstall string, err error) {
	facts := app.Download.MSI
	if facts == nil || !guid(facts.ProductCode) {
		return "", "", invalid(app, "the release names no product code of its MSI")
	}
	file, err := quoted(app, setup)
	if err != nil {
		return "", "", err
	}
	line := []string{"msiexec", "/i", file, "/qn", "/norestart"}
	if transforms := app.Installer.Transforms; len(transforms) > 0 {
		var names []string
		for _, t := range transforms {
			names = append(names, path.Base(t))
		}
		value, err := property(app, "TRANSFORMS", strings.Join(names, ";"))
		if err != nil {
			return "", "", err
		}
		line = append(line, value)
	}
	for _, name := range slices.Sorted(maps.Keys(app.Installer.Properties)) {
		value, err := property(app, name, app.Installer.Properties[name])
		if err != nil {
			return "", "", err
		}
		line = append(line, value)
	}
	if a := app.Installer.Arguments; a != nil && a.Install != "" {
		if !printable(a.Install) {
			return "", "", invalid(app, "arguments hold control characters")
		}
		line = append(line, a.Install)
	}
	return strings.Join(line, " "), "msiexec /x " + facts.ProductCode + " /qn /norestart", nil
}

// property is NAME="value" as msiexec reads it: a quotation mark is doubled.
func property(app fleet.App, name, value string) (string, error) {
	for i, r := range name {
		if !(r >= 'A' && r <= 'Z' || r == '_' || i > 0 && (r >= '0' && r <= '9' || r == '.')) {
			return "", invalid(app, "%q is no name of a public MSI property", name)
		}
	}
	if name == "" || !printable(value) {
		return "", invalid(app, "property %s cannot stand on a command line", name)
	}
	return name + `="` + strings.ReplaceAll(value, `"`, `""`) + `"`, nil
}

// quoted is a file name in quotation marks.
func quoted(app fleet.App, name string) (string, error) {
	if name == "" || !printable(name) || strings.ContainsAny(name, `"<>|*?%`) {
		return "", invalid(app, "file name %q cannot stand on a command line", name)
	}
	return `"` + strings.ReplaceAll(name, "/", `\`) + `"`, nil
}

func printable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// guid reports whether s has the form {xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx}.
func guid(s string) bool {
	if len(s) != 38 || s[0] != '{' || s[37] != '}' {
		return false
	}
	for i, r := range s[1:37] {
		switch i {
		case 8, 13, 18, 23:
			if r != '-' {
				return false
			}
		default:
			if !strings.ContainsRune("0123456789abcdefABCDEF", r) {
				return false
			}
		}
	}
	return true
}

// has reports whether the setup folder holds a file at its top.
func has(f *intunewin.File, name string) bool {
	for _, e := range f.Inner().File {
		if strings.EqualFold(e.Name, name) {
			return true
		}
	}
	return false
}
