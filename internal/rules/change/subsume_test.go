package change

import (
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
