package msi

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
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
	facts := fleet.MSIFacts{
		ProductCode:    "{6F4B2D0E-6C4B-4C0B-9B57-0C0D7D1F4E11}",
		UpgradeCode:    "{B1D2B6C4-3E9A-4F5D-8A55-3C7B1A7F9C02}",
		ProductVersion: "24.9.0",
	}
	for name, want := range map[string]struct {
		arch   string
		signed bool
	}{
		"hello.msi":          {"x86", false},
		"hello-signed.msi":   {"x86", true},
		"hello64-signed.msi": {"x64", true},
	} {
		f, err := parse(testdata(t, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if f.Facts != facts || f.ProductName != "Hello" || f.Publisher != "Example AS" || f.Properties["ALLUSERS"] != "1" {
			t.Errorf("%s: %+v, properties %v", name, f.Facts, f.Properties)
		}
		if f.Arch != want.arch || (f.Signature != nil) != want.signed || len(f.PackageCode) != 38 {
			t.Errorf("%s: arch %q, signed %v, package code %q", name, f.Arch, f.Signature != nil, f.PackageCode)
		}
	}
}

// The digests are those osslsigncode prints as "Calculated DigitalSignature".
func TestDigest(t *testing.T) {
	for name, want := range map[string]string{
		"hello-signed.msi":   "10bb570db1cad1df68301f6ef8118ff062acb001a49a7f4a1fe01a77d222dcd9",
		"hello64-signed.msi": "fc0e6271ed0fba99ace792f83fa8024e7436225e4edc924a9f9633960f95662a",
	} {
		f, err := parse(testdata(t, name))
		if err != nil {
			t.Fatal(err)
		}
		h := sha256.New()
		if err := f.Digest(h); err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(h.Sum(nil)); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestPool(t *testing.T) {
	long := strings.Repeat("x", 0x10003)
	lengths := []byte{0xe4, 0x04, 0, 0x80} // code page 1252, three-byte numbers
	lengths = append(lengths, 2, 0, 1, 0)  // "ab"
	lengths = append(lengths, 0, 0, 0, 0)  // an unused number
	lengths = append(lengths, 0, 0, 1, 0, 3, 0, 7, 0)
	lengths = append(lengths, 1, 0, 1, 0)
	p, err := newPool(lengths, []byte("ab"+long+"\xe4"))
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range []string{"", "ab", "", long, "ä"} {
		if got := p.text(p.ref([]byte{byte(n), 0, 0})); !p.has(uint32(n)) || got.exact != want || got.clean != want {
			t.Errorf("text %d is %.10q", n, got)
		}
	}
	if p.has(5) || p.text(0x10001) != (poolText{}) || p.codePage != 1252 {
		t.Error("a text past the end was found, or the code page is not 1252")
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"", "a", "ab", "Binary.helper", "!Property", "Icon.Größe.ico", "x y z", "\x05Summary"} {
		if got := decodeName(encodeName(name)); got != name {
			t.Errorf("%q comes back as %q", name, got)
		}
	}
	if got := []rune(encodeName("_Tables")); len(got) != 4 || decodeName(tableStream("_Tables")) != "!_Tables" {
		t.Errorf("_Tables is packed as %x", got)
	}
}

func TestReadRefuses(t *testing.T) {
	good := testdata(t, "hello.msi")
	for name, data := range map[string][]byte{
		"empty":     nil,
		"HTML":      []byte("<!DOCTYPE html>" + strings.Repeat(" ", 4096)),
		"header":    good[:512],
		"half":      good[:len(good)/2],
		"other OLE": bytes.ReplaceAll(good, []byte{0x40, 0x48}, []byte{0x41, 0x48}),
	} {
		if f, err := parse(data); err == nil || fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

// FuzzRead reads everything there is to read. Files grown from a seed keep its
// container, so that what is inside is tried too.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"hello.msi", "hello64-signed.msi"} {
		f.Add(testdata(f, name))
	}
	f.Add(tables(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		err := readEverything(data)
		if err != nil && fleet.KindOf(err) != fleet.Invalid {
			t.Fatalf("%v is %s", err, fleet.KindOf(err))
		}
		file, err := parse(data)
		if err != nil {
			return
		}
		if file.Facts.ProductCode == "" || strings.ContainsAny(file.ProductName, "\n\x00\x1b") {
			t.Fatalf("accepted %+v", file.Facts)
		}
	})
}

// FuzzDatabase varies the streams of a database in a sound container, which
// changed bytes of a whole file hardly ever leave sound.
func FuzzDatabase(f *testing.F) {
	d := product(map[string][][]any{
		"Directory": {{"Directory", "Directory_Parent", "DefaultDir"}, {"T", "", "SourceDir"}, {"D", "T", "d|folder"}},
		"Component": {{"Component", "ComponentId", "Directory_", "Attributes#", "Condition", "KeyPath"}, {"C", "{C}", "D", 256, "", "F"}},
		"File":      {{"File", "Component_", "FileName", "FileSize#"}, {"F", "C", "f|file", 9}},
	})
	d.bytes()
	seed := func(name string) []byte { return d.streams[tableStream(name)] }
	f.Add(seed("_StringPool"), seed("_StringData"), seed("_Tables"), seed("_Columns"), seed("Directory"), seed("Component"), seed("File"), seed("Property"), []byte{})
	f.Add(seed("_StringPool"), seed("_StringData"), seed("_Tables"), seed("_Columns"), seed("Directory"), seed("Component"), seed("File"), seed("Property"),
		put(make([]byte, 80), 44, 48, 24, 1, 7, 16, 30, 4))
	f.Fuzz(func(t *testing.T, pool, texts, names, columns, directory, component, file, property, summary []byte) {
		d := &database{streams: map[string][]byte{summaryStream: summary}}
		for name, data := range map[string][]byte{"_StringPool": pool, "_StringData": texts, "_Tables": names, "_Columns": columns,
			"Directory": directory, "Component": component, "File": file, "Property": property} {
			d.streams[tableStream(name)] = append([]byte{}, data...)
		}
		if err := readEverything(d.bytes()); err != nil && fleet.KindOf(err) != fleet.Invalid {
			t.Fatalf("%v is %s", err, fleet.KindOf(err))
		}
	})
}
