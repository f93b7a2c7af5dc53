package marker

import (
	"strings"
	"testing"
)

type thing struct {
	Name string `json:"name"`
	N    int    `json:"n,omitempty"`
}

func named(m thing) bool { return m.Name != "" }

func TestFind(t *testing.T) {
	for text, want := range map[string]thing{
		"":                                   {},
		"packmill: {\"name\":\"a\",\"n\":3}": {"a", 3},
		"people's\r\n\t packmill: {\"name\":\"a\"} \r\nwords":          {Name: "a"},
		"packmill: [\npackmill: {\"n\":7}\npackmill: {\"name\":\"b\"}": {Name: "b"}, // nothing of a refused line is left
		"packmill: {\"name\":\"a\"}\npackmill: {\"name\":\"b\"}":       {Name: "a"},
		"packmill: {\"name\":\"a\",\"later\":[1]}":                     {Name: "a"}, // a newer packmill's
		"see packmill: {\"name\":\"a\"}":                               {},
		"packmill:{\"name\":\"a\"}":                                    {},
		"packmill: {\"name\":\"a\"} and more":                          {},
		"packmill: {\"name\":1}":                                       {},
		"packmill: " + strings.Repeat("[", 20_000):                     {},
	} {
		if got, ok := Find(text, named); got != want || ok != (want != thing{}) {
			t.Errorf("%.60q: %+v, %v", text, got, ok)
		}
	}
}

func TestPut(t *testing.T) {
	line := Line(thing{"a", 1})
	if line != `packmill: {"name":"a","n":1}` {
		t.Errorf("line %q", line)
	}
	for text, want := range map[string]string{
		"":                       line,
		"kept":                   "kept\n" + line,
		"kept\r\n\r\nkept too\n": "kept\n\nkept too\n" + line,
		"packmill: {}\nkept\n packmill: {\"old\":1}": "kept\n" + line,
		"packmill: {see the wiki}\npackmill: old":    "packmill: {see the wiki}\npackmill: old\n" + line,
		"see packmill: kept":                         "see packmill: kept\n" + line,
	} {
		got := Put(text, line)
		if got != want {
			t.Errorf("%q became %q", text, got)
		}
		if again := Put(got, line); again != got {
			t.Errorf("%q became %q the second time", got, again)
		}
	}
}

func TestWithout(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "",
		"packmill: {}":                     "",
		"kept\r\npackmill: {}\nkept too\n": "kept\nkept too",
	} {
		if got := Without(text); got != want {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func FuzzFind(f *testing.F) {
	f.Add("note\npackmill: {\"name\":\"a\",\"n\":3}\r\nnote")
	f.Add("packmill: [\x00")
	f.Add("\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		if m, ok := Find(Without(text), named); ok {
			t.Errorf("%q still has %+v without its markers", text, m)
		}
		m, ok := Find(text, named)
		if !ok {
			m = thing{Name: "a"}
		}
		put := Put(text, Line(m))
		if again, ok := Find(put, named); !ok || Line(again) != Line(m) {
			t.Errorf("%q: %+v became %+v", text, m, again)
		}
		if !strings.HasPrefix(put, Without(text)) {
			t.Errorf("%q lost words: %q", text, put)
		}
	})
}
