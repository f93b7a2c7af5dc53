//go:build race

package evidence

// stride spares the race detector, which is ten times slower, most of the
// bytes; without it every one is altered.
const stride = 11
