package pe

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

func digest(t testing.TB, f *File) []byte {
	t.Helper()
	h := sha256.New()
	if err := f.Digest(h); err != nil {
		t.Fatal(err)
	}
	return h.Sum(nil)
}

func withSignature(t testing.TB, f *File, signature []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f.WithSignature(&b, signature); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestWithSignature puts into a program the signature that osslsigncode put
// into it: the same file comes out, byte for byte, checksum included.
func TestWithSignature(t *testing.T) {
	want := testdata(t, "hello-signed.exe")
	signed, err := parse(want)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"hello.exe", "hello-signed.exe"} {
		f, err := parse(testdata(t, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := withSignature(t, f, signed.Signature); !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes come out, not the %d of the signed program", name, len(got), len(want))
		}
	}
}

// TestWithSignatureOfAnyLength signs programs that end anywhere: the digest
// covers what they are filled up with.
func TestWithSignatureOfAnyLength(t *testing.T) {
	for n := range 9 {
		f, err := parse(append(testdata(t, "plain.exe"), make([]byte, n)...))
		if err != nil {
			t.Fatal(err)
		}
		signature := bytes.Repeat([]byte{0x30}, 50+n)
		out := withSignature(t, f, signature)
		again, err := parse(out)
		if err != nil {
			t.Fatalf("%d bytes more: %v", n, err)
		}
		if len(out)%8 != 0 || !bytes.HasPrefix(again.Signature, signature) || !bytes.Equal(digest(t, again), digest(t, f)) {
			t.Errorf("%d bytes more: %d bytes, signature of %d", n, len(out), len(again.Signature))
		}
	}
}

// TestWithSignatureRefused has programs whose headers leave no place.
func TestWithSignatureRefused(t *testing.T) {
	none := testdata(t, "plain.exe")
	at := binary.LittleEndian.Uint32(none[60:]) + 24 + 108 // NumberOfRvaAndSizes
	binary.LittleEndian.PutUint32(none[at:], 4)
	behind := append(testdata(t, "hello-signed.exe"), "evil"...)
	for name, data := range map[string][]byte{"no directory entry": none, "bytes behind the table": behind} {
		f, err := parse(data)
		if err == nil {
			err = f.WithSignature(&bytes.Buffer{}, []byte{0x30})
		}
		if err == nil || fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDigest(f *testing.F) {
	f.Add(testdata(f, "hello-signed.exe"))
	f.Add(testdata(f, "plain.exe"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := parse(data)
		if err != nil {
			return
		}
		if err := file.Digest(sha256.New()); err != nil {
			return
		}
		var b bytes.Buffer
		if err := file.WithSignature(&b, []byte("signature")); err != nil {
			return
		}
		again, err := parse(b.Bytes())
		if err != nil || !bytes.HasPrefix(again.Signature, []byte("signature")) || !bytes.Equal(digest(t, again), digest(t, file)) {
			t.Fatalf("written with a signature, it reads as %+v, %v", again, err)
		}
	})
}
