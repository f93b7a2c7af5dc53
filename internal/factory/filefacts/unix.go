package filefacts

import (
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/packmill/packmill/internal/format/deb"
	"github.com/packmill/packmill/internal/format/macho"
)

// debArchs are the schema's names of Debian's architectures; "all" is any.
var debArchs = map[string]string{"amd64": "x64", "arm64": "arm64", "i386": "x86", "all": "universal"}

func readDeb(f *found, r io.ReaderAt, size int64) error {
	pkg, err := deb.Read(io.NewSectionReader(r, 0, size))
	if err != nil {
		return err
	}
	out := f.out
	out.Type, out.Platform, out.Scope = "deb", "linux", "machine"
	out.Deb = &pkg.Facts
	out.Product, out.Version, out.Arch = pkg.Facts.Package, pkg.Facts.Version, debArchs[pkg.Facts.Architecture]
	out.Packages = []string{pkg.Facts.Package}
	out.Publisher = pkg.Fields["Maintainer"]
	if kib, err := strconv.Atoi(pkg.Fields["Installed-Size"]); err == nil && kib > 0 {
		out.DiskMB = (kib + 1023) / 1024
	}
	for _, name := range []string{"Section", "Homepage", "Source", "Pre-Depends", "Depends", "Recommends", "Conflicts", "Replaces"} {
		f.fact(strings.ToLower(name), pkg.Fields[name])
	}
	return nil
}

func readMachO(f *found, r io.ReaderAt, _ int64) error {
	img, err := macho.Read(r)
	if err != nil {
		return err
	}
	out := f.out
	out.Type, out.Platform, out.Arch = "portable", "macos", "universal"
	if len(img.Machines) == 1 {
		out.Arch = img.Machines[0]
	}
	slices.Sort(img.Machines)
	for _, m := range img.Machines {
		f.fact("machine", m)
	}
	return nil
}
