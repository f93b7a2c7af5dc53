package intunewin

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"hash/crc32"
	"io"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// Every single changed byte is either noticed or without meaning for content
// and keys (dates and versions in the outer zip's headers).
func TestEveryFlippedByte(t *testing.T) {
	vector := testdata(t, "vector.intunewin")
	inner := sha256.Sum256(testdata(t, "inner.zip"))
	refused := 0
	for i := range vector {
		bad := bytes.Clone(vector)
		bad[i] ^= 0x41
		f, err := Read(bytes.NewReader(bad), int64(len(bad)))
		if err != nil {
			refused++
			continue
		}
		got := sha256.New()
		if _, err := io.Copy(got, f.Plain()); err != nil || !bytes.Equal(got.Sum(nil), inner[:]) {
			t.Errorf("byte %d: another content passed (%v)", i, err)
		}
	}
	if refused < len(vector)*8/10 {
		t.Errorf("only %d of %d changes were noticed", refused, len(vector))
	}
}

func TestTruncatedAnywhere(t *testing.T) {
	vector := testdata(t, "vector.intunewin")
	for n := range vector {
		if _, err := Read(bytes.NewReader(vector[:n]), int64(n)); err == nil {
			t.Errorf("%d of %d bytes were accepted", n, len(vector))
		}
	}
}

