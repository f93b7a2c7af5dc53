package version

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A table is a file of testdata: lines in groups, each below a comment that
// names the source of the rule; "pattern:" is the pattern of what follows.
type row struct {
	scheme Scheme
	text   string
	source string
	line   int
}

func table(t *testing.T, dir, scheme string) []row {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", dir, scheme+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var rows []row
	s, source, line := Scheme{Name: scheme}, "", 0
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		line++
		text := lines.Text()
		switch {
		case text == "":
			source = ""
		case strings.HasPrefix(text, "# "):
			source = text[2:]
		case strings.HasPrefix(text, "pattern: "):
			s.Pattern = text[len("pattern: "):]
		case source == "":
			t.Errorf("%s line %d has no source", file.Name(), line)
		default:
			rows = append(rows, row{s, text, source, line})
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return rows
}

// TestPairs holds the tables to what their sources say, both ways round.
func TestPairs(t *testing.T) {
	const atLeast = 400
	count := 0
	for _, scheme := range Schemes() {
		seen := map[row]bool{}
		for _, r := range table(t, "pairs", scheme) {
			words := strings.Fields(r.text)
			want, known := map[string]int{"<": -1, "=": 0, ">": 1}[words[min(1, len(words)-1)]]
			if len(words) != 3 || !known {
				t.Fatalf("%s line %d is no pair", scheme, r.line)
			}
			if key := (row{scheme: r.scheme, text: r.text}); seen[key] {
				t.Errorf("%s line %d: %s stands there twice", scheme, r.line, r.text)
			} else {
				seen[key] = true
			}
			a, errA := r.scheme.Parse(words[0])
			b, errB := r.scheme.Parse(words[2])
			if errA != nil || errB != nil {
				t.Errorf("%s line %d: %v %v", scheme, r.line, errA, errB)
				continue
			}
			count++
			if got := Compare(a, b); got != want || Compare(b, a) != -want {
				t.Errorf("%s line %d: Compare gives %d and %d for %s (%s)", scheme, r.line, got, Compare(b, a), r.text, r.source)
			}
		}
		if len(seen) < 10 {
			t.Errorf("%s has %d pairs", scheme, len(seen))
		}
	}
	if count < atLeast {
		t.Errorf("%d pairs, fewer than %d: a table is missing", count, atLeast)
	}
}

// TestUnparsable holds the tables of texts that are no version of a scheme; what
// is one of none is in all.txt.
func TestUnparsable(t *testing.T) {
	everywhere := table(t, "unparsable", "all")
	for _, scheme := range Schemes() {
		rows := table(t, "unparsable", scheme)
		if len(rows) < 5 {
			t.Errorf("%s has %d texts", scheme, len(rows))
		}
		s := rows[0].scheme
		for _, r := range everywhere {
			rows = append(rows, row{s, r.text, r.source, r.line})
		}
		for _, text := range []string{"", " 1.2.3", "1.2.3 ", "1.2.3\n", "1.2.3\x00", "\xff", strings.Repeat("1", maxLength+1)} {
			rows = append(rows, row{s, text, "blanks, bytes, length", 0})
		}
		for _, r := range rows {
			v, err := r.scheme.Parse(r.text)
			var refused *ParseError
			if !errors.As(err, &refused) || refused.Scheme != scheme || refused.Why == "" {
				t.Errorf("%s: %q (%s) reads as %q, %v; want a ParseError", scheme, r.text, r.source, v, err)
			}
		}
	}
}
