package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/manifest"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/rules/adopt"
)

// imported is the JSON form of catalog import.
type imported struct {
	Package   fleet.PackageID `json:"package"`
	Manifest  string          `json:"manifest,omitempty"` // kind and id: "winget:Mozilla.Firefox"; "" for an installer
	Version   string          `json:"version"`            // that the manifest or the installer is of
	Files     []string        `json:"files"`
	Written   bool            `json:"written"` // false in a dry run
	Questions []openQuestion  `json:"questions"`
	LeftOut   []string        `json:"leftOut"` // installers that were not taken over, and why
}

// An openQuestion is what the manifest could not tell.
type openQuestion struct {
	File     string   `json:"file"`
	Fields   []string `json:"fields"` // below pkg or publisher; "" for the whole
	Question string   `json:"question"`
}

func newCatalogCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "catalog",
		Short: "Bring packages into the catalog",
		Long:  "catalog makes packages of installers, and of what other catalogs say.",
	}
	cmd.AddCommand(newCatalogAddCmd(a), newCatalogImportCmd(a))
	return cmd
}

func newCatalogImportCmd(a *app) *cobra.Command {
	var options factory.ImportOptions
	var id string
	var dry bool
	cmd := &cobra.Command{
		Use:   "import MANIFEST",
		Short: "Make a package of a winget, cask, Scoop or Evergreen manifest",
		Long: `import reads what another catalog says of an application and writes the file of a
package: where the vendor publishes, read off the installers' addresses; how the
installers run silently; how a device is seen to have a release. MANIFEST is one of

  winget:Mozilla.Firefox   the newest version in the winget community repository
  cask:powershell          a Homebrew cask
  scoop:extras/firefox     a manifest of a Scoop bucket: main, extras, versions, java,
                           nonportable, or owner/repository/name
  evergreen:GoogleChrome   an application of Evergreen's API
  FILE or FOLDER           manifests on disk: one version of a winget package, or one
                           JSON file of the others

What a manifest cannot tell is written into the file as a comment that begins with
QUESTION, at the field it concerns, and listed. A field with a question has a value
that does no harm: a rule that finds nothing, a way back that is none. The publisher's
file is written when the publisher is new; its hosts are a proposal.

The whole repository is checked with the new files before one is written: exit code 2
says that it would not validate, or that there is no such manifest, 3 that there is
nothing in it that packmill could install, or that the package is there already.`,
		Example: `  packmill catalog import winget:Mozilla.Firefox
  packmill catalog import cask:powershell --publisher microsoft
  packmill catalog import ./manifests/g/Greenshot/Greenshot/1.3.290/`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&id, "id", "", "id of the package, \"publisher/package\"; made of the manifest's without it")
	cmd.Flags().StringVar(&options.Publisher, "publisher", "", "first part of the package's id, without --id")
	cmd.Flags().StringSliceVar(&options.Languages, "language", nil, "languages to take where there is an installer for each (default en-US)")
	cmd.Flags().BoolVar(&options.Replace, "replace", false, "write a package without releases anew")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "write nothing")
	f := formatFlag(cmd, formatText, formatJSON)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		options.ID = fleet.PackageID(id)
		got, err := a.importManifest(cmd.Context(), args[0], options)
		if err != nil {
			return err
		}
		if !dry {
			if err := a.writeImported(got.Files); err != nil {
				return err
			}
		}
		return a.write(*f, importResult(got, !dry))
	}
	return cmd
}

