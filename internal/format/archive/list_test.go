package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/testreq"
)

func list(data []byte, limits Limits) (*Listing, error) {
	return List(bytes.NewReader(data), int64(len(data)), limits)
}

// A zipped is a member of a zip.
type zipped struct {
	name, text string
	mode       fs.FileMode
}

func zipOf(t testing.TB, members ...zipped) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range members {
		h := &zip.FileHeader{Name: m.name, Method: zip.Deflate}
		h.SetMode(m.mode)
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, m.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestListZip(t *testing.T) {
	l, err := list(zipOf(t, zipped{"app/", "", fs.ModeDir | 0o755}, zipped{"app/tool", "MZ tool", 0o755}, zipped{"app/t", "tool", fs.ModeSymlink | 0o777}), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want := []Entry{{Name: "app/", Mode: fs.ModeDir | 0o755}, {Name: "app/tool", Size: 7, Mode: 0o755}, {Name: "app/t", Size: 4, Mode: fs.ModeSymlink | 0o777, Link: "tool"}}
	if l.Format != "zip" || l.Total != 11 || !slices.Equal(l.Entries, want) || len(l.Findings) != 0 {
		t.Errorf("%+v", l)
	}
}

func TestListTar(t *testing.T) {
	plain := tarOf(t, member{"./a/tool", "MZ tool", 0}, member{"a/s", "", tar.TypeSymlink})
	for format, data := range map[string][]byte{
		"tar":     plain,
		"tar.gz":  gz(t, plain),
		"tar.xz":  through(t, plain, func(w io.Writer) (io.WriteCloser, error) { return xz.NewWriter(w) }),
		"tar.zst": through(t, plain, func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) }),
	} {
		l, err := list(data, Limits{})
		if err != nil || l.Format != format || len(l.Entries) != 2 || l.Entries[0] != (Entry{Name: "./a/tool", Size: 7, Mode: 0o644}) || l.Entries[1].Link != "elsewhere" || len(l.Findings) != 0 {
			t.Errorf("%s: %+v, %v", format, l, err)
		}
	}
}

// What a reviewer should see.
func TestFindings(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		why  []string
	}{
		"upwards":        {zipOf(t, zipped{"../a", "", 0o644}), []string{"leads out"}},
		"upwards within": {zipOf(t, zipped{"a/../../b", "", 0o644}), []string{"leads out"}},
		"absolute":       {zipOf(t, zipped{"/a", "", 0o644}), []string{"leads out"}},
		"backslash":      {zipOf(t, zipped{`..\a`, "", 0o644}), []string{"leads out"}},
		"drive":          {zipOf(t, zipped{"C:a", "", 0o644}), []string{"leads out"}},
		"escape":         {zipOf(t, zipped{"a\x1b[2J", "", 0o644}), []string{"leads out"}},
		"twice":          {zipOf(t, zipped{"a", "", 0o644}, zipped{"a", "", 0o644}), []string{"another entry"}},
		"case":           {zipOf(t, zipped{"Tool.exe", "", 0o644}, zipped{"tool.EXE", "", 0o644}), []string{"another entry"}},
		"set-user-id":    {zipOf(t, zipped{"a", "", fs.ModeSetuid | 0o755}), []string{"rights"}},
		"zip link":       {zipOf(t, zipped{"a", "/etc", fs.ModeSymlink | 0o777}), []string{"link that leads"}},
		"below a link":   {zipOf(t, zipped{"a", "../..", fs.ModeSymlink | 0o777}, zipped{"a/b/c", "", 0o644}), []string{"link that leads", "below a link"}},
		"tar twice":      {tarOf(t, member{"./a", "x", 0}, member{"a", "y", 0}), []string{"another entry"}},
		"hard link":      {tarOf(t, member{"x/a", "", tar.TypeLink}), nil},
		"device":         {tarOf(t, member{"a", "", tar.TypeChar}), []string{"no file"}},
		"zip bomb":       {zipOf(t, zipped{"a", strings.Repeat("\x00", 80<<20), 0o644}), []string{"unpack to", "unpack to"}},
		"many a bomb":    {zipOf(t, slices.Repeat([]zipped{{"a", strings.Repeat("\x00", 1<<20), 0o644}}, 3)...), []string{"another entry", "another entry"}},
	} {
		l, err := list(c.data, Limits{})
		if err != nil || len(l.Findings) != len(c.why) {
			t.Errorf("%s: %+v, %v", name, l, err)
			continue
		}
		for i, f := range l.Findings {
			if !strings.Contains(f.Why, c.why[i]) {
				t.Errorf("%s: %+v", name, f)
			}
		}
	}
}

