package evidence

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// A testKey signs and verifies DSSE envelopes (secure-systems-lab/dsse,
// v1.0.2) with one ECDSA key in force between two instants.
type testKey struct {
	key         *ecdsa.PrivateKey
	from, until time.Time
}

func newKey(t testing.TB) *testKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &testKey{key: key, until: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}
}

func (k *testKey) KeyID() string {
	der, err := x509.MarshalPKIXPublicKey(k.key.Public())
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256(der)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// encoded is the pre-authentication encoding of DSSE.
func encoded(payloadType string, payload []byte) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload))
	return sum[:]
}

func (k *testKey) Envelope(_ context.Context, payloadType string, payload []byte) ([]byte, error) {
	sig, err := k.key.Sign(rand.Reader, encoded(payloadType, payload), crypto.SHA256)
	if err != nil {
		return nil, err
	}
	// Written with other spacing and order than the ledger's on purpose.
	return json.MarshalIndent(map[string]any{
		"payload": payload, "payloadType": payloadType,
		"signatures": []map[string]any{{"sig": sig, "keyid": k.KeyID()}},
	}, "", "  ")
}

func (k *testKey) Open(file []byte, payloadType string, at time.Time) ([]byte, error) {
	var e struct {
		Payload     []byte
		PayloadType string
		Signatures  []struct {
			Sig   []byte
			KeyID string
		}
	}
	if err := json.Unmarshal(file, &e); err != nil {
		return nil, err
	}
	if at.Before(k.from) || !at.Before(k.until) {
		return nil, fleet.Errorf(fleet.Refused, "test.open", "", "no key is trusted at %s", at)
	}
	for _, s := range e.Signatures {
		if e.PayloadType == payloadType && ecdsa.VerifyASN1(&k.key.PublicKey, encoded(payloadType, e.Payload), s.Sig) {
			return e.Payload, nil
		}
	}
	return nil, fleet.Errorf(fleet.Refused, "test.open", "", "no signature by a trusted key")
}
