package upstream

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// expected is what is known about bytes before they are read.
type expected struct {
	size   int64        // 0: unknown
	digest fleet.Digest // "": unknown
	sha512 []byte       // nil: unknown
}

// integrity reads Subresource Integrity metadata (w3.org/TR/SRI) as npm states
// it; a registry that states nothing we can check is refused.
func (e *expected) integrity(text string) error {
	for field := range strings.FieldsSeq(text) {
		field, _, _ = strings.Cut(field, "?")
		if encoded, ok := strings.CutPrefix(field, "sha512-"); ok {
			sum, err := base64.StdEncoding.DecodeString(encoded)
			if err == nil && len(sum) == sha512.Size {
				e.sha512 = sum
				return nil
			}
		}
	}
	return holdf(fleet.HoldNotAllowed, "the registry states no SHA-512 integrity (%q)", text)
}

// hex512 expects the digest in hexadecimal, as feeds state it.
func (e *expected) hex512(text string) error {
	sum, err := hex.DecodeString(text)
	if err != nil || len(sum) != sha512.Size {
		return fleet.Errorf(fleet.Invalid, "upstream.fetch", text, "is no SHA-512 in hexadecimal")
	}
	e.sha512 = sum
	return nil
}

// A Body is a download being read. Digest and Size are complete once Read has
// answered io.EOF.
type Body struct {
	body     io.ReadCloser
	transfer *transfer
	want     expected
	n        int64
	sum      hash.Hash
	long     hash.Hash // nil unless an integrity is expected
	err      error     // what every further Read answers
}

func newBody(t *transfer, resp *http.Response) *Body {
	b := &Body{body: resp.Body, transfer: t, want: t.want, sum: sha256.New()}
	if t.want.sha512 != nil {
		b.long = sha512.New()
	}
	return b
}

// Read reads on, and checks everything at the end.
func (b *Body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.body.Read(p)
	b.n += int64(n)
	b.sum.Write(p[:n])
	if b.long != nil {
		b.long.Write(p[:n])
	}
	switch {
	case err == nil:
	case errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		b.err = b.end()
	default:
		b.err = b.goOn(err)
	}
	return n, b.err
}

// goOn takes up a download that broke off with an error; that error, or what
// keeps it from being taken up, is given back.
func (b *Body) goOn(broke error) error {
	_ = b.body.Close() // what is wrong with it is known
	rest, err := b.transfer.rest(b.n, broke)
	if err != nil {
		return wrongSize(err, b.want)
	}
	b.body = rest
	return nil
}

// Close ends the download.
func (b *Body) Close() error { return b.body.Close() }

// Size is how many bytes were read.
func (b *Body) Size() int64 { return b.n }

// Digest is the digest of what was read.
func (b *Body) Digest() fleet.Digest {
	return fleet.Digest("sha256:" + hex.EncodeToString(b.sum.Sum(nil)))
}

// end turns the end of the stream into a verdict.
func (b *Body) end() error {
	whole := b.transfer.length
	switch {
	case b.want.size > 0 && b.n < b.want.size:
		return holdf(fleet.HoldTruncated, "the download ended after %d of %d bytes", b.n, b.want.size)
	case b.want.size > 0 && b.n > b.want.size:
		return holdf(fleet.HoldChangedHash, "more than the stated %d bytes came", b.want.size)
	case whole >= 0 && b.n != whole: // of an answer to Range, net/http does not know
		return holdf(fleet.HoldTruncated, "the download ended after %d bytes, of %d that the server told", b.n, whole)
	case b.want.digest != "" && b.Digest() != b.want.digest:
		return holdf(fleet.HoldChangedHash, "the bytes have digest %s, not %s as stated", b.Digest(), b.want.digest)
	case b.long != nil && string(b.long.Sum(nil)) != string(b.want.sha512):
		return holdf(fleet.HoldChangedHash, "the bytes do not match the SHA-512 that is stated of them")
	}
	return io.EOF
}

// wrongSize reads an answer past the cap as bytes that changed.
func wrongSize(err error, want expected) error {
	var large *transport.TooLargeError
	if errors.As(err, &large) && want.size > 0 {
		return holdf(fleet.HoldChangedHash, "more than the stated %d bytes came", want.size)
	}
	return err
}
