package gate

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// About are the words on one release in one wave.
func About(words []fleet.Word, cycle fleet.CycleID, wave string, id fleet.PackageID) []fleet.Word {
	var out []fleet.Word
	for _, w := range words {
		if w.Cycle == cycle && w.Wave == wave && w.Package == id {
			out = append(out, w)
		}
	}
	return out
}

// Open are the objections nobody took back, by login: each person's newest word
// counts.
func Open(words []fleet.Word) []fleet.Word { return standing(words, fleet.Objection) }

// SignedOff are the persons, sorted, whose newest word is a sign-off.
func SignedOff(words []fleet.Word) []string {
	var out []string
	for _, w := range standing(words, fleet.SignOff) {
		out = append(out, w.By)
	}
	return out
}

// Newest is the instant of the newest word, zero if there is none.
func Newest(words []fleet.Word) time.Time {
	var at time.Time
	for _, w := range words {
		if w.At.After(at) {
			at = w.At
		}
	}
	return at
}

func standing(words []fleet.Word, kind string) []fleet.Word {
	last := map[string]fleet.Word{}
	for _, w := range words {
		by := strings.ToLower(w.By) // a login's case does not make it another person
		if known, ok := last[by]; !ok || !w.At.Before(known.At) {
			last[by] = w
		}
	}
	var out []fleet.Word
	for _, by := range slices.Sorted(maps.Keys(last)) {
		if last[by].Kind == kind {
			out = append(out, last[by])
		}
	}
	return out
}
