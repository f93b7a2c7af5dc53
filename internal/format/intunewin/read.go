package intunewin

import (
	"archive/zip"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
	"strings"
)

// A File is a container that was read and found whole.
type File struct {
	Name            string
	Description     string
	SetupFile       string
	ToolVersion     string
	UnencryptedSize int64 // bytes of the inner zip
	Encryption      EncryptionInfo
	MSI             *MSIInfo // nil when Detection.xml has none

	fileName string
	content  *io.SectionReader
	block    cipher.Block
	inner    *zip.Reader
}

// Caps on what a reader believes.
const (
	maxEntries   = 100_000  // files of the inner zip
	maxDirectory = 32 << 20 // bytes of directory that are read
)

// Read reads and verifies a container: its layout, the MAC before anything is
// decrypted, the padding, the size and digest of the plain zip, the names in it
// and that the setup file is there. It reads the content twice and holds none
// of it. What is no container is an error of kind Invalid, one that was altered
// of kind Refused. Errors name the field of Detection.xml that is wrong, where it
// is one.
func Read(r io.ReaderAt, size int64) (*File, error) {
	f, err := readOuter(r, size)
	if err != nil {
		return nil, err
	}
	if err := f.authenticate(); err != nil {
		return nil, err
	}
	if f.block, err = aes.NewCipher(f.Encryption.EncryptionKey); err != nil {
		return nil, err
	}
	if err := f.checkPlain(); err != nil {
		return nil, err
	}
	return f, f.readInner()
}

// Encrypted is the encrypted content: MAC, IV, ciphertext. It is what is
// uploaded.
func (f *File) Encrypted() *io.SectionReader {
	return io.NewSectionReader(f.content, 0, f.content.Size())
}

// Plain is the decrypted inner zip.
func (f *File) Plain() *io.SectionReader {
	return io.NewSectionReader(plainReader{f}, 0, f.UnencryptedSize)
}

// Inner is the setup folder.
func (f *File) Inner() *zip.Reader { return f.inner }

// readOuter finds the two entries of the outer zip.
func readOuter(r io.ReaderAt, size int64) (*File, error) {
	outer, err := openZip(r, size)
	if err != nil {
		return nil, invalid("no .intunewin container: %w", err)
	}
	var detection *zip.File
	byName := map[string]*zip.File{}
	for _, e := range outer.File {
		switch {
		case e.Method != zip.Store:
			return nil, invalid("%q is compressed; the service reads stored entries only", e.Name)
		case e.CompressedSize64 != e.UncompressedSize64:
			return nil, invalid("%q states two sizes", e.Name)
		case byName[e.Name] != nil:
			return nil, invalid("%q stands twice in the container", e.Name)
		}
		byName[e.Name] = e
		if e.Name == detectionPath {
			detection = e
		}
	}
	if detection == nil || detection.UncompressedSize64 > maxDetection {
		return nil, invalid("the container has no %s of at most %d bytes", detectionPath, maxDetection)
	}
	text, err := readEntry(detection)
	if err != nil {
		return nil, invalid("Detection.xml: %w", err)
	}
	f, err := parseDetection(text)
	if err != nil {
		return nil, err
	}
	if !safeName(f.fileName) || strings.Contains(f.fileName, "/") {
		return nil, invalid("Detection.xml: FileName %q is no file name", f.fileName)
	}
	content := byName["IntuneWinPackage/Contents/"+f.fileName]
	if content == nil || len(outer.File) != 2 {
		return nil, invalid("the container holds %d entries, not Detection.xml and its FileName %q alone", len(outer.File), f.fileName)
	}
	at, err := content.DataOffset()
	length := int64(content.UncompressedSize64)
	if err != nil || length < 0 || at > size-length {
		return nil, invalid("%q lies outside the container", content.Name)
	}
	f.content = io.NewSectionReader(r, at, length)
	return f, nil
}

// authenticate compares MAC and IV with those of Detection.xml and with the
// bytes.
func (f *File) authenticate() error {
	size := f.content.Size()
	if size < prefix+aes.BlockSize || (size-prefix)%aes.BlockSize != 0 || size != prefix+(f.UnencryptedSize/aes.BlockSize+1)*aes.BlockSize {
		return invalid("Detection.xml: UnencryptedContentSize %d does not fit the %d bytes of encrypted content", f.UnencryptedSize, size)
	}
	var head [prefix]byte
	if _, err := f.content.ReadAt(head[:], 0); err != nil {
		return readError(err)
	}
	stated, iv := head[:sha256.Size], head[sha256.Size:]
	if subtle.ConstantTimeCompare(stated, f.Encryption.Mac) != 1 {
		return refused("Detection.xml: Mac is not the one at offset 0 of the content")
	}
	if subtle.ConstantTimeCompare(iv, f.Encryption.InitializationVector) != 1 {
		return refused("Detection.xml: InitializationVector is not the one at offset %d of the content", sha256.Size)
	}
	mac := hmac.New(sha256.New, f.Encryption.MacKey)
	if _, err := io.Copy(mac, io.NewSectionReader(f.content, sha256.Size, size-sha256.Size)); err != nil {
		return readError(err)
	}
	if !hmac.Equal(mac.Sum(nil), stated) {
		return refused("Mac does not match: the content was altered, or Detection.xml: MacKey is another")
	}
	return nil
}

