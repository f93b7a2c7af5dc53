package factory_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/signing"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/format/authenticode"
	"github.com/packmill/packmill/internal/format/sip"
	"github.com/packmill/packmill/internal/rules/wrapper"
)

// codeSigner is a key with a certificate that may sign code.
func codeSigner(t *testing.T) *signing.CodeSigner {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Operator AS"}, NotBefore: buildTime.AddDate(-1, 0, 0), NotAfter: buildTime.AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return &signing.CodeSigner{Key: key, Chain: []*x509.Certificate{chain}, Name: "packmill"}
}

// TestBuildSignsItsScript builds with a key for code: the script on devices is
// signed by it, every build is the same, and one without the key is another.
func TestBuildSignsItsScript(t *testing.T) {
	w := newBuildWorld(t, signer(t))
	plain := w.make(t, "acme/setup", "24.09")
	w.Code = codeSigner(t)
	first, second := w.make(t, "acme/setup", "24.09"), w.make(t, "acme/setup", "24.09")
	if first.Built.Artifact != second.Built.Artifact || first.Built.Artifact == plain.Built.Artifact || first.Built.Inputs == plain.Built.Inputs {
		t.Errorf("artifacts %s, %s, unsigned %s; inputs %s, unsigned %s", first.Built.Artifact, second.Built.Artifact, plain.Built.Artifact, first.Built.Inputs, plain.Built.Inputs)
	}
	if _, err := w.VerifyArtifact(t.Context(), first.Built.Artifact, w.claim()); err != nil {
		t.Error(err)
	}
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	stored := w.stored(t, first.Built.Files[0])
	if _, err := factory.OpenContainer(t.Context(), bytes.NewReader(stored), int64(len(stored)), root); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, wrapper.ScriptName))
	if err != nil {
		t.Fatal(err)
	}
	if !wrapper.Signed(data) {
		t.Error("the script has no signature block")
	}
	script, err := sip.ReadScript(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(w.Code.Chain[0])
	r, err := authenticode.Verify(script.Signature, authenticode.Sum(script.Digest), authenticode.Options{Roots: pool, At: buildTime.Add(time.Hour)})
	if err != nil || r.Verdict != authenticode.Good || r.Signer.Subject != "CN=Operator AS" {
		t.Errorf("%s (%v, %v)", r.Verdict, r.Why, err)
	}
}
