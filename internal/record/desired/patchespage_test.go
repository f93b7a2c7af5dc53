package desired

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/format/graphpolicy"
)

// TestPatchesPage checks docs/os-patches.md: each package it shows is one that a
// repository may hold, and the payload below a package is what it names.
func TestPatchesPage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "os-patches.md"))
	if err != nil {
		t.Fatal(err)
	}
	const head = "package catalog\n\nimport \"github.com/packmill/packmill/schema\"\n\n"
	edits := []edit{{"catalog/microsoft/publisher.cue", "", head + "publisher: schema.#Publisher & {name: \"Microsoft\", hosts: []}\n"}}
	packages := regexp.MustCompile("(?s)```cue\n(pkg: .*?)```").FindAllStringSubmatch(string(page), -1)
	for _, p := range packages {
		id := regexp.MustCompile(`id: +"(.*)"`).FindStringSubmatch(p[1])
		edits = append(edits, edit{"catalog/" + id[1] + "/package.cue", "", head + p[1]})
	}
	payload := regexp.MustCompile("(?s)```json\n(.*?)```").FindStringSubmatch(string(page))
	edits = append(edits, edit{"catalog/microsoft/update-ring/files/update-ring.json", "", payload[1]})
	repo, err := load(t, edited(t, edits...))
	if err != nil {
		t.Fatal(err)
	}
	if ring := repo.Packages["microsoft/update-ring"]; ring.Settings["ring"].DeviceConfiguration == "" {
		t.Errorf("the ring is no device configuration: %+v", ring.Settings)
	}
	if data, err := graphpolicy.DeviceConfiguration([]byte(payload[1])); err != nil || !strings.Contains(string(data), "windowsUpdateForBusinessConfiguration") {
		t.Errorf("%s, %v", data, err)
	}
	if len(packages) < 2 {
		t.Errorf("the page shows %d packages", len(packages))
	}
}
