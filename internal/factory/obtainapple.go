package factory

import (
	"fmt"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/edge/upstream"
	"github.com/packmill/packmill/internal/factory/filefacts"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/applesign"
	"github.com/packmill/packmill/internal/format/macho"
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
	signer, err := filefacts.PackageSigner(pkg)
	if err != nil {
		return badSignature("the package's signature does not hold: %w", err)
	}
	return appleSigner(d, signer)
}

func inspectMachO(d *fleet.Download, file saved, in fleet.Installer) error {
	img, err := macho.Read(file, file.size)
	if err != nil {
		return err
	}
	if in.Arch != "universal" && !slices.Contains(img.Machines, in.Arch) {
		return notInstaller("the program is for %s, not %s", strings.Join(img.Machines, " and "), in.Arch)
	}
	signer, err := filefacts.ProgramSigner(img)
	if err != nil {
		return badSignature("the program's signature does not hold: %w", err)
	}
	return appleSigner(d, signer)
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
