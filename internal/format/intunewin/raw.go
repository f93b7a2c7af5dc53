package intunewin

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/sha256"
	"encoding/json"
	"io"

	"github.com/packmill/packmill/internal/fleet"
)

// ContentVersion labels the bytes WriteContent gives for given input, like
// FormatVersion those of Write.
const ContentVersion = "packmill intune content v1"

// A ContentInfo is what has to be said to the service of content that is
// encrypted without a container around it: a macOS package. Its JSON is what
// packmill keeps beside the content; the encryption has the names of Graph's
// fileEncryptionInfo (version 1.0), byte values in base64.
type ContentInfo struct {
	Name          string         `json:"name"`          // file name of the plain content
	Size          int64          `json:"size"`          // bytes of the plain content
	SizeEncrypted int64          `json:"sizeEncrypted"` // bytes of the encrypted content
	Encryption    EncryptionInfo `json:"fileEncryptionInfo"`
}

// maxInfo is how many bytes of a ContentInfo's JSON are read.
const maxInfo = 64 << 10

// WriteContent encrypts one file to w from offset 0, as the service takes
// content of macOS apps: MAC, IV and ciphertext, without a zip inside or
// outside. The same file gives the same bytes under derived keys (keys nil).
func WriteContent(ctx context.Context, w io.WriterAt, e Entry, keys *Keys) (ContentInfo, error) {
	if !safeName(e.Name) {
		return ContentInfo{}, fleet.Errorf(fleet.Invalid, "intunewin.write", e.Name, "is no file name")
	}
	if keys == nil {
		derived, err := derive(ContentVersion, e.Name, []Entry{e})
		if err != nil {
			return ContentInfo{}, err
		}
		keys = &derived
	}
	in, err := e.Open()
	if err != nil {
		return ContentInfo{}, err
	}
	defer in.Close()
	seen := NewScanner()
	// One byte more than promised is read, to notice a longer file.
	sealed, err := seal(ctx, io.NewOffsetWriter(w, prefix), io.TeeReader(io.LimitReader(in, e.Size+1), sizeOnly{seen}), keys)
	if err != nil {
		return ContentInfo{}, err
	}
	if seen.size != e.Size || [32]byte(sealed.digest) != e.SHA256 {
		return ContentInfo{}, fleet.Errorf(fleet.Refused, "intunewin.write", e.Name, "changed while it was packed")
	}
	if _, err := w.WriteAt(append(bytes.Clone(sealed.mac), keys.IV[:]...), 0); err != nil {
		return ContentInfo{}, err
	}
	return ContentInfo{
		Name: e.Name, Size: e.Size, SizeEncrypted: prefix + (e.Size/aes.BlockSize+1)*aes.BlockSize,
		Encryption: encryptionOf(keys, sealed),
	}, nil
}

// sizeOnly counts without hashing a second time.
type sizeOnly struct{ *Scanner }

func (s sizeOnly) Write(p []byte) (int, error) {
	s.size += int64(len(p))
	return len(p), nil
}

// encryptionOf is how something was encrypted.
func encryptionOf(k *Keys, s sealed) EncryptionInfo {
	return EncryptionInfo{
		EncryptionKey: k.Encryption[:], MacKey: k.Mac[:], InitializationVector: k.IV[:],
		Mac: s.mac, ProfileIdentifier: profile, FileDigest: s.digest, FileDigestAlgorithm: digestAlgorithm,
	}
}

// JSON is the form in which a ContentInfo is kept: the same for the same info.
func (i ContentInfo) JSON() ([]byte, error) {
	data, err := json.MarshalIndent(i, "", "  ")
	return append(data, '\n'), err
}

// ParseContentInfo reads what JSON wrote, and checks every length that the
// format fixes. Errors name the field.
func ParseContentInfo(data []byte) (ContentInfo, error) {
	var i ContentInfo
	if len(data) > maxInfo {
		return i, invalid("the description of encrypted content has %d bytes, more than %d", len(data), maxInfo)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&i); err != nil {
		return i, invalid("no description of encrypted content: %w", err)
	}
	e := i.Encryption
	switch {
	case !safeName(i.Name):
		return i, invalid("name %q is no file name", i.Name)
	case i.Size < 0:
		return i, invalid("size %d is no size", i.Size)
	case e.ProfileIdentifier != profile:
		return i, invalid("profileIdentifier %q is not %q, the one there is", e.ProfileIdentifier, profile)
	case e.FileDigestAlgorithm != digestAlgorithm:
		return i, invalid("fileDigestAlgorithm %q is not %q, the one there is", e.FileDigestAlgorithm, digestAlgorithm)
	}
	for _, v := range []struct {
		name  string
		value []byte
		want  int
	}{
		{"encryptionKey", e.EncryptionKey, sha256.Size}, {"macKey", e.MacKey, sha256.Size}, {"initializationVector", e.InitializationVector, aes.BlockSize},
		{"mac", e.Mac, sha256.Size}, {"fileDigest", e.FileDigest, sha256.Size},
	} {
		if len(v.value) != v.want {
			return i, invalid("%s has %d bytes, not %d", v.name, len(v.value), v.want)
		}
	}
	return i, nil
}

// ReadContent reads and verifies encrypted content against its description: the
// MAC before anything is decrypted, padding, size and digest. What was altered
// is an error of kind Refused.
func ReadContent(r io.ReaderAt, size int64, info ContentInfo) (*Content, error) {
	if size != info.SizeEncrypted {
		return nil, refused("sizeEncrypted %d is not the %d bytes of the encrypted content", info.SizeEncrypted, size)
	}
	c := &Content{UnencryptedSize: info.Size, Encryption: info.Encryption, content: io.NewSectionReader(r, 0, size)}
	return c, c.check()
}
