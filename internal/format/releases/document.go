package releases

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
	textunicode "golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/packmill/packmill/internal/fleet"
)

// plain is a document without its byte order mark, which says that it is UTF-8
// or UTF-16: as UTF-8. marked reports that there was one. A document without a
// mark is left as it is.
func plain(data []byte) (text []byte, marked bool, err error) {
	if len(data) > maxDocument {
		return nil, false, fmt.Errorf("the document is larger than %d bytes", maxDocument)
	}
	for _, mark := range []string{"\xef\xbb\xbf", "\xff\xfe", "\xfe\xff"} {
		marked = marked || bytes.HasPrefix(data, []byte(mark))
	}
	if text = data; marked {
		if text, _, err = transform.Bytes(textunicode.BOMOverride(encoding.Nop.NewDecoder()), data); err != nil {
			return nil, true, fmt.Errorf("the document is not of the encoding that its first bytes state: %w", err)
		}
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, marked, errors.New("the answer is empty")
	}
	return text, marked, nil
}

// few refuses documents of more parts than may be held or compared; mark is what
// each part begins with.
func few(data []byte, most int, mark ...string) error {
	n := 0
	for _, m := range mark {
		n += bytes.Count(data, []byte(m))
	}
	if n > most {
		return fmt.Errorf("the document has more than %d parts", most)
	}
	return nil
}

// markup is an XML document that may be read into a tree or a struct, and the
// reader of its encoding.
func markup(data []byte) ([]byte, func(label string, r io.Reader) (io.Reader, error), error) {
	text, marked, err := plain(data)
	if err != nil {
		return nil, nil, err
	}
	decode := charset.NewReaderLabel
	if marked { // what the declaration says was true before it was made UTF-8
		decode = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	}
	if err := few(text, maxElements, "<", "="); err != nil {
		return nil, nil, err
	}
	return text, decode, shallow(text, decode)
}

// unmarshalXML reads a document whose root must have the name.
func unmarshalXML(data []byte, root string, into any) error {
	text, decode, err := markup(data)
	if err != nil {
		return err
	}
	dec := xml.NewDecoder(bytes.NewReader(text))
	dec.CharsetReader = decode
	for {
		token, err := dec.Token()
		if err != nil {
			return fmt.Errorf("the answer is no XML: %w", err)
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if start.Name.Local != root {
			return fmt.Errorf("the document is of <%s>, not of <%s>", shortly(start.Name.Local), root)
		}
		if err := dec.DecodeElement(into, &start); err != nil {
			return fmt.Errorf("the document cannot be read: %w", err)
		}
		return nil
	}
}

// listed are the entries of a document as far as their versions are texts; none
// is an error.
func listed(list []Entry) ([]Entry, error) {
	var out []Entry
	for _, e := range list {
		e.Version = strings.TrimSpace(e.Version)
		if len(out) == maxEntries {
			break
		}
		if e.Version == "" || len(e.Version) > maxNotes || !readable(e.Version) {
			continue
		}
		e.Notes, e.NotesURL = cut64K(e.Notes), strings.TrimSpace(e.NotesURL)
		out = append(out, e)
	}
	if len(out) == 0 {
		return nil, errNothing
	}
	return out, nil
}

// merged joins entries of one version, which stand apart where a document lists
// files: the first says what else is known.
func merged(list []Entry) []Entry {
	var out []Entry
	at := map[string]int{}
	for _, e := range list {
		i, known := at[e.Version]
		if !known {
			at[e.Version] = len(out)
			out = append(out, e)
			continue
		}
		for _, f := range e.Files {
			if !slices.Contains(out[i].Files, f) {
				out[i].Files = append(out[i].Files, f)
			}
		}
	}
	return out
}

// readable reports whether people can read a text: it is UTF-8 without control
// characters, but for those that lay out a page.
func readable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool {
		return r == utf8.RuneError || unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\r'
	})
}

// cut64K is a text of notes up to their cap.
func cut64K(text string) string {
	if len(text) <= maxNotes {
		return text
	}
	return strings.ToValidUTF8(text[:maxNotes], "")
}

// shortly is the beginning of a text, for an error.
func shortly(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), 80)], "\uFFFD")
}

// fileAt is the file at an address that a document at base gives, relative to
// it perhaps. name is the last part of the address when it is "".
func fileAt(base, ref, name string) (File, error) {
	from, err := url.Parse(base)
	if err != nil {
		return File{}, fmt.Errorf("%q is no address", shortly(base))
	}
	to, err := url.Parse(strings.TrimSpace(ref))
	if err != nil || ref == "" || len(ref) > maxText {
		return File{}, fmt.Errorf("%q is no address of a file", shortly(ref))
	}
	to = from.ResolveReference(to)
	f := File{Name: cmp.Or(name, path.Base(to.Path)), URL: to.String()}
	f.Type = typeOf(f.Name)
	return f, nil
}

// typeOf is the type of a package by the file's name, "" for names that tell
// none: an archive may hold anything.
func typeOf(name string) string {
	switch kind := strings.ToLower(strings.TrimPrefix(path.Ext(name), ".")); kind {
	case "msi", "exe", "msix", "pkg", "deb", "rpm":
		return kind
	}
	return ""
}

// archOf is an architecture as packages spell it, "" for what is none.
func archOf(text string) string {
	switch strings.ToLower(text) {
	case "x64", "amd64", "x86_64", "x86-64":
		return "x64"
	case "arm64", "aarch64":
		return "arm64"
	case "x86", "ia32", "i386", "i686":
		return "x86"
	case "universal", "universal2":
		return "universal"
	}
	return ""
}

// archIn is the architecture that a file's name states between separators, ""
// unless it is exactly one.
func archIn(name string) string {
	found := ""
	name = strings.NewReplacer("x86_64", "x64", "x86-64", "x64").Replace(strings.ToLower(name))
	for word := range strings.FieldsFuncSeq(name, func(r rune) bool { return strings.ContainsRune("-_. ()", r) }) {
		if arch := archOf(word); arch != "" && found != "" && arch != found {
			return ""
		} else if arch != "" {
			found = arch
		}
	}
	return found
}

// sizeOf reads a count of bytes; 0 for what is none: a size is checked only when
// it is told.
func sizeOf(text string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// sha256Of reads a SHA-256 in hexadecimal; "" is not told, anything else but a
// digest an error.
func sha256Of(text string) (fleet.Digest, error) {
	text = strings.ToLower(strings.TrimSpace(text))
	if text == "" {
		return "", nil
	}
	if d := fleet.Digest("sha256:" + text); d.Valid() {
		return d, nil
	}
	return "", fmt.Errorf("%q is no SHA-256", shortly(text))
}

// sha512Of is the same for SHA-512.
func sha512Of(text string) (string, error) {
	text = strings.ToLower(strings.TrimSpace(text))
	if sum, err := hex.DecodeString(text); err != nil || len(sum) != 64 && len(sum) != 0 {
		return "", fmt.Errorf("%q is no SHA-512", shortly(text))
	}
	return text, nil
}
