package fleet

import "time"

// SignedBy is the code signature that was found on an installer. Releases that
// were merged before packmill noted them lack the fields behind Subject.
type SignedBy struct {
	Unsigned bool   `json:"unsigned,omitempty"`
	Subject  string `json:"subject,omitempty"` // of the certificate, RFC 2253 order
	Issuer   string `json:"issuer,omitempty"`  // who vouches for the subject, as the certificate says
	// Thumbprint is SHA-256 of the certificate, in hexadecimal, lower case.
	Thumbprint string `json:"thumbprint,omitempty"`
	// Timestamp is when a timestamp authority saw the signature, nil if none did.
	Timestamp *time.Time `json:"timestamp,omitempty"`
}

// A SignerChange is how one signature differs from another.
type SignerChange string

// The changes.
const (
	SignerSame     SignerChange = "same"     // the same certificate, as far as both are known
	SignerRenewed  SignerChange = "renewed"  // another certificate for the same subject by the same issuer
	SignerReissued SignerChange = "reissued" // one for the same subject by another issuer
	SignerChanged  SignerChange = "changed"  // another subject
	SignerLost     SignerChange = "lost"     // signed before, not now
	SignerGained   SignerChange = "gained"   // signed now, not before
)

// Since says what became of a signature. Facts that one of both does not state
// are not compared: an expected identity may be a subject alone.
func (s SignedBy) Since(before SignedBy) SignerChange {
	differs := func(is, was string) bool { return is != "" && was != "" && is != was }
	switch {
	case s.Subject == "" && before.Subject == "":
		return SignerSame
	case s.Subject == "":
		return SignerLost
	case before.Subject == "":
		return SignerGained
	case s.Subject != before.Subject:
		return SignerChanged
	case differs(s.Issuer, before.Issuer):
		return SignerReissued
	case differs(s.Thumbprint, before.Thumbprint):
		return SignerRenewed
	default:
		return SignerSame
	}
}
