package setting

import (
	"bytes"
	"unicode/utf8"

	"github.com/packmill/packmill/internal/fleet"
)

// shellCharacters is what a console takes of a script around the installation of
// a macOS package: fewer than these (Microsoft, "Add an unmanaged macOS PKG app").
const shellCharacters = 15360

// Runnable refuses a shell script for macOS devices that could not run there, or
// that consoles do not take; the error is of kind Invalid. The kernel reads the
// first line as it stands (execve(2)): a carriage return at its end would be part
// of the interpreter's name.
func Runnable(name string, script []byte) error {
	first, _, _ := bytes.Cut(script, []byte("\n"))
	why := ""
	switch {
	case !bytes.HasPrefix(first, []byte("#!/")):
		why = `it must begin with "#!/" and its interpreter: "#!/bin/sh"`
	case bytes.HasSuffix(first, []byte("\r")):
		why = "its lines end as on Windows: no interpreter is found then"
	case !utf8.Valid(script):
		why = "it is not UTF-8"
	case utf8.RuneCount(script) >= shellCharacters:
		why = "it has 15,360 characters or more, which consoles do not take"
	default:
		return nil
	}
	return fleet.Errorf(fleet.Invalid, "setting.script", name, "%s", why)
}
