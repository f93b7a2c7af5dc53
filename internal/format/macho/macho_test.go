package macho

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/testreq"
)

// program is a minimal Mach-O file for the CPU, of one load command and three
// pages, whose signature blob holds the CMS message.
func program(cpu uint32, cms []byte, sign bool) []byte {
	var b bytes.Buffer
	loads := uint32(0)
	if sign {
		loads = 1
	}
	words(&b, binary.LittleEndian, 0xfeedfacf, cpu, 3, 2, loads, 16*loads, 0, 0)
	if !sign {
		return b.Bytes()
	}
	const limit = 2*4096 + 100
	requirements := []byte("\xfa\xde\x0c\x01\x00\x00\x00\x0c\x00\x00\x00\x00")
	directory := 12 + 3*8
	size := directory + len(codeDirectoryOf(make([]byte, limit), requirements)) + len(requirements) + 8 + len(cms)
	words(&b, binary.LittleEndian, loadCodeSignature, 16, limit, uint32(size))
	b.Write(bytes.Repeat([]byte{0x90}, limit-b.Len()))
	signed := codeDirectoryOf(b.Bytes(), requirements)
	after := directory + len(signed)
	words(&b, binary.BigEndian, superBlob, uint32(size), 3)
	words(&b, binary.BigEndian, directorySlot, uint32(directory), requirementsSlot, uint32(after), signatureSlot, uint32(after+len(requirements)))
	b.Write(signed)
	b.Write(requirements)
	words(&b, binary.BigEndian, wrapper, uint32(8+len(cms)))
	b.Write(cms)
	return b.Bytes()
}

func words(b *bytes.Buffer, order binary.ByteOrder, list ...uint32) {
	_ = binary.Write(b, order, list) // a bytes.Buffer never fails
}

// codeDirectoryOf is one of version 0x20200 over the bytes.
func codeDirectoryOf(code, requirements []byte) []byte {
	const identifier, team = "com.acme.tool\x00", "ABCDE12345\x00"
	const texts = 52
	const hashes = texts + len(identifier) + len(team) + 2*32
	pages := (len(code) + 4095) / 4096
	var b bytes.Buffer
	words(&b, binary.BigEndian, codeDirectory, uint32(hashes+32*pages), 0x20200, flagRuntime, uint32(hashes), texts, 2, uint32(pages), uint32(len(code)))
	b.Write([]byte{32, 2, 0, 12, 0, 0, 0, 0})
	words(&b, binary.BigEndian, 0, uint32(texts+len(identifier)))
	b.WriteString(identifier + team)
	sum := sha256.Sum256(requirements)
	b.Write(sum[:])           // slot 2
	b.Write(make([]byte, 32)) // slot 1: the Info.plist, of which there is none
	for i := range pages {
		sum := sha256.Sum256(code[4096*i : min(4096*(i+1), len(code))])
		b.Write(sum[:])
	}
	return b.Bytes()
}

const (
	amd64 = 0x01000007
	arm64 = 0x0100000c
)

func read(t testing.TB, data []byte) *File {
	t.Helper()
	f, err := Read(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestRead(t *testing.T) {
	for _, tt := range []struct {
		name     string
		data     []byte
		machines string
		signed   bool
		whole    bool // every part has a signature that fits it
	}{
		{"unsigned", program(amd64, nil, false), "x64", false, false},
		{"ad hoc", program(arm64, nil, true), "arm64", false, true},
		{"by somebody", program(arm64, []byte("cms"), true), "arm64", true, true},
		{"universal", fat(program(amd64, []byte("cms"), true), program(arm64, []byte("cms"), true)), "x64 arm64", true, true},
		{"universal, half signed", fat(program(amd64, nil, false), program(arm64, []byte("cms"), true)), "x64 arm64", true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := read(t, tt.data)
			if got := strings.Join(f.Machines, " "); got != tt.machines || f.Signed != tt.signed {
				t.Errorf("machines %q, signed %v", got, f.Signed)
			}
			if err := f.CheckPages(); (err == nil) != tt.whole || err != nil && fleet.KindOf(err) != fleet.Refused {
				t.Errorf("pages: %v", err)
			}
			for _, p := range f.Parts {
				if s := p.Signature; s != nil && (s.Identifier != "com.acme.tool" || s.TeamID != "ABCDE12345" || s.Hash != crypto.SHA256 || !s.Hardened || s.AdHoc) {
					t.Errorf("%+v", s)
				}
			}
		})
	}
}

// fat is a universal program of an amd64 and an arm64 part.
func fat(parts ...[]byte) []byte {
	var head, body bytes.Buffer
	words(&head, binary.BigEndian, 0xcafebabe, uint32(len(parts)))
	const start = 256
	for i, p := range parts {
		words(&head, binary.BigEndian, []uint32{amd64, arm64}[i], 3, uint32(start+body.Len()), uint32(len(p)), 0)
		body.Write(p)
	}
	return append(append(head.Bytes(), make([]byte, start-head.Len())...), body.Bytes()...)
}

// TestDeveloperID reads what Apple's codesign signed.
func TestDeveloperID(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "term-size"))
	if err != nil {
		t.Fatal(err)
	}
	f := read(t, data)
	// As codesign -dv showed it to its authors.
	s := f.Parts[0].Signature
	if !f.Signed || s.Identifier != "term-size" || s.TeamID != "HX7739G8FX" || !s.Hardened || len(s.Directory) != 277 || len(s.CMS) != 8986 {
		t.Errorf("%+v", s)
	}
	if err := f.CheckPages(); err != nil {
		t.Error(err)
	}
}

