package authenticode

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

func data(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func day(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.DateOnly, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func roots(t testing.TB) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data(t, "roots.pem")) {
		t.Fatal("no roots")
	}
	return pool
}

// hello is the digest of the program that the fixtures sign.
func hello(h crypto.Hash) ([]byte, error) {
	return hex.DecodeString(map[crypto.Hash]string{
		crypto.SHA256: "a051cf074697630e7d0bd39de3e13ef68074e303b7699c09008001d16d9e78e3",
	}[h])
}

func TestVerify(t *testing.T) {
	trusted := roots(t)
	stranger := x509.NewCertPool()
	for _, c := range []struct {
		name, file, at string
		roots          *x509.CertPool
		want           Verdict
		stamp          Verdict // of the timestamp, "" for none
	}{
		{"within its time", "timestamped.p7", "2026-06-01", trusted, Good, Good},
		{"after its time", "timestamped.p7", "2036-01-01", trusted, Lasting, Good},
		{"roots nobody knows", "timestamped.p7", "2036-01-01", nil, Untrusted, Untrusted},
		{"roots of others", "timestamped.p7", "2026-06-01", stranger, Untrusted, Untrusted},
		{"roots of others, after its time", "timestamped.p7", "2036-01-01", stranger, Expired, Untrusted},
		{"older form", "countersigned.p7", "2026-06-01", trusted, Good, Good},
		{"older form, after its time", "countersigned.p7", "2036-01-01", trusted, Lasting, Good},
		{"self-signed", "hello.p7", "2026-12-01", trusted, SelfSigned, ""},
		{"self-signed, before its time", "hello.p7", "2001-01-01", nil, NotYetValid, ""},
		{"self-signed, after its time", "hello.p7", "2101-01-01", nil, Expired, ""},
	} {
		r, err := Verify(data(t, c.file), hello, Options{Roots: c.roots, At: day(t, c.at)})
		if err != nil {
			t.Fatal(err)
		}
		if r.Verdict != c.want || (r.Why == nil) != r.Verdict.Accepted() || r.Signer != &r.Signers[0] {
			t.Errorf("%s: %s (%v), want %s", c.name, r.Verdict, r.Why, c.want)
		}
		switch s := r.Signer.Timestamp; {
		case (s == nil) != (c.stamp == ""):
			t.Errorf("%s: timestamp %+v", c.name, s)
		case s != nil && s.Verdict != c.stamp:
			t.Errorf("%s: the timestamp is %s (%v), want %s", c.name, s.Verdict, s.Why, c.stamp)
		}
	}
	if r, err := Verify(nil, hello, Options{}); err != nil || r.Verdict != Unsigned || r.Signer != nil {
		t.Errorf("unsigned: %+v, %v", r, err)
	}
}

// TestVerifyFacts checks what people are told of a signature.
func TestVerifyFacts(t *testing.T) {
	r, err := Verify(data(t, "timestamped.p7"), hello, Options{Roots: roots(t), At: day(t, "2026-06-01")})
	if err != nil {
		t.Fatal(err)
	}
	s := r.Signer
	if s.Subject != "CN=Short AS,O=Example AS,C=FI" || s.Issuer != "CN=Packmill Test CA,O=Example AS,C=FI" ||
		!s.NotBefore.Equal(day(t, "2023-01-01")) || !s.NotAfter.Equal(day(t, "2035-01-01")) || s.Hash != crypto.SHA256 || s.Weak {
		t.Errorf("%+v", s)
	}
	if len(s.Thumbprint) != 64 || len(s.Serial)%2 != 0 || s.Serial == "" || len(s.Chain) != 3 || s.Chain[2].Subject != "CN=Packmill Test Root,O=Example AS,C=FI" {
		t.Errorf("%q %q %+v", s.Thumbprint, s.Serial, s.Chain)
	}
	stamp := s.Timestamp
	if stamp.Kind != "RFC 3161" || !stamp.Time.Equal(day(t, "2023-06-01")) || stamp.Authority.Subject != "CN=Time Authority,O=Example AS,C=FI" || len(stamp.Chain) != 2 {
		t.Errorf("%+v", stamp)
	}
}

