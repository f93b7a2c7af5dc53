package intunewin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// memory is a file in memory.
type memory struct{ b []byte }

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	if grow := int(off) + len(p) - len(m.b); grow > 0 {
		m.b = append(m.b, make([]byte, grow)...)
	}
	return copy(m.b[off:], p), nil
}

func vectorKeys() *Keys {
	var k Keys
	for i := range 32 {
		k.Encryption[i], k.Mac[i] = byte(i), byte(0x20+i)
	}
	for i := range 16 {
		k.IV[i] = byte(0x40 + i)
	}
	return &k
}

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t testing.TB, p Package) ([]byte, Info) {
	t.Helper()
	var m memory
	info, err := Write(context.Background(), &m, p)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size != int64(len(m.b)) {
		t.Fatalf("Info.Size is %d, %d bytes were written", info.Size, len(m.b))
	}
	return m.b, info
}

func TestKnownAnswer(t *testing.T) {
	script := BytesEntry("install.cmd", []byte("@echo off\r\nexit /b 0\r\n"))
	got, _ := write(t, Package{Name: "install.cmd", SetupFile: "install.cmd", Entries: []Entry{script}, Keys: vectorKeys()})
	if !bytes.Equal(got, testdata(t, "vector.intunewin")) {
		t.Error("the container differs from the vector")
	}
	f, err := Read(bytes.NewReader(got), int64(len(got)))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []struct {
		file string
		r    io.Reader
		sum  string
	}{
		{"inner.zip", f.Plain(), "c2d6d0d4861d9f6cdd2321d9e9d5e95eba4ea67e4c9ea47a54838eeb101b502c"},
		{"IntunePackage.intunewin", f.Encrypted(), "6005f288a6b5ace23dfd75af2fe43d78d2725b7975ef0b361ee16945321764b9"},
		{"vector.intunewin", bytes.NewReader(got), "737d118f852db1ae344bf5adb1a058793d7a78318b529d2b07129ccc2f96fdee"},
	} {
		data, err := io.ReadAll(part.r)
		if err != nil || !bytes.Equal(data, testdata(t, part.file)) {
			t.Errorf("%s: differs from the vector (%v)", part.file, err)
		}
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != part.sum {
			t.Errorf("%s: SHA-256 is %x", part.file, sum)
		}
	}
	if mac := hex.EncodeToString(f.Encryption.Mac); mac != "72ca6fd4c8aa77df80a302312a7e242cea0d14a457b66f2f163627123af9505b" {
		t.Errorf("MAC is %s", mac)
	}
	if f.SetupFile != "install.cmd" || f.UnencryptedSize != 142 || f.ToolVersion != ToolVersion {
		t.Errorf("read back %q, %d, %q", f.SetupFile, f.UnencryptedSize, f.ToolVersion)
	}
}

// sizes lie on both sides of the cipher's and the pipeline's block boundaries.
func TestRoundTrip(t *testing.T) {
	for _, size := range []int{0, 1, 15, 16, 17, blockSize - 100, blockSize, blockSize + 1, 3*blockSize + 7} {
		setup := bytes.Repeat([]byte("packmill"), size/8+1)[:size]
		p := Package{
			Name: "Ünïcode & <tags>", Description: "two\nlines", SetupFile: "setup.exe",
			Entries: []Entry{BytesEntry("setup.exe", setup), BytesEntry("files/größe.txt", []byte("x"))},
			MSI:     &MSIInfo{ProductCode: "{P}", ProductVersion: "1.2", ExecutionContext: "System", IsMachineInstall: true},
		}
		data, info := write(t, p)
		f, err := Read(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if f.Name != p.Name || f.Description != p.Description || *f.MSI != *p.MSI || f.UnencryptedSize != info.UnencryptedSize {
			t.Errorf("%d bytes: read back %+v", size, f)
		}
		for _, e := range p.Entries {
			r, err := f.Inner().Open(e.Name)
			if err != nil {
				t.Fatalf("%d bytes: %v", size, err)
			}
			got, err := io.ReadAll(r)
			if err != nil || sha256.Sum256(got) != e.SHA256 {
				t.Errorf("%d bytes: %s differs (%v)", size, e.Name, err)
			}
		}
	}
}

func TestSameInputSameBytes(t *testing.T) {
	a, b := BytesEntry("a.exe", []byte("one")), BytesEntry("b.txt", []byte("two"))
	first, _ := write(t, Package{Name: "x", SetupFile: "a.exe", Entries: []Entry{a, b}})
	second, _ := write(t, Package{Name: "x", SetupFile: "a.exe", Entries: []Entry{b, a}})
	if !bytes.Equal(first, second) {
		t.Error("the order in which entries are named changes the bytes")
	}
	base, err := Derive("a.exe", []Entry{a, b})
	if err != nil {
		t.Fatal(err)
	}
	for name, entries := range map[string][]Entry{
		"content": {a, BytesEntry("b.txt", []byte("TWO"))},
		"name":    {a, BytesEntry("c.txt", []byte("two"))},
		"fewer":   {a},
	} {
		if k, err := Derive("a.exe", entries); err != nil || k == base {
			t.Errorf("%s: other input, same keys (%v)", name, err)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	good := BytesEntry("a.exe", []byte("one"))
	changed, longer, shorter := good, good, good
	changed.Open = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("eno")), nil }
	longer.Open = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("one more")), nil }
	shorter.Open = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("on")), nil }
	for name, c := range map[string]struct {
		entries []Entry
		kind    fleet.Kind
	}{
		"no setup file":    {[]Entry{BytesEntry("b.exe", nil)}, fleet.Invalid},
		"outside":          {[]Entry{good, BytesEntry("../b.exe", nil)}, fleet.Invalid},
		"backslash":        {[]Entry{good, BytesEntry(`..\b.exe`, nil)}, fleet.Invalid},
		"drive":            {[]Entry{good, BytesEntry("c:b.exe", nil)}, fleet.Invalid},
		"twice, by case":   {[]Entry{good, BytesEntry("A.EXE", nil)}, fleet.Invalid},
		"changed content":  {[]Entry{changed}, fleet.Refused},
		"longer content":   {[]Entry{longer}, fleet.Refused},
		"shorter content":  {[]Entry{shorter}, fleet.Refused},
		"changed, not end": {[]Entry{changed, BytesEntry("z", []byte("z"))}, fleet.Refused},
	} {
		_, err := Write(context.Background(), &memory{}, Package{Name: "x", SetupFile: "a.exe", Entries: c.entries})
		if err == nil || fleet.KindOf(err) != c.kind {
			t.Errorf("%s: %v, want kind %v", name, err, c.kind)
		}
	}
}

type failing struct{ after int64 }

var errDisk = errors.New("disk full")

func (f *failing) WriteAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > f.after {
		return 0, errDisk
	}
	return len(p), nil
}

func TestWriteStopsWhenTheDiskIsFull(t *testing.T) {
	big := BytesEntry("a.exe", make([]byte, 20*blockSize))
	for _, after := range []int64{0, 5 * blockSize, 20 * blockSize} {
		_, err := Write(context.Background(), &failing{after}, Package{Name: "x", SetupFile: "a.exe", Entries: []Entry{big}})
		if !errors.Is(err, errDisk) {
			t.Errorf("after %d bytes: %v", after, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Write(ctx, &failing{1 << 40}, Package{Name: "x", SetupFile: "a.exe", Entries: []Entry{big}}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
