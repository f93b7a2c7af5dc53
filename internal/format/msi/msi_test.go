package msi

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
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

// A package built anew reads as its source says, with a text beyond ASCII.
func TestReadWhatWixlBuilds(t *testing.T) {
	wixl := testreq.Program(t, "wixl")
	dir := t.TempDir()
	source := strings.Replace(string(testdata(t, "hello.wxs")), `Name="Hello" Language`, `Name="Größe &amp; Maß" Language`, 1)
	for name, text := range map[string]string{"hello.wxs": source, "hello.txt": "hello\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(wixl, "-a", "x64", "-o", "out.msi", "hello.wxs")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("wixl: %v\n%s", err, out)
	}
	data, err := os.ReadFile(filepath.Join(dir, "out.msi"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if f.ProductName != "Größe & Maß" || f.Arch != "x64" || f.Facts.ProductVersion != "24.9.0" {
		t.Errorf("%q, %q, %+v", f.ProductName, f.Arch, f.Facts)
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

func FuzzRead(f *testing.F) {
	f.Add(testdata(f, "hello.msi"))
	f.Add(testdata(f, "hello64-signed.msi"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := parse(data)
		if err != nil {
			return
		}
		if file.Facts.ProductCode == "" || strings.ContainsAny(file.ProductName, "\n\x00\x1b") {
			t.Fatalf("accepted %+v", file.Facts)
		}
	})
}
