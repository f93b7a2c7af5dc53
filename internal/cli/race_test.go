//go:build race

package cli

// raced says that this binary carries the race detector. The demo's steps run
// it, too, so that a week would take many minutes.
const raced = true
