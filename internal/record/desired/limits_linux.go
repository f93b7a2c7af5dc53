package desired

import (
	"fmt"
	"runtime/debug"
	"syscall"
)

// limitSelf bounds the address space and the CPU time of this process. The
// hard limit equals the soft one, so that the kernel kills at once.
func limitSelf(l Limits) error {
	debug.SetMemoryLimit(l.Memory * 3 / 4) // collect harder before the wall is hit
	for _, r := range []struct {
		which int
		value uint64
	}{
		{syscall.RLIMIT_AS, uint64(l.Memory)},
		{syscall.RLIMIT_CPU, uint64(max(1, l.CPU.Std().Seconds()))},
		{syscall.RLIMIT_CORE, 0},
		{syscall.RLIMIT_FSIZE, uint64(l.Output)},
	} {
		if err := syscall.Setrlimit(r.which, &syscall.Rlimit{Cur: r.value, Max: r.value}); err != nil {
			return fmt.Errorf("limit the evaluation: %w", err)
		}
	}
	return nil
}
