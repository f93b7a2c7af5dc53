package applesign

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"regexp"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// AppleRoot is the SHA-256 thumbprint of the certificate "Apple Root CA", valid
// from 2006 to 2035, in which the chains of Developer ID certificates end. It is
// what pkgutil --check-signature prints as the last certificate of a signed
// package (AWS shows its output in the guide to AWS Signer), and the digest of
// AppleIncRootCertificate.cer on Apple's page of its certificate authority.
const AppleRoot = "b0b1730ecbc7ff4505142c49f1295e6eda6bcaed7e2c68c5be91b5a11001f024"

// A Certificate is what one says of itself.
type Certificate struct {
	Subject    string // as RFC 2253 writes it: "CN=Developer ID Installer: Acme (ABCDE12345),OU=ABCDE12345,O=Acme,C=FI,UID=ABCDE12345"
	Issuer     string
	Thumbprint string // SHA-256 of the certificate, hexadecimal
	NotBefore  time.Time
	NotAfter   time.Time
}

// A Signer is who signed, proven by a signature that holds.
type Signer struct {
	Chain    []Certificate // the signer's first; each issued the one before
	Complete bool          // the last one issued itself: it is a root
	Signed   time.Time     // when, in the signer's own words; zero where it says nothing
}

// Leaf is the signer's own certificate.
func (s Signer) Leaf() Certificate { return s.Chain[0] }

// Apple reports whether the chain ends in Apple's root.
func (s Signer) Apple() bool { return s.Chain[len(s.Chain)-1].Thumbprint == AppleRoot }

// maxChain is how long a chain may get; Apple's have three certificates.
const maxChain = 8

// chainOf links certificates up from the leaf. A certificate whose issuer is not
// there, or did not sign it, ends the chain.
func chainOf(leaf *x509.Certificate, pool []*x509.Certificate) Signer {
	s := Signer{Chain: []Certificate{described(leaf)}}
	for at := leaf; len(s.Chain) < maxChain; {
		if bytes.Equal(at.RawIssuer, at.RawSubject) {
			s.Complete = usable(at) && at.CheckSignature(at.SignatureAlgorithm, at.RawTBSCertificate, at.Signature) == nil
			break
		}
		var next *x509.Certificate
		for _, c := range pool {
			if bytes.Equal(c.RawSubject, at.RawIssuer) && issued(c, at) {
				next = c
				break
			}
		}
		if next == nil {
			break
		}
		s.Chain = append(s.Chain, described(next))
		at = next
	}
	return s
}

// issued reports whether an authority's key signed a certificate. SHA-1 counts:
// Apple's root signed itself so.
func issued(authority, c *x509.Certificate) bool {
	if !authority.IsCA || !authority.BasicConstraintsValid || !usable(authority) {
		return false
	}
	if authority.KeyUsage != 0 && authority.KeyUsage&x509.KeyUsageCertSign == 0 {
		return false
	}
	return authority.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

// usable reports whether a key is of a kind and size that is worth computing
// with.
func usable(c *x509.Certificate) bool {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return key.N.BitLen() <= 8192
	case *ecdsa.PublicKey:
		return true
	}
	return false
}

// signedBy checks that the certificate's key signed the digest.
func signedBy(c *x509.Certificate, hash crypto.Hash, digest, signature []byte) error {
	if !usable(c) {
		return fail(fleet.Invalid, "the signer's key is neither RSA of up to 8192 bits nor ECDSA")
	}
	holds := false
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		holds = rsa.VerifyPKCS1v15(key, hash, digest, signature) == nil
	case *ecdsa.PublicKey:
		holds = ecdsa.VerifyASN1(key, digest, signature)
	}
	if !holds {
		return fail(fleet.Refused, "the signature was not made with the key of %s", nameOf(c.Subject))
	}
	return nil
}

func described(c *x509.Certificate) Certificate {
	sum := sha256.Sum256(c.Raw)
	return Certificate{
		Subject: nameOf(c.Subject), Issuer: nameOf(c.Issuer), Thumbprint: hex.EncodeToString(sum[:]),
		NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(),
	}
}

// plainUID is a user id that needs no quoting.
var plainUID = regexp.MustCompile(`^[A-Za-z0-9]+$`)

// nameOf is a name as text. Apple puts the team's id in an attribute "user id",
// which the standard library writes by number and in hexadecimal.
func nameOf(name pkix.Name) string {
	userID := asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}
	uid := ""
	var others []pkix.AttributeTypeAndValue
	for _, a := range name.Names {
		if text, ok := a.Value.(string); ok && uid == "" && a.Type.Equal(userID) && plainUID.MatchString(text) {
			uid = ",UID=" + text
			continue
		}
		others = append(others, a)
	}
	name.Names = others
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return -1
		}
		return r
	}, name.String()+uid)
}
