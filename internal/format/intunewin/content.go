package intunewin

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
)

// A Content is encrypted content that was read and found whole.
type Content struct {
	UnencryptedSize int64 // bytes of the plain content
	Encryption      EncryptionInfo

	content *io.SectionReader
	block   cipher.Block
}

// Encrypted is the encrypted content: MAC, IV, ciphertext. It is what is
// uploaded.
func (c *Content) Encrypted() *io.SectionReader {
	return io.NewSectionReader(c.content, 0, c.content.Size())
}

// Plain is the decrypted content: the inner zip of a container, the installer
// itself of others.
func (c *Content) Plain() *io.SectionReader {
	return io.NewSectionReader(plainReader{c}, 0, c.UnencryptedSize)
}

// check checks the MAC before anything is decrypted, then what is decrypted. It
// reads the content twice.
func (c *Content) check() (err error) {
	if err := c.authenticate(); err != nil {
		return err
	}
	if c.block, err = aes.NewCipher(c.Encryption.EncryptionKey); err != nil {
		return err
	}
	return c.checkPlain()
}

// authenticate compares MAC and IV with those of Detection.xml and with the
// bytes.
func (c *Content) authenticate() error {
	size := c.content.Size()
	if size < prefix+aes.BlockSize || (size-prefix)%aes.BlockSize != 0 || size != prefix+(c.UnencryptedSize/aes.BlockSize+1)*aes.BlockSize {
		return invalid("UnencryptedContentSize %d does not fit the %d bytes of encrypted content", c.UnencryptedSize, size)
	}
	var head [prefix]byte
	if _, err := c.content.ReadAt(head[:], 0); err != nil {
		return readError(err)
	}
	stated, iv := head[:sha256.Size], head[sha256.Size:]
	if subtle.ConstantTimeCompare(stated, c.Encryption.Mac) != 1 {
		return refused("Mac is not the one at offset 0 of the content")
	}
	if subtle.ConstantTimeCompare(iv, c.Encryption.InitializationVector) != 1 {
		return refused("InitializationVector is not the one at offset %d of the content", sha256.Size)
	}
	mac := hmac.New(sha256.New, c.Encryption.MacKey)
	if _, err := io.Copy(mac, io.NewSectionReader(c.content, sha256.Size, size-sha256.Size)); err != nil {
		return readError(err)
	}
	if !hmac.Equal(mac.Sum(nil), stated) {
		return refused("Mac does not match: the content was altered, or MacKey is another")
	}
	return nil
}

// checkPlain checks padding, size and digest of the decrypted bytes.
func (c *Content) checkPlain() error {
	padded := c.content.Size() - prefix
	var last [aes.BlockSize]byte
	if _, err := (plainReader{c}).ReadAt(last[:], padded-aes.BlockSize); err != nil {
		return readError(err)
	}
	pad := int64(last[aes.BlockSize-1])
	if pad < 1 || pad > aes.BlockSize || !bytes.Equal(last[aes.BlockSize-pad:], bytes.Repeat([]byte{byte(pad)}, int(pad))) {
		return refused("EncryptionKey is another: what it decrypts does not end in PKCS #7 padding")
	}
	if padded-pad != c.UnencryptedSize {
		return refused("UnencryptedContentSize %d is not the %d bytes of the decrypted content", c.UnencryptedSize, padded-pad)
	}
	sum := sha256.New()
	if _, err := io.CopyBuffer(sum, onlyReader{c.Plain()}, make([]byte, blockSize)); err != nil {
		return readError(err)
	}
	if subtle.ConstantTimeCompare(sum.Sum(nil), c.Encryption.FileDigest) != 1 {
		return refused("FileDigest is not that of the decrypted content")
	}
	return nil
}

// plainReader decrypts on the way. CBC needs only the block before, so any
// place can be read.
type plainReader struct{ c *Content }

// ReadAt reads decrypted bytes, padding included.
func (p plainReader) ReadAt(b []byte, off int64) (int, error) {
	padded := p.c.content.Size() - prefix
	if off < 0 || off >= padded {
		return 0, io.EOF
	}
	want := int64(len(b))
	if want > padded-off {
		want = padded - off
	}
	done := int64(0)
	for done < want {
		n, err := p.chunk(b[done:want], off+done)
		done += int64(n)
		if err != nil {
			return int(done), err
		}
	}
	if want < int64(len(b)) {
		return int(want), io.EOF
	}
	return int(want), nil
}

// chunk decrypts the start of b, at most blockSize bytes.
func (p plainReader) chunk(b []byte, off int64) (int, error) {
	first := off / aes.BlockSize * aes.BlockSize
	skip := off - first
	blocks := (skip + int64(len(b)) + aes.BlockSize - 1) / aes.BlockSize
	blocks = min(blocks, blockSize/aes.BlockSize)
	// The block before the first one is its IV; before them all stands the IV.
	buf := make([]byte, (blocks+1)*aes.BlockSize)
	if _, err := p.c.content.ReadAt(buf, sha256.Size+first); err != nil {
		return 0, err
	}
	text := buf[aes.BlockSize:]
	cipher.NewCBCDecrypter(p.c.block, buf[:aes.BlockSize]).CryptBlocks(text, text)
	return copy(b, text[skip:]), nil
}

// onlyReader hides WriteTo, whose small buffer would decrypt in small steps.
type onlyReader struct{ io.Reader }

// readError tells a container that ends early from one that cannot be read.
func readError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return invalid("the container is truncated")
	}
	return err
}
