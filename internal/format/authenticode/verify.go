package authenticode

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// A Verdict is what a signature is worth.
type Verdict string

// The verdicts, each with what it says.
const (
	Unsigned    Verdict = "unsigned"      // there is no signature
	Good        Verdict = "good"          // it holds, and its certificate is valid at the instant asked for
	Lasting     Verdict = "goodTimestamp" // it holds; its certificate expired since, but a trusted timestamp is older
	SelfSigned  Verdict = "selfSigned"    // it holds, by a certificate that only vouches for itself
	Untrusted   Verdict = "untrustedRoot" // it holds, but no chain leads to a root of the caller's
	Expired     Verdict = "expired"       // its certificate was no longer valid, and no timestamp says that it was made before
	NotYetValid Verdict = "notYetValid"   // its certificate was not valid yet
	WrongUsage  Verdict = "wrongUsage"    // its certificate may not sign code
	Weak        Verdict = "weakDigest"    // it rests on MD5 or older
	Tampered    Verdict = "tampered"      // it is of other bytes, or was altered itself
	Malformed   Verdict = "malformed"     // it cannot be read
)

// Accepted reports whether Windows would take the file for its signer's, if it
// trusted the same roots.
func (v Verdict) Accepted() bool { return v == Good || v == Lasting }

// Holds reports whether the signature itself proves that its signer's key
// signed the file's digest, with a certificate that was fit to; whether that
// certificate is anyone's but the signer's own word is left open.
func (v Verdict) Holds() bool { return v.Accepted() || v == SelfSigned || v == Untrusted }

// Intact reports whether the signer's key signed the file's digest, whatever its
// certificate is worth.
func (v Verdict) Intact() bool {
	return v.Holds() || v == Expired || v == NotYetValid || v == WrongUsage
}

// Options are what a signature is judged by.
type Options struct {
	// Roots are whom the caller trusts. Without them chains are not judged: the
	// best verdict is Untrusted or SelfSigned, and a timestamp counts if it holds.
	Roots *x509.CertPool
	// TimestampRoots are whom the caller trusts for timestamps; Roots if nil.
	TimestampRoots *x509.CertPool
	// At is the instant for which certificates must be valid when no timestamp
	// tells when the signature was made.
	At time.Time
}

// A Report is the judgement of a file's signatures: of all of them, if one was
// altered or cannot be read; else of the first that is accepted; else of the
// first that holds. Every signature is of the whole file, so one that is
// accepted is enough.
type Report struct {
	Verdict Verdict
	Why     error    // nil when accepted or unsigned
	Signer  *Signer  // the one of Signers that the verdict is of, nil when unsigned
	Signers []Signer // the file's own signature, then those nested in it
}

// A Signer is one signature, judged. Of one that cannot be read only Verdict
// and Why are set.
type Signer struct {
	Certificate
	Verdict   Verdict
	Why       error         // nil when accepted
	Chain     []Certificate // the signer's first; as far as known when not accepted
	Timestamp *Timestamp    // nil if there is none
	Hash      crypto.Hash   // of Digest
	Digest    []byte        // the file's, as signed
	Weak      bool          // its digests are SHA-1, which others still take
}

// SignedBy is the signature as a release notes it, its time to the second.
func (s *Signer) SignedBy() fleet.SignedBy {
	out := fleet.SignedBy{Subject: s.Subject, Issuer: s.Issuer, Thumbprint: s.Thumbprint}
	if s.Timestamp != nil && s.Timestamp.Verdict.Holds() {
		at := s.Timestamp.Time.Truncate(time.Second)
		out.Timestamp = &at
	}
	return out
}

// A Digester computes what a signature with a digest algorithm must state of a
// file. It is asked once for each algorithm.
type Digester func(crypto.Hash) ([]byte, error)

// Sum makes a Digester of a function that writes the covered bytes.
func Sum(write func(hash.Hash) error) Digester {
	return func(algorithm crypto.Hash) ([]byte, error) {
		h := algorithm.New()
		if err := write(h); err != nil {
			return nil, err
		}
		return h.Sum(nil), nil
	}
}

// Verify judges the signature of a file, nil if it has none, and those that are
// nested in it. Page hashes are not looked at: the digest covers all pages. The
// error is one of reading the file; what is wrong with a signature is in the
// report.
func Verify(der []byte, digest Digester, o Options) (Report, error) {
	if len(der) == 0 {
		return Report{Verdict: Unsigned}, nil
	}
	if o.TimestampRoots == nil {
		o.TimestampRoots = o.Roots
	}
	v := &verifier{digest: digest, options: o, known: map[crypto.Hash][]byte{}}
	list := []Signer{v.judge(der)}
	for _, nested := range v.nested {
		list = append(list, v.judge(nested))
	}
	if v.err != nil {
		return Report{}, v.err
	}
	return conclude(list), nil
}

