package intunewin

import (
	"archive/zip"
	"errors"
	"io"
	"strings"
)

// A File is a container that was read and found whole.
type File struct {
	Content     // of the inner zip
	Name        string
	Description string
	SetupFile   string
	ToolVersion string
	MSI         *MSIInfo // nil when Detection.xml has none

	fileName string
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
	if err := f.check(); err != nil {
		return nil, err
	}
	return f, f.readInner()
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

func readEntry(e *zip.File) ([]byte, error) {
	r, err := e.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, maxDetection))
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
