package rollout

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// Eight bytes of two hashes never agree in a test. Here only two bits are
// left of them, so that nearly every device is tied at the bound.
func TestTiesAreBrokenByWholeHashes(t *testing.T) {
	r := ranking{tenant: "p/t", salt: "2026-W47"}
	for i := range 60 {
		r.devices = append(r.devices, fleet.InventoryRow{Device: fmt.Sprintf("%032x", i)})
	}
	r.first(1)
	hash := r.hasher()
	order := make([]int, len(r.devices))
	for i := range order {
		order[i] = i
		r.keys[i] >>= 62
		r.sorted[i] >>= 62
	}
	slices.SortFunc(order, func(a, b int) int {
		x, y := hash(a), hash(b)
		return cmp.Or(bytes.Compare(x[:], y[:]), cmp.Compare(a, b))
	})
	for n := range len(order) + 1 {
		first := r.first(n)
		for rank, i := range order {
			if first.has(i) != (rank < n) {
				t.Errorf("of the first %d, the device of rank %d: %v", n, rank, first.has(i))
			}
		}
	}
}