// TestGoLinker checks what Go's linker signs, which is nobody.
func TestGoLinker(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the standard library for another system")
	}
	tool := testreq.Program(t, "go")
	dir := t.TempDir()
	source, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "main")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), tool, "build", "-o", program, source)
	cmd.Env = append(os.Environ(), "GOOS=darwin", "GOARCH=arm64", "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	f := read(t, data)
	if f.Signed || f.Parts[0].Signature == nil || !f.Parts[0].Signature.AdHoc {
		t.Errorf("%+v", f)
	}
	if err := f.CheckPages(); err != nil {
		t.Error(err)
	}
	data[len(data)/3] ^= 1
	if err := read(t, data).CheckPages(); fleet.KindOf(err) != fleet.Refused {
		t.Errorf("altered: %v", err)
	}
}

// TestAltered changes each byte of a signed program: either it cannot be read, or
// what was signed differs, or the page is noticed.
func TestAltered(t *testing.T) {
	good := program(arm64, []byte("cms"), true)
	want := read(t, good).Parts[0].Signature
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		f, err := Read(bytes.NewReader(bad), int64(len(bad)))
		if err != nil {
			continue
		}
		s := f.Parts[0].Signature
		if s != nil && bytes.Equal(s.Directory, want.Directory) && bytes.Equal(s.CMS, want.CMS) && f.CheckPages() == nil && !headOfBlobs(i, len(good)) {
			t.Errorf("byte %d of %d: nobody notices", i, len(good))
		}
	}
	if err := read(t, append(bytes.Clone(good), 0)).CheckPages(); fleet.KindOf(err) != fleet.Refused {
		t.Errorf("a byte behind the signature: %v", err)
	}
}

// headOfBlobs are the numbers around the blobs that decide nothing: the length
// of them all, the kind of one.
func headOfBlobs(i, size int) bool {
	const limit = 2*4096 + 100
	return i >= limit+4 && i < limit+8
}

func TestRefused(t *testing.T) {
	good := program(arm64, []byte("cms"), true)
	const blobs, directory = 2*4096 + 100, 2*4096 + 100 + 36
	word := func(at int, value uint32) []byte {
		out := bytes.Clone(good)
		binary.BigEndian.PutUint32(out[at:], value)
		return out
	}
	one := func(at int, value byte) []byte {
		out := bytes.Clone(good)
		out[at] = value
		return out
	}
	for name, data := range map[string][]byte{
		"empty": nil, "text": []byte("<!DOCTYPE html>"), "another CPU": program(18, nil, false), "a Java class": []byte("\xca\xfe\xba\xbe\x00\x00\x00\x34 class"),
		"signature outside": good[:60], "signature cut": good[:len(good)-50], "no superblob": word(blobs, 1),
		"many blobs": word(blobs+8, 1<<30), "blobs cut": word(blobs+8, 60), "blob outside": word(blobs+16, 1<<31), "directory of 4 GiB": word(directory+4, 1<<32-1),
		"no directory": word(blobs+12, 7), "directory twice": word(blobs+20, 0), "directory of another kind": word(directory, 1),
		"digests outside": word(directory+16, 1<<31), "many digests": word(directory+28, 1<<31), "many special digests": word(directory+24, 1<<31),
		"identifier outside": word(directory+20, 1<<31), "team outside": word(directory+48, 1<<31), "scattered": word(directory+44, 60),
		"unknown digest": one(directory+37, 9), "digest of no size": one(directory+36, 0), "pages of 2^200": one(directory+39, 200), "version without room": word(directory+4, 45),
	} {
		if f, err := Read(bytes.NewReader(data), int64(len(data))); fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("%s: %+v, %v; want an error of kind invalid", name, f, err)
		}
	}
	for name, data := range map[string][]byte{
		"covers less": word(directory+32, 4096), "covers more": word(directory+32, blobs+1), "pages of 2 bytes": one(directory+39, 1), "one page": one(directory+39, 0),
	} {
		if err := read(t, data).CheckPages(); fleet.KindOf(err) != fleet.Refused || !strings.Contains(fmt.Sprint(err), "offset") {
			t.Errorf("%s: %v; want an error of kind refused", name, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(program(arm64, []byte("cms"), true))
	f.Add(fat(program(amd64, nil, true), program(arm64, nil, true)))
	f.Add([]byte{0xca, 0xfe, 0xba, 0xbe, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Read(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		if len(file.Machines) == 0 {
			t.Error("a program for no machine")
		}
		_ = file.CheckPages()
	})
}