// checkPlain checks padding, size and digest of the decrypted bytes.
func (f *File) checkPlain() error {
	padded := f.content.Size() - prefix
	var last [aes.BlockSize]byte
	if _, err := (plainReader{f}).ReadAt(last[:], padded-aes.BlockSize); err != nil {
		return readError(err)
	}
	pad := int64(last[aes.BlockSize-1])
	if pad < 1 || pad > aes.BlockSize || !bytes.Equal(last[aes.BlockSize-pad:], bytes.Repeat([]byte{byte(pad)}, int(pad))) {
		return refused("Detection.xml: EncryptionKey is another: what it decrypts does not end in PKCS #7 padding")
	}
	if padded-pad != f.UnencryptedSize {
		return refused("Detection.xml: UnencryptedContentSize %d is not the %d bytes of the decrypted content", f.UnencryptedSize, padded-pad)
	}
	sum := sha256.New()
	if _, err := io.CopyBuffer(sum, onlyReader{f.Plain()}, make([]byte, blockSize)); err != nil {
		return readError(err)
	}
	if subtle.ConstantTimeCompare(sum.Sum(nil), f.Encryption.FileDigest) != 1 {
		return refused("Detection.xml: FileDigest is not that of the decrypted content")
	}
	return nil
}

// readInner opens the setup folder and checks its names.
func (f *File) readInner() error {
	inner, err := openZip(f.Plain(), f.UnencryptedSize)
	if err != nil {
		return invalid("the decrypted content is no zip: %w", err)
	}
	if len(inner.File) > maxEntries {
		return invalid("the setup folder has %d files, more than %d", len(inner.File), maxEntries)
	}
	setup := strings.ReplaceAll(f.SetupFile, `\`, "/")
	found := false
	seen := map[string]bool{}
	for _, e := range inner.File {
		name := strings.TrimSuffix(e.Name, "/")
		fold := strings.ToLower(name) // Windows does not tell cases apart
		if seen[fold] {
			return invalid("the setup folder holds %q twice", e.Name)
		}
		seen[fold] = true
		if !safeName(name) || e.Mode()&^0o777 != 0 && !e.Mode().IsDir() {
			return invalid("the setup folder holds %q, which is no plain file inside it", e.Name)
		}
		found = found || name == setup && !e.Mode().IsDir()
	}
	if !found {
		return invalid("Detection.xml: SetupFile %q is not in the setup folder", f.SetupFile)
	}
	f.inner = inner
	return nil
}

// plainReader decrypts on the way. CBC needs only the block before, so any
// place can be read.
type plainReader struct{ f *File }

// ReadAt reads decrypted bytes, padding included.
func (p plainReader) ReadAt(b []byte, off int64) (int, error) {
	padded := p.f.content.Size() - prefix
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
	if _, err := p.f.content.ReadAt(buf, sha256.Size+first); err != nil {
		return 0, err
	}
	text := buf[aes.BlockSize:]
	cipher.NewCBCDecrypter(p.f.block, buf[:aes.BlockSize]).CryptBlocks(text, text)
	return copy(b, text[skip:]), nil
}

// onlyReader hides WriteTo, whose small buffer would decrypt in small steps.
type onlyReader struct{ io.Reader }

func readEntry(e *zip.File) ([]byte, error) {
	r, err := e.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, maxDetection))
}

// readError tells a container that ends early from one that cannot be read.
func readError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return invalid("the container is truncated")
	}
	return err
}

// openZip reads a zip's directory, of which it believes maxDirectory bytes.
func openZip(r io.ReaderAt, size int64) (*zip.Reader, error) {
	b := &budget{r: r, left: maxDirectory}
	z, err := zip.NewReader(b, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, err
	}
	b.left = -1
	return z, nil
}

// budget lets a number of bytes pass, all when left is negative.
type budget struct {
	r    io.ReaderAt
	left int64
}

// ReadAt reads from the file below.
func (b *budget) ReadAt(p []byte, off int64) (int, error) {
	if b.left >= 0 {
		if int64(len(p)) > b.left {
			return 0, errors.New("directory too large")
		}
		b.left -= int64(len(p))
	}
	return b.r.ReadAt(p, off)
}
