package desired

import (
	"slices"
	"strings"
)

// suggest is "; did you mean …" when one of the words is close to what was
// written, and nothing otherwise.
func suggest(got string, words []string) string {
	if len(got) > 64 { // no slip of the pen
		return ""
	}
	best, distance := "", len(got)/3+2
	for _, w := range slices.Sorted(slices.Values(words)) {
		if plain := strings.ToLower(strings.Trim(w, `"`)); len(plain) > 2 && strings.HasPrefix(strings.ToLower(got), plain) {
			return "; did you mean " + w + "?"
		}
		if d := editDistance(strings.ToLower(got), strings.ToLower(strings.Trim(w, `"`))); d < distance {
			best, distance = w, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// editDistance is the Levenshtein distance in bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		previous := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := previous
			if a[i] != b[j] {
				cost++
			}
			previous = row[j+1]
			row[j+1] = min(cost, row[j]+1, previous+1)
		}
	}
	return row[len(b)]
}