func TestListRefuses(t *testing.T) {
	zeros := strings.Repeat("\x00", 1<<20)
	bomb := through(t, append(tarOf(t, member{"a", "x", 0})[:1024], make([]byte, 200<<20)...), func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) })
	states := zipOf(t, zipped{"a", "x", 0o644})
	central := bytes.LastIndex(states, []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint32(states[central+24:], 0xfffffffe)
	members := zipOf(t, zipped{"a", "x", 0o644})
	binary.LittleEndian.PutUint16(members[len(members)-22+10:], 0xfffe)
	for name, c := range map[string]struct {
		data   []byte
		limits Limits
	}{
		"empty":          {nil, Limits{}},
		"HTML":           {[]byte("<!DOCTYPE html>" + strings.Repeat(" ", 600)), Limits{}},
		"zip cut off":    {zipOf(t, zipped{"a", "x", 0o644})[:60], Limits{}},
		"tar cut off":    {tarOf(t, member{"a", zeros, 0})[:1000], Limits{}},
		"gzip cut off":   {gz(t, tarOf(t, member{"a", zeros, 0}))[:400], Limits{}},
		"bomb":           {bomb, Limits{}},
		"large member":   {tarOf(t, member{"a", zeros, 0}), Limits{Member: 1000}},
		"stated size":    {states, Limits{Member: 1 << 30}},
		"total":          {zipOf(t, zipped{"a", zeros, 0o644}, zipped{"b", zeros, 0o644}), Limits{Total: 1<<20 + 1}},
		"many entries":   {tarOf(t, member{"b", "", 0}, member{"c", "", 0}), Limits{Entries: 1}},
		"many members":   {zipOf(t, zipped{"a", "", 0o644}, zipped{"b", "", 0o644}), Limits{Entries: 1}},
		"stated members": {members, Limits{Entries: 1000}},
		"deep":           {zipOf(t, zipped{strings.Repeat("a/", 200) + "b", "", 0o644}), Limits{}},
		"long name":      {zipOf(t, zipped{strings.Repeat("a", 5000), "", 0o644}), Limits{}},
	} {
		if l, err := list(c.data, c.limits); err == nil || fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("%s: %+v, %v", name, l, err)
		}
	}
}

// sevenOf is a 7z archive whose header is given, with right checksums.
func sevenOf(header ...byte) []byte {
	start := binary.LittleEndian.AppendUint64(nil, 0)
	start = binary.LittleEndian.AppendUint64(start, uint64(len(header)))
	start = binary.LittleEndian.AppendUint32(start, crc32.ChecksumIEEE(header))
	out := append([]byte(sevenMagic), 0, 4)
	out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(start))
	return append(append(out, start...), header...)
}

