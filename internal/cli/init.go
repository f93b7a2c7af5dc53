package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired/initial"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/record/schema"
)

func newInitCmd(a *app) *cobra.Command {
	var options initial.Options
	var update bool
	cmd := &cobra.Command{
		Use:   "init [DIR]",
		Short: "Make a new repository, or renew the schema in one",
		Long: `init writes a small repository that validates: two packages, a week and waves, an
operator with a partner and tenants, and the schema for editors and for stock
cue. It makes DIR a git repository when it lies in none. It overwrites nothing:
where a file of another content stands in the way, it writes none.

The waves and their week are those of a preset:
  factory  our own devices, then all tenants at one instant
  staged   our own devices, a pilot, half of everybody, all; by themselves where
           gates pass
  site     certified on test systems, staged at early plants, then at all plants
           that approved it
In each of them a fix for a vulnerability has a faster lane with a pilot.

With --update-schema it renews the schema's copy in an existing repository.`,
		Example: `  packmill init fleet
  packmill init fleet --week tuesday
  packmill init fleet --preset staged
  packmill init --update-schema`,
		Args: cobra.MaximumNArgs(1),
	}
	cmd.Flags().StringVar(&options.Preset, "preset", "", "way of working: "+strings.Join(initial.Presets(), ", ")+" (default "+initial.Presets()[0]+")")
	cmd.Flags().StringVar(&options.Week, "week", "", "rhythm of the factory's week: "+strings.Join(initial.Weeks(), ", ")+" (default "+initial.Weeks()[0]+")")
	cmd.Flags().StringVar(&options.Module, "module", "", "path of the CUE module (default example.com/packages)")
	cmd.Flags().BoolVar(&update, "update-schema", false, "only renew the schema's copy below "+schema.VendorDir)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		dir := a.repo
		if len(args) == 1 {
			dir = args[0]
		}
		if update {
			return a.updateSchema(dir)
		}
		if len(args) == 0 {
			return usageErrorf("init needs the folder to make: packmill init DIR")
		}
		return a.runInit(dir, options)
	}
	return cmd
}

// runInit writes a new repository into dir.
func (a *app) runInit(dir string, options initial.Options) error {
	files, err := initial.Files(options)
	if err != nil {
		return usageErrorf("%v", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return initError(dir, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return initError(dir, err)
	}
	defer root.Close()
	if err := inTheWay(root, files); err != nil {
		return err
	}
	written := 0
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fresh, err := writeNew(root, name, files[name])
		if err != nil {
			return initError(name, err)
		}
		if fresh {
			written++
		}
	}
	made, err := ensureGit(dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s written in %s", count(written, "file"), dir)
	if made {
		fmt.Fprint(a.stdout, ", now a git repository")
	}
	fmt.Fprintf(a.stdout, "\nnext: read %s, then\n  cd %s\n  packmill validate\n  git add . && git commit -m \"Begin\"\n", filepath.Join(dir, "README.md"), dir)
	return nil
}

func initError(object string, err error) error {
	return &fleet.Error{Op: "cli.init", Object: object, Kind: fleet.Invalid, Err: err}
}

// inTheWay are the files that exist with another content, as findings.
func inTheWay(root *os.Root, files map[string][]byte) error {
	var list fleet.Errors
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if _, err := root.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if data, err := root.ReadFile(name); err == nil && bytes.Equal(data, files[name]) {
			continue
		}
		list = append(list, &fleet.Error{Op: "cli.init", Pos: fleet.Pos{File: name}, Kind: fleet.Invalid,
			Err: errors.New("is already there with another content; nothing was written")})
	}
	if len(list) == 0 {
		return nil
	}
	list[len(list)-1].Hint = "choose another folder; packmill init --update-schema renews the schema in an existing repository"
	return list
}

// writeNew writes a file that is not there yet, and reports whether it did.
func writeNew(root *os.Root, name string, data []byte) (bool, error) {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return false, err
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = f.Write(data)
	return true, errors.Join(err, f.Close())
}

// ensureGit makes dir a git repository when it lies in none.
func ensureGit(dir string) (made bool, err error) {
	if _, err := gitrepo.Open(dir); err == nil {
		return false, nil
	}
	if _, err := gitrepo.Init(dir, false); err != nil {
		return false, err
	}
	return true, nil
}

// updateSchema makes the schema's copy in the repository at dir equal to the
// embedded one: files are written, and those that are no part of it removed.
func (a *app) updateSchema(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return initError(dir, err)
	}
	defer root.Close()
	if _, err := root.Stat("cue.mod/module.cue"); err != nil {
		return &fleet.Error{Op: "cli.init", Object: dir, Kind: fleet.Invalid, Err: errors.New("is no packmill repository: it has no cue.mod/module.cue"), Hint: "packmill init " + dir}
	}
	files := initial.SchemaFiles()
	changed := 0
	entries, err := fs.ReadDir(root.FS(), schema.VendorDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return initError(schema.VendorDir, err)
	}
	for _, e := range entries {
		name := path.Join(schema.VendorDir, e.Name())
		if data, err := root.ReadFile(name); err == nil && e.Type().IsRegular() && bytes.Equal(data, files[name]) {
			delete(files, name)
			continue
		}
		if err := root.RemoveAll(name); err != nil {
			return initError(name, err)
		}
		changed++
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if _, err := writeNew(root, name, files[name]); err != nil {
			return initError(name, err)
		}
		changed++
	}
	if changed == 0 {
		fmt.Fprintln(a.stdout, "the schema is up to date")
		return nil
	}
	fmt.Fprintf(a.stdout, "the schema below %s is renewed\n", schema.VendorDir)
	return nil
}
