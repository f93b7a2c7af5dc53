// Package initial holds the repository that a new operator starts with: two
// packages without releases, a week, two waves, an operator with a partner and
// two tenants. `packmill init` writes it; it is small enough to be read in five
// minutes, and it validates.
package initial

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"cuelang.org/go/mod/module"

	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/record/schema"
)

//go:embed base monday-friday tuesday
var templates embed.FS

// Weeks are the rhythms to choose from, the default first.
func Weeks() []string { return []string{"monday-friday", "tuesday"} }

// Options choose what Files gives.
type Options struct {
	Module string // path of the CUE module: "example.com/packages" when empty
	Week   string // one of Weeks; the first when empty
}

// Files are the files of a new repository by path, the schema included.
func Files(o Options) (map[string][]byte, error) {
	if o.Week == "" {
		o.Week = Weeks()[0]
	}
	if o.Module == "" {
		o.Module = "example.com/packages"
	}
	if !slices.Contains(Weeks(), o.Week) {
		return nil, fmt.Errorf("no week is called %q: there are %s", o.Week, strings.Join(Weeks(), " and "))
	}
	if err := module.CheckPath(o.Module); err != nil {
		return nil, fmt.Errorf("the module's path must be one as CUE has it, such as example.com/packages: %w", err)
	}
	files := SchemaFiles()
	files["cue.mod/module.cue"] = desired.ModuleFile(o.Module)
	for _, layer := range []string{"base", o.Week} {
		err := fs.WalkDir(templates, layer, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			data, err := templates.ReadFile(name)
			files[strings.TrimPrefix(name, layer+"/")] = data
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("embedded templates: %w", err)
		}
	}
	return files, nil
}

// SchemaFiles are the files of the schema where a repository keeps its copy.
func SchemaFiles() map[string][]byte {
	files := map[string][]byte{}
	for name, data := range schema.Files() {
		files[path.Join(schema.VendorDir, name)] = data
	}
	return files
}
