package factory

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/packmill/packmill/internal/edge/store"
	"github.com/packmill/packmill/internal/edge/upstream"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/rules/adopt"
	"github.com/packmill/packmill/internal/rules/bump"
)

// Add makes a package of a file, with the release that the file is, and checks
// the whole tree with them. Of a package without upstream that is there already it
// makes the next release: that is how versions are handed in. What the bytes tell
// is read as propose reads it: a file that propose would hold is refused here.
func Add(ctx context.Context, tree desired.Tree, repo *fleet.Repository, s *Sample, given adopt.Given, o ImportOptions, check desired.Options) (*Imported, error) {
	given.File, given.URL = s.File, s.URL
	o.Environments = repo.Matrices
	result, err := adopt.File(given, o.Options)
	if err != nil {
		return nil, err
	}
	out := &Imported{Result: *result, Files: map[string][]byte{}, Version: cmp.Or(given.Version, s.File.Version)}
	id := out.Package.ID
	release := fleet.Release{Counter: 1, Change: "new", Installers: map[string]fleet.Download{}}
	if p, there := repo.Packages[id]; there && p.Upstream == nil && len(p.Releases) > 0 {
		if release, err = out.next(p); err != nil {
			return nil, err
		}
	} else if err := out.render(repo, o); err != nil {
		return nil, err
	}
	publisher := out.Publisher
	if known, there := repo.Publishers[id.Publisher()]; there {
		publisher = known
	}
	for key, in := range out.Package.Installers {
		d, err := s.download(in, out.Version, publisher, check.Now)
		if err == nil {
			err = checkSigner(publisher, s.kind, d.Signer)
		}
		if err != nil {
			return nil, withSignerHint(asRefused(err), id.Publisher())
		}
		release.Installers[key] = d
	}
	out.Files[desired.ReleasePath(id, out.Version)] = desired.ReleaseFile(out.Version, release)
	_, err = desired.Load(ctx, Overlay(tree, out.Files), check)
	return out, err
}

// withSignerHint says at a refused signer what can be done about it.
func withSignerHint(err error, publisher string) error {
	var e *fleet.Error
	hold, held := upstream.HoldOf(err)
	if !held || hold.Name != fleet.HoldSigner || !errors.As(err, &e) || e.Hint != "" {
		return err
	}
	with := *e
	with.Hint = "look at it with packmill inspect; if the signer is the vendor's, name it in " + desired.PublisherPath(publisher) + " first, or give an RPM package's key with --key"
	return &with
}

// next makes of what a file tells the next release of a package that is there:
// nothing of the package changes.
func (i *Imported) next(p fleet.Package) (fleet.Release, error) {
	refuse := func(hint, format string, args ...any) (fleet.Release, error) {
		e := fleet.Errorf(fleet.Refused, "factory.add", string(p.ID), format, args...)
		e.Hint = hint
		return fleet.Release{}, e
	}
	if _, there := p.Releases[i.Version]; there {
		return refuse("a vendor's second file of one version needs a version of its own: --release", "there is a release %s already, and a release never changes", i.Version)
	}
	if len(p.Installers) != 1 {
		return refuse("write the release file by hand, with the digest that packmill inspect --digest prints", "the package has %d installers, and a release names the bytes of all of them", len(p.Installers))
	}
	for _, is := range i.Package.Installers {
		for _, was := range p.Installers {
			if is.Platform != was.Platform || is.Type != was.Type || is.Arch != was.Arch {
				return refuse("--id makes a package of its own", "the file is %s for %s, the package installs %s for %s", is.Type, is.Arch, was.Type, was.Arch)
			}
		}
	}
	_, latest, _ := p.Latest()
	i.Result = adopt.Result{Package: p}
	return fleet.Release{Counter: latest.Counter + 1, Change: bump.Class(p, i.Version), Installers: map[string]fleet.Download{}}, nil
}

// download is the sample as a release names it, its signature as of an instant.
func (s *Sample) download(in fleet.Installer, version string, publisher fleet.Publisher, at time.Time) (fleet.Download, error) {
	d := fleet.Download{URL: s.URL, Size: s.bytes.size, SHA256: s.bytes.digest}
	if d.URL == "" {
		d.Upload = d.SHA256
	}
	return d, inspect(&d, s.bytes, in, version, publisher, at)
}

// Keep puts a file that was handed in into the store, where build finds it by its
// digest.
func (s *Sample) Keep(ctx context.Context, to *store.Store, id fleet.PackageID, version string) error {
	_, err := to.Put(ctx, store.Artifact{
		Files: []store.File{{
			Installer: "upload", Name: s.File.Name, MediaType: store.MediaTypeUpload, Digest: s.bytes.digest, Size: s.bytes.size,
			Open: func() (io.ReadCloser, error) { return os.Open(s.bytes.Name()) },
		}},
		Annotations: map[string]string{store.AnnotationPackage: string(id), store.AnnotationVersion: version},
	})
	return err
}
