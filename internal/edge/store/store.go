package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"

	"github.com/packmill/packmill/internal/fleet"
)

// Caps on what is held in memory of a store.
const (
	maxManifest  = 4 << 20
	maxBundle    = 8 << 20
	maxReferrers = 10_000
)

// A backend is where bytes live; an OCI layout and an oras-go repository are.
type backend interface {
	content.Storage
	// Resolve finds a manifest by its digest.
	Resolve(ctx context.Context, reference string) (ocispec.Descriptor, error)
	// Referrers lists the manifests whose subject is desc, of one artifact
	// type unless that is empty.
	Referrers(ctx context.Context, desc ocispec.Descriptor, artifactType string, fn func([]ocispec.Descriptor) error) error
}

// A Store keeps artifacts. It is safe for concurrent use, also by several
// processes on one layout.
type Store struct {
	backend backend
	where   string // for errors
}

// Where is the store's folder or repository, for people.
func (s *Store) Where() string { return s.where }

// Put stores the artifact and returns its manifest's digest. Putting it again
// changes nothing. Files whose bytes are not what their digest says are an error
// of kind Refused. The manifest is written last: what it names is then there.
func (s *Store) Put(ctx context.Context, a Artifact) (fleet.Digest, error) {
	data, sum, err := a.Encode()
	if err != nil {
		return "", err
	}
	for _, f := range a.Files {
		desc := ocispec.Descriptor{MediaType: f.MediaType, Digest: digest.Digest(f.Digest), Size: f.Size}
		r, err := f.Open()
		if err != nil {
			return "", s.fail("store.put", f.Name, err)
		}
		err = s.push(ctx, desc, r)
		if err = errors.Join(err, r.Close()); err != nil {
			return "", s.fail("store.put", f.Name, err)
		}
	}
	return sum, s.pushManifest(ctx, data)
}

// Attach stores data as a referrer of the subject, a manifest that is there
// already, and returns the referrer's digest.
func (s *Store) Attach(ctx context.Context, subject fleet.Digest, artifactType string, data []byte, annotations map[string]string) (fleet.Digest, error) {
	to, err := s.resolve(ctx, subject)
	if err != nil {
		return "", err
	}
	layer := ocispec.Descriptor{MediaType: artifactType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	if err := s.push(ctx, layer, bytes.NewReader(data)); err != nil {
		return "", s.fail("store.attach", string(subject), err)
	}
	manifest, sum, err := encode(ocispec.Manifest{
		ArtifactType: artifactType, Layers: []ocispec.Descriptor{layer}, Subject: &to, Annotations: maps.Clone(annotations),
	})
	if err != nil {
		return "", err
	}
	return sum, s.pushManifest(ctx, manifest)
}

// A Referrer is something said about an artifact.
type Referrer struct {
	Manifest     fleet.Digest
	ArtifactType string
	Annotations  map[string]string
	Data         []byte
}

// Referrers are what is attached to the subject, of one artifact type unless
// that is empty, in the order of their digests.
func (s *Store) Referrers(ctx context.Context, subject fleet.Digest, artifactType string) ([]Referrer, error) {
	to, err := s.resolve(ctx, subject)
	if err != nil {
		return nil, err
	}
	var found []ocispec.Descriptor
	err = s.backend.Referrers(ctx, to, artifactType, func(page []ocispec.Descriptor) error {
		found = append(found, page...)
		if len(found) > maxReferrers {
			return fmt.Errorf("more than %d referrers", maxReferrers)
		}
		return nil
	})
	if err != nil {
		return nil, s.fail("store.referrers", string(subject), err)
	}
	var out []Referrer
	for _, desc := range found {
		r, ok, err := s.referrer(ctx, to, desc)
		if err != nil {
			return nil, err
		}
		if ok && (artifactType == "" || r.ArtifactType == artifactType) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b Referrer) int { return strings.Compare(string(a.Manifest), string(b.Manifest)) })
	return out, nil
}

// referrer reads one; what other programs attached in another form is passed
// over.
func (s *Store) referrer(ctx context.Context, subject, desc ocispec.Descriptor) (Referrer, bool, error) {
	if desc.MediaType != ocispec.MediaTypeImageManifest {
		return Referrer{}, false, nil
	}
	data, err := s.bytes(ctx, desc, maxManifest)
	if err != nil {
		return Referrer{}, false, err
	}
	m, err := decodeOCI(data)
	if err != nil || len(m.Layers) != 1 || m.Subject == nil || m.Subject.Digest != subject.Digest {
		return Referrer{}, false, nil
	}
	body, err := s.bytes(ctx, m.Layers[0], maxBundle)
	return Referrer{fleet.Digest(desc.Digest), m.ArtifactType, m.Annotations, body}, err == nil, err
}

