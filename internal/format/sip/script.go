package sip

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxScript is how many bytes a script may have.
const maxScript = 16 << 20

// The lines around a signature, as Set-AuthenticodeSignature writes them below
// a script (.ps1, .psm1, .psd1). Formats whose comments look otherwise
// (.ps1xml, .mof) are not read.
const (
	scriptBegin = "# SIG # Begin signature block"
	scriptEnd   = "# SIG # End signature block"
)

// A Script is a PowerShell script.
type Script struct {
	Signature []byte // nil when unsigned

	text   []byte // as stored, without the signature
	wide   bool   // UTF-16, little-endian
	marked bool   // begins with a byte order mark
}

// ReadScript finds a script's signature. Text that is neither UTF-8 nor UTF-16
// with a byte order mark, and text behind the signature, are errors of kind
// Invalid.
func ReadScript(r io.ReaderAt, size int64) (*Script, error) {
	if size > maxScript {
		return nil, invalid("the script has %d bytes", size)
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, size), data); err != nil {
		return nil, err
	}
	s := &Script{text: data, wide: bytes.HasPrefix(data, []byte{0xff, 0xfe})}
	s.marked = s.wide || bytes.HasPrefix(data, []byte("\ufeff"))
	plain := string(data)
	if s.wide {
		if len(data)%2 != 0 {
			return nil, invalid("offset %d: half a character of UTF-16", size-1)
		}
		// A unit that stands for itself alone keeps its place in this copy, which
		// only looks for lines in ASCII.
		plain = narrow(data)
	} else if !utf8.Valid(data) {
		return nil, invalid("the script is neither UTF-8 nor UTF-16 with a byte order mark")
	}
	at, ok := lineAt(plain, scriptBegin)
	if !ok {
		return s, nil
	}
	der, err := readBlock(plain[at:], at)
	if err != nil {
		return nil, err
	}
	s.Signature = der
	switch { // the line's end before the block belongs to it
	case at >= 2 && plain[at-2:at] == "\r\n":
		at -= 2
	case at >= 1:
		at--
	default:
		return nil, invalid("offset 0: a signature of no script")
	}
	if s.wide {
		at *= 2
	}
	s.text = data[:at]
	return s, nil
}

// narrow is one byte for each unit of UTF-16, 0xff for those beyond ASCII.
func narrow(data []byte) string {
	out := make([]byte, 0, len(data)/2)
	for i := 0; i < len(data); i += 2 {
		u := binary.LittleEndian.Uint16(data[i:])
		out = append(out, byte(min(u, 0xff)))
	}
	return string(out)
}

// lineAt finds a line.
func lineAt(text, line string) (int, bool) {
	for at := 0; ; {
		i := strings.Index(text[at:], line)
		if i < 0 {
			return 0, false
		}
		at += i
		after := text[at+len(line):]
		if (at == 0 || text[at-1] == '\n') && (after == "" || after[0] == '\n' || strings.HasPrefix(after, "\r\n")) {
			return at, true
		}
		at += len(line)
	}
}

// readBlock decodes a signature's lines; offset is where they begin.
func readBlock(block string, offset int) ([]byte, error) {
	var b strings.Builder
	lines := strings.SplitAfter(block, "\n")
	offset += len(lines[0])
	for i, line := range lines[1:] {
		text := strings.TrimRight(line, "\r\n")
		if text == scriptEnd {
			if rest := strings.Join(lines[i+2:], ""); strings.Trim(rest, "\r\n") != "" {
				return nil, invalid("offset %d: text stands behind the signature, which it does not cover", offset+len(line))
			}
			der, err := base64.StdEncoding.DecodeString(b.String())
			if err != nil {
				return nil, invalid("the signature block that ends at offset %d: %w", offset, err)
			}
			if len(der) == 0 || len(der) > maxSignature {
				return nil, invalid("the signature block that ends at offset %d holds %d bytes", offset, len(der))
			}
			return der, nil
		}
		part, ok := strings.CutPrefix(text, "# ")
		if !ok {
			return nil, invalid("offset %d: a line of the signature block is no comment", offset)
		}
		b.WriteString(part)
		offset += len(line)
	}
	return nil, invalid("offset %d: the signature block has no end", offset)
}

// Digest writes to h what a signature covers: the text in UTF-16, little-endian,
// its byte order mark included where it has one.
func (s *Script) Digest(h hash.Hash) error {
	if s.wide {
		h.Write(s.text)
		return nil
	}
	var unit [4]byte
	for text := s.text; len(text) > 0; {
		r, n := utf8.DecodeRune(text)
		text = text[n:]
		if r1, r2 := utf16.EncodeRune(r); r1 != utf8.RuneError {
			binary.LittleEndian.PutUint16(unit[:], uint16(r1))
			binary.LittleEndian.PutUint16(unit[2:], uint16(r2))
			h.Write(unit[:4])
			continue
		}
		binary.LittleEndian.PutUint16(unit[:], uint16(r))
		h.Write(unit[:2])
	}
	return nil
}

// WithSignature writes the script with a signature in place of the one it has.
// A script beyond ASCII that does not say its encoding by a byte order mark is
// refused: Windows PowerShell and its successor read different texts there.
func (s *Script) WithSignature(w io.Writer, der []byte) error {
	if !s.marked && bytes.ContainsFunc(s.text, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return invalid("the script holds characters beyond ASCII and no byte order mark")
	}
	var b strings.Builder
	b.WriteString("\r\n" + scriptBegin + "\r\n")
	for text := base64.StdEncoding.EncodeToString(der); text != ""; {
		n := min(64, len(text))
		b.WriteString("# " + text[:n] + "\r\n")
		text = text[n:]
	}
	b.WriteString(scriptEnd + "\r\n")
	block := []byte(b.String())
	if s.wide {
		block = block[:0]
		for _, c := range []byte(b.String()) {
			block = append(block, c, 0)
		}
	}
	if _, err := w.Write(s.text); err != nil {
		return err
	}
	_, err := w.Write(block)
	return err
}
