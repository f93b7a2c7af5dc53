package filefacts

import (
	"fmt"

	"github.com/packmill/packmill/internal/format/applesign"
	"github.com/packmill/packmill/internal/format/macho"
	"github.com/packmill/packmill/internal/format/mobileconfig"
	"github.com/packmill/packmill/internal/format/xar"
)

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
