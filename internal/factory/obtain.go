package factory

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/edge/upstream"
	"github.com/packmill/packmill/internal/factory/filefacts"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/archive"
	"github.com/packmill/packmill/internal/format/authenticode"
	"github.com/packmill/packmill/internal/format/deb"
	"github.com/packmill/packmill/internal/format/msi"
	"github.com/packmill/packmill/internal/format/pe"
	"github.com/packmill/packmill/internal/format/sip"
	"github.com/packmill/packmill/internal/format/sniff"
)

// obtain downloads the installers of a new version, and says of each what git
// is to pin: size, digests, signer, and what its bytes tell of themselves. What
// is not as it should be is an *upstream.Hold. What got holds already is not
// downloaded again.
func (f *Factory) obtain(ctx context.Context, publisher fleet.Publisher, p fleet.Package, found upstream.Found, got *pool) (map[string]fleet.Download, error) {
	out := map[string]fleet.Download{}
	for _, key := range p.InstallerKeys() {
		at, ok := found.Installers[key]
		if !ok {
			return nil, fleet.Errorf(fleet.Invalid, "factory.propose", string(p.ID), "installer %s has no source to download a new version from", key)
		}
		d, err := f.obtainOne(ctx, publisher, p.Installers[key], found.Version, at, got)
		if err != nil {
			return nil, fmt.Errorf("installer %s: %w", key, err)
		}
		out[key] = d
	}
	return out, nil
}

func (f *Factory) obtainOne(ctx context.Context, publisher fleet.Publisher, in fleet.Installer, version string, at upstream.Located, got *pool) (d fleet.Download, err error) {
	d = downloadOf(at)
	file, err := got.take(d, publisher.Hosts, func(w io.Writer) error {
		body, err := f.Upstream.Fetch(ctx, d, publisher.Hosts)
		if err != nil {
			return err
		}
		_, err = io.Copy(w, body)
		return errors.Join(err, body.Close())
	})
	if err != nil {
		return d, err
	}
	whole := file
	defer func() { err = errors.Join(err, got.done(d, publisher.Hosts, whole)) }()
	d.Size, d.SHA256 = file.size, file.digest
	if d.Member != "" {
		dir, err := os.MkdirTemp(got.dir, "member-")
		if err != nil {
			return d, err
		}
		defer os.RemoveAll(dir) // the pool's folder goes in any case
		member, err := extract(dir, file, d.Member)
		if err != nil {
			return d, err
		}
		defer member.close()
		d.MemberSHA256, file = member.digest, member
	}
	if err := inspect(&d, file, in, version, publisher, f.Clock.Now()); err != nil {
		return d, err
	}
	kind, err := sniff.File(file, file.size)
	if err != nil {
		return d, err
	}
	return d, checkSigner(publisher, kind, d.Signer)
}

// downloadOf is a download before its bytes are known.
func downloadOf(at upstream.Located) fleet.Download {
	return fleet.Download{URL: at.URL, PURL: at.PURL, Member: at.Member, Size: at.Size, SHA256: at.Digest, SHA512: at.SHA512}
}

// A saved file is bytes on disk, gone with their folder.
type saved struct {
	*os.File
	size   int64
	digest fleet.Digest
}

func (s saved) close() { _ = s.File.Close() } // it was only read since

func save(dir, name string, write func(io.Writer) error) (saved, error) {
	file, err := os.Create(dir + "/" + name)
	if err != nil {
		return saved{}, err
	}
	sum := sha256.New()
	if err := write(io.MultiWriter(file, sum)); err != nil {
		return saved{}, errors.Join(err, file.Close())
	}
	info, err := file.Stat()
	if err != nil {
		return saved{}, errors.Join(err, file.Close())
	}
	return saved{file, info.Size(), fleet.Digest(fmt.Sprintf("sha256:%x", sum.Sum(nil)))}, nil
}

// extract takes the member out of an archive.
func extract(dir string, file saved, member string) (saved, error) {
	kind, err := sniff.File(file, file.size)
	if err != nil {
		return saved{}, err
	}
	if advice := kind.Advice(); advice != "" {
		return saved{}, notInstaller("the download, which should hold %s, is %s: %s", member, kind, advice)
	}
	out, err := save(dir, "member", func(w io.Writer) error {
		if kind == sniff.Zip {
			_, err := archive.ExtractZip(w, file, file.size, member, archive.Defaults())
			return err
		}
		_, err := archive.ExtractTar(w, io.NewSectionReader(file, 0, file.size), member, archive.Defaults())
		return err
	})
	if fleet.KindOf(err) == fleet.Invalid {
		return out, notInstaller("%s is no member of the download, which is %s: %w", member, kind, err)
	}
	return out, err
}

func notInstaller(format string, args ...any) *upstream.Hold {
	return &upstream.Hold{Name: fleet.HoldNotInstaller, Err: fmt.Errorf(format, args...)}
}

