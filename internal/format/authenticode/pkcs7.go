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
	"errors"
	"math/big"

	"github.com/packmill/packmill/internal/fleet"
)

// Object identifiers of contents and attributes.
const (
	oidData          = "1.2.840.113549.1.7.1"
	oidSignedData    = "1.2.840.113549.1.7.2"
	oidTSTInfo       = "1.2.840.113549.1.9.16.1.4"
	oidIndirectData  = "1.3.6.1.4.1.311.2.1.4"
	oidTrustList     = "1.3.6.1.4.1.311.10.1" // a catalog
	oidContentType   = "1.2.840.113549.1.9.3"
	oidMessageDigest = "1.2.840.113549.1.9.4"
	oidSigningTime   = "1.2.840.113549.1.9.5"
	oidCountersigned = "1.2.840.113549.1.9.6"
	oidNested        = "1.3.6.1.4.1.311.2.4.1"
	oidTimestamp     = "1.3.6.1.4.1.311.3.3.1"
)

// Caps on what a signature may hold.
const (
	maxCertificates = 64
	maxAttributes   = 64
	maxNested       = 4
	maxRSABits      = 8192 // checks against larger keys take long, and hundreds may be made
)

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
	Signers      asn1.RawValue // SET OF SignerInfo
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
	Values asn1.RawValue `asn1:"set"`
}

// A message is a SignedData that was taken apart; nothing in it is proven.
type message struct {
	contentType string
	content     []byte // what the digest covers: the value without its header
	body        []byte // the value with its header
	certs       []*x509.Certificate
	signer      signer
}

// A signer is one SignerInfo with the certificate it names.
type signer struct {
	cert     *x509.Certificate
	info     signerInfo
	signed   []attribute
	unsigned []attribute
}

// parse takes a SignedData with exactly one signer apart.
func parse(der []byte) (*message, error) {
	if len(der) > maxSize {
		return nil, fail(fleet.Invalid, "the signature has %d bytes", len(der))
	}
	var outer contentInfo
	// Tables pad the structure with zeros, so bytes behind it are let be.
	if _, err := asn1.Unmarshal(der, &outer); err != nil {
		return nil, fail(fleet.Invalid, "no PKCS #7 signature: %w", err)
	}
	if outer.Type.String() != oidSignedData {
		return nil, fail(fleet.Invalid, "PKCS #7 content of type %v is no signature", outer.Type)
	}
	var signed signedData
	if _, err := asn1.Unmarshal(outer.Content.Bytes, &signed); err != nil {
		return nil, fail(fleet.Invalid, "no PKCS #7 signature: %w", err)
	}
	var body asn1.RawValue
	if _, err := asn1.Unmarshal(signed.Content.Content.Bytes, &body); err != nil {
		return nil, fail(fleet.Invalid, "the signed content: %w", err)
	}
	m := &message{contentType: signed.Content.Type.String(), content: body.Bytes, body: body.FullBytes}
	var err error
	if m.certs, err = certificates(signed.Certificates.Bytes); err != nil {
		return nil, err
	}
	var info signerInfo
	rest, err := asn1.Unmarshal(signed.Signers.Bytes, &info)
	if err != nil {
		return nil, fail(fleet.Invalid, "the signature names no signer: %w", err)
	}
	if len(rest) > 0 {
		return nil, fail(fleet.Invalid, "the signature has several signers, not one")
	}
	m.signer, err = newSigner(info, m.certs)
	return m, err
}

