package xar

import (
	"bytes"
	"compress/zlib"
	"crypto"
	_ "crypto/md5"    // checksums of archives that other tools write
	_ "crypto/sha1"   // checksums of older packages
	_ "crypto/sha256" // checksums of present ones
	_ "crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// Caps on what a package may make its reader do.
const (
	maxPacked    = 8 << 20  // bytes of the table of contents, as stored
	maxTable     = 32 << 20 // the same, decompressed
	maxText      = 4 << 20  // bytes of a PackageInfo or Distribution
	maxMembers   = 20_000
	maxPackages  = 256     // components of a product
	maxSignature = 1 << 20 // bytes of one signature
	headerSize   = 28
)

// A File is a macOS installer package.
type File struct {
	Members      []Member      // everything in the archive, in the order of its table
	Packages     []Package     // its components, in that order
	Distribution *Distribution // nil where the file is a component by itself

	// What a signature signs: the digest of the table of contents as stored,
	// computed from the file. Hash is 0 where the archive states none.
	Hash   crypto.Hash
	Digest []byte

	Signature *Signature // by style RSA; nil where there is none
	CMS       []byte     // CMS SignedData in BER about Digest, zeros behind it; nil where there is none

	heap *io.SectionReader
}

// A Signature is one that the table of contents describes. Nothing about it is
// verified here.
type Signature struct {
	Style        string   // "RSA"
	Value        []byte   // the signature itself
	Certificates [][]byte // X.509 in DER, the signer's first
}

// Read reads a package. What is none, or is damaged where it was read, is an
// error of kind Invalid.
func Read(r io.ReaderAt, size int64) (*File, error) {
	var head [headerSize]byte // magic, header size, version, packed, unpacked, algorithm
	if _, err := r.ReadAt(head[:], 0); err != nil || string(head[:4]) != "xar!" {
		return nil, invalid("offset 0: no xar archive")
	}
	be := binary.BigEndian
	header, packed, unpacked := int64(be.Uint16(head[4:])), be.Uint64(head[8:]), be.Uint64(head[16:])
	if version := be.Uint16(head[6:]); version != 1 || header < headerSize {
		return nil, invalid("offset 4: header: %d bytes of version %d, where version 1 has %d", header, version, headerSize)
	}
	if packed > maxPacked || int64(packed) > size-header {
		return nil, invalid("offset 8: header: a table of contents of %d bytes in a file of %d", packed, size)
	}
	if unpacked > maxTable {
		return nil, invalid("offset 16: header: a table of contents that unpacks to %d bytes", unpacked)
	}
	stored := make([]byte, packed)
	if _, err := r.ReadAt(stored, header); err != nil {
		return nil, invalid("offset %d: the table of contents is cut off", header)
	}
	f := &File{heap: io.NewSectionReader(r, header+int64(packed), size-header-int64(packed))}
	style, err := algorithm(r, header, be.Uint32(head[24:]))
	if err != nil {
		return nil, err
	}
	toc, err := table(stored, header, int64(unpacked))
	if err != nil {
		return nil, err
	}
	if err := f.checkTable(toc, style, stored); err != nil {
		return nil, err
	}
	if err := f.readMembers(toc); err != nil {
		return nil, err
	}
	if err := f.readSignatures(toc); err != nil {
		return nil, err
	}
	return f, f.readFacts()
}

// algorithm is the style of the table's checksum by the header: a number, or for
// some writers 3 and a name behind the 28 bytes.
func algorithm(r io.ReaderAt, header int64, number uint32) (string, error) {
	switch number {
	case 0:
		return "none", nil
	case 1:
		return "sha1", nil
	case 2:
		return "md5", nil
	case 3:
		if header == headerSize {
			return "sha256", nil
		}
		name := make([]byte, min(header-headerSize, 36))
		if _, err := r.ReadAt(name, headerSize); err != nil {
			return "", invalid("offset %d: the header is cut off", headerSize)
		}
		name, _, _ = bytes.Cut(name, []byte{0})
		return string(name), nil
	case 4:
		return "sha512", nil
	}
	return "", invalid("offset 24: header: checksum algorithm %d", number)
}

// hashOf is the digest algorithm of a checksum's style, 0 for "none".
func hashOf(style string) (crypto.Hash, bool) {
	switch strings.ToLower(style) {
	case "none", "":
		return 0, true
	case "md5":
		return crypto.MD5, true
	case "sha1":
		return crypto.SHA1, true
	case "sha256":
		return crypto.SHA256, true
	case "sha512":
		return crypto.SHA512, true
	}
	return 0, false
}

// table unpacks the table of contents and gives its toc element.
func table(stored []byte, at, unpacked int64) (*element, error) {
	z, err := zlib.NewReader(bytes.NewReader(stored))
	if err != nil {
		return nil, invalid("offset %d: table of contents: %w", at, err)
	}
	text, err := io.ReadAll(io.LimitReader(z, unpacked+1))
	if err != nil {
		return nil, invalid("offset %d: table of contents: %w", at, err)
	}
	if int64(len(text)) != unpacked {
		return nil, invalid("offset %d: table of contents: it does not unpack to the %d bytes that the header states", at, unpacked)
	}
	root, err := parse(text, "table of contents")
	if err != nil {
		return nil, err
	}
	if root.name != "xar" {
		return nil, root.fail("a %q, not a xar", root.name)
	}
	return root.only("toc")
}

// checkTable compares the table's checksum with the one in the heap.
func (f *File) checkTable(toc *element, style string, stored []byte) error {
	hash, known := hashOf(style)
	if !known {
		return invalid("offset 24: header: checksum algorithm %.20q", style)
	}
	if hash == 0 {
		return nil
	}
	sum, err := toc.only("checksum")
	if err != nil {
		return err
	}
	if own, known := hashOf(sum.attr("style")); !known || own != hash {
		return sum.fail("of style %.20q, where the header says %q", sum.attr("style"), style)
	}
	stated, err := f.part(sum, int64(hash.Size()))
	if err != nil {
		return err
	}
	h := hash.New()
	h.Write(stored)
	f.Hash, f.Digest = hash, h.Sum(nil)
	if !bytes.Equal(stated, f.Digest) {
		return sum.fail("the table of contents was altered: its %s is %x, the heap states %x", style, f.Digest, stated)
	}
	return nil
}

// part reads the bytes of the heap at an element's offset and size.
func (f *File) part(e *element, limit int64) ([]byte, error) {
	offset, err := e.number("offset")
	if err != nil {
		return nil, err
	}
	size, err := e.number("size")
	if err != nil {
		return nil, err
	}
	if size > limit || offset > f.heap.Size()-size {
		return nil, e.fail("%d bytes at %d of a heap of %d", size, offset, f.heap.Size())
	}
	data := make([]byte, size)
	if _, err := f.heap.ReadAt(data, offset); err != nil {
		return nil, e.fail("%w", err)
	}
	return data, nil
}

func (f *File) readSignatures(toc *element) error {
	if toc.has("signature") {
		e, err := toc.only("signature")
		if err != nil {
			return err
		}
		s := &Signature{Style: printable(e.attr("style"))}
		if s.Value, err = f.part(e, maxSignature); err != nil {
			return err
		}
		if s.Certificates, err = certificates(e); err != nil {
			return err
		}
		f.Signature = s
	}
	if toc.has("x-signature") {
		e, err := toc.only("x-signature")
		if err != nil {
			return err
		}
		if style := e.attr("style"); style != "CMS" {
			return e.fail("of style %.20q, not CMS", style)
		}
		if f.CMS, err = f.part(e, maxSignature); err != nil {
			return err
		}
	}
	if f.Hash == 0 && (f.Signature != nil || f.CMS != nil) {
		return toc.fail("signed, but without a checksum that the signature could be of")
	}
	return nil
}

// certificates are those of a signature's KeyInfo.
func certificates(e *element) ([][]byte, error) {
	info, err := e.only("KeyInfo")
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for _, data := range info.all("X509Data") {
		for _, c := range data.all("X509Certificate") {
			der, err := base64Of(c.text)
			if err != nil || len(out) == 16 {
				return nil, c.fail("malformed, or one too many")
			}
			out = append(out, der)
		}
	}
	if len(out) == 0 {
		return nil, info.fail("no certificate")
	}
	return out, nil
}

// printable drops control characters: all text is a stranger's.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return -1
		}
		return r
	}, s)
}

// errShort ends what unpacks to more or less than it should.
var errShort = errors.New("it has not as many bytes as the table of contents states")

func invalid(format string, args ...any) error {
	return &fleet.Error{Op: "xar.read", Kind: fleet.Invalid, Err: fmt.Errorf(format, args...)}
}
