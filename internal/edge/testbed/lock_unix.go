//go:build unix

package testbed

import (
	"context"
	"os"
	"syscall"
	"time"
)

// lock takes a file's lock, waiting for whoever holds it. The kernel frees it
// when this process ends, however it ends.
func lock(ctx context.Context, name string) (unlock func(), err error) {
	for {
		unlock, free := tryLock(name)
		if free {
			return unlock, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// tryLock takes a file's lock if nobody holds it.
func tryLock(name string) (unlock func(), free bool) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, false
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, false
	}
	return func() { f.Close() }, true
}
