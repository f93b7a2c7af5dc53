package filefacts

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/deb"
	"github.com/packmill/packmill/internal/format/rpm"
)

// DebArch is the schema's name of an architecture of Debian's, "universal" for all
// and "" for one that the schema does not have.
func DebArch(name string) string {
	return map[string]string{"amd64": "x64", "arm64": "arm64", "i386": "x86", "all": "universal"}[name]
}

func readDeb(f *found, r io.ReaderAt, size int64) error {
	pkg, err := deb.ReadContents(io.NewSectionReader(r, 0, size))
	if err != nil {
		return err
	}
	out := f.out
	out.Type, out.Platform, out.Scope = "deb", "linux", "machine"
	out.Deb = &pkg.Facts
	out.Product, out.Version, out.Arch = pkg.Facts.Package, pkg.Facts.Version, DebArch(pkg.Facts.Architecture)
	out.Packages = []string{pkg.Facts.Package}
	out.Publisher = pkg.Fields["Maintainer"]
	out.DiskMB = int(min(pkg.Installed, 1<<40)+1023) / 1024
	for _, name := range []string{"Section", "Homepage", "Source"} {
		f.fact(strings.ToLower(name), pkg.Fields[name])
	}
	add := f.list("Relations", "kind", "package")
	for _, kind := range slices.Sorted(maps.Keys(pkg.Relations)) {
		for _, text := range pkg.Relations[kind] {
			add(kind, text)
		}
	}
	add = f.list("Scripts that run as root", "script", "size")
	for _, s := range pkg.Scripts() {
		add(s.Name, strconv.FormatInt(s.Size, 10))
	}
	add = f.list("Configuration that is kept", "path")
	for _, path := range pkg.Conffiles {
		add(path)
	}
	add = f.list("Files", "path", "size", "mode", "leads to")
	for _, e := range pkg.Contents {
		add(e.Path, strconv.FormatInt(e.Size, 10), fmt.Sprintf("%04o", e.Mode), e.Link)
		f.updaterPath(e.Path)
	}
	return nil
}

// RPMArch is DebArch for RPM's names.
func RPMArch(name string) string {
	return map[string]string{"x86_64": "x64", "aarch64": "arm64", "i386": "x86", "i486": "x86", "i586": "x86", "i686": "x86", "noarch": "universal"}[name]
}

func readRPM(f *found, r io.ReaderAt, size int64) error {
	pkg, err := rpm.Read(r, size)
	if err != nil {
		return err
	}
	out := f.out
	out.Type, out.Platform, out.Scope = "rpm", "linux", "machine"
	if pkg.Source {
		out.Type = "" // nothing to install
	}
	out.RPM = &pkg.Facts
	out.Product, out.Arch = pkg.Facts.Name, RPMArch(pkg.Facts.Arch)
	out.Version = pkg.Facts.Version + "-" + pkg.Facts.Release
	out.Packages = []string{pkg.Facts.Name}
	out.Publisher = pkg.Vendor
	out.DiskMB = int((min(pkg.Installed, 1<<50) + (1 << 20) - 1) >> 20)
	f.fact("summary", pkg.Summary)
	f.fact("licence", pkg.License)
	f.fact("homepage", pkg.URL)
	f.fact("packager", pkg.Packager)
	f.signedByKey(pkg)
	add := f.list("Relations", "kind", "package", "", "version")
	for _, kind := range []struct {
		name string
		list []rpm.Relation
	}{{"Requires", pkg.Requires}, {"Conflicts", pkg.Conflicts}, {"Obsoletes", pkg.Obsoletes}} {
		for _, x := range kind.list {
			add(kind.name, x.Name, x.Operator, x.Version)
		}
	}
	add = f.list("Scripts that run as root", "script", "by")
	for _, s := range pkg.Scripts {
		add(s.Name, s.Program)
	}
	add = f.list("Files", "path", "size", "mode", "leads to")
	for _, e := range pkg.Files {
		add(e.Path, strconv.FormatInt(e.Size, 10), fmt.Sprintf("%06o", e.Mode), e.Link)
		f.updaterPath(e.Path)
	}
	return nil
}

// signedByKey names the key that signed an RPM package, if it is one of those at
// hand: what a package says of its signer is nobody's word.
func (f *found) signedByKey(pkg *rpm.File) {
	if len(pkg.Signatures) == 0 {
		return
	}
	f.out.Signer = fleet.SignedBy{}
	by, err := pkg.Verify(f.keys)
	switch {
	case f.keys == "" || errors.Is(err, rpm.ErrUnknownKey):
		f.out.Trouble = "the signature is by the key " + pkg.Signatures[0].KeyID + ", which is not at hand: --key names its file"
	case err != nil:
		f.out.Trouble = err.Error()
	default:
		f.out.Signer.Subject = by.Fingerprint
		f.fact("key of", strings.Join(by.Identities, ", "))
	}
}

// updaterPath notes a source of packages that a package adds to the system: its
// newer versions come by that.
func (f *found) updaterPath(path string) {
	if strings.HasPrefix(path, "/etc/apt/sources.list.d/") || strings.HasPrefix(path, "/etc/yum.repos.d/") || strings.HasPrefix(path, "/etc/cron.") {
		if len(f.out.Updaters) < enoughUpdaters && !strings.HasSuffix(path, "/") {
			f.out.Updaters = append(f.out.Updaters, "the file "+path)
		}
	}
}

// elfMachines are the schema's names of the processors of ELF files.
var elfMachines = map[elf.Machine]string{elf.EM_X86_64: "x64", elf.EM_AARCH64: "arm64", elf.EM_386: "x86"}

// readELF reads the header alone: what a program for Linux says of itself beyond
// its processor has no form of its own.
func readELF(f *found, r io.ReaderAt, size int64) error {
	head := make([]byte, min(size, 64))
	if _, err := r.ReadAt(head, 0); err != nil && err != io.EOF {
		return err
	}
	const machineAt = 18 // e_machine, in both classes (System V ABI, "ELF Header")
	if len(head) < machineAt+2 {
		return fleet.Errorf(fleet.Invalid, "filefacts.elf", "", "offset %d: the ELF header is cut off", len(head))
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if elf.Data(head[elf.EI_DATA]) == elf.ELFDATA2MSB {
		order = binary.BigEndian
	}
	machine := elf.Machine(order.Uint16(head[machineAt:]))
	f.out.Type, f.out.Platform, f.out.Scope, f.out.Arch = "portable", "linux", "machine", elfMachines[machine]
	f.fact("machine", machine.String())
	return nil
}
