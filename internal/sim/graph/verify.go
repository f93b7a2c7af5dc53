package graph

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"io"
	"os"
)

// encryption is Graph's fileEncryptionInfo.
type encryption struct {
	EncryptionKey        []byte `json:"encryptionKey"`
	MacKey               []byte `json:"macKey"`
	InitializationVector []byte `json:"initializationVector"`
	Mac                  []byte `json:"mac"`
	ProfileIdentifier    string `json:"profileIdentifier"`
	FileDigest           []byte `json:"fileDigest"`
	FileDigestAlgorithm  string `json:"fileDigestAlgorithm"`
}

// verify does what the service does before it takes content: it checks sizes
// and MAC, decrypts, and compares the digest of what comes out. It is written
// apart from package intunewin, so that a mistake there shows here.
func (t *tenant) verify(a *app, f *file, e *encryption) error {
	if e.ProfileIdentifier != "ProfileVersion1" || e.FileDigestAlgorithm != "SHA256" {
		return errors.New("profile or digest algorithm is not supported")
	}
	if len(e.MacKey) != 32 || len(e.Mac) != 32 || len(e.InitializationVector) != aes.BlockSize {
		return errors.New("a key, MAC or IV has the wrong length")
	}
	block, err := aes.NewCipher(e.EncryptionKey)
	if err != nil {
		return err
	}
	var readers []io.Reader
	for _, id := range f.Blocks {
		r, err := os.Open(t.blockPath(f.ID, id))
		if err != nil {
			return err
		}
		defer r.Close()
		readers = append(readers, r)
	}
	blob := io.MultiReader(readers...)
	head := make([]byte, sha256.Size+aes.BlockSize)
	if _, err := io.ReadFull(blob, head); err != nil {
		return errors.New("the blob is too short")
	}
	if !bytes.Equal(head[:sha256.Size], e.Mac) || !bytes.Equal(head[sha256.Size:], e.InitializationVector) {
		return errors.New("the blob does not start with MAC and IV")
	}
	// Devices unpack it, which takes a file to look about in.
	out, err := os.CreateTemp(t.blobDir(f.ID), "plain-")
	if err != nil {
		return err
	}
	defer func() { _ = errors.Join(out.Close(), os.Remove(out.Name())) }()
	mac, plain := hmac.New(sha256.New, e.MacKey), sha256.New()
	mac.Write(head[sha256.Size:])
	size, total, err := decrypt(io.MultiWriter(plain, out), io.TeeReader(blob, mac), cipher.NewCBCDecrypter(block, e.InitializationVector))
	switch {
	case err != nil:
		return err
	case !hmac.Equal(mac.Sum(nil), e.Mac):
		return errors.New("the MAC does not match")
	case !bytes.Equal(plain.Sum(nil), e.FileDigest):
		return errors.New("the digest does not match")
	case size != f.Size || total+int64(len(head)) != f.SizeEncrypted:
		return errors.New("the sizes do not match")
	}
	// What devices will find in it is theirs to judge: the service does not look.
	if a.kind().os == "macOS" {
		f.Payload = mounted(out, size)
		return nil
	}
	f.Folder, err = unpacked(out, size)
	return err
}

// decrypt writes the plain text of r to w, without its padding, and tells the
// sizes of both.
func decrypt(w io.Writer, r io.Reader, mode cipher.BlockMode) (plain, total int64, err error) {
	buf := make([]byte, 64<<10)
	var last []byte
	for {
		n, err := io.ReadFull(r, buf)
		if n%aes.BlockSize != 0 {
			return 0, 0, errors.New("the blob ends within a cipher block")
		}
		if n > 0 {
			if _, err := w.Write(last); err != nil {
				return 0, 0, err
			}
			plain += int64(len(last))
			mode.CryptBlocks(buf[:n], buf[:n])
			last = append(last[:0], buf[:n]...)
			total += int64(n)
		}
		if err != nil {
			break // io.EOF, or a last read that was short
		}
	}
	if len(last) == 0 {
		return 0, 0, errors.New("the blob has no content")
	}
	pad := int(last[len(last)-1])
	if pad < 1 || pad > aes.BlockSize {
		return 0, 0, errors.New("the padding is not valid")
	}
	last = last[:len(last)-pad]
	_, err = w.Write(last)
	return plain + int64(len(last)), total, err
}
