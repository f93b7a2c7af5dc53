package setting

import "github.com/packmill/packmill/internal/fleet"

// Readable refuses a PowerShell script of the repository's own that holds other
// characters than ASCII; the error, of kind Invalid, tells the first one's line
// and column, in bytes from 1.
//
// Windows PowerShell 5.1 reads a file without a byte-order mark in the machine's
// code page (about_Character_Encoding), where UTF-8 becomes something else: of
// the three bytes of a dash the last is a quotation mark there, which PowerShell
// takes for one. A byte-order mark would do for a file, but a script also reaches
// devices as text on the way through consoles, where it would be a character.
func Readable(name string, script []byte) error {
	line, column := 1, 1
	for _, b := range script {
		switch {
		case b >= 0x80:
			return fleet.Errorf(fleet.Invalid, "setting.script", name, "line %d, column %d: byte %#x is not ASCII, and Windows PowerShell 5.1 may read it as another character: put it together with [char]", line, column, b)
		case b == '\n':
			line, column = line+1, 1
		default:
			column++
		}
	}
	return nil
}
