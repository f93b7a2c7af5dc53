//go:build !race

package evidence

// stride is how far apart the bytes lie that TestAnyByte alters: every one.
const stride = 1