func TestSevenRefuses(t *testing.T) {
	if l, err := list(sevenOf(idHeader, idFiles, 1, idEmptyStream, 1, 0x80, idNames, 5, 0, 'a', 0, 0, 0, idEnd, idEnd), Limits{}); err != nil || len(l.Entries) != 1 || l.Entries[0] != (Entry{Name: "a", Mode: fs.ModeDir}) {
		t.Fatalf("the archive the cases vary is not read: %+v, %v", l, err)
	}
	for name, data := range map[string][]byte{
		"start":           []byte(sevenMagic + "\x00\x04"),
		"checksum":        append(sevenOf(idHeader, idEnd)[:33], 1),
		"no header":       sevenOf(9),
		"many files":      sevenOf(idHeader, idFiles, 0xff, 0, 0, 0, 0, 0, 0, 0, 0x10),
		"more than bytes": sevenOf(idHeader, idFiles, 0xc1, 0, 0, idEnd, idEnd),
		"no names":        sevenOf(idHeader, idFiles, 1, idEnd, idEnd),
		"no stream":       sevenOf(idHeader, idFiles, 1, idNames, 5, 0, 'a', 0, 0, 0, idEnd, idEnd),
		"name cut":        sevenOf(idHeader, idFiles, 1, idEmptyStream, 1, 0x80, idNames, 3, 0, 'a', 0, idEnd, idEnd),
		"names elsewhere": sevenOf(idHeader, idFiles, 1, idEmptyStream, 1, 0x80, idNames, 5, 1, 'a', 0, 0, 0, idEnd, idEnd),
		"no coders":       sevenOf(idHeader, idMainStreams, idUnpack, idFolder, 1, 0, 0, idEnd),
		"many coders":     sevenOf(idHeader, idMainStreams, idUnpack, idFolder, 1, 0, 99, idEnd),
		"cut":             sevenOf(idHeader, idFiles),
		"packed away":     sevenOf(idEncoded, idPack, 0xff, 1, 1, 1, 1, 1, 1, 1, 0x70, 1, idSize, 1, idEnd, idEnd),
		"packed nothing":  sevenOf(idEncoded, idEnd),
	} {
		if l, err := list(data, Limits{}); err == nil || fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("%s: %+v, %v", name, l, err)
		}
	}
}

// tree makes files of many kinds and returns the folder.
func tree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"app/tool.exe": strings.Repeat("MZ", 5000), "app/empty": "", "app/größe.txt": "x", "readme": "hello\n"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 300 {
		if err := os.WriteFile(filepath.Join(dir, "app", fmt.Sprintf("f%03d", n)), []byte(strings.Repeat("y", n)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "nothing"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("tool.exe", filepath.Join(dir, "app", "link")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// sevenSays is what 7zz lists: names, sizes, and modes where it has them.
func sevenSays(t *testing.T, dir, file string, extra ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), testreq.Program(t, "7zz"), append(append([]string{"l", "-slt", "-ba"}, extra...), file)...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "LC_ALL=C.UTF-8")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for part := range strings.SplitSeq(strings.TrimSpace(string(out)), "\n\n") {
		fields := map[string]string{}
		for line := range strings.Lines(part) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), " =")
			fields[name] = strings.TrimSpace(value)
		}
		attributes := strings.Fields(fields["Attributes"] + " -")
		mode := attributes[len(attributes)-2]
		told = append(told, fmt.Sprintf("%s %s %s %v", fields["Path"], "0"+fields["Size"], mode, fields["Encrypted"] == "+"))
	}
	slices.Sort(told)
	return told
}

func modeText(m fs.FileMode) string {
	kind := map[fs.FileMode]string{fs.ModeDir: "d", fs.ModeSymlink: "l"}[m.Type()]
	if kind == "" {
		kind = "-"
	}
	return kind + strings.TrimLeft(m.Perm().String(), "-")
}

