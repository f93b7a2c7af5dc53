package intune

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/intunewin"
)

// content is an opened file of an artifact, whose bytes were found to be the
// artifact's.
type content struct {
	name      string             // of the content file at the service
	body      *intunewin.Content // nil for an app without content
	container *intunewin.File    // of a Win32 app
	close     func()
}

// open reads the app's content through once: size and digest must be those that
// were approved, and what is encrypted must be whole. Content that cannot be
// read at random is kept in a temporary file meanwhile.
func (c *Client) open(app fleet.App, k kind, source fleet.Content) (*content, error) {
	if source == nil || !app.File.Digest.Valid() || app.File.Size <= 0 {
		return nil, invalid(app, "the artifact's file has no digest, size or content")
	}
	r, err := source()
	if err != nil {
		return nil, err
	}
	at, random := r.(io.ReaderAt)
	cleanup := func() { r.Close() }
	sum := sha256.New()
	// One byte more than stated shows a file that is longer.
	limited := io.LimitReader(r, app.File.Size+1)
	var n int64
	if random {
		n, err = io.Copy(sum, limited)
	} else {
		var tmp *os.File
		if tmp, err = os.CreateTemp(c.tempDir, "packmill-*.content"); err != nil {
			r.Close()
			return nil, err
		}
		cleanup = func() { r.Close(); tmp.Close(); os.Remove(tmp.Name()) }
		at = tmp
		n, err = io.Copy(io.MultiWriter(sum, tmp), limited)
	}
	if err != nil {
		cleanup()
		return nil, err
	}
	if got := fleet.Digest("sha256:" + hex.EncodeToString(sum.Sum(nil))); n != app.File.Size || got != app.File.Digest {
		cleanup()
		return nil, altered(app, "the content is not the artifact's: %d bytes with digest %s, expected %d with %s", n, got, app.File.Size, app.File.Digest)
	}
	out, err := decoded(app, k, at, n)
	if err != nil {
		cleanup()
		return nil, err
	}
	out.close = cleanup
	return out, nil
}

// decoded reads the content as its kind has it: a Win32 app's container, which
// says itself how it is encrypted, or a macOS package encrypted as it is.
func decoded(app fleet.App, k kind, r io.ReaderAt, size int64) (*content, error) {
	switch k {
	case kindStore:
		return &content{}, nil
	case kindWin32:
		f, err := intunewin.Read(r, size)
		if err != nil {
			return nil, err
		}
		return &content{name: contentName, body: &f.Content, container: f}, nil
	}
	info, err := intunewin.ParseContentInfo(app.ContentInfo)
	if err != nil {
		return nil, err
	}
	body, err := intunewin.ReadContent(r, size, info)
	if err != nil {
		return nil, err
	}
	return &content{name: info.Name, body: body}, nil
}

func altered(app fleet.App, format string, args ...any) error {
	e := fleet.Errorf(fleet.Refused, "intune.publish", string(app.Package), format, args...)
	e.Hint = "the artifact in the store was altered: build it again and compare"
	return e
}
