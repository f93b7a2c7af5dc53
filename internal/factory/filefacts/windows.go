package filefacts

import (
	"cmp"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/authenticode"
	"github.com/packmill/packmill/internal/format/pe"
)

func readPE(f *found, r io.ReaderAt, size int64) error {
	img, err := pe.Read(r, size)
	if err != nil {
		return err
	}
	out := f.out
	out.Type, out.Platform = "exe", "windows"
	out.PE = &img.Facts
	out.Product, out.Publisher = img.Facts.ProductName, img.Company
	out.Version = cmp.Or(stated(img.Facts.ProductVersion), stated(img.Facts.FileVersion))
	// The bootstrap of an installer is often of another machine than what it
	// installs; vendors tell that in the name.
	out.Arch = cmp.Or(archIn(out.Name), img.Facts.Machine)
	f.fact("machine", img.Facts.Machine)
	f.fact("file version", img.Facts.FileVersion)
	f.fact("product version", img.Facts.ProductVersion)
	f.signed(img.Signature, img.Digest)
	return nil
}

// stated is a version resource's version, "" for the one that compilers put there
// when nobody stated any.
func stated(version string) string {
	if strings.Trim(version, "0. ") == "" {
		return ""
	}
	return strings.TrimSpace(version)
}

// signed names the signer of a Windows file, or says why its signature does not
// hold.
func (f *found) signed(signature []byte, digest func(hash.Hash) error) {
	if signature == nil {
		return
	}
	f.out.Signer = fleet.SignedBy{}
	// Whether its certificate is valid today, and whose it is, is not asked.
	r, err := authenticode.Verify(signature, authenticode.Sum(digest), authenticode.Options{})
	switch {
	case err != nil:
		f.out.Trouble = fmt.Sprintf("the file cannot be compared with it: %v", err)
		return
	case !r.Verdict.Intact():
		f.out.Trouble = r.Why.Error()
	}
	f.out.Signer = r.Signer.SignedBy()
}
