package desired

import (
	"errors"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// What a child says in its last words is told as the limit it died of.
func TestDied(t *testing.T) {
	exit := errors.New("exit status 2")
	for stderr, want := range map[string]string{
		"runtime: goroutine stack exceeds 1000000000-byte limit":               "nested too deeply",
		"fatal error: runtime: out of memory":                                  "more than 256 MiB of memory",
		"runtime: cannot allocate memory":                                      "more than 256 MiB of memory",
		"runtime/cgo: pthread_create failed: Resource temporarily unavailable": "more than 256 MiB of memory",
		"runtime: failed to create new OS thread (have 5 already; errno=11)":   "more than 256 MiB of memory",
	} {
		err := died("tenants/nordic/acme", false, false, exit, stderr, Limits{Memory: 256 << 20})
		if fleet.KindOf(err) != fleet.Invalid || !errors.Is(err, errLimit) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", stderr, err)
		}
	}
	if err := died("tenants/nordic/acme", false, false, exit, "panic: nil map", Limits{}); fleet.KindOf(err) != fleet.Internal {
		t.Errorf("a fault of our own is told as the author's: %v", err)
	}
}
