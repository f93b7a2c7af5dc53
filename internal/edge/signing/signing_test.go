package signing

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

var _ fleet.Signer = (*Key)(nil)
var _ fleet.Verifier = (*Verifier)(nil)

func at(day string) time.Time {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		panic(err)
	}
	return t
}

func newKey(t *testing.T) *Key {
	t.Helper()
	private, _, err := Generate(nil)
	if err != nil {
		t.Fatal(err)
	}
	k, err := Parse(private, nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// trust is a policy with the keys, from 2026-01-01 until 2027-01-01.
func trust(t *testing.T, use string, keys ...*Key) *Verifier {
	t.Helper()
	policy := fleet.Trust{Keys: map[string]fleet.TrustedKey{}}
	for i, k := range keys {
		policy.Keys[fmt.Sprint("mill-", i)] = fleet.TrustedKey{PEM: k.PublicPEM(), Uses: []string{use}, From: "2026-01-01", Until: "2027-01-01"}
	}
	v, err := NewVerifier(policy, use)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func wantRefused(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil || fleet.KindOf(err) != fleet.Refused {
		t.Errorf("%s: %v, want a refusal", what, err)
	}
}

func TestKeyFile(t *testing.T) {
	for _, password := range []string{"", "correct horse"} {
		path := filepath.Join(t.TempDir(), "keys", "mill.key")
		made, err := GenerateFile(path, []byte(password))
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the key file's mode is %v (%v)", info.Mode(), err)
		}
		loaded, err := Load(path, []byte(password))
		if err != nil || loaded.KeyID() != made.KeyID() || loaded.PublicPEM() != made.PublicPEM() {
			t.Errorf("another key came back: %v", err)
		}
		if public, err := os.ReadFile(PublicPath(path)); err != nil || string(public) != made.PublicPEM() {
			t.Errorf("the public file differs: %v", err)
		}
		_, err = GenerateFile(path, nil)
		wantRefused(t, "a second key over the first", err)
		if password != "" {
			_, err := Load(path, []byte("wrong"))
			if fleet.KindOf(err) != fleet.Invalid || err == nil {
				t.Errorf("wrong password: %v", err)
			}
		}
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err = Load(path, []byte(password))
		wantRefused(t, "a key file others may read", err)
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none.key"), nil); fleet.KindOf(err) != fleet.Invalid {
		t.Errorf("no file: %v", err)
	}
}

func TestKeysAreNotPrinted(t *testing.T) {
	private, _, err := Generate(nil)
	if err != nil {
		t.Fatal(err)
	}
	k, err := Parse(private, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, k); got != "key "+k.KeyID() {
			t.Errorf("%s prints %q", verb, got)
		}
	}
	if _, err := Parse(private[:len(private)/2], nil); err == nil || strings.Contains(err.Error(), string(private[40:60])) {
		t.Errorf("a broken key's error: %v", err)
	}
}

func TestEnvelope(t *testing.T) {
	k := newKey(t)
	data, err := k.Envelope(t.Context(), "application/x", []byte("payload"))
	if err != nil {
		t.Fatal(err)
	}
	v := trust(t, UseEvidence, newKey(t), k)
	if got, err := v.Open(data, "application/x", at("2026-11-18")); err != nil || string(got) != "payload" {
		t.Errorf("%q, %v", got, err)
	}
	changed := bytes.Replace(data, []byte(base64.StdEncoding.EncodeToString([]byte("payload"))), []byte(base64.StdEncoding.EncodeToString([]byte("PAYLOAD"))), 1)
	for name, c := range map[string]struct {
		v    *Verifier
		data []byte
		typ  string
		day  string
	}{
		"another payload type": {v, data, "application/y", "2026-11-18"},
		"changed payload":      {v, changed, "application/x", "2026-11-18"},
		"changed type":         {v, bytes.Replace(data, []byte("application/x"), []byte("application/y"), 1), "application/y", "2026-11-18"},
		"another key":          {trust(t, UseEvidence, newKey(t)), data, "application/x", "2026-11-18"},
		"no key":               {trust(t, UseEvidence), data, "application/x", "2026-11-18"},
		"before the key":       {v, data, "application/x", "2025-12-31"},
		"after the key":        {v, data, "application/x", "2027-01-01"},
		"no signature":         {v, []byte(`{"payloadType":"application/x","payload":"","signatures":[]}`), "application/x", "2026-11-18"},
		"no JSON":              {v, []byte("<html>"), "application/x", "2026-11-18"},
	} {
		_, err := c.v.Open(c.data, c.typ, at(c.day))
		wantRefused(t, name, err)
	}
}

// The string of the protocol's own example, protocol.md of DSSE 1.0.2.
func TestPreAuth(t *testing.T) {
	got := string(preAuth("http://example.com/HelloWorld", []byte("hello world")))
	if want := "DSSEv1 29 http://example.com/HelloWorld 11 hello world"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestKeysAreForOneUse(t *testing.T) {
	k := newKey(t)
	policy := fleet.Trust{Keys: map[string]fleet.TrustedKey{"mill": {PEM: k.PublicPEM(), Uses: []string{UseTest}, From: "2026-01-01"}}}
	data, err := k.Envelope(t.Context(), "application/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	for use, ok := range map[string]bool{UseTest: true, UseBuild: false, UseEvidence: false} {
		v, err := NewVerifier(policy, use)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Open(data, "application/x", at("2026-11-18")); (err == nil) != ok {
			t.Errorf("%s: %v", use, err)
		}
	}
	policy.Keys["mill"] = fleet.TrustedKey{PEM: "none", Uses: []string{UseTest}}
	if _, err := NewVerifier(policy, UseTest); fleet.KindOf(err) != fleet.Invalid || !strings.Contains(err.Error(), "trust.keys.mill") {
		t.Errorf("a broken key in the policy: %v", err)
	}
}

func TestBlobBundle(t *testing.T) {
	k := newKey(t)
	sums := []byte("0123  setup.intunewin\n")
	b, err := k.SignBlob(t.Context(), sums)
	if err != nil {
		t.Fatal(err)
	}
	v := trust(t, UseBuild, k)
	day := at("2026-11-18")
	if err := v.VerifyBlob(sums, b, day); err != nil {
		t.Error(err)
	}
	wantRefused(t, "other bytes", v.VerifyBlob([]byte("0124  setup.intunewin\n"), b, day))
	wantRefused(t, "another key", trust(t, UseBuild, newKey(t)).VerifyBlob(sums, b, day))
	wantRefused(t, "out of date", v.VerifyBlob(sums, b, at("2027-06-01")))
	wantRefused(t, "no bundle", v.VerifyBlob(sums, []byte("{}"), day))
	_, err = v.VerifyStatement(fleet.DigestOf(sums), b, day)
	wantRefused(t, "a blob as a statement", err)
}

func exampleProvenance(subject []byte) Provenance {
	return Provenance{
		Subjects:  []Resource{ResourceOf("setup.intunewin", "", fleet.DigestOf(subject))},
		Builder:   "https://example.com/mill",
		BuildType: "https://example.com/build/v1",
		Package:   "igor-pavlov/7-zip", Version: "24.09",
		Materials: []Resource{ResourceOf("x64", "https://example.com/7z.msi?a=1&b=2", fleet.DigestOf([]byte("msi")))},
	}
}

func TestStatementBundle(t *testing.T) {
	k := newKey(t)
	subject := []byte("artifact")
	text, err := exampleProvenance(subject).Statement()
	if err != nil {
		t.Fatal(err)
	}
	b, err := k.SignStatement(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	v := trust(t, UseBuild, k)
	day := at("2026-11-18")
	s, err := v.VerifyStatement(fleet.DigestOf(subject), b, day)
	if err != nil {
		t.Fatal(err)
	}
	p, err := ParseProvenance(s)
	if err != nil || p.BuildDefinition.ExternalParameters["package"] != "igor-pavlov/7-zip" || p.BuildDefinition.ExternalParameters["version"] != "24.09" {
		t.Errorf("%+v, %v", p, err)
	}
	_, err = v.VerifyStatement(fleet.DigestOf([]byte("other")), b, day)
	wantRefused(t, "another subject", err)
	_, err = trust(t, UseBuild, newKey(t)).VerifyStatement(fleet.DigestOf(subject), b, day)
	wantRefused(t, "another key", err)
	wantRefused(t, "a statement as a blob", v.VerifyBlob(text, b, day))

	result, err := TestResult{Subjects: s.Subject, Passed: true, PassedTests: []string{"wine/x64/install"}}.Statement()
	if err != nil {
		t.Fatal(err)
	}
	if b, err = k.SignStatement(t.Context(), result); err != nil {
		t.Fatal(err)
	}
	if s, err = v.VerifyStatement(fleet.DigestOf(subject), b, day); err != nil || s.PredicateType != PredicateTestResult {
		t.Errorf("%+v, %v", s, err)
	}
	_, err = ParseProvenance(s)
	wantRefused(t, "a test result as provenance", err)
}

// No changed byte of a bundle may verify as anything but the same statement.
func TestEveryFlippedBundleByte(t *testing.T) {
	k := newKey(t)
	subject := []byte("artifact")
	text, err := exampleProvenance(subject).Statement()
	if err != nil {
		t.Fatal(err)
	}
	b, err := k.SignStatement(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	v := trust(t, UseBuild, k)
	want, err := v.VerifyStatement(fleet.DigestOf(subject), b, at("2026-11-18"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		bad := bytes.Clone(b)
		bad[i] ^= 0x02
		got, err := v.VerifyStatement(fleet.DigestOf(subject), bad, at("2026-11-18"))
		if err != nil {
			if fleet.KindOf(err) != fleet.Refused {
				t.Errorf("byte %d: kind %v: %v", i, fleet.KindOf(err), err)
			}
			continue
		}
		a, _ := json.Marshal(want)
		c, _ := json.Marshal(got)
		if !bytes.Equal(a, c) {
			t.Errorf("byte %d: another statement passed", i)
		}
	}
}

func FuzzOpen(f *testing.F) {
	private, _, err := Generate(nil)
	if err != nil {
		f.Fatal(err)
	}
	k, err := Parse(private, nil)
	if err != nil {
		f.Fatal(err)
	}
	v, err := NewVerifier(fleet.Trust{Keys: map[string]fleet.TrustedKey{"mill": {PEM: k.PublicPEM(), Uses: []string{UseBuild}, From: "2026-01-01"}}}, UseBuild)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"payloadType":"application/x","payload":"","signatures":[{"keyid":"","sig":""}]}`))
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"x"}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := v.Open(data, "application/x", at("2026-11-18")); err == nil {
			t.Fatal("an envelope nobody signed was opened")
		}
		if err := v.VerifyBlob([]byte("x"), data, at("2026-11-18")); err == nil {
			t.Fatal("a bundle nobody signed was accepted")
		}
	})
}
