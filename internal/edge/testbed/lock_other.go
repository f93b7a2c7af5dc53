//go:build !unix

package testbed

import (
	"context"

	"github.com/packmill/packmill/internal/fleet"
)

// lock is not there: local cells run on Linux.
func lock(context.Context, string) (func(), error) {
	return nil, fleet.Errorf(fleet.Waiting, "testbed.lock", "", "local cells run on Linux")
}

func tryLock(string) (func(), bool) { return nil, false }
