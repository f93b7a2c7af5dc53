package authenticode

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"unicode/utf16"

	"github.com/packmill/packmill/internal/fleet"
)

// A Form is a kind of file that a Draft can be for.
type Form string

// The forms of which packmill makes files.
const (
	PE     Form = "pe"
	MSI    Form = "msi"
	Script Form = "script" // PowerShell
)

// A Draft is a signature that lacks only what the key signs. It holds no time,
// so that the same file, key and certificates give the same bytes; when it was
// signed is a timestamp's word.
type Draft struct {
	chain       []*x509.Certificate
	hash        crypto.Hash
	contentType asn1.ObjectIdentifier
	content     []byte // SpcIndirectDataContent
	attributes  []byte // SET OF Attribute
}

// NewDraft lays out a signature over a file's digest. The chain begins with the
// signer's certificate. Name says what is signed, to people whom Windows asks
// for consent, and may be empty.
func NewDraft(form Form, hash crypto.Hash, digest []byte, chain []*x509.Certificate, name string) (*Draft, error) {
	if len(chain) == 0 || len(chain) > maxCertificates {
		return nil, fail(fleet.Invalid, "a signature needs 1 to %d certificates, the signer's first", maxCertificates)
	}
	if !mayUse(chain[0], x509.ExtKeyUsageCodeSigning) {
		return nil, fail(fleet.Refused, "the certificate of %s is not for signing code", printable(chain[0].Subject.String()))
	}
	algorithm, err := digestAlgorithm(hash)
	if err != nil {
		return nil, err
	}
	if len(digest) != hash.Size() {
		return nil, fail(fleet.Invalid, "the file's digest has %d bytes, not %d", len(digest), hash.Size())
	}
	subject, err := subjectOf(form)
	if err != nil {
		return nil, err
	}
	content, err := asn1.Marshal(struct {
		Subject asn1.RawValue
		Digest  messageImprint
	}{asn1.RawValue{FullBytes: subject}, messageImprint{algorithm, digest}})
	if err != nil {
		return nil, err
	}
	return newDraft(asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 4}, content, hash, chain, name)
}

func newDraft(contentType asn1.ObjectIdentifier, content []byte, hash crypto.Hash, chain []*x509.Certificate, name string) (*Draft, error) {
	var body asn1.RawValue // the digest covers the value, not its header
	if _, err := asn1.Unmarshal(content, &body); err != nil {
		return nil, err
	}
	attributes, err := signedAttributes(contentType, sum(hash, body.Bytes), name)
	return &Draft{chain: chain, hash: hash, contentType: contentType, content: content, attributes: attributes}, err
}

// ToSign is the digest that the signer's key signs, RSA by PKCS #1 v1.5, and
// its algorithm.
func (d *Draft) ToSign() ([]byte, crypto.Hash) { return sum(d.hash, d.attributes), d.hash }

// subjectOf is the SpcAttributeTypeAndOptionalValue that tells Windows which of
// its packages computes the digest.
func subjectOf(form Form) ([]byte, error) {
	type sipInfo struct {
		Version       int
		GUID          []byte
		A, B, C, D, E int
	}
	type typed struct {
		Type  asn1.ObjectIdentifier
		Value any
	}
	sip := asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 30}
	switch form {
	case PE:
		// SpcPeImageData: no flags, and an empty name where page hashes might be.
		data := asn1.RawValue{FullBytes: []byte{0x30, 0x09, 0x03, 0x01, 0x00, 0xa0, 0x04, 0xa2, 0x02, 0x80, 0x00}}
		return asn1.Marshal(typed{asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 15}, data})
	case MSI: // {000C10F1-0000-0000-C000-000000000046}
		return asn1.Marshal(typed{sip, sipInfo{Version: 1, GUID: []byte{0xf1, 0x10, 0x0c, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0x46}}})
	case Script: // {603BCC1F-4B59-4E08-B724-D2C6297EF351}
		return asn1.Marshal(typed{sip, sipInfo{Version: 65536, GUID: []byte{
			0x1f, 0xcc, 0x3b, 0x60, 0x59, 0x4b, 0x08, 0x4e, 0xb7, 0x24, 0xd2, 0xc6, 0x29, 0x7e, 0xf3, 0x51}}})
	default:
		return nil, fail(fleet.Invalid, "files of form %q cannot be signed", form)
	}
}

// outAttribute is an Attribute to be written.
type outAttribute struct {
	Type   asn1.ObjectIdentifier
	Values []any `asn1:"set"`
}

// signedAttributes are what the key vouches for: the kind and digest of the
// content, that it is code, and a name.
func signedAttributes(contentType asn1.ObjectIdentifier, digest []byte, name string) ([]byte, error) {
	var opus struct { // SpcSpOpusInfo
		Name asn1.RawValue `asn1:"optional"`
	}
	if name != "" {
		text, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, Bytes: bigEndian16(name)})
		if err != nil {
			return nil, err
		}
		opus.Name = explicit(0, text)
	}
	individual := []asn1.ObjectIdentifier{{1, 3, 6, 1, 4, 1, 311, 2, 1, 21}}
	return asn1.MarshalWithParams([]outAttribute{
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}, []any{contentType}},
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}, []any{digest}},
		{asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 11}, []any{individual}},
		{asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 12}, []any{opus}},
	}, "set")
}

