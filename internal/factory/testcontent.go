package factory

import (
	"archive/zip"
	"context"
	"errors"
	"io"
	"os"
	"path"
	"strings"

	"github.com/packmill/packmill/internal/edge/store"
	"github.com/packmill/packmill/internal/edge/testbed"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/intunewin"
)

// candidate is a stored file as a test cell takes it.
func (f *Factory) candidate(pkg fleet.Package, version, installer string, file fleet.BuiltFile) testbed.Candidate {
	return testbed.Candidate{
		Version: version, Download: asInstalled(pkg, version, installer),
		Unpack: func(ctx context.Context, dir *os.Root) (string, error) {
			switch file.MediaType {
			case store.MediaTypeIntunewin:
				return f.unpackContainer(ctx, file, dir)
			case store.MediaTypeContent:
				return "", fleet.Errorf(fleet.Invalid, "factory.test", file.Name, "is encrypted for the console: no cell here installs macOS packages")
			}
			return file.Name, f.copyStored(ctx, file, dir)
		},
	}
}

// asInstalled is the download of a release with the name under which Debian
// knows what packmill packed itself.
func asInstalled(pkg fleet.Package, version, installer string) fleet.Download {
	d := pkg.Releases[version].Installers[installer]
	in := pkg.Installers[installer]
	switch {
	case pkg.Settings[installer].Platform() == "linux":
		d.Deb = &fleet.DebFacts{Package: fleet.LinuxPackage(pkg.ID, installer), Version: version}
	case in.Platform == "linux" && in.Type == "portable":
		d.Deb = &fleet.DebFacts{Package: fleet.LinuxPackage(pkg.ID, ""), Version: version}
	}
	return d
}

// copyStored copies a stored file, whose bytes are compared with its digest on
// the way.
func (f *Factory) copyStored(ctx context.Context, file fleet.BuiltFile, dir *os.Root) error {
	in, err := f.Store.Open(ctx, file)
	if err != nil {
		return err
	}
	defer in.Close()
	return writeInto(dir, file.Name, in, file.Size)
}

// unpackContainer writes the setup folder of a .intunewin, as the device's agent
// does: verified first, then decrypted.
func (f *Factory) unpackContainer(ctx context.Context, file fleet.BuiltFile, dir *os.Root) (setup string, err error) {
	local, err := f.Store.Local(ctx, file, "")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, local.Close()) }()
	container, err := intunewin.Read(local, local.Size)
	if err != nil {
		return "", err
	}
	return strings.ReplaceAll(container.SetupFile, `\`, "/"), unpackInner(ctx, container, dir)
}

// unpackInner writes the files of a setup folder below dir.
func unpackInner(ctx context.Context, container *intunewin.File, dir *os.Root) error {
	for _, e := range container.Inner().File {
		if e.Mode().IsDir() {
			continue // made with what lies in it
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := unzipInto(dir, e); err != nil {
			return err
		}
	}
	return nil
}

func unzipInto(dir *os.Root, e *zip.File) error {
	in, err := e.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	return writeInto(dir, e.Name, in, int64(e.UncompressedSize64))
}

// writeInto writes a new file of exactly size bytes below dir.
func writeInto(dir *os.Root, name string, in io.Reader, size int64) error {
	if parent := path.Dir(name); parent != "." {
		if err := dir.MkdirAll(parent, 0o755); err != nil {
			return err
		}
	}
	out, err := dir.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	n, err := io.Copy(out, io.LimitReader(in, size+1))
	if err == nil && n != size {
		err = fleet.Errorf(fleet.Refused, "factory.test", name, "has not the %d bytes it states", size)
	}
	return errors.Join(err, out.Close())
}
