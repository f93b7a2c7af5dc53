// Package applesign verifies who signed what Apple's systems install: packages,
// programs, configuration profiles. Their readers hand over the signature and
// what it should be of; RSA and CMS prove that the key in the signer's
// certificate signed exactly that.
//
// CMS is read as RFC 5652 defines it, in BER: Apple's own signer writes lengths
// that are not known beforehand. The certificates in a signature are linked up
// to a chain, each by its issuer's key. Whether the chain ends in Apple's root is
// told and left to the caller, as are expiry and revocation: packmill compares
// the subject with the one its catalog expects, and trusts the SHA-256 in git.
//
// A signature is hostile: sizes, depth, counts and the size of keys are capped.
package applesign
