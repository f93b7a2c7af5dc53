package factory

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/edge/upstream"
	"github.com/packmill/packmill/internal/factory/filefacts"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/rpm"
)

func inspectRPM(d *fleet.Download, file saved, in fleet.Installer, version string, publisher fleet.Publisher) error {
	pkg, err := rpm.Read(file, file.size)
	if err != nil {
		return err
	}
	d.RPM = &pkg.Facts
	if pkg.Source {
		return notInstaller("it is a source package")
	}
	if a := filefacts.RPMArch(pkg.Facts.Arch); a != "universal" && a != in.Arch {
		return notInstaller("the package is for %s, not %s", pkg.Facts.Arch, in.Arch)
	}
	if !rpmVersion(pkg.Facts, version) {
		return &upstream.Hold{Name: fleet.HoldDisagree, Err: fmt.Errorf("the package says it is version %s-%s, not %s", pkg.Facts.Version, pkg.Facts.Release, version)}
	}
	if len(pkg.Signatures) == 0 {
		if pkg.PayloadDigest == "" {
			return nil
		}
		if err := pkg.CheckPayload(); err != nil {
			return notInstaller("%w", err)
		}
		return nil
	}
	d.Signer, err = rpmSigner(pkg, publisher)
	return err
}

// rpmVersion reports whether a version names the package's: [epoch:]version, and
// where it goes on -release. Sources that know nothing of RPM tell the middle
// only.
func rpmVersion(facts fleet.RPMFacts, version string) bool {
	if epoch, rest, ok := strings.Cut(version, ":"); ok {
		if epoch != fmt.Sprint(facts.Epoch) {
			return false
		}
		version = rest
	}
	return version == facts.Version || version == facts.Version+"-"+facts.Release
}

// rpmSigner is whose key of the publisher's file signed the package. A signature
// that is not verified makes nobody its signer, and does not leave the package
// unsigned either: it is held.
func rpmSigner(pkg *rpm.File, publisher fleet.Publisher) (fleet.SignedBy, error) {
	hold := func(format string, args ...any) (fleet.SignedBy, error) {
		return fleet.SignedBy{}, &upstream.Hold{Name: fleet.HoldSigner, Err: fmt.Errorf(format, args...)}
	}
	for _, name := range slices.Sorted(maps.Keys(publisher.Signers)) {
		expected := publisher.Signers[name]
		if expected.Kind != "gpg" || expected.Key == "" {
			continue
		}
		by, err := pkg.Verify(expected.Key)
		switch {
		case errors.Is(err, rpm.ErrUnknownKey):
			continue
		case err != nil:
			return hold("the signature does not hold: %w", err)
		case !by.Is(expected.Subject):
			return hold("it is signed by the key of signer %s, which is that of %q and not of %q", name, by.Identities, expected.Subject)
		}
		return fleet.SignedBy{Subject: expected.Subject}, nil
	}
	return hold("it is signed by key %s, and the publisher's file holds no such key: write it to a signer of kind gpg, once you know whose it is", pkg.Signatures[0].KeyID)
}
