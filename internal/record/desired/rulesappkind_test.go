package desired

import "testing"

// What a console must be told of an installer that cannot be read.
func TestAppKindRules(t *testing.T) {
	checkRules(t, []rule{
		{"a store's app without its id", []edit{{sevenZip, `type:     "msi"`, `type:     "store"`}}},
		{"a disk image without a bundle", []edit{{sevenZip, `platform: "windows"`, `platform: "macos"`}, {sevenZip, `type:     "msi"`, `type:     "dmg"`}}},
		{"a disk image for Windows", []edit{{sevenZip, `type:     "msi"`, `type:     "dmg"`}}},
		{"managed on Windows", []edit{{sevenZip, `type:     "msi"`, `type:     "msi", managed: true`}}},
		{"managed by a word", []edit{{sevenZip, `type:     "msi"`, `type:     "msi", managed: "yes"`}}},
		{"a category without a name", []edit{{sevenZip, `kind: `, `categories: [""], kind: `}}},
	})
}
