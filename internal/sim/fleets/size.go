// Package fleets makes whole fleets of a given size, with two weeks of their
// history, for measuring: in memory, or as a real git repository with evidence
// branches. The same size gives the same fleet; on disk only keys and
// signatures differ.
package fleets

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/packmill/packmill/internal/fleet"
)

// A Size is how large a fleet is.
type Size struct {
	Name     string
	Tenants  int // the first is the operator's own
	Packages int // every tenant takes all of them
	Devices  int // of all tenants together
}

// S is a small operator.
func S() Size { return Size{"S", 50, 30, 2_000} }

// M is a large operator.
func M() Size { return Size{"M", 500, 100, 50_000} }

// L is more than any operator we know of.
func L() Size { return Size{"L", 2_000, 300, 500_000} }

// Sizes are all there are, smallest first.
func Sizes() []Size { return []Size{S(), M(), L()} }

// SizeOf is the size with the given name.
func SizeOf(name string) (Size, error) {
	for _, s := range Sizes() {
		if s.Name == name {
			return s, nil
		}
	}
	return Size{}, fmt.Errorf("no size %q: S, M or L", name)
}

// The shape of a fleet: how many share a folder, how much of the catalog
// changes in a week, how many tenants one chunk of a rollout holds.
const (
	tenantsOfPartner    = 10
	packagesOfPublisher = 10
	changedPercent      = 15
	chunkTenants        = 8
)

// changed is how many packages have a new release in a week.
func (s Size) changed() int { return max(1, s.Packages*changedPercent/100) }

func (s Size) tenant(i int) fleet.TenantID {
	if i == 0 {
		return "own/office"
	}
	return fleet.TenantID(fmt.Sprintf("partner-%03d/tenant-%04d", i/tenantsOfPartner, i))
}

func (s Size) pkg(i int) fleet.PackageID {
	return fleet.PackageID(fmt.Sprintf("vendor-%02d/app-%03d", i/packagesOfPublisher, i))
}

// devicesOf is how many devices a tenant has: every tenth tenant has six times
// as many as the others, and the last takes what is left over.
func (s Size) devicesOf(i int) int {
	weight := func(i int) int {
		if i%10 == 5 {
			return 6
		}
		return 1
	}
	total := 0
	for n := range s.Tenants {
		total += weight(n)
	}
	n := s.Devices * weight(i) / total
	if i < s.Tenants-1 {
		return n
	}
	for j := range s.Tenants {
		n -= s.Devices * weight(j) / total
	}
	return n + s.Devices
}

// hash is some hex digits derived from what is counted.
func hash(digits int, parts ...any) string {
	sum := sha256.Sum256([]byte(fmt.Sprint(parts...)))
	return hex.EncodeToString(sum[:])[:digits]
}

// pick is one of a list, by what is counted.
func pick[T any](list []T, n int) T { return list[n%len(list)] }
