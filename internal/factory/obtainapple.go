package factory

import (
	"fmt"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/edge/upstream"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/applesign"
	"github.com/packmill/packmill/internal/format/macho"
	"github.com/packmill/packmill/internal/format/mobileconfig"
	"github.com/packmill/packmill/internal/format/xar"
)

func inspectPkg(d *fleet.Download, file saved, in fleet.Installer) error {
	pkg, err := xar.Read(file, file.size)
	if err != nil {
		return err
	}
	facts := pkg.Facts()
	d.Pkg = &facts
	if runs := pkg.Machines(); len(runs) > 0 && in.Arch != "universal" && !slices.Contains(runs, in.Arch) {
		return notInstaller("the package is for %s, not %s", strings.Join(runs, " and "), in.Arch)
	}
	signer, err := PackageSigner(pkg)
	if err != nil {
		return badSignature("the package's signature does not hold: %w", err)
	}
	return appleSigner(d, signer)
}

// PackageSigner proves who signed a macOS package: the signature is of its table
// of contents, and every member is what that table says. It is nil for a package
// that nobody signed. The whole file is read.
func PackageSigner(pkg *xar.File) (*applesign.Signer, error) {
	if pkg.Signature == nil && pkg.CMS == nil {
		return nil, nil
	}
	if err := pkg.CheckMembers(); err != nil {
		return nil, err
	}
	if pkg.Signature == nil {
		return applesign.Archive(pkg.Hash, pkg.Digest, nil, nil, pkg.CMS)
	}
	return applesign.Archive(pkg.Hash, pkg.Digest, pkg.Signature.Value, pkg.Signature.Certificates, pkg.CMS)
}

func inspectMachO(d *fleet.Download, file saved, in fleet.Installer) error {
	img, err := macho.Read(file, file.size)
	if err != nil {
		return err
	}
	if in.Arch != "universal" && !slices.Contains(img.Machines, in.Arch) {
		return notInstaller("the program is for %s, not %s", strings.Join(img.Machines, " and "), in.Arch)
	}
	signer, err := ProgramSigner(img)
	if err != nil {
		return badSignature("the program's signature does not hold: %w", err)
	}
	return appleSigner(d, signer)
}

// ProgramSigner proves who signed a macOS program: one signer for all machines,
// and each page is what was signed. It is nil for a program that nobody signed,
// as the linker's own signature names nobody. The whole file is read.
func ProgramSigner(img *macho.File) (*applesign.Signer, error) {
	if !img.Signed {
		return nil, nil
	}
	if err := img.CheckPages(); err != nil {
		return nil, err
	}
	var one *applesign.Signer
	for _, p := range img.Parts {
		if p.Signature.CMS == nil {
			return nil, fmt.Errorf("nobody signed the program for %s", p.Machine)
		}
		m, err := applesign.CMS(p.Signature.CMS, p.Signature.Directory)
		if err != nil {
			return nil, fmt.Errorf("the program for %s: %w", p.Machine, err)
		}
		if one != nil && one.Leaf() != m.Signer.Leaf() {
			return nil, fmt.Errorf("one program in it is signed by %s, another by %s", one.Leaf().Subject, m.Signer.Leaf().Subject)
		}
		one = &m.Signer
	}
	return one, nil
}

// ReadProfile reads a configuration profile, out of its signer's message where it
// is inside one; the signer is nil otherwise. Profiles are signed with
// certificates of any kind, so who signed is told and not judged.
func ReadProfile(data []byte) (*mobileconfig.File, *applesign.Signer, error) {
	if !mobileconfig.Signed(data) {
		f, err := mobileconfig.Read(data)
		return f, nil, err
	}
	m, err := applesign.CMS(data, nil)
	if err != nil {
		return nil, nil, err
	}
	f, err := mobileconfig.Read(m.Content)
	return f, &m.Signer, err
}

// appleSigner takes over who signed. A certificate that does not come from Apple
// could name anybody, so its subject is compared with nothing.
func appleSigner(d *fleet.Download, s *applesign.Signer) error {
	if s == nil {
		return nil // it stays unsigned
	}
	if !s.Apple() {
		last := s.Chain[len(s.Chain)-1]
		return badSignature("the certificate of %q does not come from Apple: its chain ends in %q with the thumbprint %s", s.Leaf().Subject, last.Subject, last.Thumbprint)
	}
	d.Signer = fleet.SignedBy{Subject: s.Leaf().Subject}
	return nil
}

func badSignature(format string, args ...any) error {
	return &upstream.Hold{Name: fleet.HoldSigner, Err: fmt.Errorf(format, args...)}
}
