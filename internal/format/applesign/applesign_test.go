package applesign

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/testreq"
)

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestDeveloperID verifies a signature that Apple's codesign made.
func TestDeveloperID(t *testing.T) {
	content := fixture(t, "developer-id.codedirectory")
	m, err := CMS(fixture(t, "developer-id.cms"), content)
	if err != nil {
		t.Fatal(err)
	}
	leaf := m.Signer.Leaf()
	if leaf.Subject != "CN=Developer ID Application: Node.js Foundation (HX7739G8FX),OU=HX7739G8FX,O=Node.js Foundation,C=US,UID=HX7739G8FX" {
		t.Errorf("subject %s", leaf.Subject)
	}
	if leaf.Issuer != "CN=Developer ID Certification Authority,OU=Apple Certification Authority,O=Apple Inc.,C=US" {
		t.Errorf("issuer %s", leaf.Issuer)
	}
	// As openssl x509 -fingerprint -sha256 prints it.
	if leaf.Thumbprint != "110e71f5a65014babd7c4028d054661533fb3b88c10968eb9dfac4e606285e91" {
		t.Errorf("thumbprint %s", leaf.Thumbprint)
	}
	if len(m.Signer.Chain) != 3 || !m.Signer.Complete || !m.Signer.Apple() {
		t.Errorf("chain %+v", m.Signer)
	}
	if got := m.Signer.Signed; got != time.Date(2020, 1, 30, 10, 29, 23, 0, time.UTC) {
		t.Errorf("signed at %v", got)
	}
	if _, err := CMS(fixture(t, "developer-id.cms"), append(content, 0)); fleet.KindOf(err) != fleet.Refused {
		t.Errorf("of another content: %v", err)
	}
}

// TestFlippedBytes: no change may yield another signer, or another content.
func TestFlippedBytes(t *testing.T) {
	message, content := fixture(t, "developer-id.cms"), fixture(t, "developer-id.codedirectory")
	good, err := CMS(message, content)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for i := 0; i < len(message); i += 3 {
		bad := bytes.Clone(message)
		bad[i] ^= 1
		m, err := CMS(bad, content)
		if err != nil {
			if kind := fleet.KindOf(err); kind != fleet.Invalid && kind != fleet.Refused {
				t.Errorf("byte %d: kind %v", i, kind)
			}
			refused++
			continue
		}
		if m.Signer.Apple() && m.Signer.Leaf() != good.Signer.Leaf() {
			t.Errorf("byte %d: another signer passed", i)
		}
	}
	// The rest is unsigned: a timestamp, the root's and issuer's certificates.
	if refused < 200 {
		t.Errorf("only %d of %d changes were noticed", refused, len(message)/3)
	}
	for i := range content {
		bad := bytes.Clone(content)
		bad[i] ^= 1
		if _, err := CMS(message, bad); fleet.KindOf(err) != fleet.Refused {
			t.Errorf("byte %d of the content: %v", i, err)
		}
	}
}

// An identity is a certificate with its key.
type identity struct {
	key  *rsa.PrivateKey
	cert *x509.Certificate
}

// issue makes an identity below another, or a root where by is nil.
func issue(t testing.TB, name string, by *identity, ca bool) *identity {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(len(name))), Subject: pkix.Name{CommonName: name, Organization: []string{"Acme"}},
		NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
		IsCA: ca, BasicConstraintsValid: true, SubjectKeyId: []byte(name),
	}
	if ca {
		template.KeyUsage = x509.KeyUsageCertSign
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &identity{key, cert}
}

