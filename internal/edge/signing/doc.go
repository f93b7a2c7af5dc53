// Package signing makes and checks packmill's signatures: DSSE envelopes around
// evidence, and Sigstore bundles (v0.3) beside artifacts, which stock cosign
// verifies.
//
// Keys are files: ECDSA P-256 in PEM, encrypted with a password or plain with
// access for their owner alone. Which keys count, for which use and between
// which dates, is the trust policy's word, never the file's own: a Verifier is
// made from fleet.Trust for one use and judges every signature at an instant.
//
// A bundle holds no time of its own in this mode, so nobody but the holder of
// the key vouches for when it was made; evidence says when it was recorded.
//
// Code signatures of Windows files are another matter: format/authenticode
// judges them, VerifyCode and SignCode open the files for it. They are for
// Windows, which asks for them; packmill itself trusts the bundles.
package signing
