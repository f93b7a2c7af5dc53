package graph

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
)

// hash is what all of the world's chance comes from: the same names under the
// same seed give the same number.
func (s *Server) hash(parts ...string) [32]byte {
	h := sha256.New()
	fmt.Fprintf(h, "%d\n", s.o.Seed)
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return [32]byte(h.Sum(nil))
}

// chance is a number in [0, 1).
func (s *Server) chance(parts ...string) float64 {
	h := s.hash(parts...)
	return float64(binary.BigEndian.Uint64(h[:])>>11) / (1 << 53)
}

// upTo is a number in [0, n].
func (s *Server) upTo(n int, parts ...string) int {
	if n <= 0 {
		return 0
	}
	h := s.hash(parts...)
	return int(binary.BigEndian.Uint64(h[:]) % uint64(n+1))
}

// guid is an id of the form of a random UUID (RFC 9562, version 4).
func (s *Server) guid(parts ...string) string {
	h := s.hash(append([]string{"guid"}, parts...)...)
	h[6], h[8] = h[6]&0x0f|0x40, h[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

// next is the tenant's next new id.
func (t *tenant) next(kind string) string {
	t.counter++
	return t.s.guid(t.Directory, kind, strconv.Itoa(t.counter))
}