func (id *identity) sign(t testing.TB, hash crypto.Hash, digest []byte) []byte {
	t.Helper()
	out, err := rsa.SignPKCS1v15(nil, id.key, hash, digest)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func ders(ids ...*identity) [][]byte {
	var out [][]byte
	for _, id := range ids {
		out = append(out, id.cert.Raw)
	}
	return out
}

func TestRSA(t *testing.T) {
	root := issue(t, "Root", nil, true)
	other := issue(t, "Root", nil, true) // the same name, another key
	middle := issue(t, "Middle", root, true)
	leaf := issue(t, "Developer ID Installer: Acme", middle, false)
	lone := issue(t, "Alone", nil, false)
	below := issue(t, "Below a leaf", leaf, false)
	digest := sum(crypto.SHA256, []byte("table of contents"))
	signature := leaf.sign(t, crypto.SHA256, digest)
	for _, tt := range []struct {
		name      string
		signature []byte
		certs     [][]byte
		kind      fleet.Kind // 0 for good
		chain     string
		complete  bool
	}{
		{"whole chain", signature, ders(leaf, middle, root), 0, "Developer ID Installer: Acme < Middle < Root", true},
		{"in another order", signature, ders(leaf, root, middle), 0, "Developer ID Installer: Acme < Middle < Root", true},
		{"without root", signature, ders(leaf, middle), 0, "Developer ID Installer: Acme < Middle", false},
		{"without issuer", signature, ders(leaf, root), 0, "Developer ID Installer: Acme", false},
		{"a root of that name", signature, ders(leaf, middle, other), 0, "Developer ID Installer: Acme < Middle", false},
		{"a strange certificate beside", signature, append(ders(leaf, middle, root), []byte("x")), 0, "Developer ID Installer: Acme < Middle < Root", true},
		{"of the digest's digest", leaf.sign(t, crypto.SHA256, sum(crypto.SHA256, digest)), ders(leaf), 0, "Developer ID Installer: Acme", false},
		{"self-signed", lone.sign(t, crypto.SHA256, digest), ders(lone), 0, "Alone", true},
		{"issued by no authority", below.sign(t, crypto.SHA256, digest), ders(below, leaf, middle, root), 0, "Below a leaf", false},
		{"by another key", signature, ders(middle, root), fleet.Refused, "", false},
		{"of another digest", leaf.sign(t, crypto.SHA256, sum(crypto.SHA256, []byte("x"))), ders(leaf), fleet.Refused, "", false},
		{"no certificate", signature, nil, fleet.Invalid, "", false},
		{"a malformed certificate", signature, [][]byte{[]byte("x")}, fleet.Invalid, "", false},
		{"no signature", nil, ders(leaf), fleet.Refused, "", false},
	} {
		s, err := RSA(crypto.SHA256, digest, tt.signature, tt.certs)
		if tt.kind != 0 {
			if fleet.KindOf(err) != tt.kind {
				t.Errorf("%s: %+v, %v", tt.name, s, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		var chain []string
		for _, c := range s.Chain {
			name, _, _ := strings.Cut(strings.TrimPrefix(c.Subject, "CN="), ",")
			chain = append(chain, name)
		}
		if got := strings.Join(chain, " < "); got != tt.chain || s.Complete != tt.complete || s.Apple() {
			t.Errorf("%s: chain %s, complete %v", tt.name, got, s.Complete)
		}
	}
	if _, err := RSA(crypto.MD5, digest[:16], signature, ders(leaf)); fleet.KindOf(err) != fleet.Invalid {
		t.Errorf("MD5: %v", err)
	}
}

// pemFile writes a PEM file and gives its name.
func pemFile(t *testing.T, kind string, ders ...[]byte) string {
	t.Helper()
	var out []byte
	for _, der := range ders {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})...)
	}
	return write(t, out)
}

func write(t *testing.T, data []byte) string {
	t.Helper()
	file, err := os.CreateTemp(t.TempDir(), "f")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Name()
}

// TestOpenSSL verifies what openssl signs, in its different forms, and refuses
// what openssl refuses.
func TestOpenSSL(t *testing.T) {
	openssl := testreq.Program(t, "openssl")
	root := issue(t, "Root", nil, true)
	leaf := issue(t, "Acme", root, false)
	key, err := x509.MarshalPKCS8PrivateKey(leaf.key)
	if err != nil {
		t.Fatal(err)
	}
	content := bytes.Repeat([]byte("<plist/>"), 10_000)
	in, keyFile, signer, roots := write(t, content), pemFile(t, "PRIVATE KEY", key), pemFile(t, "CERTIFICATE", leaf.cert.Raw), pemFile(t, "CERTIFICATE", root.cert.Raw)
	// run says whether openssl took it, and gives what it wrote.
	run := func(args ...string) ([]byte, bool) {
		cmd := exec.CommandContext(t.Context(), openssl, args...)
		out, err := cmd.Output()
		return out, err == nil
	}
	for _, form := range []string{"", "-noattr", "-stream -keyid -md sha512", "-md sha1", "-nocerts"} {
		for _, detached := range []bool{false, true} {
			if detached && strings.Contains(form, "-stream") {
				continue // which openssl writes with the content all the same
			}
			args := append([]string{"cms", "-sign", "-binary", "-in", in, "-inkey", keyFile, "-signer", signer, "-certfile", roots, "-outform", "DER"}, strings.Fields(form)...)
			if !detached {
				args = append(args, "-nodetach")
			}
			message, ok := run(args...)
			if !ok {
				t.Fatalf("openssl %q", args)
			}
			for name, change := range map[string]func([]byte) []byte{
				"as it is":        func(b []byte) []byte { return b },
				"padded":          func(b []byte) []byte { return append(bytes.Clone(b), make([]byte, 100)...) },
				"last byte":       func(b []byte) []byte { return flipped(b, len(b)-12) },
				"in the middle":   func(b []byte) []byte { return flipped(b, 600) },
				"without its end": func(b []byte) []byte { return b[:len(b)-40] },
			} {
				changed := change(message)
				check := []string{"cms", "-verify", "-binary", "-noverify", "-inform", "DER", "-in", write(t, changed), "-certfile", signer}
				var given []byte
				if detached {
					given = content
					check = append(check, "-content", in)
				}
				_, accepted := run(check...)
				m, err := CMS(changed, given)
				// Without certificates there is nobody to name; openssl is told.
				if form == "-nocerts" {
					accepted = false
				}
				if (err == nil) != accepted {
					t.Errorf("%q, detached %v, %s: openssl accepts: %v, we: %v", form, detached, name, accepted, err)
				}
				if err == nil && (!bytes.Equal(m.Content, content) || m.Signer.Leaf().Subject != "CN=Acme,O=Acme") {
					t.Errorf("%q, %s: %+v", form, name, m.Signer)
				}
			}
			if detached {
				continue
			}
			if _, err := CMS(message, []byte("other")); err == nil {
				t.Errorf("%q: a message with its own content passed for another's", form)
			}
		}
	}
}

func flipped(b []byte, i int) []byte {
	out := bytes.Clone(b)
	out[i] ^= 1
	return out
}

func TestArchive(t *testing.T) {
	digest := fixture(t, "developer-id.codedirectory")
	leaf := issue(t, "Acme", nil, false)
	of := sum(crypto.SHA256, digest)
	if s, err := Archive(crypto.SHA256, of, leaf.sign(t, crypto.SHA256, of), ders(leaf), nil); err != nil || s.Leaf().Subject != "CN=Acme,O=Acme" {
		t.Errorf("RSA alone: %+v, %v", s, err)
	}
	if s, err := Archive(crypto.SHA256, digest, nil, nil, fixture(t, "developer-id.cms")); err != nil || !s.Apple() {
		t.Errorf("CMS alone: %+v, %v", s, err)
	}
	for name, try := range map[string]func() (*Signer, error){
		"neither":           func() (*Signer, error) { return Archive(crypto.SHA256, of, nil, nil, nil) },
		"of no digest":      func() (*Signer, error) { return Archive(0, nil, []byte("x"), ders(leaf), nil) },
		"RSA does not hold": func() (*Signer, error) { return Archive(crypto.SHA256, of, []byte("x"), ders(leaf), nil) },
		"CMS does not hold": func() (*Signer, error) {
			return Archive(crypto.SHA256, of, leaf.sign(t, crypto.SHA256, of), ders(leaf), fixture(t, "developer-id.cms"))
		},
		"CMS is none":         func() (*Signer, error) { return Archive(crypto.SHA256, of, nil, nil, make([]byte, 100)) },
		"digest of no length": func() (*Signer, error) { return Archive(crypto.SHA256, of[:20], []byte("x"), ders(leaf), nil) },
	} {
		if s, err := try(); err == nil {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// TestHostileBER gives encodings that could cost time or memory.
func TestHostileBER(t *testing.T) {
	for name, data := range map[string][]byte{
		"nothing":            nil,
		"one byte":           {0x30},
		"deep":               bytes.Repeat([]byte{0x30, 0x80}, 1<<20),
		"length of 4 GiB":    {0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0},
		"length of 9 bytes":  {0x30, 0x89, 1, 1, 1, 1, 1, 1, 1, 1, 1},
		"length without end": {0x04, 0x80, 0, 0},
		"no end":             {0x30, 0x80, 0x05, 0x00},
		"high tag":           {0x3f, 0x80, 0, 0},
		"string of a number": {0x24, 0x03, 0x02, 0x01, 0x00},
		"too long":           make([]byte, maxSize+1),
	} {
		begin := time.Now()
		if out, err := toDER(data); err == nil {
			t.Errorf("%s: %x", name, out)
		}
		if m, err := CMS(data, nil); fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
		if took := time.Since(begin); took > time.Second {
			t.Errorf("%s: it took %v", name, took)
		}
	}
	for in, want := range map[string]string{
		"\x24\x80\x04\x02ab\x04\x01c\x00\x00tail":   "\x04\x03abc",
		"\x24\x80\x24\x80\x04\x01a\x00\x00\x00\x00": "\x04\x01a",
		"\x30\x81\x03\x02\x01\x05":                  "\x30\x03\x02\x01\x05",
		"\x30\x80\x00\x00":                          "\x30\x00",
	} {
		if out, err := toDER([]byte(in)); err != nil || string(out) != want {
			t.Errorf("%q: %q, %v", in, out, err)
		}
	}
	for _, n := range []int{0x7f, 0x80, 0xff, 0x100, 0xffff, 0x10000, 0x1000000} {
		in := encoded(0x04, make([]byte, n))
		if out, err := toDER(in); n < maxSize && (err != nil || !bytes.Equal(in, out)) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func FuzzCMS(f *testing.F) {
	content := fixture(f, "developer-id.codedirectory")
	f.Add(fixture(f, "developer-id.cms"))
	f.Add([]byte{0x30, 0x80, 0x24, 0x80, 0x04, 0x00})
	f.Fuzz(func(t *testing.T, message []byte) {
		for _, given := range [][]byte{nil, content} {
			m, err := CMS(message, given)
			if err == nil && strings.ContainsAny(fmt.Sprint(m.Signer.Leaf()), "\n\x00") {
				t.Fatal("the subject holds control characters")
			}
		}
	})
}
