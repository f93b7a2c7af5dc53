// Package authenticode reads the code signature of a Windows file: the PKCS #7
// SignedData that a program or an MSI carries.
//
// Read proves one thing: that the key in the signer's certificate signed the
// digest it returns. Whether the file has that digest is for the caller to
// compare, and whether the certificate's chain ends in a root somebody trusts
// is not judged at all: packmill compares the subject with the one its catalog
// expects, and trusts the SHA-256 in git. Reference: "Windows Authenticode
// Portable Executable Signature Format", version 1.0, and RFC 2315.
package authenticode

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	_ "crypto/sha1"   // digests of older signatures
	_ "crypto/sha256" // digests of present ones
	_ "crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// A Signature is one signer's statement about a file.
type Signature struct {
	Subject string      // of the signer's certificate, RFC 2253 order
	Hash    crypto.Hash // algorithm of Digest
	Digest  []byte      // what the file's digest must be
}

// The parts of SignedData that matter, RFC 2315 sections 7 and 9.
type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"explicit,tag:0"`
}

type signedData struct {
	Version      int
	Algorithms   asn1.RawValue // SET
	Content      contentInfo
	Certificates asn1.RawValue `asn1:"optional,tag:0"`
	CRLs         asn1.RawValue `asn1:"optional,tag:1"`
	Signers      []signerInfo  `asn1:"set"`
}

type signerInfo struct {
	Version         int
	Issuer          issuerAndSerial
	DigestAlgorithm pkix.AlgorithmIdentifier
	Attributes      asn1.RawValue `asn1:"optional,tag:0"`
	KeyAlgorithm    pkix.AlgorithmIdentifier
	Signature       []byte
	Unsigned        asn1.RawValue `asn1:"optional,tag:1"`
}

type issuerAndSerial struct {
	Issuer asn1.RawValue
	Serial *big.Int
}

type attribute struct {
	Type   asn1.ObjectIdentifier
	Values asn1.RawValue // SET
}

// spcIndirectData is the signed content: what kind of file, and its digest.
type spcIndirectData struct {
	Data   asn1.RawValue
	Digest struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}
}

const maxSize = 4 << 20

// Read reads a SignedData and checks its signature. What cannot be read is an
// error of kind Invalid, a signature that does not hold of kind Refused.
func Read(der []byte) (*Signature, error) {
	if len(der) > maxSize {
		return nil, fail(fleet.Invalid, "the signature has %d bytes", len(der))
	}
	var outer contentInfo
	// Tables pad the structure with zeros, so bytes behind it are let be.
	if _, err := asn1.Unmarshal(der, &outer); err != nil {
		return nil, fail(fleet.Invalid, "no PKCS #7 signature: %w", err)
	}
	if outer.Type.String() != "1.2.840.113549.1.7.2" {
		return nil, fail(fleet.Invalid, "PKCS #7 content of type %v is no signature", outer.Type)
	}
	var signed signedData
	if _, err := asn1.Unmarshal(outer.Content.Bytes, &signed); err != nil {
		return nil, fail(fleet.Invalid, "no PKCS #7 signature: %w", err)
	}
	if len(signed.Signers) != 1 {
		return nil, fail(fleet.Invalid, "the signature has %d signers, not one", len(signed.Signers))
	}
	signer := signed.Signers[0]
	cert, err := findCertificate(signed.Certificates.Bytes, signer.Issuer)
	if err != nil {
		return nil, err
	}
	if signed.Content.Type.String() != "1.3.6.1.4.1.311.2.1.4" {
		return nil, fail(fleet.Invalid, "the signature covers %v, not a file", signed.Content.Type)
	}
	if err := checkSignature(cert, signer, signed.Content.Content); err != nil {
		return nil, err
	}
	var content spcIndirectData
	if _, err := asn1.Unmarshal(signed.Content.Content.Bytes, &content); err != nil {
		return nil, fail(fleet.Invalid, "the signed content: %w", err)
	}
	hash, err := hashOf(content.Digest.Algorithm.Algorithm)
	if err != nil {
		return nil, err
	}
	return &Signature{Subject: printable(cert.Subject.String()), Hash: hash, Digest: content.Digest.Digest}, nil
}

// findCertificate picks the signer's certificate by issuer and serial number.
func findCertificate(der []byte, id issuerAndSerial) (*x509.Certificate, error) {
	for range 64 {
		if len(der) == 0 {
			break
		}
		var raw asn1.RawValue
		rest, err := asn1.Unmarshal(der, &raw)
		if err != nil {
			return nil, fail(fleet.Invalid, "the signature's certificates: %w", err)
		}
		der = rest
		cert, err := x509.ParseCertificate(raw.FullBytes)
		if err != nil {
			continue // a strange intermediate need not stop the signer's own
		}
		if id.Serial != nil && cert.SerialNumber.Cmp(id.Serial) == 0 && bytes.Equal(cert.RawIssuer, id.Issuer.FullBytes) {
			return cert, nil
		}
	}
	return nil, fail(fleet.Invalid, "the signer's certificate is not in the signature")
}

// checkSignature checks that the certificate's key signed the attributes, and
// the attributes the content.
func checkSignature(cert *x509.Certificate, s signerInfo, content asn1.RawValue) error {
	hash, err := hashOf(s.DigestAlgorithm.Algorithm)
	if err != nil {
		return err
	}
	var body asn1.RawValue // the digest covers the value, not its header
	if _, err := asn1.Unmarshal(content.Bytes, &body); err != nil {
		return fail(fleet.Invalid, "the signed content: %w", err)
	}
	stated, err := messageDigest(s.Attributes.Bytes)
	if err != nil {
		return err
	}
	if !bytes.Equal(stated, sum(hash, body.Bytes)) {
		return fail(fleet.Refused, "the signature is of another content")
	}
	if len(s.Attributes.FullBytes) == 0 {
		return fail(fleet.Invalid, "the signature has no signed attributes")
	}
	set := bytes.Clone(s.Attributes.FullBytes)
	set[0] = 0x31 // signed as SET OF, stored as [0] IMPLICIT: RFC 2315 section 9.3
	digest := sum(hash, set)
	holds := false
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		holds = rsa.VerifyPKCS1v15(key, hash, digest, s.Signature) == nil
	case *ecdsa.PublicKey:
		holds = ecdsa.VerifyASN1(key, digest, s.Signature)
	default:
		return fail(fleet.Invalid, "the signer's key is neither RSA nor ECDSA")
	}
	if !holds {
		return fail(fleet.Refused, "the signature was not made with the key of %s", printable(cert.Subject.String()))
	}
	return nil
}

// messageDigest is the signed attribute of that name, PKCS #9.
func messageDigest(attributes []byte) ([]byte, error) {
	for len(attributes) > 0 {
		var a attribute
		rest, err := asn1.Unmarshal(attributes, &a)
		if err != nil {
			return nil, fail(fleet.Invalid, "the signed attributes: %w", err)
		}
		attributes = rest
		if a.Type.String() == "1.2.840.113549.1.9.4" {
			var digest []byte
			if _, err := asn1.Unmarshal(a.Values.Bytes, &digest); err != nil {
				return nil, fail(fleet.Invalid, "the signed digest: %w", err)
			}
			return digest, nil
		}
	}
	return nil, fail(fleet.Invalid, "the signed attributes name no digest")
}

func hashOf(id asn1.ObjectIdentifier) (crypto.Hash, error) {
	switch id.String() {
	case "1.3.14.3.2.26":
		return crypto.SHA1, nil
	case "2.16.840.1.101.3.4.2.1":
		return crypto.SHA256, nil
	case "2.16.840.1.101.3.4.2.2":
		return crypto.SHA384, nil
	case "2.16.840.1.101.3.4.2.3":
		return crypto.SHA512, nil
	default:
		return 0, fail(fleet.Invalid, "digest algorithm %v is not supported", id)
	}
}

func sum(hash crypto.Hash, data []byte) []byte {
	h := hash.New()
	h.Write(data)
	return h.Sum(nil)
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
