package deb

import (
	"archive/tar"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// control reads the control archive.
func control(name string, body io.Reader) (*File, error) {
	plain, closer, err := decompress("the control archive", strings.TrimPrefix(name, "control.tar"), body)
	if err != nil {
		return nil, err
	}
	defer closer()
	f := &File{}
	t := tar.NewReader(io.LimitReader(plain, maxUnpack))
	for n := 0; ; n++ {
		h, err := t.Next()
		switch {
		case errors.Is(err, io.EOF):
			if f.Fields == nil {
				return nil, invalid("the control archive has no control file")
			}
			return f, nil
		case err != nil:
			return nil, invalid("the control archive: %w", err)
		case n >= maxEntries:
			return nil, invalid("the control archive has more than %d files", maxEntries)
		case h.Typeflag != tar.TypeReg:
			continue
		}
		if err := f.take(strings.TrimPrefix(h.Name, "./"), h.Size, t); err != nil {
			return nil, err
		}
	}
}

// take reads one file of the control archive.
func (f *File) take(name string, size int64, r io.Reader) error {
	for _, c := range f.Control {
		if c.Name == name {
			return invalid("the control archive has %.60q twice", name)
		}
	}
	c := ControlFile{Name: printable(name), Size: size}
	text := func(limit int64) ([]byte, error) {
		b, err := io.ReadAll(io.LimitReader(r, limit+1))
		if err != nil || int64(len(b)) > limit {
			return nil, invalid("%s of the control archive cannot be read or is too long", name)
		}
		return b, nil
	}
	var err error
	var data []byte
	switch {
	case name == "control":
		if data, err = text(maxControl); err == nil {
			err = f.parse(data)
		}
	case name == "conffiles":
		if data, err = text(maxControl); err == nil {
			f.conffiles(string(data))
		}
	case name == "md5sums":
		if data, err = text(maxSums); err == nil {
			err = f.sums(string(data))
		}
	case isScript(name), name == "triggers":
		data, err = text(maxControl)
		c.Text = scriptText(string(data))
	}
	f.Control = append(f.Control, c)
	return err
}

// parse reads the fields of the first paragraph.
func (f *File) parse(text []byte) error {
	f.Fields = map[string]string{}
	last := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.TrimSpace(line) == "":
			if len(f.Fields) > 0 {
				return f.complete()
			}
		case line[0] == ' ' || line[0] == '\t':
			if last == "" {
				return invalid("the control file begins with a continued line")
			}
			f.Fields[last] += "\n" + printable(line[1:])
		case line[0] == '#':
		default:
			name, value, ok := strings.Cut(line, ":")
			if _, twice := f.Fields[name]; !ok || twice || name == "" {
				return invalid("the control file has a malformed or doubled field %.40q", name)
			}
			last = printable(name)
			f.Fields[last] = printable(strings.TrimSpace(value))
		}
	}
	return f.complete()
}

func (f *File) complete() error {
	f.Facts = fleet.DebFacts{Package: f.Fields["Package"], Version: f.Fields["Version"], Architecture: f.Fields["Architecture"]}
	if f.Facts.Package == "" || f.Facts.Version == "" || f.Facts.Architecture == "" {
		return invalid("the control file does not name package, version and architecture")
	}
	// An estimate for people: one that is no number counts as none.
	f.Installed, _ = strconv.ParseInt(f.Fields["Installed-Size"], 10, 64)
	f.Relations = map[string][]string{}
	for _, name := range []string{"Pre-Depends", "Depends", "Recommends", "Suggests", "Enhances", "Conflicts", "Breaks", "Replaces", "Provides"} {
		for clause := range strings.SplitSeq(f.Fields[name], ",") {
			if clause = strings.Join(strings.Fields(clause), " "); clause != "" {
				f.Relations[name] = append(f.Relations[name], clause)
			}
		}
	}
	return nil
}

// conffiles reads the list of deb-conffiles(5): a path a line, with a flag
// before it where the package removes the file.
func (f *File) conffiles(text string) {
	for line := range strings.Lines(text) {
		line = printable(strings.TrimSpace(line))
		if flag, path, ok := strings.Cut(line, " "); ok && !strings.HasPrefix(flag, "/") {
			line = strings.TrimSpace(path)
		}
		if line != "" {
			f.Conffiles = append(f.Conffiles, line)
		}
	}
}

var sumLine = regexp.MustCompile(`^([0-9a-f]{32})  (.+)$`)

// sums reads the list of deb-md5sums(5).
func (f *File) sums(text string) error {
	f.Sums = map[string]string{}
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, "\r\n")
		m := sumLine.FindStringSubmatch(line)
		switch {
		case strings.TrimSpace(line) == "":
		case m == nil:
			return invalid("line %d of md5sums is no digest with a path", n)
		case len(f.Sums) >= maxContents:
			return invalid("md5sums has more than %d lines", maxContents)
		default:
			f.Sums[strings.TrimPrefix(printable(m[2]), "./")] = m[1]
		}
	}
	return nil
}

// scriptText keeps the line ends of a script and no other control characters.
func scriptText(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return strings.Join(lines, "\n")
}
