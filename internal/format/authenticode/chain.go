package authenticode

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A Certificate is what people compare of one. Names are in RFC 2253 order and
// without control characters.
type Certificate struct {
	Subject, Issuer     string
	Serial              string // whole bytes in hexadecimal, lower case
	Thumbprint          string // SHA-256 of the certificate, hexadecimal, lower case
	NotBefore, NotAfter time.Time
}

func describe(c *x509.Certificate) Certificate {
	return Certificate{
		Subject: printable(c.Subject.String()), Issuer: printable(c.Issuer.String()),
		Serial: fmt.Sprintf("%02x", c.SerialNumber.Bytes()), Thumbprint: fmt.Sprintf("%x", sha256.Sum256(c.Raw)),
		NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(),
	}
}

// lifetimeSigning is szOID_LIFETIME_SIGNING: no timestamp prolongs what a
// certificate with this usage signed.
func lifetimeSigning(c *x509.Certificate) bool {
	return slices.ContainsFunc(c.UnknownExtKeyUsage, func(id asn1.ObjectIdentifier) bool {
		return id.String() == "1.3.6.1.4.1.311.10.3.13"
	})
}

// mayUse reports whether a certificate allows a usage: it names it, or any, or
// restricts itself to none.
func mayUse(c *x509.Certificate, usage x509.ExtKeyUsage) bool {
	return len(c.ExtKeyUsage) == 0 && len(c.UnknownExtKeyUsage) == 0 ||
		slices.Contains(c.ExtKeyUsage, usage) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
}

// trust judges a certificate for a usage at an instant. The verdict is Good
// with the chain to a root of the pool; without a pool it is at best Untrusted.
// chain is never empty: it is as far as the certificates at hand lead.
func trust(c *x509.Certificate, others []*x509.Certificate, roots *x509.CertPool, usage x509.ExtKeyUsage, at time.Time) (v Verdict, chain []Certificate, why error) {
	chain = climb(c, others)
	name := printable(c.Subject.String())
	switch {
	case !mayUse(c, usage):
		return WrongUsage, chain, fmt.Errorf("the certificate of %s is not for %s", name, usageName(usage))
	case at.Before(c.NotBefore):
		return NotYetValid, chain, fmt.Errorf("the certificate of %s is valid from %s on", name, stamp(c.NotBefore))
	case at.After(c.NotAfter):
		return Expired, chain, fmt.Errorf("the certificate of %s expired on %s", name, stamp(c.NotAfter))
	}
	err := error(x509.UnknownAuthorityError{Cert: c})
	if roots != nil {
		pool := x509.NewCertPool()
		for _, o := range others {
			pool.AddCert(o)
		}
		var chains [][]*x509.Certificate
		chains, err = c.Verify(x509.VerifyOptions{Roots: roots, Intermediates: pool, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{usage}})
		if err == nil {
			chain = nil
			for _, c := range chains[0] {
				chain = append(chain, describe(c))
			}
			return Good, chain, nil
		}
	}
	return distrust(c, err, at), chain, fmt.Errorf("the chain of %s: %s", name, printable(err.Error()))
}

// distrust is the verdict on a certificate whose chain does not hold.
func distrust(c *x509.Certificate, err error, at time.Time) Verdict {
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) {
		switch {
		case invalid.Reason == x509.IncompatibleUsage:
			return WrongUsage
		case invalid.Reason == x509.Expired && invalid.Cert != nil && at.Before(invalid.Cert.NotBefore):
			return NotYetValid
		case invalid.Reason == x509.Expired:
			return Expired
		}
	}
	if selfSigned(c) {
		return SelfSigned
	}
	return Untrusted
}

func selfSigned(c *x509.Certificate) bool {
	return bytes.Equal(c.RawSubject, c.RawIssuer) && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

// climb follows issuers as far as the certificates lead, each taken once, as
// long as that takes no more checks than a real chain needs.
func climb(c *x509.Certificate, others []*x509.Certificate) []Certificate {
	out := []Certificate{describe(c)}
	seen := map[*x509.Certificate]bool{c: true}
	for checks := 32; !bytes.Equal(c.RawSubject, c.RawIssuer); {
		i := slices.IndexFunc(others, func(o *x509.Certificate) bool {
			if checks == 0 || seen[o] || !bytes.Equal(o.RawSubject, c.RawIssuer) {
				return false
			}
			checks--
			return o.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
		})
		if i < 0 {
			break
		}
		c = others[i]
		seen[c] = true
		out = append(out, describe(c))
	}
	return out
}

func usageName(u x509.ExtKeyUsage) string {
	if u == x509.ExtKeyUsageTimeStamping {
		return "timestamping"
	}
	return "signing code"
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