// TestNested has two signers of one file; the outer's digest is another one.
func TestNested(t *testing.T) {
	asked := 0
	o := Options{Roots: roots(t), At: day(t, "2030-01-01")} // when only the nested one's certificate is valid
	own := func(h crypto.Hash) ([]byte, error) {
		asked++
		if h == crypto.SHA1 {
			s, err := Read(data(t, "nested.p7"))
			if err != nil {
				return nil, err
			}
			return s.Digest, nil
		}
		return hello(h)
	}
	r, err := Verify(data(t, "nested.p7"), own, o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict != Good || len(r.Signers) != 2 || r.Signer.Subject != "CN=Short AS,O=Example AS,C=FI" || asked != 2 {
		t.Errorf("%s (%v), %d signers, asked %d times", r.Verdict, r.Why, len(r.Signers), asked)
	}
	if outer := r.Signers[0]; outer.Verdict != Expired || !outer.Weak || outer.Hash != crypto.SHA1 || r.Signers[1].Weak {
		t.Errorf("the outer one is %s, weak: %v, %v", outer.Verdict, outer.Weak, outer.Hash)
	}
	r, err = Verify(data(t, "nested.p7"), func(h crypto.Hash) ([]byte, error) {
		if h == crypto.SHA256 {
			return make([]byte, 32), nil
		}
		return own(h)
	}, o)
	if err != nil || r.Verdict != Tampered || r.Signer != &r.Signers[1] {
		t.Errorf("the nested one is of another file: %s, %v", r.Verdict, err)
	}
}

// TestVerifyReading tells a file that cannot be read from a signature that does
// not hold.
func TestVerifyReading(t *testing.T) {
	broken := errors.New("the disk is gone")
	_, err := Verify(data(t, "hello.p7"), func(crypto.Hash) ([]byte, error) { return nil, broken }, Options{})
	if !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	r, err := Verify(data(t, "hello.p7"), func(crypto.Hash) ([]byte, error) { return nil, fail(fleet.Invalid, "bytes behind it") }, Options{})
	if err != nil || r.Verdict != Malformed {
		t.Errorf("%s, %v", r.Verdict, err)
	}
	r, err = Verify(data(t, "hello.p7"), func(crypto.Hash) ([]byte, error) { return make([]byte, 32), nil }, Options{})
	if err != nil || r.Verdict != Tampered || !strings.Contains(r.Why.Error(), "altered after CN=Example AS Code Signing") {
		t.Errorf("%s (%v), %v", r.Verdict, r.Why, err)
	}
}

// An author signs with a certificate of their own.
type author struct {
	key  *rsa.PrivateKey
	cert *x509.Certificate
}

func newAuthor(t testing.TB, change func(*x509.Certificate)) author {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(255), Subject: pkix.Name{CommonName: "Made\nAS"}, NotBefore: day(t, "2025-01-01"), NotAfter: day(t, "2027-01-01"),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return author{key, cert}
}

func (a author) seal(t testing.TB, d *Draft, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	digest, hash := d.ToSign()
	signature, err := a.key.Sign(nil, digest, hash)
	if err != nil {
		t.Fatal(err)
	}
	der, err := d.Seal(signature, nil)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// file is a file and what signs it.
func (a author) file(t testing.TB, content string) ([]byte, Digester) {
	t.Helper()
	d, err := NewDraft(PE, crypto.SHA256, sum(crypto.SHA256, []byte(content)), []*x509.Certificate{a.cert}, "Hällo")
	return a.seal(t, d, err), func(h crypto.Hash) ([]byte, error) { return sum(h, []byte(content)), nil }
}

// TestDraft signs, and judges what it signed.
func TestDraft(t *testing.T) {
	a := newAuthor(t, func(*x509.Certificate) {})
	der, digest := a.file(t, "file")
	trusted := x509.NewCertPool()
	trusted.AddCert(a.cert)
	for _, c := range []struct {
		at    string
		roots *x509.CertPool
		want  Verdict
	}{
		{"2026-06-01", trusted, Good}, {"2026-06-01", nil, SelfSigned}, {"2024-06-01", trusted, NotYetValid}, {"2028-06-01", trusted, Expired},
	} {
		r, err := Verify(der, digest, Options{Roots: c.roots, At: day(t, c.at)})
		if err != nil || r.Verdict != c.want || r.Signer.Subject != "CN=MadeAS" || r.Signer.Serial != "ff" {
			t.Errorf("%s: %s (%v), %v", c.at, r.Verdict, r.Why, err)
		}
	}
	d, err := NewDraft(PE, crypto.SHA256, make([]byte, 32), []*x509.Certificate{a.cert}, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Seal(make([]byte, 256), nil); fleet.KindOf(err) != fleet.Refused {
		t.Errorf("a signature of nobody: %v", err)
	}
	for name, err := range map[string]error{
		"SHA-1":       second(NewDraft(PE, crypto.SHA1, make([]byte, 20), []*x509.Certificate{a.cert}, "")),
		"half digest": second(NewDraft(PE, crypto.SHA256, make([]byte, 16), []*x509.Certificate{a.cert}, "")),
		"other form":  second(NewDraft("elf", crypto.SHA256, make([]byte, 32), []*x509.Certificate{a.cert}, "")),
	} {
		if fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second(_ *Draft, err error) error { return err }

// TestLifetimeSigning has no timestamp prolong a certificate that says so.
func TestLifetimeSigning(t *testing.T) {
	with := newAuthor(t, func(c *x509.Certificate) {
		c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 3, 6, 1, 4, 1, 311, 10, 3, 13}}
	})
	if without := newAuthor(t, func(*x509.Certificate) {}); lifetimeSigning(without.cert) || !lifetimeSigning(with.cert) {
		t.Error("the usage is not told")
	}
}

// TestCatalog judges what is nothing but a signature around a list.
func TestCatalog(t *testing.T) {
	a, o := newAuthor(t, func(*x509.Certificate) {}), Options{Roots: x509.NewCertPool(), At: day(t, "2026-06-01")}
	o.Roots.AddCert(a.cert)
	list := []byte("\x30\x06\x02\x01\x01\x02\x01\x02")
	d, err := newDraft(asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 10, 1}, list, crypto.SHA256, []*x509.Certificate{a.cert}, "")
	der := a.seal(t, d, err)
	if r := VerifyCatalog(der, o); r.Verdict != Good || r.Signer.Subject != "CN=MadeAS" {
		t.Errorf("%s (%v)", r.Verdict, r.Why)
	}
	if r := VerifyCatalog(bytes.Replace(der, list, []byte("\x30\x06\x02\x01\x01\x02\x01\x03"), 1), o); r.Verdict != Tampered {
		t.Errorf("another list: %s (%v)", r.Verdict, r.Why)
	}
	file, digest := a.file(t, "file")
	if r := VerifyCatalog(file, o); r.Verdict != Malformed {
		t.Errorf("the signature of a file: %s", r.Verdict)
	}
	if r, err := Verify(der, digest, o); err != nil || r.Verdict != Malformed {
		t.Errorf("a catalog as the signature of a file: %s, %v", r.Verdict, err)
	}
}

// TestHostile has structures that lie: each is an error at once.
func TestHostile(t *testing.T) {
	good := data(t, "timestamped.p7")
	deep := bytes.Repeat([]byte{0x30, 0x80}, 1<<16)
	for name, der := range map[string][]byte{
		"4 GiB":       {0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0x06},
		"2^64 bytes":  {0x30, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"without end": deep,
		"cut off":     good[:len(good)/2],
		"too large":   make([]byte, maxSize+1),
		"other type":  bytes.Replace(good, []byte("\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"), []byte("\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03"), 1),
	} {
		r, err := Verify(der, hello, Options{At: day(t, "2026-06-01")})
		if err != nil || r.Verdict != Malformed || r.Why == nil {
			t.Errorf("%s: %s, %v", name, r.Verdict, err)
		}
		if VerifyCatalog(der, Options{}).Verdict != Malformed {
			t.Errorf("%s passes as a catalog", name)
		}
		if _, err := TimestampToken(der, nil, crypto.SHA256, big.NewInt(1)); err == nil {
			t.Errorf("%s passes as the answer of an authority", name)
		}
	}
	if _, err := certificates(bytes.Repeat([]byte{0x30, 0x00}, maxCertificates+1)); fleet.KindOf(err) != fleet.Invalid {
		t.Errorf("%d certificates: %v", maxCertificates+1, err)
	}
	if _, err := attributes(bytes.Repeat([]byte{0x30, 0x05, 0x06, 0x01, 0x2a, 0x31, 0x00}, maxAttributes+1)); err == nil {
		t.Error("any number of attributes passes")
	}
}

// TestFlippedTimestamp changes every fifth byte of a timestamped signature: no
// other time and no other signer may come out as proven.
func TestFlippedTimestamp(t *testing.T) {
	der, o := data(t, "timestamped.p7"), Options{Roots: roots(t), At: day(t, "2036-01-01")}
	for i := 0; i < len(der); i += 5 {
		bad := bytes.Clone(der)
		bad[i] ^= 0x01
		r, err := Verify(bad, hello, o)
		if err != nil {
			t.Fatal(err)
		}
		if s := r.Signer; r.Verdict.Accepted() && (!s.Timestamp.Time.Equal(day(t, "2023-06-01")) || s.Subject != "CN=Short AS,O=Example AS,C=FI") {
			t.Errorf("byte %d: %s, %+v", i, r.Verdict, s.Timestamp)
		}
	}
}

func FuzzVerify(f *testing.F) {
	for _, name := range []string{"hello.p7", "timestamped.p7", "countersigned.p7", "nested.p7"} {
		f.Add(data(f, name))
	}
	f.Add([]byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0x06})
	f.Add(bytes.Repeat([]byte{0x30, 0x80}, 64))
	trusted, at := roots(f), day(f, "2026-06-01")
	f.Fuzz(func(t *testing.T, der []byte) {
		for _, pool := range []*x509.CertPool{nil, trusted} {
			r, err := Verify(der, hello, Options{Roots: pool, At: at})
			if err != nil {
				t.Fatal(err)
			}
			if pool == nil && r.Verdict.Accepted() {
				t.Fatalf("%s without any root", r.Verdict)
			}
			if r.Signer != nil && strings.ContainsAny(r.Signer.Subject, "\n\x00") {
				t.Fatal("the subject holds control characters")
			}
		}
		VerifyCatalog(der, Options{Roots: trusted, At: at})
	})
}

func FuzzTimestampToken(f *testing.F) {
	for _, name := range []string{"timestamped.p7", "hello.p7"} {
		m, err := parse(data(f, name))
		if err != nil {
			f.Fatal(err)
		}
		tokens, err := values(m.signer.unsigned, oidTimestamp, 1)
		if err != nil {
			f.Fatal(err)
		}
		for _, token := range tokens {
			answer, err := asn1.Marshal(struct {
				Status struct{ Status int }
				Token  asn1.RawValue
			}{Token: asn1.RawValue{FullBytes: token}})
			if err != nil {
				f.Fatal(err)
			}
			f.Add(answer)
		}
	}
	f.Add([]byte{0x30, 0x05, 0x30, 0x03, 0x02, 0x01, 0x02})
	f.Fuzz(func(t *testing.T, der []byte) {
		if _, err := TimestampToken(der, make([]byte, 32), crypto.SHA256, big.NewInt(1)); err == nil {
			t.Fatal("a token over nothing")
		}
	})
}
