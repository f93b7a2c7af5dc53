package desired

import (
	"strconv"
)

// quote writes text as a CUE string on one line: JSON's escapes, which CUE
// reads the same way.
func quote(text string) string { return strconv.Quote(text) }