// importManifest makes the package, and checks the repository with it.
func (a *app) importManifest(ctx context.Context, source string, options factory.ImportOptions) (*factory.Imported, error) {
	in, done, err := a.importing(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	m, err := a.manifest(ctx, in.clock, source)
	if err != nil {
		return nil, err
	}
	return factory.Import(ctx, in.tree, in.repo, m, options, in.check)
}

// An importing is a repository that is to get a package.
type importing struct {
	tree  desired.Tree
	repo  *fleet.Repository
	check desired.Options // with which it is checked again; only what is new is evaluated
	clock fleet.Clock
}

// importing opens the repository in the work tree. The caller calls done.
func (a *app) importing(ctx context.Context) (in importing, done func(), err error) {
	if repo, err := gitrepo.Open(a.repo); err == nil && repo.Bare() {
		return in, nil, usageErrorf("%s is a bare repository: there is no work tree to write to", a.repo)
	}
	if in.clock, err = a.clock(); err != nil {
		return in, nil, err
	}
	evaluator, err := policyEvaluator()
	if err != nil {
		return in, nil, err
	}
	in.check = desired.Options{Evaluator: desired.Remember(evaluator), Now: in.clock.Now()}
	if in.tree, done, err = a.openTree(ctx, ""); err != nil {
		return in, nil, err
	}
	if err = a.isRepository(in.tree); err == nil {
		in.repo, err = desired.Load(ctx, in.tree, in.check)
	}
	if err != nil {
		done()
		return in, nil, err
	}
	return in, done, nil
}

// manifest reads the manifest that is meant: by its id in a catalog, or on disk.
func (a *app) manifest(ctx context.Context, clock fleet.Clock, source string) (*fleet.Manifest, error) {
	if factory.IsManifestID(source) {
		client, err := a.upstream(ctx, clock)
		if err != nil {
			return nil, err
		}
		return factory.FetchManifest(ctx, client, source)
	}
	files, err := manifestFiles(source)
	if err != nil {
		return nil, fleet.Errorf(fleet.Invalid, "cli.import", source, "%w", err)
	}
	return factory.ReadManifest(files)
}

// manifestFiles reads manifests from disk: a file, or those of a folder. A YAML
// file of winget stands for the version's others beside it.
func manifestFiles(source string) (map[string][]byte, error) {
	info, err := os.Stat(source)
	if err != nil {
		return nil, err
	}
	dir, only, prefix := source, "", ""
	if !info.IsDir() {
		dir, only = filepath.Dir(source), filepath.Base(source)
		if path.Ext(only) == ".yaml" {
			prefix, _, _ = strings.Cut(strings.TrimSuffix(strings.TrimSuffix(only, ".yaml"), ".installer"), ".locale.")
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, e := range entries {
		name := e.Name()
		wanted := only == "" && (path.Ext(name) == ".yaml" || path.Ext(name) == ".json") || name == only ||
			prefix != "" && strings.HasPrefix(name, prefix+".") && path.Ext(name) == ".yaml"
		if !wanted || !e.Type().IsRegular() {
			continue
		}
		if len(files) == manifest.MaxFiles {
			return nil, fmt.Errorf("holds more than %d manifests", manifest.MaxFiles)
		}
		f, err := root.Open(name)
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(io.LimitReader(f, manifest.MaxBytes+1))
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
		files[placeOf(dir, name)] = data
	}
	return files, nil
}

// placeOf is where a manifest stands in its own repository, as far as its path
// tells: where it lies on this machine is of no interest to others.
func placeOf(dir, name string) string {
	whole := path.Join(filepath.ToSlash(dir), name)
	for _, top := range []string{"manifests/", "bucket/"} {
		if i := strings.LastIndex("/"+whole, "/"+top); i >= 0 {
			return whole[i:]
		}
	}
	return name
}

// writeImported writes the files: all of them, or none.
func (a *app) writeImported(files map[string][]byte) error {
	root, err := os.OpenRoot(a.repo)
	if err != nil {
		return err
	}
	defer root.Close()
	var made []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fresh, err := writeNew(root, name, files[name])
		if fresh {
			made = append(made, name)
		} else if err == nil { // --replace: it was judged before
			err = root.WriteFile(name, files[name], 0o644)
		}
		if err != nil {
			for _, name := range made {
				err = errors.Join(err, root.Remove(name))
			}
			return fleet.Errorf(fleet.Internal, "cli.import", name, "write the file: %w", err)
		}
	}
	return nil
}

func importResult(got *factory.Imported, written bool) result {
	id := got.Package.ID
	v := imported{
		Package: id, Version: got.Version, Written: written,
		Files: slices.Sorted(maps.Keys(got.Files)), Questions: []openQuestion{}, LeftOut: got.LeftOut,
	}
	if m := got.Manifest; m != nil {
		v.Manifest, v.Version = m.Kind+":"+m.ID, m.Version
	}
	add := func(file string, list []adopt.Question) {
		for _, q := range list {
			same := func(o openQuestion) bool { return o.File == file && o.Question == q.Text }
			if i := slices.IndexFunc(v.Questions, same); i >= 0 {
				v.Questions[i].Fields = append(v.Questions[i].Fields, q.At)
			} else {
				v.Questions = append(v.Questions, openQuestion{file, []string{q.At}, q.Text})
			}
		}
	}
	add(desired.PackagePath(id), got.Questions)
	add(desired.PublisherPath(id.Publisher()), got.PublisherQuestions)
	return result{name: "import", value: v, text: importText(v)}
}

// importText tells what was written, what is open, and what comes next.
func importText(v imported) string {
	next := "packmill detect " + string(v.Package)
	if v.Manifest == "" { // test reads commits
		next = "git add catalog && git commit -m \"Add " + string(v.Package) + "\"\n  packmill test --rev HEAD " + string(v.Package)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s is %s\n", cmp.Or(v.Manifest, "release"), v.Version, v.Package)
	for _, name := range v.Files {
		verb := "wrote"
		if !v.Written {
			verb = "would write"
		}
		fmt.Fprintf(&b, "%s %s\n", verb, name)
	}
	for _, text := range v.LeftOut {
		fmt.Fprintf(&b, "left out: %s\n", text)
	}
	if len(v.Questions) > 0 {
		fmt.Fprintf(&b, "\n%s, in the files as QUESTION:\n", count(len(v.Questions), "open question"))
	}
	for _, q := range v.Questions {
		where := strings.Join(q.Fields, ", ")
		if path.Base(q.File) == "publisher.cue" {
			where = "publisher: " + where
		}
		fmt.Fprintf(&b, "  %s\n      %s\n", strings.TrimSpace(where), q.Question)
	}
	if len(v.Questions) > 0 {
		b.WriteString("\nnext: answer the questions in the files, then\n")
	} else {
		b.WriteString("\nnext:\n")
	}
	fmt.Fprintf(&b, "  %s\n", next)
	return b.String()
}
