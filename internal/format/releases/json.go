package releases

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
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
	versions, err := textsAt(doc, path)
	if err != nil {
		return nil, err
	}
	out := make([]Entry, len(versions))
	for i, v := range versions {
		out[i].Version = v
	}
	if published == "" {
		return out, nil
	}
	times, err := textsAt(doc, published)
	if err != nil {
		return nil, err
	}
	return out, stamp(out, times)
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
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var doc any
	if err := dec.Decode(&doc); err != nil {
		return nil, fmt.Errorf("the answer is no JSON: %w", err)
	}
	return doc, nil
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
	for _, layout := range []string{time.RFC3339, time.RFC1123Z, time.RFC1123, "Mon, 2 Jan 2006 15:04:05 -0700", "Mon, 2 Jan 2006 15:04:05 MST", time.DateTime, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no release time", text[:min(len(text), 80)])
}

func compile(pattern string) (*regexp.Regexp, error) {
	p, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fleet.Errorf(fleet.Invalid, "releases.pattern", pattern, "malformed pattern: %v", err)
	}
	return p, nil
}