// Has reports whether the artifact with this manifest is there.
func (s *Store) Has(ctx context.Context, manifest fleet.Digest) (bool, error) {
	_, err := s.resolve(ctx, manifest)
	if errors.Is(err, errdef.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Manifest reads an artifact's manifest.
func (s *Store) Manifest(ctx context.Context, manifest fleet.Digest) (Manifest, error) {
	desc, err := s.resolve(ctx, manifest)
	if err != nil {
		return Manifest{}, err
	}
	data, err := s.bytes(ctx, desc, maxManifest)
	if err != nil {
		return Manifest{}, err
	}
	m, err := decode(data)
	if err != nil {
		return m, fleet.Errorf(fleet.Refused, "store.manifest", string(manifest), "%w", err)
	}
	return m, nil
}

// Open opens a file of an artifact. The bytes are compared with the digest
// while they are read: the last read of altered bytes is an error of kind
// Refused in place of io.EOF.
func (s *Store) Open(ctx context.Context, f fleet.BuiltFile) (io.ReadCloser, error) {
	return s.fetch(ctx, descriptor(f))
}

func descriptor(f fleet.BuiltFile) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: f.MediaType, Digest: digest.Digest(f.Digest), Size: f.Size}
}

func (s *Store) push(ctx context.Context, desc ocispec.Descriptor, r io.Reader) error {
	err := s.backend.Push(ctx, desc, r)
	switch {
	case errors.Is(err, errdef.ErrAlreadyExists):
		return nil
	case errors.Is(err, content.ErrMismatchedDigest), errors.Is(err, content.ErrTrailingData), errors.Is(err, content.ErrInvalidDescriptorSize),
		errors.Is(err, io.ErrUnexpectedEOF):
		return fleet.Errorf(fleet.Refused, "store.put", string(desc.Digest), "the bytes are not those of the digest: %w", err)
	}
	return err
}

func (s *Store) pushManifest(ctx context.Context, data []byte) error {
	if err := s.push(ctx, ocispec.DescriptorEmptyJSON, strings.NewReader("{}")); err != nil {
		return s.fail("store.put", "", err)
	}
	desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(data), Size: int64(len(data))}
	if err := s.push(ctx, desc, bytes.NewReader(data)); err != nil {
		return s.fail("store.put", string(desc.Digest), err)
	}
	return nil
}

func (s *Store) resolve(ctx context.Context, d fleet.Digest) (ocispec.Descriptor, error) {
	if !d.Valid() {
		return ocispec.Descriptor{}, fleet.Errorf(fleet.Invalid, "store.resolve", string(d), "is no digest")
	}
	desc, err := s.backend.Resolve(ctx, string(d))
	if err != nil {
		return desc, s.fail("store.resolve", string(d), err)
	}
	if fleet.Digest(desc.Digest) != d {
		return desc, fleet.Errorf(fleet.Refused, "store.resolve", string(d), "the store answers with %s", desc.Digest)
	}
	return ocispec.Descriptor{MediaType: desc.MediaType, Digest: desc.Digest, Size: desc.Size}, nil
}

func (s *Store) bytes(ctx context.Context, desc ocispec.Descriptor, limit int64) ([]byte, error) {
	if desc.Size > limit {
		return nil, fleet.Errorf(fleet.Refused, "store.read", string(desc.Digest), "has %d bytes, more than %d", desc.Size, limit)
	}
	r, err := s.fetch(ctx, desc)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}

func (s *Store) fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	if !fleet.Digest(desc.Digest).Valid() {
		return nil, fleet.Errorf(fleet.Invalid, "store.read", string(desc.Digest), "is no digest")
	}
	r, err := s.backend.Fetch(ctx, desc)
	if err != nil {
		return nil, s.fail("store.read", string(desc.Digest), err)
	}
	return &verified{ReadCloser: r, desc: desc, sum: desc.Digest.Verifier()}, nil
}

// verified compares what is read with a descriptor.
type verified struct {
	io.ReadCloser
	desc ocispec.Descriptor
	sum  digest.Verifier
	size int64
}

// Read reads on; altered bytes never end in io.EOF.
func (v *verified) Read(p []byte) (int, error) {
	n, err := v.ReadCloser.Read(p)
	v.size += int64(n)
	_, _ = v.sum.Write(p[:n]) // a hash takes everything
	if errors.Is(err, io.EOF) && (v.size != v.desc.Size || !v.sum.Verified()) || v.size > v.desc.Size || errors.Is(err, io.ErrUnexpectedEOF) {
		return n, fleet.Errorf(fleet.Refused, "store.read", string(v.desc.Digest), "the stored bytes were altered")
	}
	return n, err
}

// fail says what could not be done where; what has a kind keeps it.
func (s *Store) fail(op, object string, err error) error {
	var e *fleet.Error
	if errors.As(err, &e) {
		return err
	}
	if errors.Is(err, errdef.ErrNotFound) {
		return fleet.Errorf(fleet.Refused, op, object, "is not in the store %s: %w", s.where, err)
	}
	return fleet.Errorf(fleet.Internal, op, object, "%s: %w", s.where, err)
}
