package vendors

import (
	"crypto"
	"fmt"
	"strings"

	"github.com/packmill/packmill/internal/format/xar/xarbuild"
)

// macPackage is a macOS product of one component: enough to be read, with a
// Payload that holds nothing. Identifiers follow from company and name.
func (c Content) macPackage() []byte {
	id := "com." + lettersOf(c.Company) + "." + lettersOf(c.Name)
	info := fmt.Sprintf(`<?xml version="1.0" encoding="utf-8"?>
<pkg-info format-version="2" identifier="%[1]s.pkg" version="%[2]s" install-location="/Applications" auth="root">
  <payload numberOfFiles="1" installKBytes="1"/>
  <bundle path="./%[3]s.app" id="%[1]s" CFBundleShortVersionString="%[2]s" CFBundleVersion="%[4]s"/>
</pkg-info>
`, id, c.Version, lettersOf(c.Name), dotted(numbers(c.Version)))
	script := fmt.Sprintf(`<?xml version="1.0" encoding="utf-8"?>
<installer-gui-script minSpecVersion="2">
  <product id="%[1]s" version="%[2]s"/>
  <options customize="never" hostArchitectures="x86_64,arm64"/>
  <pkg-ref id="%[1]s.pkg" version="%[2]s">#Component.pkg</pkg-ref>
</installer-gui-script>
`, id, c.Version)
	data, err := xarbuild.Archive{Hash: crypto.SHA256, Files: []xarbuild.File{
		{Path: "Distribution", Data: []byte(script)},
		{Path: "Component.pkg/PackageInfo", Data: []byte(info)},
		{Path: "Component.pkg/Payload", Data: pad(nil, max(c.Size, 16)), Plain: true},
	}}.Bytes()
	if err != nil {
		panic(err) // only signing fails, and nobody signs it
	}
	return data
}

// lettersOf is a name with its letters and digits alone, in lower case.
func lettersOf(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(name))
}
