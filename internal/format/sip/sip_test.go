package sip

import (
	"archive/zip"
	"bytes"
	"crypto"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"os"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A carrier is a file with a signature; its digest must stand in it.
type carrier struct {
	signature []byte
	digest    []byte
}

func sum(t testing.TB, write func(hash.Hash) error) []byte {
	t.Helper()
	h := crypto.SHA256.New()
	if err := write(h); err != nil {
		t.Fatal(err)
	}
	return h.Sum(nil)
}

// open reads a file of any of the kinds, by the end of its name.
func open(t testing.TB, name string, data []byte) (c carrier, err error) {
	t.Helper()
	r, size := bytes.NewReader(data), int64(len(data))
	switch name[strings.LastIndexByte(name, '.'):] {
	case ".cab":
		f, err := ReadCabinet(r, size)
		if err != nil || f.Signature == nil {
			return c, err
		}
		return carrier{f.Signature, sum(t, f.Digest)}, nil
	case ".ps1":
		f, err := ReadScript(r, size)
		if err != nil {
			return c, err
		}
		return carrier{f.Signature, sum(t, f.Digest)}, nil
	default:
		f, err := ReadApp(r, size)
		if err != nil || f.Signature == nil {
			return c, err
		}
		d, err := f.Digest(crypto.SHA256)
		return carrier{f.Signature, d}, err
	}
}

// TestDigests reads what osslsigncode signed: the digest that it put into the
// signature must be the one that is computed.
func TestDigests(t *testing.T) {
	for _, name := range []string{"hello.cab", "hello.ps1", "hello.msix"} {
		c, err := open(t, name, testdata(t, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c.signature[0] != 0x30 || !bytes.Contains(c.signature, c.digest) {
			t.Errorf("%s: the signature is not of digest %x", name, c.digest)
		}
	}
}

// TestEveryFlippedByte changes every byte in front of a signature: another
// digest, another signature, or an error.
func TestEveryFlippedByte(t *testing.T) {
	free := map[string][][2]int{ // what no signature covers
		"hello.cab":  {{4, 8}, {34, 36}, {38, 44}, {52, 56}}, // checksum, number in a set, how much is reserved, padding of the signature's place
		"hello.ps1":  {},
		"hello.msix": {},
	}
	for name, gaps := range free {
		data := testdata(t, name)
		good, err := open(t, name, data)
		if err != nil {
			t.Fatal(err)
		}
		end := bytes.Index(data, good.signature)
		if end < 0 { // a script's is base64
			end = bytes.Index(data, []byte("\r\n# SIG #"))
		}
	bytes:
		for i := range end {
			for _, g := range gaps {
				if i >= g[0] && i < g[1] {
					continue bytes
				}
			}
			bad := bytes.Clone(data)
			bad[i] ^= 1
			c, err := open(t, name, bad)
			if err == nil && bytes.Equal(c.digest, good.digest) && bytes.Equal(c.signature, good.signature) {
				t.Errorf("%s: a change of byte %d goes unseen", name, i)
			}
			if err != nil && fleet.KindOf(err) != fleet.Invalid {
				t.Errorf("%s: byte %d: %v", name, i, err)
			}
		}
	}
}

// TestUncovered puts bytes where a signature does not cover them.
func TestUncovered(t *testing.T) {
	cab, ps1, msix := testdata(t, "hello.cab"), testdata(t, "hello.ps1"), testdata(t, "hello.msix")
	for name, data := range map[string][]byte{
		"behind.cab":  append(bytes.Clone(cab), 0),
		"behind.ps1":  append(bytes.Clone(ps1), "Format-Volume C\r\n"...),
		"behind.msix": append(bytes.Clone(msix), 0),
		"within.ps1":  bytes.Replace(ps1, []byte("# SIG # End"), []byte("Format-Volume C\r\n# SIG # End"), 1),
		"endless.ps1": bytes.Replace(ps1, []byte("# SIG # End"), []byte("# SIG # "), 1),
		"member.msix": another(t, msix),
		"gap.msix":    gap(msix),
	} {
		if _, err := open(t, name, data); fleet.KindOf(err) != fleet.Invalid || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// another is the package with one member more behind its signature.
func another(t *testing.T, data []byte) []byte {
	t.Helper()
	in, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	out := zip.NewWriter(&b)
	for _, f := range in.File {
		if err := out.Copy(f); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := out.Create("evil.dll"); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// gap is the package with bytes between signature and directory.
func gap(data []byte) []byte {
	end := len(data) - 22
	start := binary.LittleEndian.Uint32(data[end+16:])
	out := append(bytes.Clone(data[:start]), "evil"...)
	out = append(out, data[start:]...)
	binary.LittleEndian.PutUint32(out[end+4+16:], start+4)
	return out
}

// TestScripts reads scripts in each encoding, and writes signatures into them.
func TestScripts(t *testing.T) {
	wide := func(s string) []byte {
		out := []byte{0xff, 0xfe}
		for _, c := range []byte(s) {
			out = append(out, c, 0)
		}
		return out
	}
	for name, data := range map[string][]byte{
		"ascii": []byte("exit 0"), "marked": []byte("\ufeff'ä😀'\n"), "wide": wide("exit 0\r\n"), "empty": {},
	} {
		s, err := ReadScript(bytes.NewReader(data), int64(len(data)))
		if err != nil || s.Signature != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		before := sum(t, s.Digest)
		var b bytes.Buffer
		if err := s.WithSignature(&b, bytes.Repeat([]byte{0x30}, 100)); err != nil {
			t.Fatal(err)
		}
		again, err := ReadScript(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil || len(again.Signature) != 100 {
			t.Errorf("%s, signed: %v, %+v", name, err, again)
			continue
		}
		if !bytes.Equal(sum(t, again.Digest), before) {
			t.Errorf("%s: the signature changes the digest", name)
		}
	}
	// SHA-256 of "e\0x\0" and so on.
	s, err := ReadScript(strings.NewReader("exit 0"), 6)
	if err != nil {
		t.Fatal(err)
	}
	h := crypto.SHA256.New()
	h.Write([]byte("e\x00x\x00i\x00t\x00 \x000\x00"))
	if got := sum(t, s.Digest); !bytes.Equal(got, h.Sum(nil)) {
		t.Errorf("digest %s", hex.EncodeToString(got))
	}
	for name, data := range map[string][]byte{"latin": []byte("# H\xe4llo"), "half": {0xff, 0xfe, 0x41}, "big-endian": {0xfe, 0xff, 0, 0x41}} {
		if _, err := ReadScript(bytes.NewReader(data), int64(len(data))); fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	unmarked := []byte("# ä")
	if s, err = ReadScript(bytes.NewReader(unmarked), int64(len(unmarked))); err != nil {
		t.Fatal(err)
	}
	if err := s.WithSignature(&bytes.Buffer{}, []byte{0x30}); fleet.KindOf(err) != fleet.Invalid {
		t.Errorf("without a mark: %v", err)
	}
}

// wideApp makes an app package with zip64 records, as makeappx writes them, and
// puts a signature behind.
func wideApp(t testing.TB) []byte {
	t.Helper()
	le := binary.LittleEndian
	var body, directory []byte
	add := func(name, text string) {
		at := len(body)
		head := []byte{'P', 'K', 3, 4, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0}
		head = le.AppendUint32(head, crc(text))
		head = le.AppendUint32(head, uint32(len(text)))
		head = le.AppendUint32(head, uint32(len(text)))
		head = le.AppendUint16(head, uint16(len(name)))
		head = le.AppendUint16(head, 0)
		body = append(append(append(body, head...), name...), text...)
		e := append([]byte{'P', 'K', 1, 2, 45, 0}, head[4:28]...)
		e = le.AppendUint16(e, 28) // extra: sizes and offset, 64 bits each
		e = append(e, make([]byte, 10)...)
		e = le.AppendUint32(e, 0xffffffff)
		le.PutUint32(e[20:], 0xffffffff)
		le.PutUint32(e[24:], 0xffffffff)
		e = append(e, name...)
		e = le.AppendUint16(e, 1)
		e = le.AppendUint16(e, 24)
		for _, n := range []int{len(text), len(text), at} {
			e = le.AppendUint64(e, uint64(n))
		}
		directory = append(directory, e...)
	}
	add(appTypes, "<Types/>")
	add(appBlocks, "<BlockMap/>")
	add(appIntegrity, "catalog")
	add(appSignature, "PKCX0\x00")
	start, end := len(body), len(body)+len(directory)
	wide := append([]byte("PK\x06\x06"), 44, 0, 0, 0, 0, 0, 0, 0, 45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	for _, n := range []int{4, 4, len(directory), start} {
		wide = le.AppendUint64(wide, uint64(n))
	}
	wide = append(append(wide, "PK\x06\x07"...), 0, 0, 0, 0)
	wide = append(le.AppendUint64(wide, uint64(end)), 1, 0, 0, 0)
	tail := append([]byte("PK\x05\x06"), bytes.Repeat([]byte{0xff}, 16)...)
	clear(tail[4:8])
	return append(append(append(append(body, directory...), wide...), tail...), 0, 0)
}

func crc(text string) uint32 {
	sum := ^uint32(0)
	for _, b := range []byte(text) {
		sum ^= uint32(b)
		for range 8 {
			sum = sum>>1 ^ 0xedb88320&-(sum&1)
		}
	}
	return ^sum
}

// TestWideApp reads a package with zip64 records.
func TestWideApp(t *testing.T) {
	data := wideApp(t)
	a, err := ReadApp(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	d, err := a.Digest(crypto.SHA256)
	if err != nil || string(a.Signature) != "0\x00" || len(d) != 4+5*36 {
		t.Fatalf("%q, %d bytes, %v", a.Signature, len(d), err)
	}
	members := data[:bytes.LastIndex(data, []byte("PK\x03\x04"))] // but for the last
	if got, want := d[8:40], sum(t, func(h hash.Hash) error { h.Write(members); return nil }); !bytes.Equal(got, want) {
		t.Errorf("members: %x, want %x", got, want)
	}
	for i, tag := range []string{"AXPC", "AXCD", "AXCT", "AXBM", "AXCI"} {
		if got := string(d[4+36*i : 8+36*i]); got != tag {
			t.Errorf("digest %d is called %q", i, got)
		}
	}
	if !bytes.Equal(d[4+36*2+4:4+36*3], sum(t, func(h hash.Hash) error { h.Write([]byte("<Types/>")); return nil })) {
		t.Error("content types")
	}
}

// TestHostile has sizes that lie.
func TestHostile(t *testing.T) {
	cab, msix := testdata(t, "hello.cab"), wideApp(t)
	put := func(data []byte, at int, v uint32) []byte {
		out := bytes.Clone(data)
		binary.LittleEndian.PutUint32(out[at:], v)
		return out
	}
	end := len(msix) - 22 - 76
	for name, data := range map[string][]byte{
		"empty.cab": {}, "short.cab": cab[:40], "mark.cab": put(cab, 0, 0), "size.cab": put(cab, 8, 0xffffffff), "place.cab": put(cab, 44, 60),
		"length.cab": put(cab, 48, 0xffffffff), "empty.msix": {}, "start.msix": put(msix, end+48, 0xffffff), "start64.msix": put(msix, end+52, 0xffffffff),
		"length.msix": put(msix, end+40, 0xffffff), "count.msix": put(msix, end+32, 9), "large.msix": put(msix, end+44, 1),
	} {
		if _, err := open(t, name, data); err == nil || fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ReadScript(bytes.NewReader(nil), maxScript+1); fleet.KindOf(err) != fleet.Invalid {
		t.Errorf("a large script: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	for _, name := range []string{"hello.cab", "hello.ps1", "hello.msix"} {
		f.Add(testdata(f, name))
	}
	f.Add(wideApp(f))
	f.Add([]byte("\xff\xfe#\x00 \x00S\x00I\x00G\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, size := bytes.NewReader(data), int64(len(data))
		if c, err := ReadCabinet(r, size); err == nil && c.Signature != nil {
			sum(t, c.Digest)
		}
		if s, err := ReadScript(r, size); err == nil {
			sum(t, s.Digest)
		}
		if a, err := ReadApp(r, size); err == nil && a.Signature != nil {
			if d, err := a.Digest(crypto.SHA256); err == nil && !bytes.HasPrefix(d, []byte("APPX")) {
				t.Fatal("a digest of something else")
			}
		}
	})
}
