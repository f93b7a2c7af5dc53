package signing

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/json"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/sign"
)

// PayloadInToto is the payload type of in-toto statements.
const PayloadInToto = "application/vnd.in-toto+json"

// BundleMediaType is the media type of a bundle's JSON.
const BundleMediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// The methods below make a Key a sign.Keypair.

// GetHashAlgorithm is SHA-256.
func (k *Key) GetHashAlgorithm() protocommon.HashAlgorithm {
	return protocommon.HashAlgorithm_SHA2_256
}

// GetSigningAlgorithm is ECDSA P-256 with SHA-256.
func (k *Key) GetSigningAlgorithm() protocommon.PublicKeyDetails {
	return protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256
}

// GetHint is the key's id: what a verifier looks the key up by.
func (k *Key) GetHint() []byte { return []byte(k.id) }

// GetKeyAlgorithm names the kind of key.
func (k *Key) GetKeyAlgorithm() string { return "ECDSA" }

// GetPublicKey is the public half.
func (k *Key) GetPublicKey() crypto.PublicKey { return k.public }

// GetPublicKeyPem is the public half in PEM.
func (k *Key) GetPublicKeyPem() (string, error) { return k.pem, nil }

// SignData signs data and gives the signature and data's digest. The nonce is
// derived (RFC 6979): the same key and data give the same signature, so that
// evidence may carry signatures and still come out the same a second time.
func (k *Key) SignData(ctx context.Context, data []byte) (sig, digest []byte, err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	sum := sha256.Sum256(data)
	sig, err = k.private.Sign(nil, sum[:], crypto.SHA256)
	return sig, sum[:], err
}

// SignBlob makes a bundle with a signature of data itself. It is for small
// files (checksums); large ones are named by digest in a statement.
func (k *Key) SignBlob(ctx context.Context, data []byte) ([]byte, error) {
	return k.bundle(ctx, &sign.PlainData{Data: data})
}

// SignStatement makes a bundle with a DSSE envelope around an in-toto
// statement.
func (k *Key) SignStatement(ctx context.Context, statement []byte) ([]byte, error) {
	return k.bundle(ctx, &sign.DSSEData{Data: statement, PayloadType: PayloadInToto})
}

func (k *Key) bundle(ctx context.Context, content sign.Content) ([]byte, error) {
	pb, err := sign.Bundle(content, k, sign.BundleOptions{Context: ctx})
	if err != nil {
		return nil, err
	}
	b, err := bundle.NewBundle(pb)
	if err != nil {
		return nil, err
	}
	text, err := b.MarshalJSON()
	if err != nil {
		return nil, err
	}
	// The protobuf encoder varies its white space on purpose.
	var out bytes.Buffer
	if err := json.Compact(&out, text); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
