package factory

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/packmill/packmill/internal/edge/signing"
)

// signedScript is a script of packmill's own with a code signature, where there is
// a key for it: devices then take no other (-ExecutionPolicy AllSigned). Without a
// timestamp the same key gives the same bytes, so that builds stay reproducible.
func (b *builder) signedScript(ctx context.Context, script []byte) ([]byte, error) {
	if b.f.Code == nil {
		return script, nil
	}
	var out bytes.Buffer
	err := signing.SignCode(ctx, signing.CodeScript, bytes.NewReader(script), int64(len(script)), &out, *b.f.Code)
	return out.Bytes(), err
}

// codeSigner is the thumbprint (SHA-256) of the certificate that signs scripts, ""
// where none does: another signer makes another artifact.
func (f *Factory) codeSigner() string {
	if f.Code == nil || len(f.Code.Chain) == 0 {
		return ""
	}
	sum := sha256.Sum256(f.Code.Chain[0].Raw)
	return hex.EncodeToString(sum[:])
}
