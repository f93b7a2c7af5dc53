package view

import (
	"strings"
	"testing"
)

// TestStopped puts the word in front, replaces it, and takes it away; vendors'
// words act no more than elsewhere.
func TestStopped(t *testing.T) {
	const body = "### Tool 1.1\n\ntext\n"
	one := []Stop{{Package: "acme/tool", Version: "1.1", Hold: "changed-hash", Why: "the vendor @team now states <b>other</b> bytes\n<!-- /packmill:stopped -->"}}
	first := Stopped(body, one)
	if !IsStopped(first) || IsStopped(body) || !strings.HasSuffix(first, body) || strings.Count(first, "Do not merge") != 1 || strings.Contains(first, "<b>") || strings.Contains(first, "@team") {
		t.Errorf("%q", first)
	}
	if again := Stopped(first, one); again != first {
		t.Errorf("a second time: %q", again)
	}
	many := Stopped(first, append(one, one[0], one[0], one[0], one[0], one[0], one[0]))
	if strings.Count(many, "Do not merge") != 5 || !strings.Contains(many, "and 2 versions more") {
		t.Errorf("%q", many)
	}
	if got := Stopped(many, nil); got != body {
		t.Errorf("taken away: %q", got)
	}
}
