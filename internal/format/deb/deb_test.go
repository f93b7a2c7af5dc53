package deb

import (
	"archive/tar"
	"bytes"
	"fmt"
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

// The fixtures are one package as dpkg-deb makes it with each compression.
func TestRead(t *testing.T) {
	for _, z := range []string{"gzip", "xz", "zstd", "none"} {
		f, err := Read(bytes.NewReader(testdata(t, "hello-"+z+".deb")))
		if err != nil {
			t.Errorf("%s: %v", z, err)
			continue
		}
		if want := (fleet.DebFacts{Package: "packmill-hello", Version: "1:2.0-3", Architecture: "all"}); f.Facts != want {
			t.Errorf("%s: %+v", z, f.Facts)
		}
		if got, want := f.Fields["Description"], "greets\nA package that exists to be read.\n.\nIt has a second paragraph."; got != want {
			t.Errorf("%s: description %q", z, got)
		}
	}
}

// debOf is a package with this control file, made by hand.
func debOf(t testing.TB, control string) []byte {
	t.Helper()
	var c bytes.Buffer
	w := tar.NewWriter(&c)
	if err := w.WriteHeader(&tar.Header{Name: "./control", Size: int64(len(control)), Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(control)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return append([]byte("!<arch>\n"), arMember("debian-binary", "2.0\n")+arMember("_extra", "odd")+arMember("control.tar", c.String())...)
}

func arMember(name, text string) string {
	pad := ""
	if len(text)%2 == 1 {
		pad = "\n"
	}
	return fmt.Sprintf("%-16s%-12d%-6d%-6d%-8s%-10d`\n%s%s", name, 0, 0, 0, "100644", len(text), text, pad)
}

func TestReadRefuses(t *testing.T) {
	const good = "Package: a\nVersion: 1\nArchitecture: all\n"
	if _, err := Read(bytes.NewReader(debOf(t, good))); err != nil {
		t.Fatalf("the package the cases vary is not read: %v", err)
	}
	gzip := testdata(t, "hello-gzip.deb")
	for name, data := range map[string][]byte{
		"empty":           nil,
		"HTML":            []byte("<!DOCTYPE html><title>Sign in</title>"),
		"other ar":        []byte("!<arch>\n" + arMember("file.o", "x")),
		"format 3":        []byte("!<arch>\n" + arMember("debian-binary", "3.0\n")),
		"no control":      []byte("!<arch>\n" + arMember("debian-binary", "2.0\n") + arMember("data.tar", "")),
		"lzma":            []byte("!<arch>\n" + arMember("debian-binary", "2.0\n") + arMember("control.tar.lzma", "x")),
		"negative size":   []byte("!<arch>\n" + strings.Replace(arMember("debian-binary", "2.0\n"), "4         `", "-4        `", 1)),
		"truncated":       gzip[:200],
		"header cut":      gzip[:30],
		"no version":      debOf(t, "Package: a\nArchitecture: all\n"),
		"doubled field":   debOf(t, good+"Version: 2\n"),
		"no field":        debOf(t, "hello\n"+good),
		"continued first": debOf(t, " x\n"+good),
		"too long":        debOf(t, good+"X: "+strings.Repeat("x", maxControl)),
	} {
		if f, err := Read(bytes.NewReader(data)); err == nil || fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, z := range []string{"gzip", "xz", "zstd", "none"} {
		f.Add(testdata(f, "hello-"+z+".deb"))
	}
	f.Add(debOf(f, "Package: a\nVersion: 1\nArchitecture: all\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		if file.Facts.Package == "" || strings.ContainsAny(file.Facts.Version, "\n\x00\x1b") {
			t.Fatalf("accepted %+v", file.Facts)
		}
	})
}
