package factory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/edge/upstream"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/manifest"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/rules/adopt"
	"github.com/packmill/packmill/internal/rules/version"
)

// Catalogs are where manifests of others are read.
type Catalogs interface {
	// Document is the body at an https address.
	Document(ctx context.Context, address string) ([]byte, error)
	// GitHubFile is a file of a repository's default branch.
	GitHubFile(ctx context.Context, repository, path string) ([]byte, error)
	// GitHubFolder lists a folder, the names of folders with a "/" at the end.
	GitHubFolder(ctx context.Context, repository, path string) ([]string, error)
}

// Imported is a package made of another catalog's manifest, and what was left
// open. Nothing is written yet.
type Imported struct {
	adopt.Result
	Manifest *fleet.Manifest   // nil for a package that was made of a file
	Version  string            // of the release that was made with it, "" for none
	Files    map[string][]byte // to write, by path: package.cue, and publisher.cue when it is new
	Fresh    bool              // the publisher is new
}

// Addresses of the catalogs.
const (
	wingetRepository = "microsoft/winget-pkgs"
	caskAPI          = "https://formulae.brew.sh/api/cask/"
	evergreenAPI     = "https://evergreen-api.stealthpuppy.com/app/"
)

// scoopBuckets are the repositories of Scoop's known buckets
// (github.com/ScoopInstaller/Scoop, buckets.json).
var scoopBuckets = map[string]string{
	"main": "ScoopInstaller/Main", "extras": "ScoopInstaller/Extras", "versions": "ScoopInstaller/Versions",
	"java": "ScoopInstaller/Java", "nonportable": "ScoopInstaller/Nonportable",
}

var (
	wingetID     = regexp.MustCompile(`^[^.\s\\/:*?"<>|]{1,32}(\.[^.\s\\/:*?"<>|]{1,32}){1,7}$`)
	caskToken    = regexp.MustCompile(`^[a-z0-9][a-z0-9@.+-]{0,99}$`)
	evergreenApp = regexp.MustCompile(`^[A-Za-z0-9]{1,100}$`)
	scoopName    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,99}$`)
	scoopBucket  = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}/[A-Za-z0-9._-]{1,100}$`)
)

// IsManifestID reports whether a text names a manifest in a catalog, rather than
// files: "winget:Mozilla.Firefox".
func IsManifestID(text string) bool {
	kind, _, found := strings.Cut(text, ":")
	return found && slices.Contains([]string{fleet.ManifestWinget, fleet.ManifestCask, fleet.ManifestScoop, fleet.ManifestEvergreen}, kind)
}

// FetchManifest reads the newest manifest that a catalog has under an id.
func FetchManifest(ctx context.Context, c Catalogs, id string) (*fleet.Manifest, error) {
	kind, name, _ := strings.Cut(id, ":")
	var m *fleet.Manifest
	var err error
	switch {
	case kind == fleet.ManifestWinget && wingetID.MatchString(name):
		m, err = fetchWinget(ctx, c, name)
	case kind == fleet.ManifestCask && caskToken.MatchString(name):
		address := caskAPI + name + ".json"
		m, err = fetched(ctx, c, address, func(data []byte) (*fleet.Manifest, error) { return manifest.Cask(address, data) })
	case kind == fleet.ManifestEvergreen && evergreenApp.MatchString(name):
		address := evergreenAPI + name
		m, err = fetched(ctx, c, address, func(data []byte) (*fleet.Manifest, error) { return manifest.Evergreen(address, name, data) })
	case kind == fleet.ManifestScoop:
		m, err = fetchScoop(ctx, c, name)
	default:
		return nil, fleet.Errorf(fleet.Invalid, "factory.import", id, "is no %s", forms[kind])
	}
	var known *fleet.Error
	if err != nil && !errors.As(err, &known) {
		return nil, fleet.Errorf(fleet.Invalid, "factory.import", id, "%w", err)
	}
	return m, err
}

var forms = map[string]string{
	fleet.ManifestWinget: "package identifier such as winget:Mozilla.Firefox", fleet.ManifestCask: "token such as cask:firefox",
	fleet.ManifestEvergreen: "application such as evergreen:GoogleChrome",
}

func fetched(ctx context.Context, c Catalogs, address string, read func([]byte) (*fleet.Manifest, error)) (*fleet.Manifest, error) {
	data, err := c.Document(ctx, address)
	if err != nil {
		return nil, unreachable(address, err)
	}
	return read(data)
}

