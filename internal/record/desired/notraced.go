//go:build !race

package desired

// raced says that this binary carries the race detector.
const raced = false
