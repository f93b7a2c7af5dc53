package signing

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/digitorus/timestamp"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/authenticode"
	"github.com/packmill/packmill/internal/format/msi"
	"github.com/packmill/packmill/internal/testreq"
	"github.com/packmill/packmill/internal/transport"
)

func signed(t testing.TB, kind CodeKind, data []byte, s CodeSigner) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := SignCode(t.Context(), kind, bytes.NewReader(data), int64(len(data)), &out, s); err != nil {
		t.Fatalf("%s: %v", kind, err)
	}
	return out.Bytes()
}

// marked is a script that says its encoding, as one beyond ASCII must.
func marked() []byte { return []byte("\ufeff# Hällo 😀\r\nWrite-Host \"hello\"\r\n") }

// wide is the same script in UTF-16.
func wide() []byte {
	out := []byte{0xff, 0xfe}
	for _, c := range []byte("Write-Host \"hello\"\r\n") {
		out = append(out, c, 0)
	}
	return out
}

// TestSignCode signs every kind of file that is signed: twice the same bytes,
// good in our eyes and in osslsigncode's.
func TestSignCode(t *testing.T) {
	w := newCodeWorld(t)
	o := &osslsigncode{program: testreq.Program(t, "osslsigncode"), world: w}
	good := w.coder(t, w.middle, "Example AS")
	s := good.signer(t)
	s.Name = "Packmill Hällo"
	odd := append(unsignedFile(t, CodePE), "odd"...) // needs filling up before the table
	files := []struct {
		name string
		kind CodeKind
		data []byte
	}{
		{"pe", CodePE, unsignedFile(t, CodePE)}, {"pe of odd length", CodePE, odd}, {"msi", CodeMSI, unsignedFile(t, CodeMSI)},
		{"ascii", CodeScript, []byte("exit 0")}, {"utf-8", CodeScript, marked()}, {"utf-16", CodeScript, wide()},
	}
	for _, f := range files {
		t.Run(f.name, func(t *testing.T) {
			out := signed(t, f.kind, f.data, s)
			if again := signed(t, f.kind, f.data, s); !bytes.Equal(out, again) {
				t.Error("signed twice, the bytes differ")
			}
			r := w.judged(t, f.kind, out)
			if r.Verdict != authenticode.Good || r.Signer.Subject != good.cert.Subject.String() || len(r.Signer.Chain) != 3 {
				t.Errorf("%s (%v): %+v", r.Verdict, r.Why, r.Signer)
			}
			if ok, said := o.accepts(t, f.kind, out); !ok || strings.Contains(said, "invalid PE checksum") {
				t.Errorf("osslsigncode refuses:\n%s", said)
			}
			err := SignCode(t.Context(), f.kind, bytes.NewReader(out), int64(len(out)), io.Discard, s)
			wantRefused(t, "signed again", err)
		})
	}
}

// TestSignWithCurve signs with ECDSA keys, whose nonce is derived.
func TestSignWithCurve(t *testing.T) {
	w := newCodeWorld(t)
	o := &osslsigncode{program: testreq.Program(t, "osslsigncode"), world: w}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := w.coder(t, w.root, "Curve AS").cert
	der, err := x509.CreateCertificate(rand.Reader, template, w.root.cert, key.Public(), w.root.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	s := CodeSigner{Key: key, Chain: []*x509.Certificate{cert}}
	for _, kind := range []CodeKind{CodePE, CodeMSI} {
		out := signed(t, kind, unsignedFile(t, kind), s)
		if !bytes.Equal(out, signed(t, kind, unsignedFile(t, kind), s)) {
			t.Errorf("%s: signed twice, the bytes differ", kind)
		}
		if r := w.judged(t, kind, out); r.Verdict != authenticode.Good {
			t.Errorf("%s: %s (%v)", kind, r.Verdict, r.Why)
		}
		if ok, said := o.accepts(t, kind, out); !ok {
			t.Errorf("osslsigncode refuses:\n%s", said)
		}
	}
}

// stamper is a timestamp authority over HTTP, as of an instant.
func (h *holder) stamper(t testing.TB, when time.Time, change func(*timestamp.Timestamp)) TimestampAuthority {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/timestamp-query" {
			t.Errorf("%s %s: %v", r.Method, r.Header.Get("Content-Type"), err)
		}
		ask, err := timestamp.ParseRequest(body)
		if err != nil {
			t.Error(err)
			return
		}
		answer := &timestamp.Timestamp{
			HashAlgorithm: ask.HashAlgorithm, HashedMessage: ask.HashedMessage, Nonce: ask.Nonce, Time: when, Policy: []int{1, 2, 3},
			AddTSACertificate: ask.Certificates, Certificates: h.above,
		}
		if change != nil {
			change(answer)
		}
		der, err := answer.CreateResponseWithOpts(h.cert, h.key, crypto.SHA256)
		if err != nil {
			t.Error(err)
			return
		}
		w.Header().Set("Content-Type", "application/timestamp-reply")
		if _, err := w.Write(der); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	return TimestampAuthority{Client: transport.New(transport.Options{AllowLoopback: true}), URL: server.URL, Random: rand.Reader}
}

