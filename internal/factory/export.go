package factory

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
)

// Names of the files that stand beside the built ones.
const (
	SumsFile       = "SHA256SUMS"
	SumsBundleFile = "SHA256SUMS.sigstore.json"
	ProvenanceFile = "provenance.sigstore.json"
	BOMFile        = "sbom.cdx.json"
	BOMBundleFile  = "sbom.sigstore.json"
)

// Export writes a product below dir, as <package>/<version>/, and returns that
// folder: the built files, their checksums, and the bundles stock cosign
// verifies. Each file appears whole or not at all.
func (f *Factory) Export(ctx context.Context, p Product, dir string) (string, error) {
	out := filepath.Join(dir, filepath.FromSlash(string(p.Built.Package)), clean(p.Built.Version))
	if err := os.MkdirAll(out, 0o755); err != nil {
		return "", err
	}
	for _, file := range p.Built.Files {
		err := exportFile(filepath.Join(out, file.Name), func(w io.Writer) error {
			r, err := f.Store.Open(ctx, file)
			if err != nil {
				return err
			}
			_, err = io.Copy(w, r)
			return errors.Join(err, r.Close())
		})
		if err != nil {
			return "", err
		}
	}
	for _, small := range []struct {
		name string
		data []byte
	}{{SumsFile, p.Sums}, {SumsBundleFile, p.SumsBundle}, {ProvenanceFile, p.Built.Provenance}, {BOMFile, p.BOM}, {BOMBundleFile, p.BOMBundle}} {
		err := exportFile(filepath.Join(out, small.name), func(w io.Writer) error {
			_, err := w.Write(small.data)
			return err
		})
		if err != nil {
			return "", err
		}
	}
	return out, nil
}

func exportFile(path string, fill func(io.Writer) error) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".packmill-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	if err := errors.Join(fill(tmp), tmp.Chmod(0o644), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
