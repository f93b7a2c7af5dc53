package testbed

import (
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// windowsCommands are the command lines that an installer's type gives, for
// setup, a file in the folder they run in. Cells and runners share them.
func windowsCommands(it item, setup string) (install, uninstall string, err error) {
	if strings.ContainsAny(setup, "\"%\r\n") {
		return "", "", fleet.Errorf(fleet.Invalid, "testbed.windows", setup, "cannot stand on a command line")
	}
	setup = `"` + strings.ReplaceAll(setup, "/", `\`) + `"`
	switch {
	case it.in.Type == "msi" && it.Download.MSI != nil:
		line := "msiexec /i " + setup + " /qn /norestart"
		for _, name := range slices.Sorted(maps.Keys(it.in.Properties)) {
			line += " " + name + `="` + strings.ReplaceAll(it.in.Properties[name], `"`, `""`) + `"`
		}
		if len(it.in.Transforms) > 0 {
			var names []string
			for _, t := range it.in.Transforms {
				names = append(names, path.Base(t))
			}
			line += ` TRANSFORMS="` + strings.Join(names, ";") + `"`
		}
		return line, "msiexec /x " + it.Download.MSI.ProductCode + " /qn /norestart", nil
	case it.in.Type == "exe" && it.in.Arguments != nil:
		away := it.in.Arguments.Uninstall
		if !strings.HasPrefix(away, `"`) && !strings.HasPrefix(away, "%") {
			away = setup + " " + away
		}
		return setup + " " + it.in.Arguments.Install, away, nil
	}
	return "", "", fleet.Errorf(fleet.Invalid, "testbed.windows", string(it.in.Type), "the content has no install.cmd and uninstall.cmd, and its type tells no command line")
}

// succeeded reports whether an installer's exit code says that it worked: 0, the
// codes of MSI that ask for a restart, which bundles around one give too, and those that the package names.
func succeeded(in fleet.Installer, code int) bool {
	switch in.ExitCodes[strconv.Itoa(code)] {
	case "success", "softReboot", "hardReboot":
		return true
	case "":
		return code == 0 || (in.Type == "msi" || in.Type == "exe") && (code == 3010 || code == 1641)
	}
	return false
}
