package signing

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/format/authenticode"
	"github.com/packmill/packmill/internal/testreq"
)

// An osslsigncode is the program that this package's verdicts are compared with.
type osslsigncode struct {
	program string
	world   *codeWorld
	n       int
}

// run runs it on data, and gives what it wrote and printed.
func (o *osslsigncode) run(t *testing.T, kind CodeKind, data []byte, command string, args ...string) ([]byte, string, error) {
	t.Helper()
	o.n++
	in := o.world.write(t, fmt.Sprintf("%d.%s", o.n, kind), data)
	full := append([]string{command}, args...)
	full = append(full, "-in", in)
	out := filepath.Join(o.world.dir, fmt.Sprintf("%d.out.%s", o.n, kind))
	if command != "verify" {
		full = append(full, "-out", out)
	}
	said, err := exec.CommandContext(t.Context(), o.program, full...).CombinedOutput()
	if command == "verify" || err != nil {
		return nil, string(said), err
	}
	written, err := os.ReadFile(out)
	return written, string(said), err
}

// sign has it sign.
func (o *osslsigncode) sign(t *testing.T, kind CodeKind, data []byte, by *holder, args ...string) []byte {
	t.Helper()
	out, said, err := o.run(t, kind, data, "sign", append([]string{"-certs", by.chainFile, "-key", by.keyFile}, args...)...)
	if err != nil {
		t.Fatalf("osslsigncode sign %q: %v\n%s", args, err, said)
	}
	return out
}

// accepts has it verify, with the roots and the instant that we take.
func (o *osslsigncode) accepts(t *testing.T, kind CodeKind, data []byte) (bool, string) {
	t.Helper()
	_, said, err := o.run(t, kind, data, "verify", "-CAfile", filepath.Join(o.world.dir, "roots.pem"),
		"-TSA-CAfile", filepath.Join(o.world.dir, "stamps.pem"), "-time", fmt.Sprint(asOf().Unix()))
	return err == nil, said
}

// stampedBy has an authority countersign at an instant.
func stampedBy(tsa *holder, when time.Time) []string {
	return []string{"-TSA-certs", tsa.chainFile, "-TSA-key", tsa.keyFile, "-TSA-time", fmt.Sprint(when.Unix())}
}

// flip changes the first place of a text.
func flip(t *testing.T, data []byte, text string) []byte {
	t.Helper()
	i := bytes.Index(data, []byte(text))
	if i < 0 {
		t.Fatalf("the file does not hold %q", text)
	}
	out := bytes.Clone(data)
	out[i] ^= 1
	return out
}