// bigEndian16 is a text as BMPString.
func bigEndian16(s string) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune(s)) {
		out = append(out, byte(u>>8), byte(u))
	}
	return out
}

// explicit wraps an encoding into a tag of its own.
func explicit(tag int, inner []byte) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: true, Bytes: inner}
}

// implicit gives a SET the tag instead of its own.
func implicit(tag byte, set []byte) asn1.RawValue {
	out := bytes.Clone(set)
	out[0] = 0xa0 | tag
	return asn1.RawValue{FullBytes: out}
}

func digestAlgorithm(hash crypto.Hash) (pkix.AlgorithmIdentifier, error) {
	ids := map[crypto.Hash]int{crypto.SHA256: 1, crypto.SHA384: 2, crypto.SHA512: 3}
	n, ok := ids[hash]
	if !ok {
		return pkix.AlgorithmIdentifier{}, fail(fleet.Invalid, "signatures are made with SHA-256, SHA-384 or SHA-512, not %v", hash)
	}
	return pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, n}, Parameters: asn1.NullRawValue}, nil
}

// keyAlgorithm names what a key signs with.
func keyAlgorithm(key any, hash crypto.Hash) (pkix.AlgorithmIdentifier, error) {
	switch key.(type) {
	case *rsa.PublicKey:
		return pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}, Parameters: asn1.NullRawValue}, nil
	case *ecdsa.PublicKey:
		n := map[crypto.Hash]int{crypto.SHA256: 2, crypto.SHA384: 3, crypto.SHA512: 4}[hash]
		return pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, n}}, nil
	default:
		return pkix.AlgorithmIdentifier{}, fail(fleet.Invalid, "a code-signing key is RSA or ECDSA")
	}
}

// Seal is the finished SignedData in DER: with the signature that the key made
// of ToSign, and the RFC 3161 token over that signature, nil for none. Both are
// checked; a signature that does not hold is an error of kind Refused.
func (d *Draft) Seal(signature, token []byte) ([]byte, error) {
	leaf := d.chain[0]
	algorithm, err := digestAlgorithm(d.hash)
	if err != nil {
		return nil, err
	}
	key, err := keyAlgorithm(leaf.PublicKey, d.hash)
	if err != nil {
		return nil, err
	}
	info := signerInfo{
		Version: 1, Issuer: issuerAndSerial{asn1.RawValue{FullBytes: leaf.RawIssuer}, leaf.SerialNumber}, DigestAlgorithm: algorithm,
		Attributes: implicit(0, d.attributes), KeyAlgorithm: key, Signature: signature,
	}
	if token != nil {
		set, err := asn1.MarshalWithParams([]outAttribute{{asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 3, 3, 1}, []any{asn1.RawValue{FullBytes: token}}}}, "set")
		if err != nil {
			return nil, err
		}
		info.Unsigned = implicit(1, set)
	}
	signed, err := d.signedData(info, algorithm)
	if err != nil {
		return nil, err
	}
	der, err := asn1.Marshal(contentInfo{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}, explicit(0, signed)})
	if err != nil {
		return nil, err
	}
	return der, checkSealed(der, token != nil)
}

// checkSealed reads back what was made: a key that is not the certificate's, or
// a token of something else, must not get out of the house.
func checkSealed(der []byte, timestamped bool) error {
	m, err := parse(der)
	if err != nil {
		return err
	}
	if err := m.signer.holds(m.contentType, m.content); err != nil || !timestamped {
		return err
	}
	t, err := m.signer.timestamp(m.certs, nil)
	if err != nil {
		return err
	}
	if !t.Verdict.Holds() {
		return fail(fleet.Refused, "the timestamp does not hold: %w", t.Why)
	}
	return nil
}

func (d *Draft) signedData(info signerInfo, algorithm pkix.AlgorithmIdentifier) ([]byte, error) {
	var certs []byte
	for _, c := range d.chain {
		certs = append(certs, c.Raw...)
	}
	one, err := asn1.Marshal(info)
	if err != nil {
		return nil, err
	}
	algorithms, err := asn1.MarshalWithParams([]pkix.AlgorithmIdentifier{algorithm}, "set")
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(struct {
		Version      int
		Algorithms   asn1.RawValue
		Content      contentInfo
		Certificates asn1.RawValue
		Signers      asn1.RawValue
	}{
		1, asn1.RawValue{FullBytes: algorithms},
		contentInfo{d.contentType, explicit(0, d.content)},
		explicit(0, certs),
		asn1.RawValue{Tag: asn1.TagSet, IsCompound: true, Bytes: one},
	})
}