// TestSignTimestamped has an authority countersign: what it vouches for lasts
// beyond its signer's certificate.
func TestSignTimestamped(t *testing.T) {
	w := newCodeWorld(t)
	o := &osslsigncode{program: testreq.Program(t, "osslsigncode"), world: w}
	s := w.coder(t, w.middle, "Expired AS", func(c *x509.Certificate) { c.NotBefore, c.NotAfter = at("2023-01-01"), at("2024-01-01") }).signer(t)
	s.Timestamper = w.tsa.stamper(t, at("2023-06-01"), nil)
	for _, kind := range []CodeKind{CodePE, CodeMSI, CodeScript} {
		data := unsignedFile(t, kind)
		if kind == CodeScript {
			data = marked()
		}
		out := signed(t, kind, data, s)
		r := w.judged(t, kind, out)
		if r.Verdict != authenticode.Lasting || r.Signer.Timestamp == nil || !r.Signer.Timestamp.Time.Equal(at("2023-06-01")) ||
			r.Signer.Timestamp.Authority.Subject != w.tsa.cert.Subject.String() || r.Signer.Timestamp.Kind != "RFC 3161" {
			t.Errorf("%s: %s (%v) %+v", kind, r.Verdict, r.Why, r.Signer.Timestamp)
		}
		if ok, said := o.accepts(t, kind, out); !ok {
			t.Errorf("osslsigncode refuses:\n%s", said)
		}
	}
}