// TestAgainstOsslsigncode has osslsigncode sign files of every kind in every
// way, and compares what it says of them with what we say.
func TestAgainstOsslsigncode(t *testing.T) {
	w := newCodeWorld(t)
	o := &osslsigncode{program: testreq.Program(t, "osslsigncode"), world: w}
	good := w.coder(t, w.middle, "Example AS")
	expired := w.coder(t, w.middle, "Expired AS", func(c *x509.Certificate) { c.NotBefore, c.NotAfter = at("2023-01-01"), at("2024-01-01") })
	future := w.coder(t, w.middle, "Future AS", func(c *x509.Certificate) { c.NotBefore = at("2026-12-01") })
	server := w.coder(t, w.middle, "Server AS", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	stranger := w.coder(t, w.other, "Stranger AS")
	alone := w.coder(t, nil, "Alone AS")
	endless := w.coder(t, w.middle, "Any AS", func(c *x509.Certificate) { c.ExtKeyUsage = nil })

	before, after := at("2023-06-01"), at("2025-06-01")
	sign := func(by *holder, args ...string) func(CodeKind) []byte {
		return func(kind CodeKind) []byte { return o.sign(t, kind, unsignedFile(t, kind), by, args...) }
	}
	nested := func(first, second *holder, args ...string) func(CodeKind) []byte {
		return func(kind CodeKind) []byte {
			return o.sign(t, kind, sign(first, "-h", "sha1")(kind), second, append([]string{"-nest", "-h", "sha256"}, args...)...)
		}
	}
	all := []CodeKind{CodePE, CodeMSI, CodeScript, CodeCabinet, CodeApp}
	cases := []struct {
		name  string
		kinds []CodeKind
		make  func(CodeKind) []byte
		want  authenticode.Verdict
		// differs says why osslsigncode decides otherwise, and ours is meant.
		differs string
	}{
		{"good", all, sign(good), authenticode.Good, ""},
		{"unsigned", all, func(k CodeKind) []byte { return unsignedFile(t, k) }, authenticode.Unsigned, ""},
		{"wrong CA", all, sign(stranger), authenticode.Untrusted, ""},
		{"self-signed", all, sign(alone), authenticode.SelfSigned, ""},
		{"expired", all, sign(expired), authenticode.Expired, ""},
		{"expired, timestamped before", all, sign(expired, stampedBy(w.tsa, before)...), authenticode.Lasting, ""},
		{"expired, timestamped after", all, sign(expired, stampedBy(w.tsa, after)...), authenticode.Expired, ""},
		{"expired, timestamped by a stranger", all, sign(expired, stampedBy(w.rogue, before)...), authenticode.Expired, ""},
		{"timestamped", all, sign(good, stampedBy(w.tsa, after)...), authenticode.Good, ""},
		{"timestamped by a stranger", all, sign(good, stampedBy(w.rogue, after)...), authenticode.Good, ""},
		{"not yet valid", all, sign(future), authenticode.NotYetValid, ""},
		{"wrong usage", all, sign(server), authenticode.WrongUsage, ""},
		{"no usage named", all, sign(endless), authenticode.Good, ""},
		{"SHA-1", []CodeKind{CodePE, CodeMSI, CodeScript, CodeCabinet}, sign(good, "-h", "sha1"), authenticode.Good, ""},
		{"SHA-384", []CodeKind{CodePE, CodeMSI, CodeScript, CodeCabinet}, sign(good, "-h", "sha384"), authenticode.Good, ""},
		{"MD5", []CodeKind{CodePE}, sign(good, "-h", "md5"), authenticode.Weak, "anybody can make two files with one MD5"},
		{"described, with page hashes", []CodeKind{CodePE}, sign(good, "-ph", "-n", "Hello", "-i", "https://example.com"), authenticode.Good, ""},
		{"extended digest", []CodeKind{CodeMSI}, sign(good, "-add-msi-dse"), authenticode.Good, ""},
		{"nested", []CodeKind{CodePE, CodeMSI, CodeCabinet}, nested(good, good), authenticode.Good, ""},
		{"nested by a stranger", []CodeKind{CodePE, CodeMSI}, nested(good, stranger), authenticode.Good, ""},
		{"nested in a stranger's", []CodeKind{CodePE, CodeMSI}, nested(stranger, good), authenticode.Good, ""},
		{"nested by a stranger in one that expired", []CodeKind{CodePE}, nested(expired, stranger), authenticode.Untrusted, ""},
		{"nested and timestamped in a stranger's", []CodeKind{CodePE}, nested(stranger, expired, stampedBy(w.tsa, before)...), authenticode.Lasting, ""},
		{"nested and altered", []CodeKind{CodePE, CodeMSI}, func(k CodeKind) []byte { return alterSignature(t, nested(good, good)(k)) },
			authenticode.Tampered, "somebody altered the file after it was signed, if only one of its signatures"},
		{"altered text", []CodeKind{CodeScript, CodeCabinet}, func(k CodeKind) []byte { return flip(t, sign(good)(k), "ello") }, authenticode.Tampered, ""},
		{"altered program", []CodeKind{CodePE}, func(k CodeKind) []byte { return flip(t, sign(good)(k), "DOS mode") }, authenticode.Tampered, ""},
		{"altered package", []CodeKind{CodeMSI}, func(k CodeKind) []byte { return flip(t, sign(good)(k), "MSCF") }, authenticode.Tampered, ""},
		{"altered times", []CodeKind{CodeMSI}, func(k CodeKind) []byte { return alterTimes(t, sign(good, "-add-msi-dse")(k)) }, authenticode.Tampered, ""},
		{"altered app", []CodeKind{CodeApp}, func(k CodeKind) []byte { return flip(t, sign(good)(k), "hello.txt") }, authenticode.Tampered, ""},
		{"altered signature", []CodeKind{CodePE, CodeMSI, CodeCabinet}, func(k CodeKind) []byte { return alterSignature(t, sign(good)(k)) }, authenticode.Tampered, ""},
		{"altered timestamp", []CodeKind{CodePE}, func(k CodeKind) []byte {
			return alterSignature(t, sign(expired, stampedBy(w.tsa, before)...)(k))
		}, authenticode.Expired, ""},
	}
	for _, c := range cases {
		for _, kind := range c.kinds {
			t.Run(c.name+"/"+string(kind), func(t *testing.T) {
				data := c.make(kind)
				theirs, said := o.accepts(t, kind, data)
				r := w.judged(t, kind, data)
				if r.Verdict != c.want {
					t.Errorf("our verdict is %s (%v), want %s", r.Verdict, r.Why, c.want)
				}
				if (theirs == r.Verdict.Accepted()) != (c.differs == "") {
					t.Errorf("osslsigncode accepts: %v, we say %s (%v)\n%s", theirs, r.Verdict, r.Why, said)
				}
				if r.Signer != nil && r.Verdict != authenticode.Tampered && !strings.Contains(strings.ToLower(said), "serial : "+r.Signer.Serial) {
					t.Errorf("osslsigncode does not name serial %s\n%s", r.Signer.Serial, said)
				}
			})
		}
	}
}

// alterSignature changes the last byte of the value that the last signature in
// the file is.
func alterSignature(t *testing.T, data []byte) []byte {
	t.Helper()
	// rsaEncryption, NULL, OCTET STRING of 256 bytes.
	mark := []byte("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x04\x82\x01\x00")
	i := bytes.LastIndex(data, mark)
	if i < 0 {
		t.Fatal("no RSA signature of 2048 bits")
	}
	out := bytes.Clone(data)
	out[i+len(mark)+255] ^= 1
	return out
}

// alterTimes changes a flag of an entry, which only the extended digest covers.
func alterTimes(t *testing.T, data []byte) []byte {
	t.Helper()
	// The entry of the summary information.
	i := bytes.Index(data, []byte("\x05\x00S\x00u\x00m\x00m\x00a\x00r\x00y\x00"))
	if i < 0 {
		t.Fatal("no summary information")
	}
	out := bytes.Clone(data)
	out[i+108] ^= 1
	return out
}
