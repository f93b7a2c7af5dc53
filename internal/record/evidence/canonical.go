package evidence

import (
	"bytes"
	"encoding/json"
	"hash/maphash"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/packmill/packmill/internal/fleet"
)

// The ledger holds millions of rows, and encoding/json takes most of the time
// there is to read them. Nearly all rows stand exactly as this package writes
// them: the fields of the row's type in their order, no white space, no escape.
// These are read here. Every other line, right or wrong, is left to
// encoding/json: what is read here it reads the same (FuzzCanonical).

// A canonicalForm reads the rows of one type; nil reads none.
type canonicalForm struct{ fields []canonicalField }

type canonicalField struct {
	index int
	key   []byte // `"name":`
	read  func(c *cursor, into reflect.Value) bool
}

// canonicalOf is the form of a struct type, nil for one whose fields have no
// names of their own. A line with a field that only encoding/json knows how to
// read is left to it.
func canonicalOf(t reflect.Type) *canonicalForm {
	var form canonicalForm
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		if name == "" || f.Anonymous || !f.IsExported() {
			return nil
		}
		read := readerOf(f.Type)
		if read == nil {
			read = func(*cursor, reflect.Value) bool { return false }
		}
		form.fields = append(form.fields, canonicalField{i, []byte(`"` + name + `":`), read})
	}
	return &form
}

func readerOf(t reflect.Type) func(*cursor, reflect.Value) bool {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return readTime
	case t == reflect.TypeFor[fleet.Duration]():
		return readDuration
	case t.Implements(reflect.TypeFor[json.Unmarshaler]()) || reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()):
		return nil
	}
	switch t.Kind() {
	case reflect.String:
		return readString
	case reflect.Bool:
		return readBool
	case reflect.Int:
		return readInt
	case reflect.Slice:
		if t == reflect.TypeFor[[]string]() {
			return readStrings
		}
	case reflect.Map:
		if t == reflect.TypeFor[map[string]string]() {
			return readMap
		}
	case reflect.Struct:
		if form := canonicalOf(t); form != nil {
			return form.read
		}
	}
	return nil
}

// A cursor is a place in a line, with what earlier lines held: equal texts are
// kept once, and so are equal maps, since rows are never written to.
type cursor struct {
	rest  []byte
	seed  maphash.Seed
	texts [2048]string
	maps  [256]knownMap
	times [64]knownTime
}

type knownMap struct {
	text  string
	value map[string]string
}

type knownTime struct {
	text  string
	value time.Time
}

func newCursor() any { return &cursor{seed: maphash.MakeSeed()} }

// row reads one whole line into a struct. When it is not in canonical form the
// struct may hold a part of it.
func (f *canonicalForm) row(c *cursor, line []byte, into reflect.Value) bool {
	c.rest = line
	return f.read(c, into) && len(c.rest) == 0
}

// read reads an object. A field may be absent, as encoding/json has it.
func (f *canonicalForm) read(c *cursor, into reflect.Value) bool {
	if !c.take('{') {
		return false
	}
	for first, i := true, 0; i < len(f.fields); i++ {
		field := &f.fields[i]
		rest := c.rest
		if !first && !c.take(',') {
			break
		}
		if !bytes.HasPrefix(c.rest, field.key) {
			c.rest = rest
			continue
		}
		c.rest = c.rest[len(field.key):]
		if first = false; !field.read(c, into.Field(field.index)) {
			return false
		}
	}
	return c.take('}')
}

func (c *cursor) take(b byte) bool {
	if len(c.rest) == 0 || c.rest[0] != b {
		return false
	}
	c.rest = c.rest[1:]
	return true
}

// quoted takes a string without escapes and gives its text, without quotes.
func (c *cursor) quoted() ([]byte, bool) {
	if !c.take('"') {
		return nil, false
	}
	plain := true
	for i, b := range c.rest {
		switch {
		case b == '"':
			text := c.rest[:i]
			c.rest = c.rest[i+1:]
			return text, plain || utf8.Valid(text)
		case b == '\\' || b < ' ':
			return nil, false
		case b >= utf8.RuneSelf:
			plain = false
		}
	}
	return nil, false
}

