package applesign

import (
	"crypto"
	_ "crypto/sha1"   // older packages and signatures
	_ "crypto/sha256" // present ones
	_ "crypto/sha512"
	"crypto/x509"
	"fmt"

	"github.com/packmill/packmill/internal/fleet"
)

// RSA verifies the plain signature of a xar archive: PKCS #1 version 1.5 over the
// digest of its table of contents, with the signer's certificate first. Some
// older packages sign the digest of that digest, which counts too. What cannot be
// read is an error of kind Invalid, a signature that does not hold of kind
// Refused.
func RSA(hash crypto.Hash, digest, signature []byte, certificates [][]byte) (*Signer, error) {
	if !acceptable(hash) || len(digest) != hash.Size() {
		return nil, fail(fleet.Invalid, "a signature over a digest that is no SHA-1, SHA-256, SHA-384 or SHA-512")
	}
	if len(certificates) == 0 {
		return nil, fail(fleet.Invalid, "a signature without certificates")
	}
	leaf, err := x509.ParseCertificate(certificates[0])
	if err != nil {
		return nil, fail(fleet.Invalid, "the signer's certificate: %w", err)
	}
	err = signedBy(leaf, hash, digest, signature)
	if err != nil && signedBy(leaf, hash, sum(hash, digest), signature) != nil {
		return nil, err
	}
	s := chainOf(leaf, parsed(certificates[1:]))
	return &s, nil
}

// Archive verifies the signatures of a xar archive: the plain one, where value is
// not nil, and CMS SignedData, where cms is not nil. Both must hold, and be by
// the same certificate.
func Archive(hash crypto.Hash, digest, value []byte, certificates [][]byte, cms []byte) (*Signer, error) {
	if value == nil && cms == nil {
		return nil, fail(fleet.Invalid, "no signature")
	}
	if !acceptable(hash) {
		return nil, fail(fleet.Invalid, "the table of contents has no digest that a signature could be of")
	}
	var plain *Signer
	if value != nil {
		s, err := RSA(hash, digest, value, certificates)
		if err != nil || cms == nil {
			return s, err
		}
		plain = s
	}
	m, err := CMS(cms, digest)
	if err != nil {
		return nil, err
	}
	if plain == nil {
		return &m.Signer, nil
	}
	if plain.Leaf() != m.Signer.Leaf() {
		return nil, fail(fleet.Refused, "one signature is by %s, the other by %s", plain.Leaf().Subject, m.Signer.Leaf().Subject)
	}
	plain.Signed = m.Signer.Signed
	return plain, nil
}

func acceptable(hash crypto.Hash) bool {
	return hash == crypto.SHA1 || hash == crypto.SHA256 || hash == crypto.SHA384 || hash == crypto.SHA512
}

// parsed are the certificates that can be read: a strange one need not stop the
// others.
func parsed(certificates [][]byte) []*x509.Certificate {
	var out []*x509.Certificate
	for _, der := range certificates {
		if c, err := x509.ParseCertificate(der); err == nil {
			out = append(out, c)
		}
	}
	return out
}

func sum(hash crypto.Hash, data []byte) []byte {
	h := hash.New()
	h.Write(data)
	return h.Sum(nil)
}

func fail(kind fleet.Kind, format string, args ...any) error {
	return &fleet.Error{Op: "applesign.verify", Kind: kind, Err: fmt.Errorf(format, args...)}
}
