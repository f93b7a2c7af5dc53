package signing

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net/http"

	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/authenticode"
	"github.com/packmill/packmill/internal/format/msi"
	"github.com/packmill/packmill/internal/format/pe"
	"github.com/packmill/packmill/internal/format/sip"
	"github.com/packmill/packmill/internal/transport"
)

// A CodeKind is a kind of Windows file that carries a code signature.
type CodeKind string

// The kinds. The first three are signed as well, all are verified.
const (
	CodePE      CodeKind = "pe"      // programs and libraries
	CodeMSI     CodeKind = "msi"     // and other OLE packages of Windows Installer
	CodeScript  CodeKind = "ps1"     // PowerShell: .ps1, .psm1, .psd1
	CodeApp     CodeKind = "msix"    // MSIX and AppX packages and bundles
	CodeCabinet CodeKind = "cab"     // cabinets
	CodeCatalog CodeKind = "catalog" // security catalogs
)

// VerifyCode judges the code signatures of a file. A file that is not of the
// kind is an error of kind Invalid; what is wrong with a signature is in the
// report.
func VerifyCode(kind CodeKind, r io.ReaderAt, size int64, o authenticode.Options) (authenticode.Report, error) {
	var none authenticode.Report
	switch kind {
	case CodePE:
		f, err := pe.Read(r, size)
		if err != nil {
			return none, err
		}
		return authenticode.Verify(f.Signature, authenticode.Sum(f.Digest), o)
	case CodeMSI:
		f, err := msi.Read(r, size)
		if err != nil {
			return none, err
		}
		return authenticode.Verify(f.Signature, authenticode.Sum(f.Digest), o)
	case CodeScript:
		f, err := sip.ReadScript(r, size)
		if err != nil {
			return none, err
		}
		return authenticode.Verify(f.Signature, authenticode.Sum(f.Digest), o)
	case CodeApp:
		f, err := sip.ReadApp(r, size)
		if err != nil {
			return none, err
		}
		return authenticode.Verify(f.Signature, f.Digest, o)
	case CodeCabinet:
		f, err := sip.ReadCabinet(r, size)
		if err != nil {
			return none, err
		}
		return authenticode.Verify(f.Signature, authenticode.Sum(f.Digest), o)
	case CodeCatalog:
		return verifyCatalog(r, size, o)
	default:
		return none, fleet.Errorf(fleet.Invalid, "signing.verify", "", "%q is no kind of signed file", kind)
	}
}

const maxCatalog = 4 << 20

func verifyCatalog(r io.ReaderAt, size int64, o authenticode.Options) (authenticode.Report, error) {
	if size > maxCatalog {
		return authenticode.Report{}, fleet.Errorf(fleet.Invalid, "signing.verify", "", "the catalog has %d bytes", size)
	}
	der := make([]byte, size)
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, size), der); err != nil {
		return authenticode.Report{}, err
	}
	return authenticode.VerifyCatalog(der, o), nil
}

// A CodeSigner is whose code signature files get. Its String tells nothing of
// the key.
type CodeSigner struct {
	Key         crypto.Signer       // a key file's, or that of a key service
	Chain       []*x509.Certificate // the signer's certificate first, roots left out or not
	Name        string              // of what is signed, which Windows shows when it asks; may be empty
	Timestamper Timestamper         // nil: the signature ends with its certificate
}

// A Timestamper gives the RFC 3161 token over a digest.
type Timestamper interface {
	Timestamp(ctx context.Context, digest []byte, hash crypto.Hash) (token []byte, err error)
}

// String names the signer.
func (s CodeSigner) String() string {
	if len(s.Chain) == 0 {
		return "nobody"
	}
	return s.Chain[0].Subject.String()
}

// GoString is String.
func (s CodeSigner) GoString() string { return s.String() }

// SignCode writes a program, an MSI or a PowerShell script to out with a code
// signature over SHA-256. Without a timestamp the same file, key and
// certificates give the same bytes. A file that carries a signature is refused:
// what somebody else signed is not ours to sign, and what we signed once is
// built again, not signed again.
func SignCode(ctx context.Context, kind CodeKind, in io.ReaderAt, size int64, out io.Writer, s CodeSigner) error {
	file, err := openForSigning(kind, in, size)
	if err != nil {
		return err
	}
	if file.signed {
		return &fleet.Error{Op: "signing.sign", Kind: fleet.Refused, Err: errors.New("the file carries a code signature already"), Hint: "sign what is built, before anything else does"}
	}
	hash := crypto.SHA256
	digest := hash.New()
	if err := file.digest(digest); err != nil {
		return err
	}
	draft, err := authenticode.NewDraft(file.form, hash, digest.Sum(nil), s.Chain, s.Name)
	if err != nil {
		return err
	}
	der, err := s.seal(ctx, draft)
	if err != nil {
		return err
	}
	return file.write(out, der)
}

