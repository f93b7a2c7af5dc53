package authenticode

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// A Timestamp is a third party's word that a signature existed at an instant.
type Timestamp struct {
	Kind      string      // "RFC 3161" or "PKCS #9", the older form
	Time      time.Time   // UTC
	Authority Certificate // of who vouches
	Chain     []Certificate
	Weak      bool // its digests are SHA-1

	// Verdict is Good if the authority ends in a root of the caller's, Untrusted
	// or SelfSigned if it does not, and any other if it proves nothing.
	Verdict Verdict
	Why     error // nil when Good
}

// tstInfo is what a timestamp authority signs, RFC 3161 section 2.4.2.
type tstInfo struct {
	Version  int
	Policy   asn1.ObjectIdentifier
	Imprint  messageImprint
	Serial   *big.Int
	Time     time.Time `asn1:"generalized"`
	Accuracy struct {
		Seconds int `asn1:"optional"`
		Millis  int `asn1:"optional,tag:0"`
		Micros  int `asn1:"optional,tag:1"`
	} `asn1:"optional"`
	Ordering bool     `asn1:"optional"`
	Nonce    *big.Int `asn1:"optional"`
}

type messageImprint struct {
	Algorithm pkix.AlgorithmIdentifier
	Digest    []byte
}

// maxTimestamps is how many countersignatures of each form are looked at.
const maxTimestamps = 2

// timestamp is the countersignature of a signer that counts: the first good
// one, else the first. It is nil if there is none.
func (s *signer) timestamp(certs []*x509.Certificate, roots *x509.CertPool) (*Timestamp, error) {
	var first *Timestamp
	for _, way := range []struct {
		oid  string
		read func([]byte, *signer, []*x509.Certificate, *x509.CertPool) (*Timestamp, error)
	}{{oidTimestamp, readToken}, {oidCountersigned, readCountersignature}} {
		found, err := values(s.unsigned, way.oid, maxTimestamps)
		if err != nil {
			return nil, err
		}
		for _, der := range found {
			t, err := way.read(der, s, certs, roots)
			if err != nil {
				// It proves nothing, but what it stands beside may.
				t = &Timestamp{Verdict: verdictOn(err), Why: err}
			}
			if t.Verdict == Good {
				return t, nil
			}
			if first == nil {
				first = t
			}
		}
	}
	return first, nil
}

// readToken reads an RFC 3161 token over the signer's signature.
func readToken(der []byte, s *signer, _ []*x509.Certificate, roots *x509.CertPool) (*Timestamp, error) {
	m, info, err := parseToken(der)
	if err != nil {
		return nil, err
	}
	hash, err := m.checkToken(info)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(info.Imprint.Digest, sum(hash, s.info.Signature)) {
		return nil, fail(fleet.Refused, "the timestamp is of another signature")
	}
	t := &Timestamp{Kind: "RFC 3161", Time: info.Time.UTC(), Authority: describe(m.signer.cert), Weak: hash == crypto.SHA1}
	t.Verdict, t.Chain, t.Why = trust(m.signer.cert, m.certs, roots, x509.ExtKeyUsageTimeStamping, info.Time)
	return t, nil
}

func parseToken(der []byte) (*message, tstInfo, error) {
	var info tstInfo
	m, err := parse(der)
	if err != nil {
		return nil, info, fmt.Errorf("the timestamp: %w", err)
	}
	if m.contentType != oidTSTInfo {
		return nil, info, fail(fleet.Invalid, "the timestamp holds %s, no time", m.contentType)
	}
	if _, err := asn1.Unmarshal(m.content, &info); err != nil {
		return nil, info, fail(fleet.Invalid, "the timestamp: %w", err)
	}
	return m, info, nil
}

// checkToken checks the authority's signature, and gives the digest algorithm
// of the imprint.
func (m *message) checkToken(info tstInfo) (crypto.Hash, error) {
	hash, err := hashOf(info.Imprint.Algorithm.Algorithm)
	if err != nil {
		return 0, err
	}
	if err := m.signer.holds(oidTSTInfo, m.content); err != nil {
		return 0, fmt.Errorf("the timestamp: %w", err)
	}
	return hash, nil
}

// readCountersignature reads a countersignature of RFC 2985 section 5.3.6: a
// SignerInfo over the signer's signature, whose certificate stands among the
// signer's own.
func readCountersignature(der []byte, s *signer, certs []*x509.Certificate, roots *x509.CertPool) (*Timestamp, error) {
	var info signerInfo
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return nil, fail(fleet.Invalid, "the countersignature: %w", err)
	}
	c, err := newSigner(info, certs)
	if err != nil {
		return nil, fmt.Errorf("the countersignature: %w", err)
	}
	if err := c.holds(oidData, s.info.Signature); err != nil {
		return nil, fmt.Errorf("the countersignature: %w", err)
	}
	var at time.Time
	if err := one(c.signed, oidSigningTime, "time", &at); err != nil {
		return nil, fmt.Errorf("the countersignature: %w", err)
	}
	hash, err := hashOf(info.DigestAlgorithm.Algorithm)
	if err != nil {
		return nil, err
	}
	t := &Timestamp{Kind: "PKCS #9", Time: at.UTC(), Authority: describe(c.cert), Weak: hash == crypto.SHA1}
	t.Verdict, t.Chain, t.Why = trust(c.cert, certs, roots, x509.ExtKeyUsageTimeStamping, at)
	return t, nil
}
