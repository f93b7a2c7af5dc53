package cli

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
)

// TestCodeKey reads the key for scripts from the environment: both files, or none.
func TestCodeKey(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Operator"}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}, &x509.Certificate{Subject: pkix.Name{CommonName: "Operator"}}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	keyFile, chain := write("code.key", "PRIVATE KEY", private), write("code.pem", "CERTIFICATE", cert)
	for _, c := range []struct {
		key, chain string
		want       bool
		fails      bool
	}{
		{"", "", false, false}, {keyFile, chain, true, false}, {keyFile, "", false, true}, {"", chain, false, true}, {chain, keyFile, false, true},
	} {
		a := &app{getenv: func(name string) string {
			return map[string]string{"PACKMILL_CODE_KEY": c.key, "PACKMILL_CODE_CERTIFICATES": c.chain}[name]
		}}
		f := &factory.Factory{}
		err := a.wireCode(f)
		if (err != nil) != c.fails || (f.Code != nil) != c.want || err != nil && fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("key %q, certificates %q: %v, signer %v", c.key, c.chain, err, f.Code)
		}
	}
}
