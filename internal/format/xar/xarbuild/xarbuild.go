// Package xarbuild writes small xar archives: what tests of its reader read, and
// what simulated vendors ship. Equal input gives equal bytes.
//
// It writes no bill of materials and no Payload of its own, so what it makes is
// read like an installer package and installs nothing.
package xarbuild

import (
	"bytes"
	"compress/zlib"
	"crypto"
	_ "crypto/sha1" // checksums
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"fmt"
	"path"
	"strings"
)

// A File is one file of an archive; folders follow from its path.
type File struct {
	Path  string
	Data  []byte
	Plain bool // stored as it is, not compressed
}

// An Archive is what is written.
type Archive struct {
	Files []File
	Hash  crypto.Hash // of all checksums: SHA1, SHA256 or SHA512

	// Sign makes the signature of style RSA over the digest of the table of
	// contents, as long as SignSize; nil for none.
	Sign         func(digest []byte) ([]byte, error)
	SignSize     int
	Certificates [][]byte // in DER, beside the signature

	// CMS makes the SignedData over that digest, at most CMSSize bytes long.
	CMS     func(digest []byte) ([]byte, error)
	CMSSize int

	// Edit changes the table of contents before it is compressed; nil for none.
	Edit func(toc string) string
}

// Bytes writes the archive.
func (a Archive) Bytes() ([]byte, error) {
	style := strings.ToLower(strings.ReplaceAll(a.Hash.String(), "-", ""))
	heap := make([]byte, a.Hash.Size())
	var toc strings.Builder
	fmt.Fprintf(&toc, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<xar><toc><creation-time>2026-11-18T06:00:00</creation-time>"+
		"<checksum style=%q><offset>0</offset><size>%d</size></checksum>", style, a.Hash.Size())
	signAt := len(heap)
	if a.Sign != nil {
		heap = append(heap, make([]byte, a.SignSize)...)
		a.signature(&toc, "signature", "RSA", signAt, a.SignSize)
	}
	cmsAt := len(heap)
	if a.CMS != nil {
		heap = append(heap, make([]byte, a.CMSSize)...)
		a.signature(&toc, "x-signature", "CMS", cmsAt, a.CMSSize)
	}
	open := ""
	for i, f := range a.Files {
		dir := path.Dir(f.Path)
		open = folders(&toc, open, strings.TrimPrefix(dir, "."))
		stored, encoding := f.Data, "application/octet-stream"
		if !f.Plain {
			stored, encoding = packed(f.Data), "application/x-gzip"
		}
		fmt.Fprintf(&toc, "<file id=\"%d\"><name>%s</name><type>file</type><data>"+
			"<archived-checksum style=%q>%x</archived-checksum><extracted-checksum style=%[3]q>%[5]x</extracted-checksum>"+
			"<encoding style=%[6]q/><size>%[7]d</size><offset>%[8]d</offset><length>%[9]d</length></data></file>",
			i+1, escaped(path.Base(f.Path)), style, sum(a.Hash, stored), sum(a.Hash, f.Data), encoding, len(f.Data), len(heap), len(stored))
		heap = append(heap, stored...)
	}
	folders(&toc, open, "")
	toc.WriteString("</toc></xar>\n")
	text := toc.String()
	if a.Edit != nil {
		text = a.Edit(text)
	}
	table := packed([]byte(text))
	digest := sum(a.Hash, table)
	copy(heap, digest)
	if err := place(heap[signAt:], a.Sign, digest, a.SignSize); err != nil {
		return nil, err
	}
	if err := place(heap[cmsAt:], a.CMS, digest, a.CMSSize); err != nil {
		return nil, err
	}
	number := map[crypto.Hash]uint32{crypto.SHA1: 1, crypto.SHA256: 3, crypto.SHA512: 4}[a.Hash]
	be := binary.BigEndian
	out := be.AppendUint16(be.AppendUint16([]byte("xar!"), 28), 1)
	out = be.AppendUint64(be.AppendUint64(out, uint64(len(table))), uint64(len(text)))
	return append(append(be.AppendUint32(out, number), table...), heap...), nil
}

// place writes a signature into the room that was left for it.
func place(room []byte, sign func([]byte) ([]byte, error), digest []byte, size int) error {
	if sign == nil {
		return nil
	}
	value, err := sign(digest)
	if err != nil {
		return err
	}
	if len(value) > size {
		return fmt.Errorf("a signature of %d bytes in the room of %d", len(value), size)
	}
	copy(room, value)
	return nil
}

func (a Archive) signature(toc *strings.Builder, element, style string, at, size int) {
	fmt.Fprintf(toc, "<%s style=%q><offset>%d</offset><size>%d</size><KeyInfo xmlns=\"http://www.w3.org/2000/09/xmldsig#\"><X509Data>", element, style, at, size)
	for _, der := range a.Certificates {
		fmt.Fprintf(toc, "<X509Certificate>%s</X509Certificate>", base64.StdEncoding.EncodeToString(der))
	}
	fmt.Fprintf(toc, "</X509Data></KeyInfo></%s>", element)
}

// folders closes the folder that is open and opens another, "" for none.
func folders(toc *strings.Builder, open, want string) string {
	if open == want {
		return open
	}
	if open != "" {
		toc.WriteString(strings.Repeat("</file>", 1+strings.Count(open, "/")))
	}
	if want != "" {
		for name := range strings.SplitSeq(want, "/") {
			fmt.Fprintf(toc, "<file><name>%s</name><type>directory</type>", escaped(name))
		}
	}
	return want
}

func packed(data []byte) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = w.Write(data) // a bytes.Buffer never fails
	_ = w.Close()
	return b.Bytes()
}

func sum(hash crypto.Hash, data []byte) []byte {
	h := hash.New()
	h.Write(data)
	return h.Sum(nil)
}

func escaped(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a strings.Builder never fails
	return b.String()
}
