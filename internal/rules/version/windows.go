package version

import "strings"

// maxParts is more than any product uses; file and MSI versions have four.
const maxParts = 8

// parseWindows reads dotted numbers: "24.09", "1.2.3.4". Leading zeros mean
// nothing ("26.001.21771"), and missing parts are zero. Nothing is a
// pre-release.
func (v *Version) parseWindows() string {
	parts := strings.Split(v.text, ".")
	if len(parts) > maxParts {
		return "it has more than eight parts"
	}
	for _, p := range parts {
		if !digits(p) {
			return "a part is not a number"
		}
	}
	key, class := numerics(v.text)
	v.keys, v.class = [][]part{key}, class
	return ""
}

// parseInteger reads one whole number of any size, a build counter. Nothing is
// a pre-release; such a number says nothing about how much has changed, so
// every step is minor.
func (v *Version) parseInteger() string {
	if !digits(v.text) {
		return "it is no whole number"
	}
	v.keys, v.class = [][]part{{numeric(v.text)}}, []string{"", trimZeros(v.text)}
	return ""
}
