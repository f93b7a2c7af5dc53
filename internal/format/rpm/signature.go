package rpm

import (
	"bytes"
	"crypto"
	_ "crypto/sha512" // of payload digests
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/packmill/packmill/internal/fleet"
)

// Tags of the signature header.
const (
	sigDSA    = 267 // of the main header: DSA and EdDSA
	sigRSA    = 268 // of the main header
	sigSHA1   = 269
	sigSHA256 = 273
	sigPGP    = 1002 // of main header and payload: RSA
	sigGPG    = 1005 // of main header and payload: DSA and EdDSA
)

const maxSignature = 64 << 10 // bytes of one OpenPGP signature

// A Signature is one that the package carries. Nothing of it is proven until
// Verify says so: anybody can write any key id into a file.
type Signature struct {
	HeaderOnly  bool      // it covers the main header, not the payload
	KeyID       string    // 16 hexadecimal digits
	Fingerprint string    // of the key, "" where the signature does not say
	Algorithm   string    // RSA, DSA, EdDSA, …
	Hash        string    // SHA-256, …
	Created     time.Time // as it says

	data []byte
}

func (f *File) readSignatures() error {
	for _, tag := range []uint32{sigRSA, sigDSA, sigPGP, sigGPG} {
		data, err := f.signature.bytes(tag)
		if err != nil {
			return err
		}
		if data == nil {
			continue
		}
		if len(data) > maxSignature {
			return f.signature.fault(tag, "the signature has %d bytes", len(data))
		}
		s := Signature{HeaderOnly: tag == sigRSA || tag == sigDSA, data: data}
		p, err := packet.Read(bytes.NewReader(data))
		if sig, ok := p.(*packet.Signature); err == nil && ok {
			s.Algorithm, s.Hash, s.Created = algorithm(sig.PubKeyAlgo), sig.Hash.String(), sig.CreationTime.UTC()
			if sig.IssuerKeyId != nil {
				s.KeyID = fmt.Sprintf("%016X", *sig.IssuerKeyId)
			}
			s.Fingerprint = fmt.Sprintf("%X", sig.IssuerFingerprint)
		}
		// One that cannot be read stays, unknown: a package with it is not unsigned.
		f.Signatures = append(f.Signatures, s)
	}
	return nil
}

func algorithm(a packet.PublicKeyAlgorithm) string {
	switch a {
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSASignOnly:
		return "RSA"
	case packet.PubKeyAlgoDSA:
		return "DSA"
	case packet.PubKeyAlgoECDSA:
		return "ECDSA"
	case packet.PubKeyAlgoEdDSA, packet.PubKeyAlgoEd25519:
		return "EdDSA"
	}
	return fmt.Sprintf("algorithm %d", a)
}

// A Signer is the key that a package's signature was made with.
type Signer struct {
	Fingerprint string   // of the primary key, hexadecimal digits, upper case
	Identities  []string // user ids of the key that it signed itself
}

// Is reports whether a subject names this signer: a user id as it stands, or the
// fingerprint, in either case of letters and with or without spaces.
func (s Signer) Is(subject string) bool {
	for _, id := range s.Identities {
		if id == subject {
			return true
		}
	}
	return s.Fingerprint != "" && strings.EqualFold(strings.ReplaceAll(subject, " ", ""), s.Fingerprint)
}

// ErrUnknownKey says that no signature is by a key that was given.
var ErrUnknownKey = errors.New("no signature is by a key that is known")

// Verify says whose of the keys (armored, one or several) a signature of the
// package was made with, and only where that covers every byte of it: the main
// header by the signature, the payload by it or by the digest in the header. An
// unsigned package is an error like a wrong signature; ErrUnknownKey where the
// keys are of others. Keys count as of the day of the signature, as for rpm: a
// key that is no longer good has to be taken out.
func (f *File) Verify(keys string) (Signer, error) {
	ring, err := openpgp.ReadArmoredKeyRing(strings.NewReader(keys))
	if err != nil {
		return Signer{}, refused("the key cannot be read: %w", err)
	}
	if len(f.Signatures) == 0 {
		return Signer{}, refused("the package carries no signature")
	}
	if !f.header.immutable(regionImmutable) {
		return Signer{}, refused("the main header has parts that no signature covers")
	}
	unknown := error(nil)
	for _, s := range f.Signatures {
		signer, err := f.check(ring, s)
		if errors.Is(err, ErrUnknownKey) {
			unknown = err
			continue
		}
		if err != nil {
			return Signer{}, err
		}
		if s.HeaderOnly {
			if err := f.CheckPayload(); err != nil {
				return Signer{}, err
			}
		}
		return signer, nil
	}
	return Signer{}, unknown
}

// check verifies one signature.
func (f *File) check(ring openpgp.EntityList, s Signature) (Signer, error) {
	signed := io.Reader(bytes.NewReader(f.header.raw))
	if !s.HeaderOnly {
		signed = io.MultiReader(signed, io.NewSectionReader(f.payload, 0, f.payload.Size()))
	}
	config := &packet.Config{Time: func() time.Time { return s.Created }}
	by, err := openpgp.CheckDetachedSignature(ring, signed, bytes.NewReader(s.data), config)
	switch {
	case err != nil && s.KeyID == "", errors.Is(err, pgperrors.ErrUnknownIssuer):
		return Signer{}, fmt.Errorf("key %s: %w", s.KeyID, ErrUnknownKey)
	case err != nil:
		return Signer{}, refused("the signature of key %s does not hold: %w", s.KeyID, err)
	}
	out := Signer{Fingerprint: fmt.Sprintf("%X", by.PrimaryKey.Fingerprint)}
	for _, id := range by.Identities {
		out.Identities = append(out.Identities, clean(id.Name))
	}
	slices.Sort(out.Identities)
	return out, nil
}

// CheckPayload reads the payload and compares it with the digest that the main
// header states. A package whose header states none is refused.
func (f *File) CheckPayload() error {
	stated, algo := f.PayloadDigest, int64(8)
	if stated == "" {
		return refused("the main header states no digest of the payload, so that its signature does not cover it")
	}
	if f.header.has(tagPayloadDigestAlgo) {
		var err error
		if algo, err = f.header.number(tagPayloadDigestAlgo); err != nil {
			return err
		}
	}
	// Numbers of RFC 4880, section 9.4.
	kind, ok := map[int64]crypto.Hash{8: crypto.SHA256, 9: crypto.SHA384, 10: crypto.SHA512}[algo]
	if !ok {
		return refused("the payload's digest is of kind %d, which is not taken", algo)
	}
	h := kind.New()
	if _, err := io.Copy(h, io.NewSectionReader(f.payload, 0, f.payload.Size())); err != nil {
		return err
	}
	if got := fmt.Sprintf("%x", h.Sum(nil)); !strings.EqualFold(got, stated) {
		return refused("the payload is not the one that the main header states: it was altered")
	}
	return nil
}

func refused(format string, args ...any) error {
	return &fleet.Error{Op: "rpm.verify", Kind: fleet.Refused, Err: fmt.Errorf(format, args...)}
}
