package rollout_test

import (
	"testing"

	"github.com/packmill/packmill/internal/rules/rollout"
)

// BenchmarkStep asks what is due in the middle of a week.
func BenchmarkStep(b *testing.B) {
	w := newWorld(rolling)
	f := rollout.Facts{Repo: w.repo, Record: w.rec}
	for b.Loop() {
		if _, _, err := rollout.Step(f, deployAt); err != nil {
			b.Fatal(err)
		}
	}
}