// seal has the key sign, and the authority countersign.
func (s CodeSigner) seal(ctx context.Context, draft *authenticode.Draft) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	digest, hash := draft.ToSign()
	// Without randomness ECDSA derives its nonce (RFC 6979), and RSA has none.
	signature, err := s.Key.Sign(nil, digest, hash)
	if err != nil {
		return nil, fleet.Errorf(fleet.Refused, "signing.sign", s.String(), "the key did not sign: %w", err)
	}
	if s.Timestamper == nil {
		return draft.Seal(signature, nil)
	}
	sum := hash.New()
	sum.Write(signature)
	token, err := s.Timestamper.Timestamp(ctx, sum.Sum(nil), hash)
	if err != nil {
		return nil, err
	}
	return draft.Seal(signature, token)
}

// LoadCodeSigner reads a private key in PEM (PKCS #8, PKCS #1 or SEC 1, or
// encrypted with the password as cosign does it), which others may not read,
// and a chain of certificates in PEM that begins with the key's.
func LoadCodeSigner(keyFile, chainFile string, password []byte) (CodeSigner, error) {
	data, err := readPrivate(keyFile, "")
	if err != nil {
		return CodeSigner{}, err
	}
	pass := cryptoutils.SkipPassword
	if len(password) > 0 {
		pass = cryptoutils.StaticPasswordFunc(password)
	}
	private, err := cryptoutils.UnmarshalPEMToPrivateKey(data, pass)
	key, ok := private.(crypto.Signer)
	if err != nil || !ok {
		return CodeSigner{}, fleet.Errorf(fleet.Invalid, "signing.load", keyFile, "no private key in PEM, or the password is wrong")
	}
	text, err := readCapped(chainFile)
	if err != nil {
		return CodeSigner{}, err
	}
	chain, err := ParseChain(text)
	if err != nil {
		return CodeSigner{}, fleet.Errorf(fleet.Invalid, "signing.load", chainFile, "%w", err)
	}
	type comparable interface{ Equal(crypto.PublicKey) bool }
	if public, ok := key.Public().(comparable); !ok || !public.Equal(chain[0].PublicKey) {
		return CodeSigner{}, fleet.Errorf(fleet.Invalid, "signing.load", chainFile, "the first certificate, of %s, is not that of the key in %s", chain[0].Subject, keyFile)
	}
	return CodeSigner{Key: key, Chain: chain}, nil
}

// ParseChain reads certificates in PEM, one at least.
func ParseChain(text []byte) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for len(text) > 0 {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		chain = append(chain, cert)
	}
	if len(chain) == 0 {
		return nil, errors.New("no certificate in PEM")
	}
	return chain, nil
}

// A TimestampAuthority is a Timestamper that asks one over HTTP, RFC 3161
// section 3.4.
type TimestampAuthority struct {
	Client *transport.Client
	URL    string
	Random io.Reader // of the nonce
}

const maxTimestamp = 1 << 20 // bytes of an authority's answer

// Timestamp asks for a token. An answer that is no token over the digest is an
// error of kind Invalid or Refused.
func (a TimestampAuthority) Timestamp(ctx context.Context, digest []byte, hash crypto.Hash) ([]byte, error) {
	var random [8]byte
	if _, err := io.ReadFull(a.Random, random[:]); err != nil {
		return nil, err
	}
	nonce := new(big.Int).SetBytes(random[:])
	query, err := authenticode.TimestampRequest(digest, hash, nonce)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequest(http.MethodPost, a.URL, bytes.NewReader(query))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/timestamp-query")
	req.Header.Set("Accept", "application/timestamp-reply")
	// To ask twice gives another token over the same digest, which harms nobody.
	resp, err := a.Client.Limit(maxTimestamp).Do(transport.Repeatable(ctx), req)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	return authenticode.TimestampToken(answer, digest, hash, nonce)
}
