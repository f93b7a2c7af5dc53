package signing

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/packmill/packmill/internal/fleet"
)

// A Key signs. It is a fleet.Signer; nothing prints or logs its private half.
type Key struct {
	private *ecdsa.PrivateKey
	public  crypto.PublicKey
	id      string
	pem     string
}

const maxKeyFile = 64 << 10

// Generate makes a new ECDSA P-256 key pair in PEM. With a password the private
// half is encrypted (scrypt and secretbox, as cosign does it).
func Generate(password []byte) (private, public []byte, err error) {
	pass := cryptoutils.SkipPassword
	if len(password) > 0 {
		pass = cryptoutils.StaticPasswordFunc(password)
	}
	return cryptoutils.GeneratePEMEncodedECDSAKeyPair(elliptic.P256(), pass)
}

// GenerateFile makes a key pair: path for the private half, readable by its
// owner alone, and path with .pub for the public one. Files that are there
// already are an error of kind Refused: a lost key is not to be had again.
func GenerateFile(path string, password []byte) (*Key, error) {
	private, public, err := Generate(password)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if _, err := os.Lstat(PublicPath(path)); err == nil {
		return nil, exists(PublicPath(path))
	}
	if err := writeNew(path, private, 0o600); err != nil {
		return nil, err
	}
	if err := writeNew(PublicPath(path), public, 0o644); err != nil {
		return nil, err
	}
	return Parse(private, password)
}

// PublicPath is where the public half of a key file lies.
func PublicPath(path string) string { return strings.TrimSuffix(path, ".key") + ".pub" }

func exists(path string) error {
	return &fleet.Error{Op: "signing.generate", Object: path, Kind: fleet.Refused, Err: errors.New("a key is there already"),
		Hint: "choose another path, or move the old key away yourself"}
}

func writeNew(path string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return exists(path)
	}
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		_ = f.Close() // the write error is the one to tell
		return err
	}
	if err := f.Sync(); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

// Load reads a private key file. A file that others may read is an error of
// kind Refused, one that holds no key, or whose password is wrong, of kind
// Invalid.
func Load(path string, password []byte) (*Key, error) {
	data, err := readPrivate(path, "packmill keys generate "+path)
	if err != nil {
		return nil, err
	}
	key, err := Parse(data, password)
	var e *fleet.Error
	if errors.As(err, &e) {
		e.Object = path
	}
	return key, err
}

// Parse reads a private key in PEM. Errors never quote it.
func Parse(private, password []byte) (*Key, error) {
	pass := cryptoutils.SkipPassword
	if len(password) > 0 {
		pass = cryptoutils.StaticPasswordFunc(password)
	}
	k, err := cryptoutils.UnmarshalPEMToPrivateKey(private, pass)
	if err != nil {
		return nil, &fleet.Error{Op: "signing.load", Kind: fleet.Invalid, Err: errors.New("no signing key in PEM, or the password is wrong"),
			Hint: "the password is read from PACKMILL_KEY_PASSWORD"}
	}
	ec, ok := k.(*ecdsa.PrivateKey)
	if !ok || ec.Curve != elliptic.P256() {
		return nil, fleet.Errorf(fleet.Invalid, "signing.load", "", "the signing key is not ECDSA P-256")
	}
	id, err := keyID(ec.Public())
	if err != nil {
		return nil, err
	}
	pem, err := cryptoutils.MarshalPublicKeyToPEM(ec.Public())
	if err != nil {
		return nil, err
	}
	return &Key{private: ec, public: ec.Public(), id: id, pem: string(pem)}, nil
}

// keyID is base64 of SHA-256 of the DER SubjectPublicKeyInfo.
func keyID(public crypto.PublicKey) (string, error) {
	der, err := cryptoutils.MarshalPublicKeyToDER(public)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(der)
	return base64.StdEncoding.EncodeToString(sum[:]), nil
}

// KeyID names the key: base64 of SHA-256 of its DER SubjectPublicKeyInfo.
func (k *Key) KeyID() string { return k.id }

// PublicPEM is the public half, as a trust policy takes it.
func (k *Key) PublicPEM() string { return k.pem }

// String keeps the private half out of every format verb.
func (k *Key) String() string { return "key " + k.id }

// GoString is String.
func (k *Key) GoString() string { return k.String() }

// envelope is a DSSE envelope, protocol version 1.0.2.
type envelope struct {
	PayloadType string       `json:"payloadType"`
	Payload     string       `json:"payload"`
	Signatures  []dsseSigned `json:"signatures"`
}

type dsseSigned struct {
	KeyID string `json:"keyid"`
	Sig   string `json:"sig"`
}

// preAuth is what a DSSE signature covers.
func preAuth(payloadType string, payload []byte) []byte {
	return append(fmt.Appendf(nil, "DSSEv1 %d %s %d ", len(payloadType), payloadType, len(payload)), payload...)
}

// Envelope is the JSON of a DSSE envelope over payload.
func (k *Key) Envelope(ctx context.Context, payloadType string, payload []byte) ([]byte, error) {
	sig, _, err := k.SignData(ctx, preAuth(payloadType, payload))
	if err != nil {
		return nil, err
	}
	return json.Marshal(envelope{
		PayloadType: payloadType,
		Payload:     base64.StdEncoding.EncodeToString(payload),
		Signatures:  []dsseSigned{{KeyID: k.id, Sig: base64.StdEncoding.EncodeToString(sig)}},
	})
}