// outer makes a container from parts, right or wrong ones.
func outer(t *testing.T, method uint16, parts map[string][]byte, order ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range order {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(parts[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestReadRefuses(t *testing.T) {
	vector := testdata(t, "vector.intunewin")
	z, err := zip.NewReader(bytes.NewReader(vector), int64(len(vector)))
	if err != nil {
		t.Fatal(err)
	}
	xml, err := readEntry(z.File[1])
	if err != nil {
		t.Fatal(err)
	}
	content := testdata(t, "IntunePackage.intunewin")
	with := func(old, new string) map[string][]byte {
		text := bytes.Replace(xml, []byte(old), []byte(new), 1)
		if bytes.Equal(text, xml) {
			t.Fatalf("%q does not stand in Detection.xml", old)
		}
		return map[string][]byte{detectionPath: text, contentPath: content}
	}
	whole := map[string][]byte{detectionPath: xml, contentPath: content, "extra": nil}
	both := []string{contentPath, detectionPath}
	if data := outer(t, zip.Store, whole, both...); readAll(data) != nil {
		t.Fatal("the parts themselves are not accepted")
	}
	for name, c := range map[string]struct {
		data []byte
		kind fleet.Kind
	}{
		"no zip":            {[]byte("<!DOCTYPE html>"), fleet.Invalid},
		"compressed":        {outer(t, zip.Deflate, whole, both...), fleet.Invalid},
		"no detection":      {outer(t, zip.Store, whole, contentPath), fleet.Invalid},
		"no content":        {outer(t, zip.Store, whole, detectionPath), fleet.Invalid},
		"a third entry":     {outer(t, zip.Store, whole, contentPath, detectionPath, "extra"), fleet.Invalid},
		"two detections":    {outer(t, zip.Store, whole, contentPath, detectionPath, detectionPath), fleet.Invalid},
		"unclosed document": {outer(t, zip.Store, with("</ApplicationInfo>", ""), both...), fleet.Invalid},
	} {
		if err := readAll(c.data); err == nil || fleet.KindOf(err) != c.kind {
			t.Errorf("%s: %v, want kind %v", name, err, c.kind)
		}
	}
	// Every field that a reader needs, and how the error names it.
	for _, c := range []struct {
		field, old, new string
		kind            fleet.Kind
	}{
		{"UnencryptedContentSize", ">142<", ">141<", fleet.Refused},
		{"UnencryptedContentSize", ">142<", ">9999<", fleet.Invalid},
		{"UnencryptedContentSize", ">142<", ">-1<", fleet.Invalid},
		{"FileName", ">IntunePackage.intunewin<", ">../x<", fleet.Invalid},
		{"FileName", ">IntunePackage.intunewin<", ">Other.intunewin<", fleet.Invalid},
		{"SetupFile", "<SetupFile>install.cmd", "<SetupFile>other.cmd", fleet.Invalid},
		{"EncryptionKey", "AAECAwQF", "BAECAwQF", fleet.Refused},
		{"EncryptionKey", "AAECAwQF", "", fleet.Invalid},
		{"MacKey", "ICEiIyQl", "JCEiIyQl", fleet.Refused},
		{"MacKey", "ICEiIyQl", "ICEi*yQl", fleet.Invalid},
		{"InitializationVector", "QEFCQ0RF", "REFCQ0RF", fleet.Refused},
		{"Mac ", "cspv1Miq", "dspv1Miq", fleet.Refused},
		{"ProfileIdentifier", "ProfileVersion1", "ProfileVersion2", fleet.Invalid},
		{"FileDigest ", "wtbQ1IYd", "xtbQ1IYd", fleet.Refused},
		{"FileDigestAlgorithm", "SHA256", "SHA1", fleet.Invalid},
	} {
		err := readAll(outer(t, zip.Store, with(c.old, c.new), both...))
		if err == nil || fleet.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.field) {
			t.Errorf("%q for %q: %v, want kind %v and %s", c.new, c.old, err, c.kind, c.field)
		}
	}
}

func readAll(data []byte) error {
	_, err := Read(bytes.NewReader(data), int64(len(data)))
	return err
}

// A container that is well made in itself, but whose folder would unpack
// outside it.
func TestInnerPathsAreChecked(t *testing.T) {
	for _, name := range []string{"../evil.cmd", "/evil.cmd", `..\evil.cmd`, "c:evil.cmd", "A.EXE"} {
		evil := BytesEntry(name, nil)
		p := Package{Name: "x", SetupFile: "a.exe", Entries: []Entry{BytesEntry("a.exe", []byte("x")), evil}}
		if data := sealUnchecked(t, p); readAll(data) == nil {
			t.Errorf("%q was accepted", name)
		}
	}
}

// sealUnchecked is Write without its checks: an attacker's writer.
func sealUnchecked(t *testing.T, p Package) []byte {
	t.Helper()
	k := vectorKeys()
	inner := newInnerZip(p.Entries)
	var body memory
	s, err := seal(t.Context(), io.NewOffsetWriter(&body, 0), inner, k)
	if err != nil {
		t.Fatal(err)
	}
	info := EncryptionInfo{k.Encryption[:], k.Mac[:], k.IV[:], s.mac, profile, s.digest, digestAlgorithm}
	content := append(append(bytes.Clone(s.mac), k.IV[:]...), body.b...)
	return outer(t, zip.Store, map[string][]byte{contentPath: content, detectionPath: detectionXML(p, inner.size, info)}, contentPath, detectionPath)
}

func TestCRCJoin(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef"), 5000)
	for _, cut := range []int{0, 1, 48, 4096, len(data) - 1, len(data)} {
		got := crcJoin(crc32.ChecksumIEEE(data[:cut]), crc32.ChecksumIEEE(data[cut:]), int64(len(data)-cut))
		if want := crc32.ChecksumIEEE(data); got != want {
			t.Errorf("joined at %d: %08x, want %08x", cut, got, want)
		}
	}
}

// sparse is a file of zeros with some bytes in it.
type sparse struct {
	size  int64
	parts map[int64][]byte
}

func (s sparse) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	n := min(int64(len(p)), s.size-off)
	for at, b := range s.parts {
		for i := range b {
			if pos := at + int64(i) - off; pos >= 0 && pos < n {
				p[pos] = b[i]
			}
		}
	}
	if n < int64(len(p)) {
		return int(max(n, 0)), io.EOF
	}
	return int(n), nil
}

// Files past 4 GiB need the zip64 fields; archive/zip judges whether they are
// right, on a file that has only its headers.
func TestZip64(t *testing.T) {
	big := zipEntry{name: "setup.exe", size: 5 << 30, crc: 7}
	after := zipEntry{name: "readme.txt", size: 3, crc: 9, offset: int64(len(big.local())) + big.size}
	at := after.offset + int64(len(after.local())) + after.size
	tail := directory([]zipEntry{big, after}, at)
	file := sparse{at + int64(len(tail)), map[int64][]byte{0: big.local(), after.offset: after.local(), at: tail}}
	z, err := zip.NewReader(file, file.size)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []zipEntry{big, after} {
		got := z.File[i]
		offset, err := got.DataOffset()
		if err != nil || got.Name != want.name || int64(got.UncompressedSize64) != want.size || offset != want.offset+int64(len(want.local())) {
			t.Errorf("read back %q, %d bytes at %d (%v), want %+v", got.Name, got.UncompressedSize64, offset, err, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(testdata(f, "vector.intunewin"))
	small, _ := write(f, Package{Name: "x", SetupFile: "d/a.exe", Entries: []Entry{BytesEntry("d/a.exe", []byte("x")), BytesEntry("b", nil)}})
	f.Add(small)
	f.Add([]byte("PK\x05\x06" + string(make([]byte, 18))))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Read(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		sum := sha256.New()
		if n, err := io.Copy(sum, file.Plain()); err != nil || n != file.UnencryptedSize {
			t.Fatalf("accepted, but %d plain bytes of %d can be read: %v", n, file.UnencryptedSize, err)
		}
		if !bytes.Equal(sum.Sum(nil), file.Encryption.FileDigest) {
			t.Fatal("accepted with another digest")
		}
	})
}
