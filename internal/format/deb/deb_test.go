package deb

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

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

func TestReadControl(t *testing.T) {
	f, err := ReadContents(bytes.NewReader(built(t, "zstd", nil)))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Relations["Depends"]; len(got) != 2 || got[0] != "bash (>= 4.0)" || got[1] != "libwidget | libgadget" || len(f.Relations["Breaks"]) != 1 || f.Relations["Suggests"] != nil {
		t.Errorf("%q", f.Relations)
	}
	if s := f.Scripts(); len(s) != 2 || s[0].Name != "postinst" && s[0].Name != "prerm" || s[0].Text != "#!/bin/sh\necho widget\n" {
		t.Errorf("%+v", s)
	}
	if len(f.Conffiles) != 1 || f.Conffiles[0] != "/etc/widget.conf" || len(f.Sums["usr/bin/widget"]) != 32 {
		t.Errorf("%q, %q", f.Conffiles, f.Sums)
	}
	short, err := Read(bytes.NewReader(built(t, "xz", nil)))
	if err != nil || short.Contents != nil || len(short.Control) != len(f.Control) {
		t.Errorf("%+v, %v", short, err)
	}
}

// tarOf is a tar archive of these names, each a text.
func tarOf(t testing.TB, names ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range names {
		if err := w.WriteHeader(&tar.Header{Name: name, Size: 1, Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestContentsRefuses(t *testing.T) {
	good := debOf(t, "Package: a\nVersion: 1\nArchitecture: all\n")
	whole := built(t, "gzip", nil)
	var bomb bytes.Buffer
	z, err := zstd.NewWriter(&bomb)
	if err != nil {
		t.Fatal(err)
	}
	var head bytes.Buffer
	w := tar.NewWriter(&head)
	if err := w.WriteHeader(&tar.Header{Name: "./a", Size: 1 << 33}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(z, io.MultiReader(&head, io.LimitReader(zeros{}, 200<<20))); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	with := func(name, text string) []byte { return append(bytes.Clone(good), arMember(name, text)...) }
	if f, err := ReadContents(bytes.NewReader(with("data.tar", tarOf(t, "./a")))); err != nil || len(f.Contents) != 1 || f.Contents[0].Path != "/a" {
		t.Fatalf("the package the cases vary is not read: %v", err)
	}
	for name, data := range map[string][]byte{
		"no data":    good,
		"other":      with("other", "x"),
		"upwards":    with("data.tar", tarOf(t, "./../a")),
		"in between": with("data.tar", tarOf(t, "./a/../b")),
		"no tar":     with("data.tar", strings.Repeat("x", 1024)),
		"cut off":    whole[:len(whole)-50],
		"bomb":       with("data.tar.zst", bomb.String()),
		"lzma":       with("data.tar.lzma", "x"),
	} {
		if f, err := ReadContents(bytes.NewReader(data)); err == nil || fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("%s: read %v, %v", name, f != nil, err)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func FuzzReadContents(f *testing.F) {
	for _, z := range []string{"gzip", "xz", "zstd", "none"} {
		f.Add(testdata(f, "hello-"+z+".deb"))
	}
	f.Add(built(f, "none", nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := ReadContents(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, e := range file.Contents {
			if strings.Contains(e.Path+"/", "/../") || strings.ContainsAny(e.Path, "\n\x00\x1b") {
				t.Fatalf("accepted %q", e.Path)
			}
		}
	})
}
