package pe

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/testreq"
)

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func parse(data []byte) (*File, error) { return Read(bytes.NewReader(data), int64(len(data))) }

func TestRead(t *testing.T) {
	full := fleet.PEFacts{FileVersion: "24.9.0.1", ProductVersion: "24.09", ProductName: "Hello", Machine: "x64"}
	for name, want := range map[string]struct {
		facts   fleet.PEFacts
		company string
		signed  bool
	}{
		"hello.exe":        {full, "Example AS", false},
		"hello-signed.exe": {full, "Example AS", true},
		"plain.exe":        {fleet.PEFacts{Machine: "x64"}, "", false},
	} {
		f, err := parse(testdata(t, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if f.Facts != want.facts || f.Company != want.company || (f.Signature != nil) != want.signed {
			t.Errorf("%s: %+v, company %q, signed %v; want %+v", name, f.Facts, f.Company, f.Signature != nil, want)
		}
	}
}

// A signature covers the same bytes before and after it is appended.
func TestDigestIgnoresTheSignature(t *testing.T) {
	var sums [][]byte
	for _, name := range []string{"hello.exe", "hello-signed.exe"} {
		f, err := parse(testdata(t, name))
		if err != nil {
			t.Fatal(err)
		}
		h := sha256.New()
		if err := f.Digest(h); err != nil {
			t.Fatal(err)
		}
		sums = append(sums, h.Sum(nil))
	}
	if !bytes.Equal(sums[0], sums[1]) {
		t.Error("signing changed the digest")
	}
	longer, err := parse(append(testdata(t, "hello-signed.exe"), "appended"...))
	if err != nil {
		t.Fatal(err)
	}
	if err := longer.Digest(sha256.New()); err == nil {
		t.Error("bytes behind the signature were not noticed")
	}
}

func TestReadRefuses(t *testing.T) {
	hello := testdata(t, "hello.exe")
	header := int(binary.LittleEndian.Uint32(hello[60:]))
	patch := func(at int, b ...byte) []byte {
		bad := bytes.Clone(hello)
		copy(bad[at:], b)
		return bad
	}
	for name, data := range map[string][]byte{
		"empty":         nil,
		"HTML":          []byte("<!DOCTYPE html>" + strings.Repeat(" ", 100)),
		"DOS program":   patch(header, 'N', 'E'),
		"header away":   patch(60, 0xff, 0xff, 0xff, 0x7f),
		"machine":       patch(header+4, 0x34, 0x12),
		"sections":      patch(header+6, 0xff, 0xff),
		"symbols":       patch(header+16, 0xff, 0xff, 0xff, 0xff),
		"truncated":     hello[:header+40],
		"half":          hello[:len(hello)/4],
		"resource away": patch(header+24+112+8*directoryResource, 0, 0, 0, 0x7f, 0xff, 0, 0, 0),
		"signature":     patch(header+24+112+8*directorySecurity, 0, 0xff, 0xff, 0x7f, 0xff, 0, 0, 0),
	} {
		if f, err := parse(data); err == nil || fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

// Wine's own programs are built by another tool chain.
func TestWineProgram(t *testing.T) {
	found, err := filepath.Glob("/usr/lib/*/wine/x86_64-windows/msiexec.exe")
	testreq.Need(t, "wine", err == nil && len(found) > 0, "no program of Wine to read")
	data, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	f, err := parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if f.Facts.Machine != "x64" || f.Facts.ProductName != "Wine Installer" || f.Facts.FileVersion != "4.5.6001.22308" {
		t.Errorf("%+v", f.Facts)
	}
}

func FuzzRead(f *testing.F) {
	for _, name := range []string{"hello.exe", "hello-signed.exe", "plain.exe"} {
		f.Add(testdata(f, name))
	}
	for _, c := range installers(f) {
		f.Add(c.data)
	}
	f.Add(made{resources: []resource{{kind: typeManifest, id: 1, data: fmt.Appendf(nil, manifestXML, "asInvoker")}}}.bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := parse(data)
		if err != nil {
			return
		}
		texts := []string{
			file.Facts.ProductName, file.Facts.FileVersion, file.Facts.ProductVersion, file.Company, file.Copyright, file.Description,
			file.OriginalName, file.InternalName, file.Installer.Version, file.Installer.Payload,
		}
		if strings.ContainsAny(strings.Join(texts, ""), "\n\r\x00\x1b") {
			t.Fatal("a text for people holds control characters")
		}
		if err := file.Digest(sha256.New()); err == nil && int64(len(file.Signature)) > file.size {
			t.Fatal("the signature is longer than the file")
		}
	})
}
