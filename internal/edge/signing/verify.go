package signing

import (
	"crypto"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/packmill/packmill/internal/fleet"
)

// The uses a trusted key may have.
const (
	UseBuild    = "build"
	UseTest     = "test"
	UseEvidence = "evidence"
)

const maxBundle = 8 << 20 // bytes of a bundle or envelope that are read

// A Verifier accepts signatures by the keys that the trust policy names for one
// use. It is a fleet.Verifier.
type Verifier struct {
	use  string
	keys map[string]trusted // by key id
}

type trusted struct {
	name     string
	policy   fleet.TrustedKey
	verifier signature.Verifier
}

// NewVerifier trusts the policy's keys for the use. A key that is no public key
// is an error of kind Invalid; a use without any key makes a verifier that
// refuses everything.
func NewVerifier(trust fleet.Trust, use string) (*Verifier, error) {
	v := &Verifier{use: use, keys: map[string]trusted{}}
	for _, name := range slices.Sorted(maps.Keys(trust.Keys)) {
		policy := trust.Keys[name]
		if !slices.Contains(policy.Uses, use) {
			continue
		}
		public, err := cryptoutils.UnmarshalPEMToPublicKey([]byte(policy.PEM))
		if err != nil {
			return nil, fleet.Errorf(fleet.Invalid, "signing.trust", "trust.keys."+name, "no public key in PEM")
		}
		id, err := keyID(public)
		if err != nil {
			return nil, fleet.Errorf(fleet.Invalid, "signing.trust", "trust.keys."+name, "%w", err)
		}
		verifier, err := signature.LoadVerifier(public, crypto.SHA256)
		if err != nil {
			return nil, fleet.Errorf(fleet.Invalid, "signing.trust", "trust.keys."+name, "%w", err)
		}
		if other, twice := v.keys[id]; twice {
			return nil, fleet.Errorf(fleet.Invalid, "signing.trust", "trust.keys."+name, "is the same key as %q", other.name)
		}
		v.keys[id] = trusted{name, policy, verifier}
	}
	return v, nil
}

// key is the trusted key with this id, in force at the instant.
func (v *Verifier) key(id string, at time.Time) (trusted, error) {
	k, ok := v.keys[id]
	switch {
	case !ok:
		err := v.refused("signed with key %q, which the trust policy does not name for %s", id, v.use)
		err.Hint = "who may sign stands under trust.keys in tenants/operator.cue; packmill keys generate prints such an entry"
		return k, err
	case !k.policy.InForce(at):
		return k, v.refused("signed with key %q, which was not in force on %s", k.name, at.UTC().Format(time.DateOnly))
	}
	return k, nil
}

// Knows reports whether the policy names the key with this id for the use, at
// whatever time.
func (v *Verifier) Knows(keyID string) bool {
	_, ok := v.keys[keyID]
	return ok
}

// Open returns the payload of a DSSE envelope if it has the payload type and a
// signature by a trusted key that was in force at the instant; otherwise an
// *Error of kind Refused.
func (v *Verifier) Open(data []byte, payloadType string, at time.Time) ([]byte, error) {
	var e envelope
	if len(data) > maxBundle {
		return nil, v.refused("the envelope has %d bytes", len(data))
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, v.refused("no DSSE envelope: %w", err)
	}
	payload, err := base64.StdEncoding.DecodeString(e.Payload)
	if err != nil {
		return nil, v.refused("no DSSE envelope: %w", err)
	}
	if e.PayloadType != payloadType {
		return nil, v.refused("the envelope holds %q, not %q", e.PayloadType, payloadType)
	}
	var why error = v.refused("the envelope has no signature")
	for _, s := range e.Signatures {
		k, err := v.key(s.KeyID, at)
		if err != nil {
			why = err
			continue
		}
		sig, err := base64.StdEncoding.DecodeString(s.Sig)
		if err == nil {
			err = k.verifier.VerifySignature(strings.NewReader(string(sig)), strings.NewReader(string(preAuth(e.PayloadType, payload))))
		}
		if err == nil {
			return payload, nil
		}
		why = v.refused("the signature does not match: key %q did not sign this", k.name)
	}
	return nil, why
}

