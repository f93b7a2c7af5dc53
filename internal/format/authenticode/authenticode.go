// Package authenticode reads, judges and lays out the code signature of a
// Windows file: the PKCS #7 SignedData that a program, an MSI, a cabinet, an
// app package, a catalog or a script carries.
//
// Read proves one thing: that the key in the signer's certificate signed the
// digest it returns. Verify judges the rest as well: that the file has that
// digest, who countersigned when, whether the certificate may sign code, was
// valid then, and ends in a root that the caller trusts. Both are pure: roots
// and the instant are arguments, and no root of the host is ever looked at. A
// Draft lays out a new signature around what somebody else's key signs.
//
// Only DER is read; the indefinite lengths of BER are refused. References:
// "Windows Authenticode Portable Executable Signature Format", version 1.0;
// RFC 2315 (PKCS #7), RFC 2985 (countersignatures), RFC 3161 (timestamps).
package authenticode

import (
	"crypto"
	"fmt"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// A Signature is one signer's statement about a file.
type Signature struct {
	Certificate             // of the signer
	Hash        crypto.Hash // algorithm of Digest
	Digest      []byte      // what the file's digest must be
}

// maxSize is how many bytes a signature may have.
const maxSize = 4 << 20

// Read reads a SignedData and checks its signature. What cannot be read is an
// error of kind Invalid, a signature that does not hold of kind Refused.
func Read(der []byte) (*Signature, error) {
	m, err := parse(der)
	if err != nil {
		return nil, err
	}
	content, err := m.fileDigest()
	if err != nil {
		return nil, err
	}
	if err := m.signer.holds(m.contentType, m.content); err != nil {
		return nil, err
	}
	return &Signature{Certificate: describe(m.signer.cert), Hash: content.hash, Digest: content.digest}, nil
}

// printable drops control characters: the subject is a stranger's text.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return -1
		}
		return r
	}, s)
}

func fail(kind fleet.Kind, format string, args ...any) error {
	return &fleet.Error{Op: "authenticode.read", Kind: kind, Err: fmt.Errorf(format, args...)}
}
