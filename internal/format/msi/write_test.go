package msi

import (
	"bytes"
	"crypto/sha256"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/testreq"
)

func extended(t testing.TB, f *File) []byte {
	t.Helper()
	sum, err := f.Extended(sha256.New())
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func digest(t testing.TB, f *File) []byte {
	t.Helper()
	h := sha256.New()
	if err := f.Digest(h); err != nil {
		t.Fatal(err)
	}
	return h.Sum(nil)
}

// TestExtended computes again what osslsigncode computed.
func TestExtended(t *testing.T) {
	f, err := parse(testdata(t, "hello64-signed.msi"))
	if err != nil {
		t.Fatal(err)
	}
	stated, err := f.container.readAll(digestStream, 64)
	if err != nil {
		t.Fatal(err)
	}
	if got := extended(t, f); !bytes.Equal(got, stated) {
		t.Errorf("%x, stated %x", got, stated)
	}
}

// TestExtendedAltered changes what only the extended digest covers: the flags
// and times of an entry.
func TestExtendedAltered(t *testing.T) {
	data := testdata(t, "hello64-signed.msi")
	entry := bytes.Index(data, []byte("\x05\x00S\x00u\x00m\x00m\x00a\x00r\x00y\x00"))
	if entry < 0 {
		t.Fatal("no summary information")
	}
	for _, at := range []int{atState, atTimes, atTimes + 15} {
		bad := bytes.Clone(data)
		bad[entry+at] ^= 1
		f, err := parse(bad)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Digest(sha256.New()); fleet.KindOf(err) != fleet.Refused || err == nil {
			t.Errorf("byte %d of an entry: %v", at, err)
		}
	}
}

// TestWithSignature writes packages with other signatures: everything else is
// as before, twice the same bytes come out, and msitools reads them.
func TestWithSignature(t *testing.T) {
	for _, name := range []string{"hello.msi", "hello-signed.msi", "hello64-signed.msi"} {
		f, err := parse(testdata(t, name))
		if err != nil {
			t.Fatal(err)
		}
		sum := extended(t, f)
		for _, size := range []int{100, 5000} { // among the small streams, and not
			signature := bytes.Repeat([]byte{0x30}, size)
			var b, twice bytes.Buffer
			if err := f.WithSignature(&b, signature, sum); err != nil {
				t.Fatal(err)
			}
			again, err := parse(b.Bytes())
			if err != nil {
				t.Errorf("%s with %d bytes: %v", name, size, err)
				continue
			}
			if !bytes.Equal(again.Signature, signature) || again.Facts != f.Facts || again.PackageCode != f.PackageCode || len(again.Properties) != len(f.Properties) {
				t.Errorf("%s with %d bytes: %+v", name, size, again)
			}
			h := sha256.New()
			if err := f.DigestWith(h, sum); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(extended(t, again), sum) || !bytes.Equal(digest(t, again), h.Sum(nil)) {
				t.Errorf("%s with %d bytes: another digest", name, size)
			}
			if err := again.WithSignature(&twice, signature, sum); err != nil || !bytes.Equal(twice.Bytes(), b.Bytes()) {
				t.Errorf("%s with %d bytes: written twice, the bytes differ (%v)", name, size, err)
			}
			t.Run(name, func(t *testing.T) {
				sameTables(t, testreq.Program(t, "msiinfo"), testdata(t, name), b.Bytes())
			})
		}
	}
}

// sameTables compares tables and streams as msitools sees them.
func sameTables(t *testing.T, msiinfo string, was, is []byte) {
	t.Helper()
	dir := t.TempDir()
	for name, data := range map[string][]byte{"was.msi": was, "is.msi": is} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), msiinfo, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("msiinfo %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	tables := run("tables", "was.msi")
	if now := run("tables", "is.msi"); now != tables {
		t.Errorf("tables were\n%s\nare\n%s", tables, now)
	}
	for table := range strings.Lines(tables) {
		table = strings.TrimSpace(table)
		if before, after := run("export", "was.msi", table), run("export", "is.msi", table); before != after {
			t.Errorf("table %s was\n%s\nis\n%s", table, before, after)
		}
	}
	if before, after := run("suminfo", "was.msi"), run("suminfo", "is.msi"); before != after {
		t.Errorf("summary was\n%s\nis\n%s", before, after)
	}
}

// TestOverlappingStreams has streams that share their sectors.
func TestOverlappingStreams(t *testing.T) {
	data := testdata(t, "hello.msi")
	entry := bytes.Index(data, []byte("\x05\x00S\x00u\x00m\x00m\x00a\x00r\x00y\x00"))
	bad := bytes.Clone(data)
	bad[entry+atSize+2] = 1 // 64 KiB more than it has
	f, err := parse(bad)
	if err == nil {
		err = f.Digest(sha256.New())
	}
	if fleet.KindOf(err) != fleet.Invalid || err == nil {
		t.Errorf("%v", err)
	}
}

func FuzzDigest(f *testing.F) {
	f.Add(testdata(f, "hello-signed.msi"))
	f.Add(testdata(f, "hello64-signed.msi"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := parse(data)
		if err != nil {
			return
		}
		if err := file.Digest(sha256.New()); err != nil && fleet.KindOf(err) == fleet.Internal {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := file.WithSignature(&b, []byte{0x30}, nil); err != nil {
			return
		}
		again, err := parse(b.Bytes())
		if err != nil || again.Facts != file.Facts {
			t.Fatalf("written again: %v, %+v, was %+v", err, again, file.Facts)
		}
	})
}
