package desired

import (
	"fmt"
	"os"
	"runtime/debug"
	"syscall"
)

// limitSelf bounds memory, CPU time and written bytes of this process. Hard
// limits equal the soft ones, so that the kernel acts at once and nothing in
// the process can raise them.
//
// A Go program reserves far more address space than it uses, and how much
// depends on how it was linked. So the bound on address space is set above what
// is mapped now, and beside it one on writable memory (RLIMIT_DATA counts
// private writable mappings since Linux 4.7).
func limitSelf(l Limits) error {
	debug.SetMemoryLimit(l.Memory * 3 / 4) // collect harder before the wall is hit
	type limit struct {
		which int
		value int64
	}
	limits := []limit{
		{syscall.RLIMIT_CPU, max(1, int64(l.CPU.Std().Seconds()))},
		{syscall.RLIMIT_CORE, 0},
		{syscall.RLIMIT_FSIZE, l.Output},
	}
	if !raced {
		limits = append(limits, limit{syscall.RLIMIT_DATA, l.Memory}, limit{syscall.RLIMIT_AS, mapped() + l.Memory})
	}
	for _, r := range limits {
		if err := syscall.Setrlimit(r.which, &syscall.Rlimit{Cur: uint64(r.value), Max: uint64(r.value)}); err != nil {
			return fmt.Errorf("limit the evaluation: %w", err)
		}
	}
	return nil
}

// mapped is the size of this process's address space in bytes, as the first
// field of proc_pid_statm(5) tells it in pages. Where that cannot be read, a
// size that a Go program is known to reserve.
func mapped() int64 {
	var pages int64
	data, err := os.ReadFile("/proc/self/statm")
	if err == nil {
		_, err = fmt.Sscan(string(data), &pages)
	}
	if err != nil {
		return 2 << 30
	}
	return pages * int64(os.Getpagesize())
}