// inspect reads what the bytes tell of themselves, and compares it with what
// the package says they are. Signatures are judged as of an instant, see
// authenticated.
func inspect(d *fleet.Download, file saved, in fleet.Installer, version string, publisher fleet.Publisher, at time.Time) error {
	kind, err := sniff.File(file, file.size)
	if err != nil {
		return err
	}
	if advice := kind.Advice(); advice != "" && !(kind == sniff.DMG && in.Type == "dmg") {
		return notInstaller("it is %s: %s", kind, advice)
	}
	if !kind.Fits(in.Type) {
		return notInstaller("it should be of type %s, but is %s", in.Type, kind)
	}
	d.Signer = fleet.SignedBy{Unsigned: true}
	switch kind {
	case sniff.PE:
		err = inspectPE(d, file, in, at)
	case sniff.OLE:
		err = inspectMSI(d, file, in, at)
	case sniff.Deb:
		err = inspectDeb(d, file, in, version)
	case sniff.MachO:
		err = inspectMachO(d, file, in)
	case sniff.Xar:
		err = inspectPkg(d, file, in)
	case sniff.RPM:
		err = inspectRPM(d, file, in, version, publisher)
	case sniff.Zip:
		if in.Type == "msix" {
			err = inspectApp(d, file, at)
		}
	}
	// What a reader of a format cannot take is no fault of this repository. A
	// signature that cannot be read has its own hold.
	var own *fleet.Error
	var already *upstream.Hold
	if !errors.As(err, &already) && errors.As(err, &own) && own.Kind == fleet.Invalid {
		return &upstream.Hold{Name: fleet.HoldNotInstaller, Err: err}
	}
	return err
}

func inspectPE(d *fleet.Download, file saved, in fleet.Installer, at time.Time) error {
	img, err := pe.Read(file, file.size)
	if err != nil {
		return err
	}
	d.PE = &img.Facts
	// The bootstrap of an installer is often of another machine than what it
	// installs; a portable program is what it is.
	if in.Type == "portable" && img.Facts.Machine != in.Arch {
		return notInstaller("the program is for %s, not %s", img.Facts.Machine, in.Arch)
	}
	return authenticated(d, img.Signature, authenticode.Sum(img.Digest), at)
}

func inspectMSI(d *fleet.Download, file saved, in fleet.Installer, at time.Time) error {
	pkg, err := msi.Read(file, file.size)
	if err != nil {
		return err
	}
	d.MSI = &pkg.Facts
	if pkg.Arch != "" && pkg.Arch != in.Arch {
		return notInstaller("the package is for %s, not %s", pkg.Arch, in.Arch)
	}
	return authenticated(d, pkg.Signature, authenticode.Sum(pkg.Digest), at)
}

// inspectApp names the signer of an app package.
func inspectApp(d *fleet.Download, file saved, at time.Time) error {
	app, err := sip.ReadApp(file, file.size)
	if err != nil {
		return err
	}
	return authenticated(d, app.Signature, app.Digest, at)
}

// authenticated names the signer of a Windows file, if there is one and the
// signature holds at an instant. No roots are asked: this machine has not those
// of Windows, and whose word is taken stands in the publisher's file. Without an
// instant, certificates may be out of date: what was merged once is to be built
// again for as long as its bytes are the same.
func authenticated(d *fleet.Download, signature []byte, digest authenticode.Digester, at time.Time) error {
	r, err := authenticode.Verify(signature, digest, authenticode.Options{At: at})
	if err != nil || r.Verdict == authenticode.Unsigned {
		return err
	}
	if !r.Verdict.Holds() && !(at.IsZero() && r.Verdict.Intact()) {
		return &upstream.Hold{Name: fleet.HoldSigner, Err: fmt.Errorf("the code signature does not hold (%s): %w", r.Verdict, r.Why)}
	}
	if d.Signer = r.Signer.SignedBy(); d.Signer.Subject == "" {
		return &upstream.Hold{Name: fleet.HoldSigner, Err: errors.New("the signer's certificate names nobody")}
	}
	return nil
}

func inspectDeb(d *fleet.Download, file saved, in fleet.Installer, version string) error {
	pkg, err := deb.Read(io.NewSectionReader(file, 0, file.size))
	if err != nil {
		return err
	}
	d.Deb = &pkg.Facts
	if a := filefacts.DebArch(pkg.Facts.Architecture); a != "universal" && a != in.Arch {
		return notInstaller("the package is for %s, not %s", pkg.Facts.Architecture, in.Arch)
	}
	if pkg.Facts.Version != version {
		return &upstream.Hold{Name: fleet.HoldDisagree, Err: fmt.Errorf("the package says it is version %s, not %s", pkg.Facts.Version, version)}
	}
	return nil
}

// checkSigner compares who signed a file of this kind with whom the publisher's
// file names.
func checkSigner(publisher fleet.Publisher, kind sniff.Kind, s fleet.SignedBy) error {
	hold := func(format string, args ...any) error {
		return &upstream.Hold{Name: fleet.HoldSigner, Err: fmt.Errorf(format, args...)}
	}
	if s.Unsigned {
		if publisher.Unsigned != "accepted" {
			return hold("it carries no signature, which the publisher's file refuses")
		}
		return nil
	}
	apple := kind == sniff.Xar || kind == sniff.MachO
	for _, name := range slices.Sorted(maps.Keys(publisher.Signers)) {
		known := publisher.Signers[name]
		switch {
		case known.Subject != s.Subject:
		case apple && known.Kind != "appleDeveloperId":
			return hold("it is signed by %q with a certificate of Apple's, but the publisher's file names that signer under the kind %s", s.Subject, known.Kind)
		default:
			return nil
		}
	}
	return hold("it is signed by %q, whom the publisher's file does not name", s.Subject)
}
