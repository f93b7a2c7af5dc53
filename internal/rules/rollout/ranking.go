package rollout

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/packmill/packmill/internal/fleet"
)

// A ranking orders devices by salted hash: the first n are the first n under
// every percentage, so that waves nest.
//
// Nobody needs the whole order, only who is among the first n. So the hashes'
// first eight bytes are compared, as integers, and whole hashes only where two
// devices agree in these.
type ranking struct {
	tenant  fleet.TenantID
	salt    string
	devices []fleet.InventoryRow
	keys    []uint64 // of each device; nil until they are needed
	sorted  []uint64
	// place is, for a device that a covering selection moved, the device whose
	// place in the order it has: the two changed places.
	place map[int]int
}

// A leading is a set of devices by rank: those with a key below the bound, and
// of those with exactly that key the ones listed.
type leading struct {
	of    *ranking
	keys  []uint64 // nil: all devices, or none
	all   bool
	bound uint64
	tied  map[int]bool
}

func (l *leading) has(i int) bool {
	if l.keys == nil {
		return l.all
	}
	i = l.of.placeOf(i)
	return l.keys[i] < l.bound || l.keys[i] == l.bound && l.tied[i]
}

// everyone reports whether all devices are in, or none.
func (l *leading) everyone() bool { return l.keys == nil }

// first are the n devices that come first.
func (r *ranking) first(n int) leading {
	if n <= 0 || n >= len(r.devices) {
		return leading{of: r, all: n > 0}
	}
	if r.keys == nil {
		r.keys = make([]uint64, len(r.devices))
		hash := r.hasher()
		for i := range r.keys {
			sum := hash(i)
			r.keys[i] = binary.BigEndian.Uint64(sum[:])
		}
		r.sorted = slices.Clone(r.keys)
		slices.Sort(r.sorted)
	}
	return r.cut(n)
}

// cut finds the bound below which n devices are, and who of those on it.
func (r *ranking) cut(n int) leading {
	l := leading{of: r, keys: r.keys, bound: r.sorted[n-1], tied: map[int]bool{}}
	below, _ := slices.BinarySearch(r.sorted, l.bound)
	var tied []int
	for i, key := range r.keys {
		if key == l.bound {
			tied = append(tied, i)
		}
	}
	hash := r.hasher()
	slices.SortStableFunc(tied, func(a, b int) int {
		x, y := hash(a), hash(b)
		return cmp.Or(bytes.Compare(x[:], y[:]), cmp.Compare(r.devices[a].Device, r.devices[b].Device))
	})
	for _, i := range tied[:n-below] {
		l.tied[i] = true
	}
	return l
}

// before compares two devices by rank, once the keys are known.
func (r *ranking) before(a, b int) int {
	a, b = r.placeOf(a), r.placeOf(b)
	if c := cmp.Compare(r.keys[a], r.keys[b]); c != 0 || a == b {
		return c
	}
	hash := r.hasher()
	x, y := hash(a), hash(b)
	return cmp.Or(bytes.Compare(x[:], y[:]), cmp.Compare(r.devices[a].Device, r.devices[b].Device))
}

func (r *ranking) placeOf(i int) int {
	if at, moved := r.place[i]; moved {
		return at
	}
	return i
}

// swap lets two devices change places.
func (r *ranking) swap(a, b int) {
	if r.place == nil {
		r.place = map[int]int{}
	}
	r.place[a], r.place[b] = r.placeOf(b), r.placeOf(a)
}

// hasher gives the salted hash of a device by its index.
func (r *ranking) hasher() func(i int) [sha256.Size]byte {
	buffer := []byte("wave/v1\x00" + r.salt + "\x00" + string(r.tenant) + "\x00")
	prefix := len(buffer)
	return func(i int) [sha256.Size]byte {
		buffer = append(buffer[:prefix], r.devices[i].Device...)
		return sha256.Sum256(buffer)
	}
}
