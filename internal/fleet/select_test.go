package fleet

import (
	"encoding/json"
	"reflect"
	"testing"
)

func TestValuesAdmit(t *testing.T) {
	for _, c := range []struct {
		values Values
		have   []string
		want   bool
	}{
		{Values{"FI"}, []string{"FI"}, true},
		{Values{"FI"}, []string{"fi"}, false},
		{Values{"FI", "SE"}, []string{"SE"}, true},
		{Values{"FI", "SE"}, []string{"NO"}, false},
		{Values{"FI"}, []string{""}, false},
		{Values{"FI"}, nil, false},
		{Values{""}, []string{""}, true},
		{Values{""}, nil, true},
		{Values{""}, []string{"FI"}, false},
		{Values{"*"}, []string{"FI"}, true},
		{Values{"*"}, []string{""}, false},
		{Values{"10.0.26100.*"}, []string{"10.0.26100.2454"}, true},
		{Values{"10.0.26100.*"}, []string{"10.0.261001"}, false},
		{Values{"10.0.26100.*"}, []string{"110.0.26100.2454"}, false},
		{Values{"Surface*Book*"}, []string{"Surface Laptop, Book 3"}, true},
		{Values{"Surface*Book"}, []string{"Surface Book 3"}, false},
		{Values{"*Book"}, []string{"Surface Book"}, true},
		{Values{"a*a"}, []string{"a"}, false},
		{Values{"a*ab*b"}, []string{"aab"}, false},
		{Values{"a*ab*b"}, []string{"aabb"}, true},
		{Values{"20/1 [x]*"}, []string{"20/1 [x] y/z"}, true},
		{Values{"!own"}, []string{"own"}, false},
		{Values{"!own"}, []string{"customer"}, true},
		{Values{"!own"}, []string{""}, true},
		{Values{"!own"}, nil, true},
		{Values{"!"}, []string{""}, false},
		{Values{"!*"}, []string{"x"}, false},
		{Values{"Surface*", "!Surface Go*"}, []string{"Surface Go 4"}, false},
		{Values{"Surface*", "!Surface Go*"}, []string{"Surface Pro"}, true},
		{Values{"Surface*", "!Surface Go*"}, []string{"ThinkPad"}, false},
		{Values{"finance"}, []string{"sales", "finance"}, true},
		{Values{"!finance"}, []string{"sales", "finance"}, false},
		{Values{"finance", "!pilots"}, []string{"pilots", "finance"}, false},
	} {
		if got := c.values.Admit(c.have...); got != c.want {
			t.Errorf("%q of %q: %v", c.values, c.have, got)
		}
	}
}

func TestValuesAreAStringOrAList(t *testing.T) {
	for text, want := range map[string]Values{`"FI"`: {"FI"}, `["FI","SE"]`: {"FI", "SE"}, `""`: {""}, `[]`: {}} {
		var got Values
		if err := json.Unmarshal([]byte(text), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q, %v", text, got, err)
		}
		if back, err := json.Marshal(got); err != nil || string(back) != text {
			t.Errorf("%q is written as %s, %v", got, back, err)
		}
	}
	var one Values
	if err := json.Unmarshal([]byte(`["FI"]`), &one); err != nil || len(one) != 1 {
		t.Errorf("a list of one: %q, %v", one, err)
	}
	if err := json.Unmarshal([]byte(`{"FI": true}`), &one); err == nil {
		t.Error("an object is taken for values")
	}
}

// FuzzLike holds the patterns against a matcher that tries every way.
func FuzzLike(f *testing.F) {
	f.Add("10.0.*", "10.0.26100")
	f.Add("a*ab*b", "aabb")
	f.Add("**", "x")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if len(pattern) > 12 || len(s) > 24 || s == "" || pattern == "" {
			return
		}
		if got, want := like(pattern, s), every(pattern, s); got != want {
			t.Errorf("%q like %q: %v", s, pattern, got)
		}
	})
}

func every(pattern, s string) bool {
	if pattern == "" {
		return s == ""
	}
	if pattern[0] != '*' {
		return s != "" && s[0] == pattern[0] && every(pattern[1:], s[1:])
	}
	for i := range len(s) + 1 {
		if every(pattern[1:], s[i:]) {
			return true
		}
	}
	return false
}
