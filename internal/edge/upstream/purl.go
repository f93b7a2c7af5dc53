package upstream

import (
	"context"
	"net/url"
	"path"
	"strings"

	packageurl "github.com/package-url/packageurl-go"

	"github.com/packmill/packmill/internal/fleet"
)

// canonical is the package URL in the one spelling that files hold
// (github.com/package-url/purl-spec).
func canonical(text string) (string, error) {
	p, err := parsePURL(text)
	if err != nil {
		return "", err
	}
	return p.ToString(), nil
}

// parsePURL reads pkg:npm and pkg:deb with a version.
func parsePURL(text string) (packageurl.PackageURL, error) {
	p, err := packageurl.FromString(text)
	switch {
	case err != nil:
		return p, fleet.Errorf(fleet.Invalid, "upstream.purl", text, "malformed package URL: %w", err)
	case p.Type != packageurl.TypeNPM && p.Type != packageurl.TypeDebian:
		return p, fleet.Errorf(fleet.Invalid, "upstream.purl", text, "package URLs of type %q are not resolved", p.Type)
	case p.Version == "":
		return p, fleet.Errorf(fleet.Invalid, "upstream.purl", text, "the package URL names no version")
	}
	return p, nil
}

// npmName is the package's name as the registry knows it.
func npmName(p packageurl.PackageURL) string {
	if p.Namespace == "" {
		return p.Name
	}
	return p.Namespace + "/" + p.Name
}

// debFeed is the suite, component and architecture that a pkg:deb URL names by
// its qualifiers distro (the suite), component and arch.
func debFeed(p packageurl.PackageURL) fleet.Apt {
	q := p.Qualifiers.Map()
	return fleet.Apt{Package: p.Name, Suite: q["distro"], Component: q["component"], Architecture: q["arch"]}
}

// locateDeb adds what the index says about the bytes.
func (c *Client) locateDeb(ctx context.Context, at *Located) error {
	p, err := parsePURL(at.PURL)
	if err != nil || p.Type != packageurl.TypeDebian {
		return err
	}
	f, listed, err := c.debFile(ctx, p)
	if err != nil {
		return err
	}
	if listed {
		at.Digest, at.Size = f.sha256, f.size
	}
	return nil
}

// debFile is the file of a pkg:deb URL. Indexes list the newest version only,
// while archives keep older files for a while: for a version that is not listed
// the address is derived from one that is, without a digest.
func (c *Client) debFile(ctx context.Context, p packageurl.PackageURL) (f debFile, listed bool, err error) {
	feed := debFeed(p)
	if feed.Suite == "" {
		return debFile{}, false, fleet.Errorf(fleet.Invalid, "upstream.purl", p.ToString(), "the package URL names no suite (?distro=bookworm)")
	}
	files, err := c.debFiles(ctx, feed)
	if err != nil {
		return debFile{}, false, err
	}
	for _, f := range files {
		if f.version == p.Version {
			return f, true, nil
		}
	}
	for _, f := range files {
		// File names leave the epoch out.
		name := path.Base(f.file)
		other := strings.Replace(name, "_"+noEpoch(f.version)+"_", "_"+noEpoch(p.Version)+"_", 1)
		if other != name {
			return debFile{version: p.Version, base: f.base, file: path.Join(path.Dir(f.file), other)}, false, nil
		}
	}
	return debFile{}, false, holdf(fleet.HoldUnreachable, "suite %s has no package %s", feed.Suite, p.Name)
}

func noEpoch(v string) string {
	if _, rest, found := strings.Cut(v, ":"); found {
		return rest
	}
	return v
}

// address is where the file is.
func (f debFile) address() (string, error) { return url.JoinPath(f.base, f.file) }
