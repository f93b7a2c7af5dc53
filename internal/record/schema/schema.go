// Package schema carries the CUE schema of a packmill repository: the *.cue
// files beside this one, which are its only source.
//
// They are embedded, so that the binary checks with exactly these files, and
// vendored by `packmill init` under VendorDir of a repository, so that stock
// `cue vet` and editors find them without a registry. `packmill validate`
// compares the copy with the embedded files. The Go types they decode into are
// those of package fleet.
package schema

import (
	"embed"
	"io/fs"
	"path"
)

// ImportPath is how a repository's files import the schema.
const ImportPath = "github.com/packmill/packmill/schema"

// VendorDir is where a repository keeps its copy of the schema.
const VendorDir = "cue.mod/pkg/" + ImportPath

// LanguageVersion is the CUE language version the schema is written in, as
// cue.mod/module.cue states it.
const LanguageVersion = "v0.17.0"

//go:embed *.cue
var embedded embed.FS

// Files are the schema's files by base name. Each call gives a fresh map.
func Files() map[string][]byte {
	entries, err := fs.ReadDir(embedded, ".")
	if err != nil {
		panic("schema: embedded files: " + err.Error())
	}
	files := make(map[string][]byte, len(entries))
	for _, e := range entries {
		data, err := embedded.ReadFile(path.Base(e.Name()))
		if err != nil {
			panic("schema: embedded files: " + err.Error())
		}
		files[e.Name()] = data
	}
	return files
}