// unreachable is an error about a catalog that gives no answer; cancelled work
// stays what it is.
func unreachable(object string, err error) error {
	if h, ok := upstream.HoldOf(err); ok {
		return fleet.Errorf(fleet.Invalid, "factory.import", object, "%s: %w", h.Name, err)
	}
	return err
}

// fetchWinget reads the newest version of an id: manifests/<first letter>/<parts
// of the id>/<version>/. Other packages' folders may stand among the versions.
func fetchWinget(ctx context.Context, c Catalogs, id string) (*fleet.Manifest, error) {
	dir := "manifests/" + strings.ToLower(id[:1]) + "/" + strings.ReplaceAll(id, ".", "/")
	names, err := c.GitHubFolder(ctx, wingetRepository, dir)
	if err != nil {
		return nil, unreachable(wingetRepository+"/"+dir, err)
	}
	const tries = 5
	for i, v := range newestFirst(names) {
		if i == tries {
			break
		}
		files := map[string][]byte{}
		names, err := c.GitHubFolder(ctx, wingetRepository, dir+"/"+v)
		if err != nil {
			return nil, unreachable(dir+"/"+v, err)
		}
		if !slices.Contains(names, id+".yaml") {
			continue
		}
		for _, name := range names {
			if name != id+".yaml" && name != id+".installer.yaml" && !strings.HasPrefix(name, id+".locale.") || len(files) == manifest.MaxFiles {
				continue
			}
			file := dir + "/" + v + "/" + name
			if files[wingetRepository+"/"+file], err = c.GitHubFile(ctx, wingetRepository, file); err != nil {
				return nil, unreachable(file, err)
			}
		}
		return manifest.Winget(files)
	}
	return nil, fmt.Errorf("%s/%s has no version", wingetRepository, dir)
}

// newestFirst are the folders whose names are versions. What no scheme orders
// comes last, by name.
func newestFirst(names []string) []string {
	type dir struct {
		name    string
		version version.Version
		ordered bool
	}
	var list []dir
	for _, name := range names {
		name, folder := strings.CutSuffix(name, "/")
		if !folder || !strings.ContainsAny(name, "0123456789") {
			continue
		}
		v, err := version.Parse(version.Windows, name)
		list = append(list, dir{name, v, err == nil})
	}
	slices.SortFunc(list, func(a, b dir) int {
		switch {
		case a.ordered && b.ordered:
			return version.Compare(b.version, a.version)
		case a.ordered != b.ordered:
			return map[bool]int{true: -1, false: 1}[a.ordered]
		}
		return strings.Compare(b.name, a.name)
	})
	var out []string
	for _, d := range list {
		out = append(out, d.name)
	}
	return out
}

func fetchScoop(ctx context.Context, c Catalogs, name string) (*fleet.Manifest, error) {
	at := strings.LastIndexByte(name, '/')
	bucket, app := "main", name
	if at >= 0 {
		bucket, app = name[:at], name[at+1:]
	}
	repository, known := scoopBuckets[strings.ToLower(bucket)]
	if !known {
		repository = bucket
	}
	if !scoopBucket.MatchString(repository) || !scoopName.MatchString(app) {
		return nil, fmt.Errorf("is no manifest such as scoop:extras/firefox or scoop:owner/bucket/name; known buckets are %s", strings.Join(slices.Sorted(maps.Keys(scoopBuckets)), ", "))
	}
	file := "bucket/" + app + ".json"
	data, err := c.GitHubFile(ctx, repository, file)
	if err != nil {
		return nil, unreachable(repository+"/"+file, err)
	}
	return manifest.Scoop(repository+"/"+file, data)
}

// ReadManifest reads manifests that are at hand, by name: the YAML files of one
// version of a winget package, or one JSON file of any of the other catalogs.
func ReadManifest(files map[string][]byte) (*fleet.Manifest, error) {
	names := slices.Sorted(maps.Keys(files))
	invalid := func(object string, err error) error {
		return fleet.Errorf(fleet.Invalid, "factory.import", object, "%w", err)
	}
	if len(names) != 1 || path.Ext(names[0]) != ".json" {
		if len(names) == 0 {
			return nil, invalid("", errors.New("there is no manifest: .yaml files of winget, or one .json file"))
		}
		if slices.ContainsFunc(names, func(n string) bool { return path.Ext(n) == ".json" }) {
			return nil, invalid(names[0], errors.New("there are several manifests: name the file that is meant"))
		}
		m, err := manifest.Winget(files)
		if err != nil {
			return nil, invalid(path.Dir(names[0]), err)
		}
		return m, nil
	}
	name, data := names[0], files[names[0]]
	app := strings.TrimSuffix(path.Base(name), ".json")
	var failed []error
	for _, read := range []func() (*fleet.Manifest, error){
		func() (*fleet.Manifest, error) { return manifest.Cask(name, data) },
		func() (*fleet.Manifest, error) { return manifest.Scoop(name, data) },
		func() (*fleet.Manifest, error) { return manifest.Evergreen(name, app, data) },
	} {
		m, err := read()
		if err == nil {
			return m, nil
		}
		failed = append(failed, err)
	}
	return nil, invalid(name, fmt.Errorf("is no manifest that is known: as a cask it %w; as a Scoop manifest it %w; as rows of Evergreen they %w", failed[0], failed[1], failed[2]))
}

