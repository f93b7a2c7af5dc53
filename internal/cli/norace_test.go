//go:build !race

package cli

// raced says that this binary carries the race detector.
const raced = false
