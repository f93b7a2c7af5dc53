package releases

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ohler55/ojg/jp"

	"github.com/packmill/packmill/internal/fleet"
)

// JSON finds the versions that a JSONPath selects. published, unless it is "",
// selects the release times: as many as there are versions, or one of the first.
// A malformed path is of kind Invalid.
func JSON(data []byte, path, published string) ([]Entry, error) {
	doc, err := decodeJSON(data)
	if err != nil {
		return nil, err
	}
	return selected(path, published, func(path string) ([]string, error) { return textsAt(doc, path) })
}

func compileJSONPath(path string) (jp.Expr, error) {
	x, err := jp.ParseString(path)
	if err != nil {
		return nil, fleet.Errorf(fleet.Invalid, "releases.json", path, "malformed JSONPath: %v", err)
	}
	return x, nil
}

// decodeJSON keeps the text of numbers: 24.10 is not 24.1.
func decodeJSON(data []byte) (any, error) {
	var doc any
	err := unmarshalJSON(data, &doc)
	return inOrder(doc), err
}

// An object is a JSON object that a path goes through in the order of its keys: a
// map has another each time, and versions would meet the release times of others.
type object map[string]any

// ValueForKey, Keys and the two that change nothing are jp.Keyed.
func (o object) ValueForKey(key string) (any, bool) { v, ok := o[key]; return v, ok }

// Keys are sorted.
func (o object) Keys() []string { return slices.Sorted(maps.Keys(o)) }

// SetValueForKey does nothing: documents are read only.
func (o object) SetValueForKey(string, any) {}

// RemoveValueForKey does nothing.
func (o object) RemoveValueForKey(string) {}

// inOrder makes objects of the maps in a value, in place. encoding/json refuses
// what is nested deeper than this may call itself.
func inOrder(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			v[key] = inOrder(inner)
		}
		return object(v)
	case []any:
		for i, inner := range v {
			v[i] = inOrder(inner)
		}
	}
	return value
}

// unmarshalJSON reads a document that is JSON alone.
func unmarshalJSON(data []byte, into any) error {
	text, _, err := plain(data)
	if err != nil {
		return err
	}
	if err := few(text, maxValues, ",", "[", "{"); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("the answer is not the JSON that is expected: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("the answer is not one JSON document: more follows it")
	}
	return nil
}

// textsAt are the values that a path selects, as texts.
func textsAt(doc any, path string) ([]string, error) {
	x, err := compileJSONPath(path)
	if err != nil {
		return nil, err
	}
	values := x.Get(doc)
	if len(values) == 0 {
		return nil, fmt.Errorf("the document has nothing at %s", path)
	}
	out := make([]string, min(len(values), maxEntries))
	for i := range out {
		switch v := values[i].(type) {
		case string:
			out[i] = v
		case json.Number:
			out[i] = v.String()
		case nil:
			out[i] = "null"
		default:
			return nil, fmt.Errorf("the document has no text at %s", path)
		}
	}
	return out, nil
}

// parseTime reads the spellings of instants that documents use. A day without
// an hour is its beginning, UTC.
func parseTime(text string) (time.Time, error) {
	text = strings.TrimSpace(text)
	for _, layout := range []string{time.RFC3339, "Mon, 2 Jan 2006 15:04:05 -0700", "2 Jan 2006 15:04:05 -0700", time.DateTime, time.DateOnly} {
		if at, err := time.Parse(layout, numericZone(text)); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no release time", text[:min(len(text), 80)])
}

// numericZone writes the zones that RFC 822 knows by name as their offsets: the
// standard library would read EST as UTC.
func numericZone(text string) string {
	i := strings.LastIndexByte(text, ' ')
	for _, zone := range []string{"UT+0000", "UTC+0000", "GMT+0000", "Z+0000", "EST-0500", "EDT-0400", "CST-0600", "CDT-0500", "MST-0700", "MDT-0600", "PST-0800", "PDT-0700"} {
		if name := zone[:len(zone)-5]; i > 0 && text[i+1:] == name {
			return text[:i+1] + zone[len(name):]
		}
	}
	return text
}

// toldTime is the instant of a field that documents may leave out or garble: what
// cannot be read is not told.
func toldTime(text string) time.Time {
	at, err := parseTime(text)
	if err != nil || at.Year() < 1990 || at.Year() > 2200 {
		return time.Time{}
	}
	return at
}

func compile(pattern string) (*regexp.Regexp, error) {
	p, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fleet.Errorf(fleet.Invalid, "releases.pattern", pattern, "malformed pattern: %v", err)
	}
	return p, nil
}
