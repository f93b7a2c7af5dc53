package applesign

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// A Message is CMS SignedData whose signature holds.
type Message struct {
	Signer  Signer
	Content []byte // what was signed
}

// The parts of SignedData, RFC 5652 sections 3 and 5.
type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"explicit,optional,tag:0"`
}

type signedData struct {
	Version      int
	Algorithms   asn1.RawValue // SET
	Content      contentInfo
	Certificates asn1.RawValue `asn1:"optional,tag:0"`
	CRLs         asn1.RawValue `asn1:"optional,tag:1"`
	Signers      asn1.RawValue // SET
}

type signerInfo struct {
	Version         int
	ID              asn1.RawValue // issuer and serial number, or [0] the subject's key id
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

// The object identifiers that are read, RFC 5652 sections 4, 5 and 11.
const (
	oidData          = "1.2.840.113549.1.7.1"
	oidSignedData    = "1.2.840.113549.1.7.2"
	oidContentType   = "1.2.840.113549.1.9.3"
	oidMessageDigest = "1.2.840.113549.1.9.4"
	oidSigningTime   = "1.2.840.113549.1.9.5"
)

// CMS verifies a message. content is what was signed where the message does not
// carry it, nil where it must. What cannot be read is an error of kind Invalid, a
// signature that does not hold of kind Refused. Bytes behind the message are let
// be.
func CMS(message, content []byte) (*Message, error) {
	der, err := toDER(message)
	if err != nil {
		return nil, fail(fleet.Invalid, "no CMS message: %w", err)
	}
	var outer contentInfo
	if _, err := asn1.Unmarshal(der, &outer); err != nil {
		return nil, fail(fleet.Invalid, "no CMS message: %w", err)
	}
	if outer.Type.String() != oidSignedData {
		return nil, fail(fleet.Invalid, "a CMS message of type %v is no signature", outer.Type)
	}
	var signed signedData
	if _, err := asn1.Unmarshal(outer.Content.Bytes, &signed); err != nil {
		return nil, fail(fleet.Invalid, "no CMS signature: %w", err)
	}
	if content, err = contentOf(signed.Content, content); err != nil {
		return nil, err
	}
	var signer signerInfo
	if rest, err := asn1.Unmarshal(signed.Signers.Bytes, &signer); err != nil || len(rest) > 0 {
		return nil, fail(fleet.Invalid, "the message does not have one signer, or it is malformed (%v)", err)
	}
	pool, err := certificates(signed.Certificates.Bytes)
	if err != nil {
		return nil, err
	}
	leaf := find(pool, signer.ID)
	if leaf == nil {
		return nil, fail(fleet.Invalid, "the signer's certificate is not in the message")
	}
	at, err := verify(leaf, signer, signed.Content.Type, content)
	if err != nil {
		return nil, err
	}
	m := &Message{Signer: chainOf(leaf, pool), Content: content}
	m.Signer.Signed = at
	return m, nil
}

// contentOf is what was signed: in the message, or given beside it, never both.
func contentOf(carried contentInfo, given []byte) ([]byte, error) {
	if len(carried.Content.FullBytes) == 0 {
		if given == nil {
			return nil, fail(fleet.Invalid, "the message does not carry what it signs")
		}
		return given, nil
	}
	if given != nil {
		return nil, fail(fleet.Invalid, "the message carries what it signs, where it should be of other bytes")
	}
	var content []byte
	if _, err := asn1.Unmarshal(carried.Content.Bytes, &content); err != nil {
		return nil, fail(fleet.Invalid, "the signed content: %w", err)
	}
	return content, nil
}

func certificates(der []byte) ([]*x509.Certificate, error) {
	var all [][]byte
	for len(der) > 0 {
		var raw asn1.RawValue
		rest, err := asn1.Unmarshal(der, &raw)
		if err != nil || len(all) == 64 {
			return nil, fail(fleet.Invalid, "the message's certificates are malformed or too many")
		}
		der = rest
		all = append(all, raw.FullBytes)
	}
	return parsed(all), nil
}

// find picks the signer's certificate by what names it.
func find(pool []*x509.Certificate, id asn1.RawValue) *x509.Certificate {
	var by issuerAndSerial
	byKey := id.Class == asn1.ClassContextSpecific && id.Tag == 0
	if !byKey {
		if _, err := asn1.Unmarshal(id.FullBytes, &by); err != nil || by.Serial == nil {
			return nil
		}
	}
	for _, c := range pool {
		if byKey && len(c.SubjectKeyId) > 0 && bytes.Equal(c.SubjectKeyId, id.Bytes) {
			return c
		}
		if !byKey && c.SerialNumber.Cmp(by.Serial) == 0 && bytes.Equal(c.RawIssuer, by.Issuer.FullBytes) {
			return c
		}
	}
	return nil
}

// verify checks that the certificate's key signed the attributes, and these the
// content; or the content itself, where there are none. It gives the time that
// the signer states.
func verify(leaf *x509.Certificate, s signerInfo, kind asn1.ObjectIdentifier, content []byte) (at time.Time, err error) {
	hash, err := hashOf(s.DigestAlgorithm.Algorithm)
	if err != nil {
		return at, err
	}
	digest := sum(hash, content)
	if len(s.Attributes.FullBytes) == 0 {
		if kind.String() != oidData {
			return at, fail(fleet.Invalid, "a content of type %v without signed attributes", kind)
		}
		return at, signedBy(leaf, hash, digest, s.Signature)
	}
	found, err := attributes(s.Attributes.Bytes)
	if err != nil {
		return at, err
	}
	var stated []byte
	if _, err := asn1.Unmarshal(found[oidMessageDigest], &stated); err != nil {
		return at, fail(fleet.Invalid, "the signed attributes name no digest: %w", err)
	}
	var of asn1.ObjectIdentifier
	if _, err := asn1.Unmarshal(found[oidContentType], &of); err != nil || !of.Equal(kind) {
		return at, fail(fleet.Invalid, "the signed attributes are of another type of content")
	}
	if raw := found[oidSigningTime]; raw != nil {
		if _, err := asn1.Unmarshal(raw, &at); err != nil {
			return at, fail(fleet.Invalid, "the signing time: %w", err)
		}
	}
	if !bytes.Equal(stated, digest) {
		return at, fail(fleet.Refused, "the signature is of another content")
	}
	set := bytes.Clone(s.Attributes.FullBytes)
	set[0] = 0x31 // signed as SET OF, stored as [0] IMPLICIT: RFC 5652 section 5.4
	return at.UTC(), signedBy(leaf, hash, sum(hash, set), s.Signature)
}

// attributes are the first values by type; none may stand twice.
func attributes(der []byte) (map[string][]byte, error) {
	out := map[string][]byte{}
	for len(der) > 0 {
		var a attribute
		rest, err := asn1.Unmarshal(der, &a)
		if err != nil {
			return nil, fail(fleet.Invalid, "the signed attributes: %w", err)
		}
		der = rest
		name := a.Type.String()
		if _, twice := out[name]; twice || len(out) == 64 {
			return nil, fail(fleet.Invalid, "the signed attribute %s stands twice, or is one too many", name)
		}
		out[name] = a.Values.Bytes
	}
	return out, nil
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
	}
	return 0, fail(fleet.Invalid, "digest algorithm %v is not supported", id)
}