// conclude picks the signature that a report is of.
func conclude(list []Signer) Report {
	s := &list[0]
	for _, is := range []func(Verdict) bool{
		func(v Verdict) bool { return v == Tampered || v == Malformed }, Verdict.Accepted, Verdict.Holds,
	} {
		if i := slices.IndexFunc(list, func(s Signer) bool { return is(s.Verdict) }); i >= 0 {
			s = &list[i]
			break
		}
	}
	return Report{Verdict: s.Verdict, Why: s.Why, Signer: s, Signers: list}
}

// VerifyCatalog judges the signature of a catalog file, which is nothing but a
// signature around a list of digests. The list is not looked at.
func VerifyCatalog(der []byte, o Options) Report {
	if o.TimestampRoots == nil {
		o.TimestampRoots = o.Roots
	}
	v := &verifier{options: o}
	return conclude([]Signer{v.judge(der)})
}

type verifier struct {
	digest  Digester // nil for a catalog
	options Options
	known   map[crypto.Hash][]byte
	nested  [][]byte // nil until the first signature was judged
	primary bool     // the first signature was judged
	err     error
}

// judge judges one signature.
func (v *verifier) judge(der []byte) (s Signer) {
	m, err := parse(der)
	if err == nil {
		s.Certificate = describe(m.signer.cert)
		err = v.proven(m, &s)
	}
	if err == nil && !v.primary {
		v.primary = true
		v.nested, err = values(m.signer.unsigned, oidNested, maxNested)
	}
	if err == nil {
		s.Timestamp, err = m.signer.timestamp(m.certs, v.options.TimestampRoots)
	}
	if err != nil {
		s.Verdict, s.Why = verdictOn(err), err
		return s
	}
	at := v.options.At
	if v.counts(s.Timestamp) && !lifetimeSigning(m.signer.cert) {
		at = s.Timestamp.Time
	}
	s.Verdict, s.Chain, s.Why = trust(m.signer.cert, m.certs, v.options.Roots, x509.ExtKeyUsageCodeSigning, at)
	if s.Verdict == Good && v.options.At.After(s.NotAfter) {
		s.Verdict = Lasting
	}
	if s.Verdict == Expired && s.Timestamp != nil && s.Timestamp.Why != nil && at.Equal(v.options.At) {
		s.Why = fmt.Errorf("%w, and its timestamp does not count: %w", s.Why, s.Timestamp.Why)
	}
	return s
}

// verdictOn is what an error of reading or checking says of a signature.
func verdictOn(err error) Verdict {
	switch {
	case errors.Is(err, errWeak):
		return Weak
	case fleet.KindOf(err) == fleet.Refused:
		return Tampered
	default:
		return Malformed
	}
}

// counts reports whether a timestamp tells when a signature was made. Where no
// roots are known, nobody's are asked for.
func (v *verifier) counts(t *Timestamp) bool {
	return t != nil && (t.Verdict == Good || v.options.TimestampRoots == nil && t.Verdict.Holds())
}

// proven checks that the signer signed, and that it is the file's digest that
// was signed.
func (v *verifier) proven(m *message, s *Signer) error {
	if err := v.stated(m, s); err != nil {
		return err
	}
	own, err := hashOf(m.signer.info.DigestAlgorithm.Algorithm)
	if err != nil {
		return err
	}
	s.Weak = s.Hash == crypto.SHA1 || own == crypto.SHA1
	if err := m.signer.holds(m.contentType, m.content); err != nil || v.digest == nil {
		return err
	}
	have, ok := v.known[s.Hash]
	if !ok {
		if have, err = v.digest(s.Hash); err != nil {
			if kind := fleet.KindOf(err); kind != fleet.Invalid && kind != fleet.Refused {
				v.err = err
			}
			return err
		}
		v.known[s.Hash] = have
	}
	if !bytes.Equal(have, s.Digest) {
		return fail(fleet.Refused, "the file was altered after %s signed it", s.Subject)
	}
	return nil
}

// stated reads what digest was signed.
func (v *verifier) stated(m *message, s *Signer) error {
	if v.digest == nil {
		if m.contentType != oidTrustList {
			return fail(fleet.Invalid, "the signature covers %s, not a catalog", m.contentType)
		}
		return nil
	}
	content, err := m.fileDigest()
	s.Hash, s.Digest = content.hash, content.digest
	return err
}

type fileDigest struct {
	hash   crypto.Hash
	digest []byte
}

// fileDigest reads the signed content: what kind of file, and its digest.
func (m *message) fileDigest() (out fileDigest, err error) {
	if m.contentType != oidIndirectData {
		return out, fail(fleet.Invalid, "the signature covers %s, not a file", m.contentType)
	}
	var content struct {
		Data   asn1.RawValue
		Digest struct {
			Algorithm pkix.AlgorithmIdentifier
			Digest    []byte
		}
	}
	if _, err := asn1.Unmarshal(m.body, &content); err != nil {
		return out, fail(fleet.Invalid, "the signed content: %w", err)
	}
	out.digest = content.Digest.Digest
	out.hash, err = hashOf(content.Digest.Algorithm.Algorithm)
	return out, err
}
