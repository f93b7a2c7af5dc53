//go:build !linux

package desired

import (
	"runtime"
	"runtime/debug"
	"time"
)

// limitSelf watches memory from within: this system has no limit on address
// space that a Go program survives. The parent watches the time.
func limitSelf(l Limits) error {
	debug.SetMemoryLimit(l.Memory * 3 / 4)
	go func() {
		var m runtime.MemStats
		for range time.Tick(50 * time.Millisecond) {
			runtime.ReadMemStats(&m)
			if m.Sys > uint64(l.Memory) {
				panic("out of memory: limit of the evaluation reached")
			}
		}
	}()
	return nil
}
