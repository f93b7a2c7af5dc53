package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
)

// OpenLayout opens the OCI image layout in a folder, or makes one.
//
// Files appear under their final name only when they are whole and on disk, so
// that a killed process leaves nothing half-written. What the layout holds is
// told by the manifests that are marked in packmill/, one file for each, since
// files can be added without a lock; index.json, which other programs read, is
// made from them.
func OpenLayout(dir string) (*Store, error) {
	l := &layout{root: dir}
	for _, sub := range []string{"blobs/sha256", "ingest", "packmill/manifests", "packmill/referrers"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.FromSlash(sub)), 0o755); err != nil {
			return nil, err
		}
	}
	mark, err := json.Marshal(ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion})
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, ocispec.ImageLayoutFile)); errors.Is(err, fs.ErrNotExist) {
		if err := l.replace(ocispec.ImageLayoutFile, mark); err != nil {
			return nil, err
		}
	}
	// A process killed between a mark and the index left the index behind.
	if err := l.writeIndex(); err != nil {
		return nil, err
	}
	return &Store{backend: l, where: dir}, nil
}

// layout is a backend on disk.
type layout struct{ root string }

func (l *layout) blob(d digest.Digest) string {
	return filepath.Join(l.root, "blobs", "sha256", d.Encoded())
}

// Exists reports whether the bytes are there.
func (l *layout) Exists(_ context.Context, d ocispec.Descriptor) (bool, error) {
	if _, err := os.Stat(l.blob(d.Digest)); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	return true, nil
}

// Fetch opens the bytes; it is the Store that compares them with the digest.
func (l *layout) Fetch(_ context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	f, err := os.Open(l.blob(d.Digest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", d.Digest, errdef.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Push writes the bytes under their digest, over what may be there: a copy that
// went bad on disk is so repaired.
func (l *layout) Push(ctx context.Context, d ocispec.Descriptor, r io.Reader) error {
	var manifest []byte
	if d.MediaType == ocispec.MediaTypeImageManifest {
		data, err := content.ReadAll(r, d)
		if err != nil {
			return err
		}
		manifest, r = data, strings.NewReader(string(data))
	}
	v := content.NewVerifyReader(&contextReader{ctx, r}, d)
	err := l.write(l.blob(d.Digest), func(w io.Writer) error {
		if _, err := io.Copy(w, v); err != nil {
			return err
		}
		return v.Verify()
	})
	if err != nil || manifest == nil {
		return err
	}
	return l.mark(d, manifest)
}

// mark makes a manifest known.
func (l *layout) mark(d ocispec.Descriptor, data []byte) error {
	m, err := decodeOCI(data)
	if err != nil {
		return err
	}
	desc := ocispec.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size, ArtifactType: m.ArtifactType, Annotations: m.Annotations}
	text, err := json.Marshal(desc)
	if err != nil {
		return err
	}
	if m.Subject != nil {
		dir := filepath.Join("packmill", "referrers", m.Subject.Digest.Encoded())
		if err := os.MkdirAll(filepath.Join(l.root, dir), 0o755); err != nil {
			return err
		}
		if err := l.replace(filepath.Join(dir, d.Digest.Encoded()), text); err != nil {
			return err
		}
	}
	if err := l.replace(filepath.Join("packmill", "manifests", d.Digest.Encoded()), text); err != nil {
		return err
	}
	return l.writeIndex()
}

// Resolve finds a manifest by its digest.
func (l *layout) Resolve(_ context.Context, reference string) (ocispec.Descriptor, error) {
	return l.marked(filepath.Join(l.root, "packmill", "manifests", digest.Digest(reference).Encoded()))
}

func (l *layout) marked(path string) (ocispec.Descriptor, error) {
	var d ocispec.Descriptor
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return d, fmt.Errorf("sha256:%s: %w", filepath.Base(path), errdef.ErrNotFound)
	}
	if err != nil {
		return d, err
	}
	if err := json.Unmarshal(text, &d); err != nil || d.Digest.Encoded() != filepath.Base(path) {
		return d, fmt.Errorf("the layout's mark of %s is damaged", filepath.Base(path))
	}
	return d, nil
}

// Referrers lists manifests by their subject.
func (l *layout) Referrers(_ context.Context, subject ocispec.Descriptor, artifactType string, fn func([]ocispec.Descriptor) error) error {
	all, err := l.list(filepath.Join(l.root, "packmill", "referrers", subject.Digest.Encoded()))
	if err != nil {
		return err
	}
	if artifactType != "" {
		all = slices.DeleteFunc(all, func(d ocispec.Descriptor) bool { return d.ArtifactType != artifactType })
	}
	return fn(all)
}

// list reads the marks in a folder, in the order of digests.
func (l *layout) list(dir string) ([]ocispec.Descriptor, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := make([]ocispec.Descriptor, 0, len(entries))
	for _, e := range entries {
		d, err := l.marked(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

// writeIndex makes index.json from the marks. Of two processes that write at
// the same time the later one might miss the other's mark, so each looks again
// after it wrote.
func (l *layout) writeIndex() error {
	for range 100 {
		text, err := l.index()
		if err != nil {
			return err
		}
		if have, err := os.ReadFile(filepath.Join(l.root, ocispec.ImageIndexFile)); err == nil && string(have) == string(text) {
			return nil
		}
		if err := l.replace(ocispec.ImageIndexFile, text); err != nil {
			return err
		}
	}
	return errors.New("index.json keeps changing")
}

func (l *layout) index() ([]byte, error) {
	marks, err := l.list(filepath.Join(l.root, "packmill", "manifests"))
	if err != nil {
		return nil, err
	}
	return json.Marshal(ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageIndex,
		Manifests: marks,
	})
}

// replace writes a small file below the root in one step.
func (l *layout) replace(name string, data []byte) error {
	return l.write(filepath.Join(l.root, name), func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// write makes path hold what fill writes, or leaves it as it was.
func (l *layout) write(path string, fill func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Join(l.root, "ingest"), "part-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err := fill(f); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// contextReader ends when its context does.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
