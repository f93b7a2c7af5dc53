package version

import "strings"

// maxParts is more than any product uses; file and MSI versions have four.
const maxParts = 8

// parseWindows reads dotted numbers: "24.09", "1.2.3.4". Leading zeros mean
// nothing ("26.001.21771"), and missing parts are zero.
func (v *Version) parseWindows() string {
	parts := strings.Split(v.text, ".")
	if len(parts) > maxParts {
		return "it has more than eight parts"
	}
	for _, p := range parts {
		if !digits(p) {
			return "a part is not a number"
		}
		v.numbers = append(v.numbers, trimZeros(p))
	}
	return ""
}