// 7zz lists what List does, in every form that 7zz makes.
func TestSevenZipAgrees(t *testing.T) {
	program := testreq.Program(t, "7zz")
	for name, args := range map[string][]string{
		"solid.7z": nil, "plain header.7z": {"-mhc=off"}, "copy.7z": {"-m0=Copy"}, "lzma.7z": {"-m0=LZMA"}, "ppmd.7z": {"-m0=PPMd"}, "bcj2.7z": {"-m0=BCJ2", "-m1=LZMA", "-m2=LZMA", "-m3=LZMA", "-mb0:1", "-mb0s1:2", "-mb0s2:3"},
		"each.7z": {"-ms=off"}, "encrypted.7z": {"-psecret"}, "deflate.zip": nil, "encrypted.zip": {"-psecret"},
	} {
		dir := tree(t)
		cmd := exec.CommandContext(t.Context(), program, append(append([]string{"a", "-snl", "-bso0"}, args...), name, "app", "readme", "nothing")...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "LC_ALL=C.UTF-8")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		l, err := list(data, Limits{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, e := range l.Entries {
			got = append(got, fmt.Sprintf("%s 0%d %s %v", strings.TrimSuffix(e.Name, "/"), e.Size, modeText(e.Mode), e.Encrypted))
		}
		slices.Sort(got)
		want := sevenSays(t, dir, name, "-psecret")
		for i := range want {
			want[i] = strings.Replace(want[i], " 0 d", " 00 d", 1)
		}
		if !slices.Equal(got, want) || len(got) < 300 {
			for i := range min(len(got), len(want)) {
				if got[i] != want[i] {
					t.Errorf("%s: %d entries, 7zz has %d; the first that differs is %q, for 7zz %q", name, len(got), len(want), got[i], want[i])
					break
				}
			}
		}
	}
}

// tar lists what List does.
func TestTarAgrees(t *testing.T) {
	program := testreq.Program(t, "tar")
	for name, flag := range map[string]string{"a.tar": "-c", "a.tar.gz": "-cz", "a.tar.bz2": "-cj", "a.tar.xz": "-cJ"} {
		dir := tree(t)
		if flag == "-cj" {
			testreq.Program(t, "bzip2")
		}
		for _, args := range [][]string{{flag, "--format=gnu", "-f", name, "app", "readme", "nothing"}, {"-tv", "--quoting-style=literal", "-f", name}} {
			cmd := exec.CommandContext(t.Context(), program, args...)
			cmd.Dir, cmd.Env = dir, append(os.Environ(), "LC_ALL=C.UTF-8")
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if args[0] != "-tv" {
				continue
			}
			data, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			l, err := list(data, Limits{})
			if err != nil || l.Format != strings.TrimPrefix(name, "a.") {
				t.Fatalf("%s: %v", name, err)
			}
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			if len(lines) != len(l.Entries) {
				t.Fatalf("%s: %d entries, tar has %d", name, len(l.Entries), len(lines))
			}
			for i, line := range lines {
				f := strings.Fields(line) // mode, owner, size, date, time, name, -> target
				e := l.Entries[i]
				want := fmt.Sprintf("%s %s %s", f[0], f[2], strings.Join(f[5:], " "))
				got := fmt.Sprintf("%s %d %s", modeText(e.Mode), e.Size, e.Name)
				if e.Link != "" {
					got += " -> " + e.Link
				}
				if got != want {
					t.Errorf("%s: %q, tar says %q", name, got, want)
				}
			}
		}
	}
}

func FuzzList(f *testing.F) {
	f.Add(tarOf(f, member{"a", "x", 0}, member{"b", "", tar.TypeSymlink}))
	f.Add(gz(f, tarOf(f, member{"a", "x", 0})))
	f.Add(zipOf(f, zipped{"app/tool", "MZ", 0o755}, zipped{"l", "x", fs.ModeSymlink | 0o777}))
	f.Add(sevenOf(idHeader, idFiles, 1, idEmptyStream, 1, 0x80, idNames, 5, 0, 'a', 0, 0, 0, idEnd, idEnd))
	f.Add(sevenOf(idEncoded, idPack, 0, 1, idSize, 1, idEnd, idUnpack, idFolder, 1, 0, 1, 1, 0, idCodersSize, 1, idEnd, idEnd))
	f.Fuzz(func(t *testing.T, data []byte) {
		limits := Limits{Member: 1 << 16, Total: 1 << 20, Entries: 100}
		// The start's checksums would keep a fuzzer out of 7z headers.
		if bytes.HasPrefix(data, []byte(sevenMagic)) && len(data) > 32 {
			data = sevenOf(data[32:]...)
		}
		l, err := list(data, limits)
		if err == nil && (l.Total > limits.Total || len(l.Entries) > limits.Entries) {
			t.Fatalf("%d bytes, %d entries", l.Total, len(l.Entries))
		}
	})
}
