package evidence

import (
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// A TestKey signs and verifies, for the tests outside the package that work on
// real repositories (gitrepo imports this package).
type TestKey interface {
	fleet.Signer
	fleet.Verifier
}

// NewTestKey makes a key.
func NewTestKey(t testing.TB) TestKey { return newKey(t) }