// certificates reads those that a SignedData carries.
func certificates(der []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for n := 0; len(der) > 0; n++ {
		if n == maxCertificates {
			return nil, fail(fleet.Invalid, "the signature carries more than %d certificates", maxCertificates)
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
		if key, ok := cert.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > maxRSABits {
			continue
		}
		out = append(out, cert)
	}
	return out, nil
}

// newSigner finds the signer's certificate, by issuer and serial number, and
// reads its attributes.
func newSigner(info signerInfo, certs []*x509.Certificate) (s signer, err error) {
	s.info = info
	for _, c := range certs {
		if info.Issuer.Serial != nil && c.SerialNumber.Cmp(info.Issuer.Serial) == 0 && bytes.Equal(c.RawIssuer, info.Issuer.Issuer.FullBytes) {
			s.cert = c
			break
		}
	}
	if s.cert == nil {
		return s, fail(fleet.Invalid, "the signer's certificate is not in the signature")
	}
	if s.signed, err = attributes(info.Attributes.Bytes); err != nil {
		return s, fail(fleet.Invalid, "the signed attributes: %w", err)
	}
	if s.unsigned, err = attributes(info.Unsigned.Bytes); err != nil {
		return s, fail(fleet.Invalid, "the attributes that are not signed: %w", err)
	}
	return s, nil
}

func attributes(der []byte) ([]attribute, error) {
	var out []attribute
	for len(der) > 0 {
		var a attribute
		rest, err := asn1.Unmarshal(der, &a)
		if err != nil {
			return nil, err
		}
		if len(out) == maxAttributes {
			return nil, errors.New("there are too many")
		}
		der, out = rest, append(out, a)
	}
	return out, nil
}

// values are the values of the attributes of a type, each with its header, max
// of them at most.
func values(in []attribute, oid string, most int) ([][]byte, error) {
	var out [][]byte
	for _, a := range in {
		if a.Type.String() != oid {
			continue
		}
		for der := a.Values.Bytes; len(der) > 0; {
			var v asn1.RawValue
			rest, err := asn1.Unmarshal(der, &v)
			if err != nil {
				return nil, fail(fleet.Invalid, "attribute %s: %w", oid, err)
			}
			if len(out) == most {
				return nil, fail(fleet.Invalid, "attribute %s has more than %d values", oid, most)
			}
			der, out = rest, append(out, v.FullBytes)
		}
	}
	return out, nil
}

// one reads the single value of an attribute that must be there.
func one(in []attribute, oid, name string, into any) error {
	found, err := values(in, oid, 1)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fail(fleet.Invalid, "the signed attributes name no %s", name)
	}
	if _, err := asn1.Unmarshal(found[0], into); err != nil {
		return fail(fleet.Invalid, "the signed %s: %w", name, err)
	}
	return nil
}

// holds checks that the certificate's key signed the attributes, and the
// attributes a content of that type. It is Invalid where that cannot be told
// and Refused where it is not so.
func (s *signer) holds(contentType string, content []byte) error {
	hash, err := hashOf(s.info.DigestAlgorithm.Algorithm)
	if err != nil {
		return err
	}
	if len(s.signed) == 0 {
		return fail(fleet.Invalid, "the signature has no signed attributes")
	}
	var stated asn1.ObjectIdentifier
	if err := one(s.signed, oidContentType, "type of content", &stated); err != nil {
		return err
	}
	var digest []byte
	if err := one(s.signed, oidMessageDigest, "digest", &digest); err != nil {
		return err
	}
	if stated.String() != contentType || !bytes.Equal(digest, sum(hash, content)) {
		return fail(fleet.Refused, "the signature is of another content")
	}
	set := bytes.Clone(s.info.Attributes.FullBytes)
	set[0] = 0x31 // signed as SET OF, stored as [0] IMPLICIT: RFC 2315 section 9.3
	digest = sum(hash, set)
	good := false
	switch key := s.cert.PublicKey.(type) {
	case *rsa.PublicKey:
		good = rsa.VerifyPKCS1v15(key, hash, digest, s.info.Signature) == nil
	case *ecdsa.PublicKey:
		good = ecdsa.VerifyASN1(key, digest, s.info.Signature)
	default:
		return fail(fleet.Invalid, "the signer's key is neither RSA nor ECDSA")
	}
	if !good {
		return fail(fleet.Refused, "the signature was not made with the key of %s", printable(s.cert.Subject.String()))
	}
	return nil
}

// errWeak is a digest algorithm that proves nothing any more.
var errWeak = errors.New("proves nothing any more")

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
	case "1.2.840.113549.2.2", "1.2.840.113549.2.4", "1.2.840.113549.2.5":
		return 0, fail(fleet.Refused, "digest algorithm %v (MD2, MD4, MD5) %w", id, errWeak)
	default:
		return 0, fail(fleet.Invalid, "digest algorithm %v is not supported", id)
	}
}

func sum(hash crypto.Hash, data []byte) []byte {
	h := hash.New()
	h.Write(data)
	return h.Sum(nil)
}