// text is a string of these bytes: an earlier one, where it is remembered.
func (c *cursor) text(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	slot := &c.texts[maphash.Bytes(c.seed, b)%uint64(len(c.texts))]
	if *slot != string(b) {
		*slot = string(b)
	}
	return *slot
}

func readString(c *cursor, into reflect.Value) bool {
	b, ok := c.quoted()
	if ok {
		into.SetString(c.text(b))
	}
	return ok
}

func readBool(c *cursor, into reflect.Value) bool {
	rest, yes := bytes.CutPrefix(c.rest, []byte("true"))
	rest, no := bytes.CutPrefix(rest, []byte("false"))
	if yes == no {
		return false
	}
	c.rest = rest
	into.SetBool(yes)
	return true
}

// readInt takes a number of at most 18 digits, without sign or fraction.
func readInt(c *cursor, into reflect.Value) bool {
	n := 0
	for n < len(c.rest) && c.rest[n] >= '0' && c.rest[n] <= '9' {
		n++
	}
	if n == 0 || n > 18 || n > 1 && c.rest[0] == '0' || n < len(c.rest) && strings.IndexByte(".eE", c.rest[n]) >= 0 {
		return false
	}
	v, err := strconv.ParseInt(string(c.rest[:n]), 10, 64)
	c.rest = c.rest[n:]
	into.SetInt(v)
	return err == nil
}

func readTime(c *cursor, into reflect.Value) bool {
	b, ok := c.quoted()
	if !ok {
		return false
	}
	known := &c.times[maphash.Bytes(c.seed, b)%uint64(len(c.times))]
	if known.text != string(b) || known.text == "" {
		var t time.Time
		if t.UnmarshalJSON([]byte(`"`+string(b)+`"`)) != nil {
			return false
		}
		*known = knownTime{string(b), t}
	}
	into.Set(reflect.ValueOf(known.value))
	return true
}

func readDuration(c *cursor, into reflect.Value) bool {
	b, ok := c.quoted()
	if !ok {
		return false
	}
	var d fleet.Duration
	if d.UnmarshalJSON([]byte(`"`+string(b)+`"`)) != nil {
		return false
	}
	into.SetInt(int64(d))
	return true
}

func readStrings(c *cursor, into reflect.Value) bool {
	if !c.take('[') {
		return false
	}
	list := []string{}
	for !c.take(']') {
		if len(list) > 0 && !c.take(',') {
			return false
		}
		b, ok := c.quoted()
		if !ok {
			return false
		}
		list = append(list, c.text(b))
	}
	into.Set(reflect.ValueOf(list))
	return true
}

// readMap takes an object of strings. Its end is that of the first brace
// outside a string.
func readMap(c *cursor, into reflect.Value) bool {
	from := c.rest
	if !c.take('{') {
		return false
	}
	end := mapEnd(from)
	if end < 0 {
		return false
	}
	known := &c.maps[maphash.Bytes(c.seed, from[:end])%uint64(len(c.maps))]
	if known.text != string(from[:end]) {
		value := map[string]string{}
		for n := 0; !c.take('}'); n++ {
			if n > 0 && !c.take(',') {
				return false
			}
			key, ok := c.quoted()
			if !ok || !c.take(':') {
				return false
			}
			b, ok := c.quoted()
			if !ok {
				return false
			}
			value[c.text(key)] = c.text(b)
		}
		*known = knownMap{string(from[:end]), value}
	}
	c.rest = from[end:]
	into.Set(reflect.ValueOf(known.value))
	return true
}

func mapEnd(b []byte) int {
	inside := false
	for i, x := range b {
		switch {
		case x == '"':
			inside = !inside
		case x == '\\':
			return -1
		case x == '}' && !inside:
			return i + 1
		}
	}
	return -1
}
