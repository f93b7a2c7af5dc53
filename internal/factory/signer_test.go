package factory

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/digitorus/timestamp"

	"github.com/packmill/packmill/internal/edge/signing"
	"github.com/packmill/packmill/internal/edge/upstream"
	"github.com/packmill/packmill/internal/fleet"
)

// A vendor signs installers with a certificate of its own.
type vendor struct {
	key  *rsa.PrivateKey
	cert *x509.Certificate
}

func newVendor(t *testing.T, usage x509.ExtKeyUsage, until string) vendor {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "Acme"}, ExtKeyUsage: []x509.ExtKeyUsage{usage},
		NotBefore: signedDay(t, "2025-01-01"), NotAfter: signedDay(t, until),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return vendor{key, cert}
}

func signedDay(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.DateOnly, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// stampedOn is a timestamp authority without a network, as of an instant.
type stampedOn struct {
	vendor
	at time.Time
}

// Timestamp gives a token.
func (s stampedOn) Timestamp(_ context.Context, digest []byte, hash crypto.Hash) ([]byte, error) {
	answer, err := (&timestamp.Timestamp{
		HashAlgorithm: hash, HashedMessage: digest, Time: s.at, Policy: []int{1, 2, 3}, AddTSACertificate: true,
	}).CreateResponseWithOpts(s.cert, s.key, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	parsed, err := timestamp.ParseResponse(answer)
	if err != nil {
		return nil, err
	}
	return parsed.RawToken, nil
}

// TestSignersOfInstallers reads installers whose signatures are good, out of
// date, altered and nobody's: as they are proposed, at an instant, and as they
// are built, when only their bytes count.
func TestSignersOfInstallers(t *testing.T) {
	acme := newVendor(t, x509.ExtKeyUsageCodeSigning, "2026-01-01")
	program, err := os.ReadFile(filepath.FromSlash("../format/pe/testdata/hello.exe"))
	if err != nil {
		t.Fatal(err)
	}
	app, err := os.ReadFile(filepath.FromSlash("../format/sip/testdata/hello.msix"))
	if err != nil {
		t.Fatal(err)
	}
	sign := func(by vendor, stamped signing.Timestamper) []byte {
		t.Helper()
		var out bytes.Buffer
		s := signing.CodeSigner{Key: by.key, Chain: []*x509.Certificate{by.cert}, Timestamper: stamped}
		if err := signing.SignCode(t.Context(), signing.CodePE, bytes.NewReader(program), int64(len(program)), &out, s); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	good := sign(acme, nil)
	stampedDay := signedDay(t, "2025-06-01")
	stamped := sign(acme, stampedOn{newVendor(t, x509.ExtKeyUsageTimeStamping, "2040-01-01"), stampedDay})
	altered := bytes.Clone(good)
	altered[len(program)-100] ^= 1
	exe, msix := fleet.Installer{Type: "exe", Arch: "x64"}, fleet.Installer{Type: "msix", Arch: "x64"}
	for _, c := range []struct {
		name      string
		in        fleet.Installer
		data      []byte
		at        string
		subject   string
		stamped   *time.Time
		held      string
		builtHeld bool
	}{
		{name: "unsigned", in: exe, data: program, at: "2025-06-01"},
		{name: "good", in: exe, data: good, at: "2025-06-01", subject: "CN=Acme"},
		{name: "out of date", in: exe, data: good, at: "2026-06-01", subject: "CN=Acme", held: "expired"},
		{name: "before its time", in: exe, data: good, at: "2024-06-01", subject: "CN=Acme", held: "notYetValid"},
		{name: "out of date, timestamped", in: exe, data: stamped, at: "2026-06-01", subject: "CN=Acme", stamped: &stampedDay},
		{name: "altered", in: exe, data: altered, at: "2025-06-01", held: "tampered", builtHeld: true},
		{name: "app", in: msix, data: app, at: "2026-06-01", subject: "CN=Example AS,O=Example AS,C=FI"},
		{name: "altered app", in: msix, data: bytes.Replace(app, []byte("hello.txt"), []byte("hallo.txt"), 1), at: "2026-06-01", held: "tampered", builtHeld: true},
	} {
		file := savedFrom(t, c.data)
		var proposed, built fleet.Download
		err := inspect(&proposed, file, c.in, "1.0", fleet.Publisher{}, signedDay(t, c.at))
		hold, isHold := upstream.HoldOf(err)
		switch {
		case c.held != "":
			if !isHold || hold.Name != fleet.HoldSigner || !strings.Contains(hold.Error(), c.held) {
				t.Errorf("%s: %v, want a hold that says %s", c.name, err, c.held)
			}
		case err != nil:
			t.Errorf("%s: %v", c.name, err)
		default:
			sameSigner(t, c.name, proposed.Signer, c.subject, c.stamped)
		}
		if err := inspect(&built, file, c.in, "1.0", fleet.Publisher{}, time.Time{}); (err != nil) != c.builtHeld {
			t.Errorf("%s, built: %v", c.name, err)
		} else if err == nil {
			sameSigner(t, c.name+", built", built.Signer, c.subject, c.stamped)
		}
	}
}

func sameSigner(t *testing.T, name string, s fleet.SignedBy, subject string, stamped *time.Time) {
	t.Helper()
	switch {
	case s.Unsigned != (subject == "") || s.Subject != subject || (s.Issuer == "") != (subject == "") || len(s.Thumbprint) != 64 && subject != "":
		t.Errorf("%s: %+v", name, s)
	case (s.Timestamp == nil) != (stamped == nil) || stamped != nil && !s.Timestamp.Equal(*stamped):
		t.Errorf("%s: timestamp %v, want %v", name, s.Timestamp, stamped)
	}
}

func savedFrom(t *testing.T, data []byte) saved {
	t.Helper()
	file, err := save(t.TempDir(), "installer", func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(file.close)
	return file
}
