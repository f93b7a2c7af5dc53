package factory

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/packmill/packmill/internal/edge/upstream"
	"github.com/packmill/packmill/internal/factory/filefacts"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/sniff"
)

// A Sample is one file that somebody wants to know about. Close it.
type Sample struct {
	File *fleet.Inspection
	URL  string // where it was downloaded, "" for a file on this machine

	bytes saved
	kind  sniff.Kind
	dir   string // of a download, removed with it
}

// A Fetcher opens downloads, as upstream.Client does.
type Fetcher interface {
	Fetch(ctx context.Context, d fleet.Download, hosts []string) (*upstream.Body, error)
}

// SampleOptions say how a file is looked at.
type SampleOptions struct {
	Keys   string    // armored OpenPGP keys that may have signed it, "" for none
	At     time.Time // as of when code signatures are judged
	Hosts  []string  // that a download may be redirected to, beside its own
	Digest bool      // of a file on this machine: all of it is read then; a download's is known
}

// OpenSample reads a file on this machine: no more of it than is asked for.
func OpenSample(name string, o SampleOptions) (*Sample, error) {
	// Before it is opened: a pipe that nobody writes to would wait for ever.
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("is no file")
	} else if err == nil && info.Size() == 0 {
		err = errors.New("is empty")
	}
	var file *os.File
	if err == nil {
		file, err = os.Open(name)
	}
	if err != nil {
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return nil, &fleet.Error{Op: "factory.inspect", Object: name, Kind: fleet.Invalid, Err: err}
	}
	s := &Sample{bytes: saved{File: file, size: info.Size()}}
	if o.Digest {
		if s.bytes.digest, err = fleet.DigestOfReader(io.NewSectionReader(file, 0, info.Size())); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s.read(filepath.Base(name), o)
}

// FetchSample downloads a file from an https address.
func FetchSample(ctx context.Context, from Fetcher, address string, o SampleOptions) (*Sample, error) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return nil, fleet.Errorf(fleet.Invalid, "factory.inspect", address, "is no address of a file")
	}
	dir, err := os.MkdirTemp("", "packmill-inspect-")
	if err != nil {
		return nil, err
	}
	file, err := save(dir, "file", func(w io.Writer) error {
		body, err := from.Fetch(ctx, fleet.Download{URL: address}, append([]string{u.Hostname()}, o.Hosts...))
		if err != nil {
			return err
		}
		_, err = io.Copy(w, body)
		return errors.Join(err, body.Close())
	})
	if err != nil {
		return nil, errors.Join(unfetched(address, err), os.RemoveAll(dir))
	}
	s := &Sample{URL: address, bytes: file, dir: dir}
	return s.read(path.Base(u.Path), o)
}

// unfetched is the error of a download for a person who asked for it.
func unfetched(address string, err error) error {
	h, ok := upstream.HoldOf(err)
	if !ok {
		return err
	}
	e := fleet.Errorf(fleet.Invalid, "factory.inspect", address, "%s: %w", h.Name, err)
	if h.Name == fleet.HoldNotAllowed {
		e.Hint = "--host NAME lets the download be redirected to a host of the vendor's"
	}
	return e
}

// read reads what the file says of itself; a sample that cannot be read is closed.
func (s *Sample) read(name string, o SampleOptions) (_ *Sample, err error) {
	if s.kind, err = sniff.File(s.bytes.File, s.bytes.size); err == nil {
		s.File, err = filefacts.Read(s.bytes.File, s.bytes.size, name, s.bytes.digest, o.Keys, o.At)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close closes the file, and removes a download.
func (s *Sample) Close() error {
	err := s.bytes.Close()
	if s.dir != "" {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	return err
}
