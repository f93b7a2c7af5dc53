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

// OpenSample reads a file on this machine. Keys are armored OpenPGP keys that may
// have signed it, "" for none. Signatures are judged as of an instant.
func OpenSample(name, keys string, at time.Time) (*Sample, error) {
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
	return sampled(&Sample{bytes: saved{File: file, size: info.Size()}}, filepath.Base(name), keys, at)
}

// FetchSample downloads a file from an https address. It may be redirected to the
// given hosts beside its own, and no further.
func FetchSample(ctx context.Context, from Fetcher, address string, hosts []string, keys string, at time.Time) (*Sample, error) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return nil, fleet.Errorf(fleet.Invalid, "factory.inspect", address, "is no address of a file")
	}
	dir, err := os.MkdirTemp("", "packmill-inspect-")
	if err != nil {
		return nil, err
	}
	file, err := save(dir, "file", func(w io.Writer) error {
		body, err := from.Fetch(ctx, fleet.Download{URL: address}, append([]string{u.Hostname()}, hosts...))
		if err != nil {
			return err
		}
		_, err = io.Copy(w, body)
		return errors.Join(err, body.Close())
	})
	if err != nil {
		return nil, errors.Join(unfetched(address, err), os.RemoveAll(dir))
	}
	return sampled(&Sample{URL: address, bytes: file, dir: dir}, path.Base(u.Path), keys, at)
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

// sampled reads what the file says of itself.
func sampled(s *Sample, name, keys string, at time.Time) (*Sample, error) {
	var err error
	if s.bytes.digest == "" {
		s.bytes.digest, err = fleet.DigestOfReader(io.NewSectionReader(s.bytes.File, 0, s.bytes.size))
	}
	if err == nil {
		s.kind, err = sniff.File(s.bytes.File, s.bytes.size)
	}
	if err == nil {
		s.File, err = filefacts.Read(s.bytes.File, s.bytes.size, name, s.bytes.digest, keys, at)
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
