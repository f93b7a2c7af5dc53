package releases

import (
	"fmt"
	"regexp"
	"strings"
)

// Squirrel reads the RELEASES file of Squirrel.Windows at the address base
// (github.com/Squirrel/Squirrel.Windows, docs/using/update-process.md): lines of
// SHA-1, name and size, of packages <id>-<version>-full.nupkg and -delta.nupkg.
// The full ones of an id are the versions. The SHA-1 is not used.
func Squirrel(data []byte, base, id string) ([]Entry, error) {
	text, _, err := plain(data)
	if err != nil {
		return nil, err
	}
	if len(text) > maxManifest {
		return nil, fmt.Errorf("the document is larger than %d bytes", maxManifest)
	}
	// "0a1b… name 123", and "# 25%" behind it for a staged rollout.
	form := regexp.MustCompile(`^[0-9A-Fa-f]{40}\s+(\S.*?)\s+([0-9]+)(\s+#.*)?$`)
	var out []Entry
	other := ""
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		m := form.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("%q is no line of a RELEASES file", shortly(line))
		}
		f, err := fileAt(base, m[1], "")
		if err != nil {
			return nil, err
		}
		f.Size = sizeOf(m[2])
		version, ok := cutFold(f.Name, id+"-", "-full.nupkg")
		if !ok || version[0] < '0' || version[0] > '9' { // of "app" and "app-helper" both begin alike
			other = f.Name
			continue
		}
		out = append(out, Entry{Version: version, Files: []File{f}})
	}
	if len(out) == 0 && other != "" {
		return nil, fmt.Errorf("%w of %s, but lists %s", errNothing, id, shortly(other))
	}
	return listed(merged(out))
}

// cutFold is what stands between a beginning and an end of any case.
func cutFold(text, before, after string) (string, bool) {
	if len(text) <= len(before)+len(after) ||
		!strings.EqualFold(text[:len(before)], before) || !strings.EqualFold(text[len(text)-len(after):], after) {
		return "", false
	}
	return text[len(before) : len(text)-len(after)], true
}