// VerifyBlob checks a bundle made by SignBlob over data, at the instant.
func (v *Verifier) VerifyBlob(data []byte, bundleJSON []byte, at time.Time) error {
	b, err := v.parse(bundleJSON)
	if err != nil {
		return err
	}
	if b.GetMessageSignature() == nil {
		return v.refused("the bundle holds a statement, not a signature of the file")
	}
	return v.check(b, verify.WithArtifact(strings.NewReader(string(data))), at)
}

// VerifyStatement checks a bundle made by SignStatement at the instant, and
// that digest is among the statement's subjects. It returns the statement.
func (v *Verifier) VerifyStatement(digest fleet.Digest, bundleJSON []byte, at time.Time) (Statement, error) {
	var s Statement
	b, err := v.parse(bundleJSON)
	if err != nil {
		return s, err
	}
	dsse := b.GetDsseEnvelope()
	if dsse == nil {
		return s, v.refused("the bundle holds a signature of a file, not a statement")
	}
	if dsse.PayloadType != PayloadInToto {
		return s, v.refused("the bundle holds %q, not %q", dsse.PayloadType, PayloadInToto)
	}
	sum, err := hex.DecodeString(digest.Hex())
	if err != nil || !digest.Valid() {
		return s, fleet.Errorf(fleet.Invalid, "signing.verify", string(digest), "is no digest")
	}
	if err := v.check(b, verify.WithArtifactDigest("sha256", sum), at); err != nil {
		return s, err
	}
	if err := json.Unmarshal(dsse.Payload, &s); err != nil || s.Type != StatementType {
		return s, v.refused("the bundle holds no in-toto statement")
	}
	if !slices.ContainsFunc(s.Subject, func(r Resource) bool { return r.Digest["sha256"] == digest.Hex() }) {
		return s, v.refused("the statement is about other bytes, not %s", digest.Short())
	}
	return s, nil
}

func (v *Verifier) parse(bundleJSON []byte) (*bundle.Bundle, error) {
	if len(bundleJSON) > maxBundle {
		return nil, v.refused("the bundle has %d bytes", len(bundleJSON))
	}
	b := &bundle.Bundle{}
	if err := b.UnmarshalJSON(bundleJSON); err != nil {
		return nil, v.refused("no Sigstore bundle: %w", err)
	}
	return b, nil
}

// check runs sigstore's verifier with the trust policy's keys.
func (v *Verifier) check(b *bundle.Bundle, artifact verify.ArtifactPolicyOption, at time.Time) error {
	// Asked first, since the library would wrap the reason beyond recognition.
	public := b.GetVerificationMaterial().GetPublicKey()
	if public == nil {
		return v.refused("the bundle is not signed with a key")
	}
	if _, err := v.key(public.GetHint(), at); err != nil {
		return err
	}
	material := root.NewTrustedPublicKeyMaterial(func(id string) (root.TimeConstrainedVerifier, error) {
		k, err := v.key(id, at)
		if err != nil {
			return nil, err
		}
		return root.NewExpiringKey(k.verifier, time.Time{}, time.Time{}), nil
	})
	verifier, err := verify.NewVerifier(material, verify.WithNoObserverTimestamps())
	if err != nil {
		return err
	}
	if _, err := verifier.Verify(b, verify.NewPolicy(artifact, verify.WithKey())); err != nil {
		return v.refused("the signature does not match: %w", err)
	}
	return nil
}

func (v *Verifier) refused(format string, args ...any) *fleet.Error {
	return &fleet.Error{Op: "signing.verify", Kind: fleet.Refused, Err: fmt.Errorf(format, args...)}
}
