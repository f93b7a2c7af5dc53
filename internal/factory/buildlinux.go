package factory

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
	"github.com/goreleaser/nfpm/v2/rpm"

	"github.com/packmill/packmill/internal/edge/store"
	"github.com/packmill/packmill/internal/fleet"
)

// linuxVersion labels what packages for Linux look like: raise it with any
// change.
const linuxVersion = "packmill linux v1"

// linuxVersions are the versions that mean the same to dpkg and rpm as they say:
// a "-" would begin a package's revision, a ":" end an epoch.
var linuxVersions = regexp.MustCompile(`^[0-9][A-Za-z0-9.+~]*$`)

// A linuxPackage is what a .deb and an .rpm of ours are made of.
type linuxPackage struct {
	name, arch string // arch as Go names it, or "all"
	files      []linuxFile
	configure  string // shell script that runs after the files are in place, "" for none
	remove     string // shell script that runs before they go for good, "" for none
}

// A linuxFile is one file of it.
type linuxFile struct {
	path   string // on the device
	source string // here; of a link what it points to
	mode   os.FileMode
}

// linuxSetting makes packages of a setting's shell scripts, or of its files.
func (b *builder) linuxSetting(key string, s fleet.Setting, content map[string][]byte) error {
	p := linuxPackage{name: fleet.LinuxPackage(b.pkg.ID, key), arch: "all"}
	dir, err := os.MkdirTemp(b.dir, "linux-")
	if err != nil {
		return err
	}
	add := func(to string, data []byte, mode os.FileMode) error {
		source := filepath.Join(dir, fmt.Sprint("file-", len(p.files)))
		p.files = append(p.files, linuxFile{to, source, mode})
		return os.WriteFile(source, data, 0o600)
	}
	for _, f := range s.Files {
		if err := add(f.Path, content[f.Content], 0o644); err != nil {
			return err
		}
	}
	if s.Scripts != nil {
		folder := "/usr/lib/packmill/" + string(b.pkg.ID) + "/" + key
		for name, payload := range map[string]string{"detect.sh": s.Scripts.Detect, "remediate.sh": s.Scripts.Remediate, "revert.sh": s.Scripts.Revert} {
			if err := add(folder+"/"+name, content[payload], 0o755); err != nil {
				return err
			}
		}
		// dpkg says in words why a script runs, rpm by how many are installed.
		p.configure = "#!/bin/sh\nset -e\ncase \"$1\" in\nconfigure | [0-9]*)\n\t" +
			folder + "/detect.sh || " + folder + "/remediate.sh\n\t;;\nesac\n"
		p.remove = "#!/bin/sh\nset -e\ncase \"$1\" in\nremove | 0)\n\t" + folder + "/revert.sh\n\t;;\nesac\n"
	}
	return b.linux(dir, key, p)
}

// program makes packages of one program: it becomes /usr/bin/<package>.
func (b *builder) program(dir, key string, in fleet.Installer, file saved) error {
	arch, err := elfArch(file)
	if err != nil {
		return fmt.Errorf("installer %s: %w", key, err)
	}
	if want := in.Arch; arch != want {
		return refusedBuild("installer %s: the program is for %s, not %s", key, cmp.Or(arch, "another machine"), want)
	}
	goArch := map[string]string{"x64": "amd64", "arm64": "arm64", "x86": "386"}[arch]
	_, own := filepath.Split(string(b.pkg.ID))
	return b.linux(dir, key, linuxPackage{
		name: fleet.LinuxPackage(b.pkg.ID, ""), arch: goArch,
		files: []linuxFile{{"/usr/bin/" + own, file.Name(), 0o755}},
	})
}

// elfArch is the architecture of an ELF program, "" of one that no package is
// for (ELF-64 Object File Format, e_machine).
func elfArch(r io.ReaderAt) (string, error) {
	var head [20]byte
	if _, err := r.ReadAt(head[:], 0); err != nil || string(head[:4]) != "\x7fELF" {
		return "", refusedBuild("a portable program for Linux is one ELF file, and this is none")
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if head[5] == 2 {
		order = binary.BigEndian
	}
	return map[uint16]string{3: "x86", 62: "x64", 183: "arm64"}[order.Uint16(head[18:])], nil
}

// linux writes a .deb and an .rpm.
func (b *builder) linux(dir, key string, p linuxPackage) error {
	if !linuxVersions.MatchString(b.version) {
		b.skip(key, "version "+b.version+" cannot be that of a Debian or RPM package")
		return nil
	}
	for _, kind := range []struct {
		packager  nfpm.Packager
		format    string
		mediaType string
	}{{deb.Default, "deb", store.MediaTypeDeb}, {rpm.DefaultRPM, "rpm", store.MediaTypeRPM}} {
		info, err := b.linuxInfo(dir, p)
		if err != nil {
			return err
		}
		name := kind.packager.ConventionalFileName(info)
		out, err := os.Create(filepath.Join(dir, "out."+kind.format))
		if err != nil {
			return err
		}
		if err = nfpm.PrepareForPackager(info, kind.format); err == nil {
			err = kind.packager.Package(info, out)
		}
		if err := errors.Join(err, out.Close()); err != nil {
			return fleet.Errorf(fleet.Invalid, "factory.build", key, "the .%s cannot be written: %w", kind.format, err)
		}
		name = b.free(key, name)
		for _, f := range p.files {
			if err := b.holdFile(name, f); err != nil {
				return err
			}
		}
		if err := b.built(key, name, kind.mediaType, out.Name()); err != nil {
			return err
		}
	}
	return nil
}

// linuxInfo describes a package to nfpm, with nothing of this machine in it: no
// times, no host, no umask. The packagers change what they are given.
func (b *builder) linuxInfo(dir string, p linuxPackage) (*nfpm.Info, error) {
	made := time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC) // as in our zip files
	info := nfpm.WithDefaults(&nfpm.Info{
		Name: p.name, Arch: p.arch, Platform: "linux", Version: b.version, VersionSchema: "none",
		Section: "misc", Priority: "optional", Maintainer: "packmill <packmill@localhost>",
		Description: cmp.Or(b.pkg.Description, b.pkg.Name), Vendor: cmp.Or(b.repo.Publishers[b.pkg.ID.Publisher()].Name, b.pkg.ID.Publisher()),
		MTime: made, DisableGlobbing: true,
	})
	info.RPM.BuildHost, info.RPM.Summary, info.RPM.Packager = "packmill", b.pkg.Name, info.Maintainer
	for _, f := range p.files {
		info.Contents = append(info.Contents, &files.Content{
			Source: f.source, Destination: f.path, Type: files.TypeFile,
			FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: f.mode, MTime: made},
		})
	}
	for name, script := range map[string]struct {
		text string
		to   *string
	}{"configure": {p.configure, &info.Scripts.PostInstall}, "remove": {p.remove, &info.Scripts.PreRemove}} {
		if script.text == "" {
			continue
		}
		*script.to = filepath.Join(dir, name)
		if err := os.WriteFile(*script.to, []byte(script.text), 0o600); err != nil {
			return nil, err
		}
	}
	return info, nil
}

// free is a name that no file of the artifact has: vendors give files for
// several architectures one name.
func (b *builder) free(key, name string) string {
	for _, f := range b.files {
		if f.Name == name || f.Name == name+contentSuffix {
			return clean(key + "-" + name)
		}
	}
	return name
}
