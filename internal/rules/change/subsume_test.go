package change

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestProve are the ways in which two sets of bounds can differ.
func TestProve(t *testing.T) {
	type bounds = map[string]string
	tests := []struct {
		name     string
		was, is  bounds
		tightens bool
		looser   []string
		tighter  []string
	}{
		{"tighter threshold", bounds{"f": "<=2"}, bounds{"f": "<=1"}, true, nil, []string{"f"}},
		{"looser threshold", bounds{"f": "<=2"}, bounds{"f": "<=5"}, false, []string{"f"}, nil},
		{"one tighter, one looser", bounds{"a": "<=2", "b": "<=2"}, bounds{"a": "<=1", "b": "<=3"}, false, []string{"b"}, []string{"a"}},
		{"an enumeration shrinks", bounds{"f": `"implicit" | "partner" | "site"`}, bounds{"f": `"partner" | "site"`}, true, nil, []string{"f"}},
		{"an enumeration grows", bounds{"f": `"partner" | "site"`}, bounds{"f": `"implicit" | "partner" | "site"`}, false, []string{"f"}, nil},
		{"one word is left", bounds{"f": `"implicit" | "partner"`}, bounds{"f": `"partner"`}, true, nil, []string{"f"}},
		{"one word, another one", bounds{"f": `"partner"`}, bounds{"f": `"site"`}, false, []string{"f"}, nil},
		{"the default is left out", bounds{"f": `*"a" | "b"`}, bounds{"f": `"b"`}, false, []string{"f"}, nil},
		{"an extra constraint", bounds{"f": `{pin?: string}`}, bounds{"f": `{pin?: =~"^25"}`}, true, nil, []string{"f"}},
		{"another default only", bounds{"f": "*24 | int & >=2"}, bounds{"f": "*4 | int & >=2"}, false, []string{"f"}, nil},
		{"a closed struct gets an optional field", bounds{"f": "{a?: int}"}, bounds{"f": "{a?: int, b?: int}"}, false, []string{"f"}, nil},
		{"nothing", bounds{"f": "int & >=0 & <=2"}, bounds{"f": "int & <=2 & >=0"}, true, nil, nil},
		{"a bound is gone", bounds{"f": "<=2"}, bounds{}, false, []string{"f"}, nil},
		{"a bound is new", bounds{}, bounds{"f": "<=2"}, true, nil, []string{"f"}},
		{"another number type", bounds{"f": "int & >=2"}, bounds{"f": "number & >=2"}, false, []string{"f"}, nil},
		{"another side", bounds{"f": "number & >=0 & <=2"}, bounds{"f": "number & <=1"}, false, []string{"f"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Prove(tt.was, tt.is)
			if err != nil {
				t.Fatal(err)
			}
			if p.Tightens() != tt.tightens || !slices.Equal(p.Looser, tt.looser) || !slices.Equal(p.Tighter, tt.tighter) {
				t.Errorf("got %+v", p)
			}
		})
	}
}

// TestProveRefuses hands over what could be no bound of a policy.
func TestProveRefuses(t *testing.T) {
	for _, text := range []string{
		"", "<=", "other", "{a: 1, b: a}", "[1, 2]", `"\(2)"`, "1+1", "len(\"x\")", "[for x in [1] {x}]", "{if true {a: 1}}", "let x = 1",
		strings.Repeat("(", 3000) + "1" + strings.Repeat(")", 3000), "1 & 2",
	} {
		if p, err := Prove(map[string]string{"f": text}, map[string]string{"f": text}); err == nil {
			t.Errorf("%.40q: %+v", text, p)
		}
		if d := provenDirection("<=1", text); d != Looser {
			t.Errorf("%.40q is %q: what is not proven is looser", text, d)
		}
	}
}

// TestProveCounts compares the proof with counting: of random bounds on whole
// numbers and of random sets of words, the one tightens exactly if each value
// that it allows was allowed before.
func TestProveCounts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	numbers := func() (string, map[string]bool) {
		low := r.IntN(6)
		high := low + r.IntN(6)
		values := map[string]bool{}
		for n := low; n <= high; n++ {
			values[fmt.Sprint(n)] = true
		}
		return fmt.Sprintf("int & >=%d & <=%d", low, high), values
	}
	words := func() (string, map[string]bool) {
		var list []string
		values := map[string]bool{}
		for _, w := range []string{"a", "b", "c", "d"} {
			if r.IntN(2) == 0 {
				list, values[w] = append(list, fmt.Sprintf("%q", w)), true
			}
		}
		if len(list) == 0 {
			list, values["a"] = []string{`"a"`}, true
		}
		return strings.Join(list, " | "), values
	}
	yes, no := 0, 0
	for i := range 400 {
		pick := numbers
		if i%2 == 0 {
			pick = words
		}
		was, allowed := pick()
		is, values := pick()
		subset := true
		for v := range values {
			subset = subset && allowed[v]
		}
		p, err := Prove(map[string]string{"f": was}, map[string]string{"f": is})
		if err != nil || p.Tightens() != subset {
			t.Errorf("%s → %s: %+v, %v; want tightening %v", was, is, p, err, subset)
		}
		if subset {
			yes++
		} else {
			no++
		}
	}
	if yes < 20 || no < 20 {
		t.Errorf("%d and %d: the test looks at too few", yes, no)
	}
}

func FuzzProve(f *testing.F) {
	for _, s := range []string{"<=2", `"a" | "b"`, "int & >=0", "*1 | 2", "{a?: int}", "f(1)", "[1]", "((((", "\"\\(x)\"", "_"} {
		f.Add(s, "<=1")
	}
	f.Fuzz(func(t *testing.T, was, is string) {
		p, err := Prove(map[string]string{"f": was}, map[string]string{"f": is})
		if err == nil && len(p.Looser)+len(p.Tighter) > 1 {
			t.Errorf("one field, and %+v", p)
		}
	})
}
