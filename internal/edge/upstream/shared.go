package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/packmill/packmill/internal/transport"
)

// shared does a piece of work once in a run, for everybody who needs it.
type shared[T any] struct {
	mu    sync.Mutex
	begun map[string]*work[T] // by what is worked on
}

// work is done by who asks first; everybody else waits for done.
type work[T any] struct {
	done  chan struct{}
	value T
	err   error
}

func (s *shared[T]) get(ctx context.Context, key string, do func() (T, error)) (T, error) {
	s.mu.Lock()
	w, asked := s.begun[key]
	if !asked {
		if s.begun == nil {
			s.begun = map[string]*work[T]{}
		}
		w = &work[T]{done: make(chan struct{})}
		s.begun[key] = w
	}
	s.mu.Unlock()
	if !asked {
		w.value, w.err = do()
		close(w.done)
	}
	select {
	case <-w.done:
		return w.value, w.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// slots bound how many requests are under way: to one host, so that nobody is
// asked too much at once, and in all, since each takes a connection. Who waits
// for a host takes no place of the whole, so that a host that is slow or does
// not answer delays nobody who asks others.
//
// A host that says it will take no more for longer than a run can wait is not
// asked again: every further request would be refused, and held against us.
type slots struct {
	mu    sync.Mutex
	hosts map[string]*host
	all   chan struct{}
}

type host struct {
	places  chan struct{}
	refused error // what it said, under slots.mu
}

func newSlots() *slots {
	return &slots{hosts: map[string]*host{}, all: make(chan struct{}, inAll)}
}

// of is the host of an address.
func (s *slots) of(address string) *host {
	name := address
	if u, err := url.Parse(address); err == nil {
		name = u.Host
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h, ok := s.hosts[name]
	if !ok {
		h = &host{places: make(chan struct{}, perHost)}
		s.hosts[name] = h
	}
	return h
}

// take waits for a place; give it back by release.
func (s *slots) take(ctx context.Context, address string) (release func(), err error) {
	h := s.of(address)
	select {
	case h.places <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s.mu.Lock()
	refused := h.refused
	s.mu.Unlock()
	if refused != nil {
		<-h.places
		return nil, refused
	}
	select {
	case s.all <- struct{}{}:
	case <-ctx.Done():
		<-h.places
		return nil, ctx.Err()
	}
	return func() { <-s.all; <-h.places }, nil
}

// refuse notes that an address's host wants no more requests.
func (s *slots) refuse(address string, err error) {
	var status *transport.StatusError
	if !errors.As(err, &status) || !status.RateLimited() || status.RetryAfter <= maxWait {
		return
	}
	h := s.of(address)
	s.mu.Lock()
	defer s.mu.Unlock()
	h.refused = fmt.Errorf("not asked, since an earlier request was refused: %w", err)
}

// packer holds bodies in little memory. All of them are held until the end of a
// run: other packages may need them, and Keep does.
type packer struct {
	in  *zstd.Encoder
	out *zstd.Decoder
}

func newPacker() packer {
	in, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(256<<10), zstd.WithEncoderConcurrency(2))
	if err == nil {
		var out *zstd.Decoder
		if out, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(maxMetadata)); err == nil {
			return packer{in: in, out: out}
		}
	}
	panic("upstream: zstd refuses fixed options: " + err.Error())
}

// pack clones what the encoder gives, which has room for the whole body.
func (p packer) pack(body []byte) []byte { return bytes.Clone(p.in.EncodeAll(body, nil)) }

func (p packer) unpack(packed []byte) ([]byte, error) { return p.out.DecodeAll(packed, nil) }
