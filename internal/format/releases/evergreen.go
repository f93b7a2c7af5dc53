package releases

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Evergreen reads an application's rows of Evergreen's API
// (eucpilots.com/evergreen-docs, "API"). where are values that a row must have,
// in any case. Rows have what the vendor tells: Version and URI, and among others
// Architecture, Channel, Type, Language, Size, Date, Sha256.
func Evergreen(data []byte, where map[string]string) ([]Entry, error) {
	var rows []map[string]any
	if err := unmarshalJSON(data, &rows); err != nil {
		return nil, err
	}
	var out []Entry
	for _, values := range rows {
		row := evergreenRow(values)
		if !row.fits(where) {
			continue
		}
		e, err := row.entry()
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	if len(out) == 0 && len(rows) > 0 {
		return nil, fmt.Errorf("%w: none of its %d rows has %v", errNothing, len(rows), where)
	}
	return listed(merged(out))
}

type evergreenRow map[string]any

// text is a field's value; names are not always of the same case.
func (r evergreenRow) text(name string) string {
	value, ok := r[name]
	for _, key := range slices.Sorted(maps.Keys(r)) {
		if !ok && strings.EqualFold(key, name) {
			value, ok = r[key], true
		}
	}
	switch v := value.(type) {
	case string:
		return strings.TrimSpace(v)
	case fmt.Stringer: // a number, as it is written
		return v.String()
	}
	return ""
}

func (r evergreenRow) fits(where map[string]string) bool {
	for name, want := range where {
		if !strings.EqualFold(r.text(name), want) {
			return false
		}
	}
	return true
}

func (r evergreenRow) entry() (e Entry, err error) {
	e = Entry{Version: r.text("Version"), Published: toldTime(r.text("Date"))}
	f, err := fileAt("https://evergreen.invalid/", r.text("URI"), "")
	if err != nil || e.Version == "" {
		return e, fmt.Errorf("a row has no Version or no URI: %q, %q", shortly(e.Version), shortly(r.text("URI")))
	}
	f.Arch = archOf(r.text("Architecture"))
	if kind := typeOf("." + r.text("Type")); kind != "" {
		f.Type = kind
	}
	f.Size, f.Language = sizeOf(r.text("Size")), languageOf(r.text("Language"))
	if f.SHA256, err = sha256Of(r.text("Sha256")); err != nil {
		return e, err
	}
	f.SHA512, err = sha512Of(r.text("Sha512"))
	e.Files = []File{f}
	return e, err
}

// languageOf is a BCP 47 tag, "" for a language's name: "English".
func languageOf(text string) string {
	primary, _, _ := strings.Cut(text, "-")
	if n := len(primary); n != 2 && n != 3 {
		return ""
	}
	return text
}
