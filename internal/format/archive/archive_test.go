package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/packmill/packmill/internal/fleet"
)

type member struct {
	name, text string
	kind       byte
}

func tarOf(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		h := &tar.Header{Name: m.name, Mode: 0o644, Typeflag: m.kind, Linkname: "elsewhere"}
		if m.kind == 0 {
			h.Typeflag, h.Size, h.Linkname = tar.TypeReg, int64(len(m.text)), ""
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := io.WriteString(w, m.text); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func through(t testing.TB, data []byte, open func(io.Writer) (io.WriteCloser, error)) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := open(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gz(t testing.TB, data []byte) []byte {
	return through(t, data, func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil })
}

func TestExtractTar(t *testing.T) {
	plain := tarOf(t, member{"package/package.json", "{}", 0}, member{"package/bin/tool.exe", "MZ tool", 0}, member{"package/README", "x", 0})
	for name, data := range map[string][]byte{
		"plain": plain,
		"gzip":  gz(t, plain),
		"xz":    through(t, plain, func(w io.Writer) (io.WriteCloser, error) { return xz.NewWriter(w) }),
		"zstd":  through(t, plain, func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) }),
	} {
		var out bytes.Buffer
		n, err := ExtractTar(&out, bytes.NewReader(data), "package/bin/tool.exe", Limits{})
		if err != nil || out.String() != "MZ tool" || n != 7 {
			t.Errorf("%s: %q, %d, %v", name, out.String(), n, err)
		}
	}
}

func TestExtractTarRefuses(t *testing.T) {
	zeros := strings.Repeat("\x00", 1<<20)
	for name, c := range map[string]struct {
		data   []byte
		path   string
		limits Limits
	}{
		"missing":        {tarOf(t, member{"b", "x", 0}), "a", Limits{}},
		"twice":          {tarOf(t, member{"a", "x", 0}, member{"a", "y", 0}), "a", Limits{}},
		"symlink":        {tarOf(t, member{"a", "", tar.TypeSymlink}), "a", Limits{}},
		"hard link":      {tarOf(t, member{"a", "", tar.TypeLink}), "a", Limits{}},
		"folder":         {tarOf(t, member{"a", "", tar.TypeDir}), "a", Limits{}},
		"path upwards":   {tarOf(t, member{"../a", "x", 0}), "../a", Limits{}},
		"absolute path":  {tarOf(t, member{"/a", "x", 0}), "/a", Limits{}},
		"no archive":     {[]byte("<!DOCTYPE html>" + strings.Repeat(" ", 600)), "a", Limits{}},
		"empty":          {nil, "a", Limits{}},
		"truncated":      {gz(t, tarOf(t, member{"a", zeros, 0}))[:400], "a", Limits{}},
		"large member":   {tarOf(t, member{"a", zeros, 0}), "a", Limits{Member: 1000}},
		"bomb":           {gz(t, tarOf(t, member{"b", zeros, 0}, member{"a", "x", 0})), "a", Limits{Total: 64 << 10}},
		"bomb behind it": {gz(t, tarOf(t, member{"a", "x", 0}, member{"b", zeros, 0})), "a", Limits{Total: 64 << 10}},
		"many entries":   {tarOf(t, member{"b", "", 0}, member{"c", "", 0}, member{"a", "", 0}), "a", Limits{Entries: 2}},
	} {
		_, err := ExtractTar(io.Discard, bytes.NewReader(c.data), c.path, c.limits)
		if err == nil || fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestExtractZip(t *testing.T) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range []string{"app/tool.exe", "app/twice", "app/twice"} {
		f, err := w.Create(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, "MZ tool"); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	extract := func(path string, limits Limits) (string, error) {
		var out bytes.Buffer
		_, err := ExtractZip(&out, bytes.NewReader(b.Bytes()), int64(b.Len()), path, limits)
		return out.String(), err
	}
	if got, err := extract("app/tool.exe", Limits{}); err != nil || got != "MZ tool" {
		t.Errorf("%q, %v", got, err)
	}
	for _, path := range []string{"app/none", "app/twice"} {
		if _, err := extract(path, Limits{}); fleet.KindOf(err) != fleet.Invalid || err == nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := extract("app/tool.exe", Limits{Member: 3}); err == nil {
		t.Error("a member above the limit was taken")
	}
}

type full struct{}

var errFull = errors.New("disk full")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestAFullDiskIsNotTheArchivesFault(t *testing.T) {
	_, err := ExtractTar(full{}, bytes.NewReader(tarOf(t, member{"a", "x", 0})), "a", Limits{})
	if !errors.Is(err, errFull) || fleet.KindOf(err) != fleet.Internal {
		t.Errorf("%v", err)
	}
}

func FuzzExtractTar(f *testing.F) {
	f.Add(tarOf(f, member{"a", "x", 0}))
	f.Add(gz(f, tarOf(f, member{"b", "y", 0}, member{"a", "x", 0})))
	f.Fuzz(func(t *testing.T, data []byte) {
		var out bytes.Buffer
		n, err := ExtractTar(&out, bytes.NewReader(data), "a", Limits{Member: 1 << 16, Total: 1 << 20, Entries: 100})
		if err == nil && (n != int64(out.Len()) || n > 1<<16) {
			t.Fatalf("%d bytes told, %d written", n, out.Len())
		}
	})
}
