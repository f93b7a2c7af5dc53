package signing

import (
	"archive/zip"
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/format/authenticode"
)

// A codeWorld is a small world of people who sign code: two code-signing roots,
// two timestamp authorities, and files on disk for programs that want them.
type codeWorld struct {
	dir    string
	root   *holder
	other  *holder // a root nobody trusts
	tsa    *holder // trusted, through tsaRoot
	rogue  *holder // a timestamp authority of the other root
	middle *holder
	roots  *x509.CertPool
	stamps *x509.CertPool
}

// A holder is somebody with a key and a certificate.
type holder struct {
	t         testing.TB
	name      string
	dir       string
	key       *rsa.PrivateKey
	cert      *x509.Certificate
	above     []*x509.Certificate // what leads to the root, without it
	keyFile   string
	chainFile string
}

// asOf is the instant at which signatures are judged.
func asOf() time.Time { return at("2026-06-01") }

func newCodeWorld(t testing.TB) *codeWorld {
	t.Helper()
	w := &codeWorld{dir: t.TempDir(), roots: x509.NewCertPool(), stamps: x509.NewCertPool()}
	ca := func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	}
	w.root = w.issue(t, nil, "Packmill Test Root", ca)
	w.other = w.issue(t, nil, "Other Root", ca)
	tsaRoot := w.issue(t, nil, "Time Root", ca)
	w.middle = w.issue(t, w.root, "Packmill Test CA", ca)
	stamping := func(c *x509.Certificate) {
		// RFC 3161 section 2.3: the only usage, and critical.
		usage, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})
		if err != nil {
			t.Fatal(err)
		}
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: usage}}
	}
	w.tsa = w.issue(t, tsaRoot, "Time Authority", stamping)
	w.rogue = w.issue(t, w.other, "Rogue Time Authority", stamping)
	w.roots.AddCert(w.root.cert)
	w.stamps.AddCert(tsaRoot.cert)
	w.write(t, "roots.pem", pemOf(w.root.cert))
	w.write(t, "stamps.pem", pemOf(tsaRoot.cert))
	return w
}

// coder is a certificate for signing code, good from 2025 to 2027 unless changed.
func (w *codeWorld) coder(t testing.TB, by *holder, name string, change ...func(*x509.Certificate)) *holder {
	t.Helper()
	return w.issue(t, by, name, append([]func(*x509.Certificate){func(c *x509.Certificate) {
		c.KeyUsage, c.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
		c.NotBefore, c.NotAfter = at("2025-01-01"), at("2027-01-01")
	}}, change...)...)
}

// issue makes a key and its certificate, by itself when nobody issues it.
func (w *codeWorld) issue(t testing.TB, by *holder, name string, change ...func(*x509.Certificate)) *holder {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	h := &holder{t: t, name: name, dir: w.dir, key: key}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name, Organization: []string{"Example AS"}, Country: []string{"FI"}},
		NotBefore: at("2020-01-01"), NotAfter: at("2040-01-01"),
	}
	for _, c := range change {
		c(template)
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
		if by.cert.Subject.String() != by.cert.Issuer.String() {
			h.above = append([]*x509.Certificate{by.cert}, by.above...)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	if h.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	h.keyFile = w.write(t, name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	h.chainFile = w.write(t, name+".pem", pemOf(append([]*x509.Certificate{h.cert}, h.above...)...))
	return h
}

func (h *holder) signer(t testing.TB) CodeSigner {
	t.Helper()
	s, err := LoadCodeSigner(h.keyFile, h.chainFile, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func pemOf(certs ...*x509.Certificate) []byte {
	var b bytes.Buffer
	for _, c := range certs {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return b.Bytes()
}

func (w *codeWorld) write(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// judged is our own verdict on a file.
func (w *codeWorld) judged(t testing.TB, kind CodeKind, data []byte) authenticode.Report {
	t.Helper()
	return w.judgedAt(t, kind, data, asOf())
}

func (w *codeWorld) judgedAt(t testing.TB, kind CodeKind, data []byte, when time.Time) authenticode.Report {
	t.Helper()
	r, err := VerifyCode(kind, bytes.NewReader(data), int64(len(data)), authenticode.Options{Roots: w.roots, TimestampRoots: w.stamps, At: when})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// unsignedFile is a file of a kind that nobody signed.
func unsignedFile(t testing.TB, kind CodeKind) []byte {
	t.Helper()
	switch kind {
	case CodePE:
		return fixture(t, "../../format/pe/testdata/hello.exe")
	case CodeMSI:
		return fixture(t, "../../format/msi/testdata/hello.msi")
	case CodeScript:
		return []byte("# Hällo\r\nWrite-Host \"hello\"\r\n")
	case CodeCabinet:
		return cabinetOf("hello.txt", "hello, cabinet")
	case CodeApp:
		return appOf(t)
	default:
		t.Fatalf("no file of kind %s", kind)
		return nil
	}
}

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.FromSlash(name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// cabinetOf is a cabinet with one file that is not compressed, [MS-CAB] section
// 2.
func cabinetOf(name, text string) []byte {
	le := binary.LittleEndian
	b := []byte("MSCF")
	b = append(b, make([]byte, 32)...)
	b = le.AppendUint32(b, uint32(36+8+16+len(name)+1)) // the folder: its data, one block, no compression
	b = le.AppendUint16(b, 1)
	b = le.AppendUint16(b, 0)
	b = le.AppendUint32(b, uint32(len(text))) // the file
	b = append(b, make([]byte, 12)...)
	b = append(b, name+"\x00"...)
	b = append(b, 0, 0, 0, 0) // the block, without checksum
	b = le.AppendUint16(b, uint16(len(text)))
	b = le.AppendUint16(b, uint16(len(text)))
	b = append(b, text...)
	le.PutUint32(b[8:], uint32(len(b)))
	le.PutUint32(b[16:], 44)
	le.PutUint16(b[24:], 0x0103)
	le.PutUint16(b[26:], 1)
	le.PutUint16(b[28:], 1)
	return b
}

// appOf is an app package as far as a signature asks.
func appOf(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, m := range [][2]string{
		{"AppxManifest.xml", `<?xml version="1.0"?><Package xmlns="http://schemas.microsoft.com/appx/manifest/foundation/windows10"><Identity Name="x" Publisher="CN=Try" Version="1.0.0.0"/></Package>`},
		{"hello.txt", "hello, app"},
		{"AppxBlockMap.xml", `<?xml version="1.0"?><BlockMap xmlns="http://schemas.microsoft.com/appx/2010/blockmap" HashMethod="http://www.w3.org/2001/04/xmlenc#sha256"></BlockMap>`},
		{"[Content_Types].xml", `<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="text/xml"/></Types>`},
	} {
		f, err := z.Create(m[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(m[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
