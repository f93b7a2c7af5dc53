package fleet

import (
	"fmt"
	"path"
	"strings"
)

// Release is where the release file of a version stands.
func (id PackageID) Release(version string) string {
	return path.Join(id.Dir(), FileOfVersion(version))
}

// FileOfVersion is the base name of a release's file: the version and ".cue",
// with every byte outside [A-Za-z0-9.+~-] (and a first byte that is no letter or
// digit) as % and two hex digits. CUE ignores names that begin with a dot or an
// underscore, or end in _tool or _test; none of these can come out.
func FileOfVersion(version string) string {
	var b strings.Builder
	for i := range len(version) {
		c := version[i]
		plain := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if plain || i > 0 && strings.IndexByte(".+~-", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	if b.String() == "package" {
		return "%70ackage.cue"
	}
	return b.String() + ".cue"
}

// VersionOfFile undoes FileOfVersion, without the extension.
func VersionOfFile(base string) string {
	var b strings.Builder
	for i := 0; i < len(base); i++ {
		var c byte
		if base[i] == '%' && i+2 < len(base) {
			if n, err := fmt.Sscanf(base[i+1:i+3], "%02X", &c); n == 1 && err == nil {
				b.WriteByte(c)
				i += 2
				continue
			}
		}
		b.WriteByte(base[i])
	}
	return b.String()
}
