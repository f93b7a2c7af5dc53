package signing

import (
	"crypto"
	"hash"
	"io"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/authenticode"
	"github.com/packmill/packmill/internal/format/msi"
	"github.com/packmill/packmill/internal/format/pe"
	"github.com/packmill/packmill/internal/format/sip"
)

// A codeFile is a file that can get a signature.
type codeFile struct {
	form   authenticode.Form
	signed bool
	digest func(hash.Hash) error // what the signature is to cover
	write  func(io.Writer, []byte) error
}

func openForSigning(kind CodeKind, r io.ReaderAt, size int64) (codeFile, error) {
	switch kind {
	case CodePE:
		f, err := pe.Read(r, size)
		if err != nil {
			return codeFile{}, err
		}
		return codeFile{authenticode.PE, f.Signature != nil, f.Digest, f.WithSignature}, nil
	case CodeMSI:
		f, err := msi.Read(r, size)
		if err != nil {
			return codeFile{}, err
		}
		// The extended digest makes the signature cover names and times too.
		extended, err := f.Extended(crypto.SHA256.New())
		if err != nil {
			return codeFile{}, err
		}
		return codeFile{authenticode.MSI, f.Signature != nil,
			func(h hash.Hash) error { return f.DigestWith(h, extended) },
			func(w io.Writer, der []byte) error { return f.WithSignature(w, der, extended) }}, nil
	case CodeScript:
		f, err := sip.ReadScript(r, size)
		if err != nil {
			return codeFile{}, err
		}
		return codeFile{authenticode.Script, f.Signature != nil, f.Digest, f.WithSignature}, nil
	default:
		return codeFile{}, fleet.Errorf(fleet.Invalid, "signing.sign", "", "files of kind %q are not signed", kind)
	}
}
