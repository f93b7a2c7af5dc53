//go:build race

package desired

// raced says that this binary carries the race detector, which maps terabytes
// of shadow memory: no limit on memory can be put on it. It is for tests only.
const raced = true