// TestTimestampRefused has authorities answer what nobody asked.
func TestTimestampRefused(t *testing.T) {
	w := newCodeWorld(t)
	s := w.coder(t, w.middle, "Example AS").signer(t)
	data := unsignedFile(t, CodePE)
	try := func(ts Timestamper) error {
		s.Timestamper = ts
		return SignCode(t.Context(), CodePE, bytes.NewReader(data), int64(len(data)), io.Discard, s)
	}
	wantRefused(t, "another digest", try(w.tsa.stamper(t, asOf(), func(a *timestamp.Timestamp) { a.HashedMessage = make([]byte, 32) })))
	wantRefused(t, "another nonce", try(w.tsa.stamper(t, asOf(), func(a *timestamp.Timestamp) { a.Nonce = a.Nonce.Add(a.Nonce, a.Nonce) })))
	wantRefused(t, "a certificate for something else", try(w.coder(t, w.root, "No Authority").stamper(t, asOf(), nil)))
	wantRefused(t, "an authority that expired", try(w.tsa.stamper(t, at("2050-01-01"), nil)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		der, err := timestamp.CreateErrorResponse(timestamp.Rejection, timestamp.BadRequest)
		if err != nil {
			t.Error(err)
		}
		if _, err := w.Write(der); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	wantRefused(t, "a refusal", try(TimestampAuthority{Client: transport.New(transport.Options{AllowLoopback: true}), URL: server.URL, Random: rand.Reader}))
}

// service is a key that only a service has.
type service struct {
	crypto.Signer
	err error
}

func (s service) Sign(r io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	if s.err != nil {
		return nil, s.err
	}
	return s.Signer.Sign(r, digest, o)
}

func TestSignRefused(t *testing.T) {
	w := newCodeWorld(t)
	good, other := w.coder(t, w.middle, "Example AS"), w.coder(t, w.middle, "Other AS")
	server := w.coder(t, w.middle, "Server AS", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	s := good.signer(t)
	pe := unsignedFile(t, CodePE)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name   string
		ctx    context.Context
		kind   CodeKind
		data   []byte
		signer CodeSigner
		kindOf fleet.Kind
	}{
		{"another's key", t.Context(), CodePE, pe, CodeSigner{Key: other.key, Chain: s.Chain}, fleet.Refused},
		{"a key service that is away", t.Context(), CodePE, pe, CodeSigner{Key: service{s.Key, errors.New("away")}, Chain: s.Chain}, fleet.Refused},
		{"no code-signing certificate", t.Context(), CodePE, pe, server.signer(t), fleet.Refused},
		{"no certificate", t.Context(), CodePE, pe, CodeSigner{Key: s.Key}, fleet.Invalid},
		{"no program", t.Context(), CodePE, []byte("hello"), s, fleet.Invalid},
		{"an app", t.Context(), CodeApp, appOf(t), s, fleet.Invalid},
		{"a script without its encoding", t.Context(), CodeScript, []byte("# Hällo"), s, fleet.Invalid},
		{"a signed package", t.Context(), CodeMSI, fixture(t, "../../format/msi/testdata/hello-signed.msi"), s, fleet.Refused},
	} {
		err := SignCode(c.ctx, c.kind, bytes.NewReader(c.data), int64(len(c.data)), io.Discard, c.signer)
		if err == nil || fleet.KindOf(err) != c.kindOf {
			t.Errorf("%s: %v, want kind %v", c.name, err, c.kindOf)
		}
	}
	if err := SignCode(cancelled, CodePE, bytes.NewReader(pe), int64(len(pe)), io.Discard, s); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if out := signed(t, CodePE, pe, CodeSigner{Key: service{s.Key, nil}, Chain: s.Chain}); w.judged(t, CodePE, out).Verdict != authenticode.Good {
		t.Error("a key service signs, but not well")
	}
	_, err := LoadCodeSigner(good.keyFile, other.chainFile, nil)
	if fleet.KindOf(err) != fleet.Invalid || !strings.Contains(fmt.Sprint(err), "is not that of the key") {
		t.Errorf("another's chain: %v", err)
	}
	if err := os.Chmod(good.keyFile, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = LoadCodeSigner(good.keyFile, good.chainFile, nil)
	wantRefused(t, "a key that others may read", err)
}

// TestSignLargePackage signs a package whose table of sectors needs a list of
// its own, and has msitools read it.
func TestSignLargePackage(t *testing.T) {
	w := newCodeWorld(t)
	o := &osslsigncode{program: testreq.Program(t, "osslsigncode"), world: w}
	wixl, extract, info := testreq.Program(t, "wixl"), testreq.Program(t, "msiextract"), testreq.Program(t, "msiinfo")
	payload := make([]byte, 9<<20) // of bytes that do not shrink
	if _, err := rand.Read(payload); err != nil {
		t.Fatal(err)
	}
	w.write(t, "payload.bin", payload)
	w.write(t, "large.wxs", []byte(`<?xml version="1.0"?>
<Wix xmlns="http://schemas.microsoft.com/wix/2006/wi"><Product Id="*" Name="Large" Language="1033" Version="1.0.0" Manufacturer="Example AS" UpgradeCode="5f0c43b2-5b0a-4b6a-9d2e-1f0f1f7f3c11">
<Package InstallerVersion="200" Compressed="yes"/><Media Id="1" Cabinet="c.cab" EmbedCab="yes"/>
<Directory Id="TARGETDIR" Name="SourceDir"><Directory Id="D" Name="Large"><Component Id="C" Guid="6f0c43b2-5b0a-4b6a-9d2e-1f0f1f7f3c12"><File Id="F" Source="payload.bin"/></Component></Directory></Directory>
<Feature Id="All" Level="1"><ComponentRef Id="C"/></Feature></Product></Wix>`))
	run := func(program string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Dir = w.dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %q: %v\n%s", program, args, err, out)
		}
		return string(out)
	}
	run(wixl, "-o", "large.msi", "large.wxs")
	plain := fixture(t, filepath.Join(w.dir, "large.msi"))
	out := signed(t, CodeMSI, plain, w.coder(t, w.middle, "Example AS").signer(t))
	if ok, said := o.accepts(t, CodeMSI, out); !ok {
		t.Errorf("osslsigncode refuses:\n%s", said)
	}
	w.write(t, "signed.msi", out)
	for _, table := range []string{"Property", "File", "Media"} {
		if was, is := run(info, "export", "large.msi", table), run(info, "export", "signed.msi", table); was != is {
			t.Errorf("table %s was\n%s\nis\n%s", table, was, is)
		}
	}
	run(extract, "-C", "out", "signed.msi")
	found, err := filepath.Glob(filepath.Join(w.dir, "out", "*", "payload.bin"))
	if err != nil || len(found) != 1 || !bytes.Equal(fixture(t, found[0]), payload) {
		t.Errorf("the payload comes out as %v, %v", found, err)
	}
	f, err := msi.Read(bytes.NewReader(out), int64(len(out)))
	if err != nil || f.ProductName != "Large" || f.Signature == nil {
		t.Errorf("read again: %+v, %v", f, err)
	}
}