// ImportOptions say what to make of a manifest.
type ImportOptions struct {
	adopt.Options
	Replace bool // a package that is there already is written anew
}

// Import makes a package of a manifest, and checks the whole tree with it.
func Import(ctx context.Context, tree desired.Tree, repo *fleet.Repository, m *fleet.Manifest, o ImportOptions, check desired.Options) (*Imported, error) {
	o.Environments = repo.Matrices
	result, err := adopt.Package(m, o.Options)
	if err != nil {
		return nil, err
	}
	out := &Imported{Result: *result, Manifest: m, Files: map[string][]byte{}}
	if err := out.render(repo, o); err != nil {
		return nil, err
	}
	_, err = desired.Load(ctx, Overlay(tree, out.Files), check)
	return out, err
}

// render writes the file of the package, and that of a publisher who is new.
func (i *Imported) render(repo *fleet.Repository, o ImportOptions) error {
	id := i.Package.ID
	if existing, there := repo.Packages[id]; there && (!o.Replace || len(existing.Releases) > 0) {
		e := fleet.Errorf(fleet.Refused, "factory.import", desired.PackagePath(id), "the package is there already")
		if e.Hint = "--replace writes it anew; --id imports it under another id"; len(existing.Releases) > 0 {
			e.Hint = "it has releases, and is changed by hand; --id imports it under another id"
		}
		return e
	}
	err := i.hosts(repo)
	if err != nil {
		return err
	}
	if i.Files[desired.PackagePath(id)], err = desired.PackageFile(i.Package, notes(i.Questions, i.LeftOut)); err != nil {
		return fleet.Errorf(fleet.Internal, "factory.import", string(id), "write the package: %w", err)
	}
	if i.Fresh {
		if i.Files[desired.PublisherPath(id.Publisher())], err = desired.PublisherFile(i.Publisher, notes(i.PublisherQuestions, nil)); err != nil {
			return fleet.Errorf(fleet.Internal, "factory.import", string(id), "write the publisher: %w", err)
		}
	}
	return nil
}

// hosts compares the hosts of the addresses with those of a publisher that the
// repository has.
func (i *Imported) hosts(repo *fleet.Repository) error {
	id := i.Package.ID
	publisher, known := repo.Publishers[id.Publisher()]
	i.Fresh = !known
	if !known {
		return nil
	}
	i.PublisherQuestions = nil
	file := desired.PublisherPath(id.Publisher())
	for _, host := range i.Publisher.Hosts {
		if slices.Contains(publisher.Hosts, host) {
			continue
		}
		for _, in := range i.Package.Installers {
			if in.Source != nil && strings.HasPrefix(in.Source.URL, "https://"+host+"/") {
				e := fleet.Errorf(fleet.Invalid, "factory.import", file, "the installers come from %s, which is none of the hosts of %s", host, publisher.Name)
				e.Hint = "add the host there if it is the vendor's, and import again; --publisher imports it under another publisher"
				return e
			}
		}
		i.Questions = append(i.Questions, adopt.Question{Text: fmt.Sprintf("Is %s a host of %s? Nothing is downloaded from it until %s names it.", host, publisher.Name, file)})
	}
	return nil
}

// notes are the comments that a file carries.
func notes(questions []adopt.Question, leftOut []string) desired.Notes {
	out := desired.Notes{}
	told := map[string]string{} // where, by the text
	for _, q := range questions {
		text := q.Text
		if at, twice := told[text]; twice {
			text = "the one at " + at
		} else {
			told[text] = q.At
		}
		out[q.At] = append(out[q.At], "QUESTION: "+text)
	}
	for _, text := range leftOut {
		out["installers"] = append(out["installers"], "Left out: "+text+".")
	}
	return out
}

var _ Catalogs = (*upstream.Client)(nil)
