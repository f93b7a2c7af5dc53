package desired

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/packmill/packmill/internal/record/schema"
)

// This repository is a packmill repository itself: its copy of the schema is
// the embedded one, file by file.
func TestVendoredSchema(t *testing.T) {
	dir := filepath.Join("..", "..", "..", filepath.FromSlash(schema.VendorDir))
	files := schema.Files()
	if len(files) < 5 {
		t.Fatalf("the schema has %d files: the test looks at nothing", len(files))
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !bytes.Equal(got, files[name]) {
			t.Errorf("%s differs from internal/record/schema/%s: packmill init --update-schema", filepath.Join(dir, name), name)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(files) {
		t.Errorf("%s holds %d files, the schema %d", dir, len(entries), len(files))
	}
}
