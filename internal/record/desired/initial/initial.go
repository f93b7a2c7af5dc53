// Package initial holds the repository that a new operator starts with: two
// packages without releases, a week and waves for a way of working, an operator
// with a partner and tenants. `packmill init` writes it; it is small enough to be read in five
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

//go:embed base presets monday-friday tuesday
var templates embed.FS

// Presets are the ways of working to choose from, the default first: all tenants
// at one instant, a pilot and half before all, or plants that approve for
// themselves.
func Presets() []string { return []string{"factory", "staged", "site"} }

// Weeks are the rhythms to choose from, the default first. They are the
// factory's: the other presets need a week of their own.
func Weeks() []string { return []string{"monday-friday", "tuesday"} }

// Options choose what Files gives.
type Options struct {
	Module string // path of the CUE module: "example.com/packages" when empty
	Preset string // one of Presets; the first when empty
	Week   string // one of Weeks; the first when empty
}

// layers are the folders the files come from, later ones before earlier ones.
func (o Options) layers() ([]string, error) {
	if o.Preset == "" {
		o.Preset = Presets()[0]
	}
	if !slices.Contains(Presets(), o.Preset) {
		return nil, fmt.Errorf("no preset is called %q: there are %s", o.Preset, strings.Join(Presets(), ", "))
	}
	layers := []string{"base", "presets/" + o.Preset}
	if o.Preset != Presets()[0] {
		if o.Week != "" {
			return nil, fmt.Errorf("the preset %s has a week of its own: leave the week %q out", o.Preset, o.Week)
		}
		return layers, nil
	}
	if o.Week == "" {
		o.Week = Weeks()[0]
	}
	if !slices.Contains(Weeks(), o.Week) {
		return nil, fmt.Errorf("no week is called %q: there are %s", o.Week, strings.Join(Weeks(), " and "))
	}
	return append(layers, o.Week), nil
}

// Files are the files of a new repository by path, the schema included.
func Files(o Options) (map[string][]byte, error) {
	layers, err := o.layers()
	if err != nil {
		return nil, err
	}
	if o.Module == "" {
		o.Module = "example.com/packages"
	}
	if err := module.CheckPath(o.Module); err != nil {
		return nil, fmt.Errorf("the module's path must be one as CUE has it, such as example.com/packages: %w", err)
	}
	files := SchemaFiles()
	files["cue.mod/module.cue"] = desired.ModuleFile(o.Module)
	for _, layer := range layers {
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
