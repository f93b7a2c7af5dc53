// Package advisories reads what public sources say of vulnerabilities: CISA's
// catalog of known exploited ones, and the scores of EPSS.
//
// Answers are hostile until read: readers are handed bytes, bound what they
// take of them, and never panic. Fields they do not know are left alone, those
// they need and do not find are an error: half an answer would pass for "not
// listed". Errors are of kind Invalid and name the entry that is wrong, or the
// offset in bytes.
package advisories

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/packmill/packmill/internal/fleet"
)

// Limits of a document. CISA's catalog had 1,280 entries in February 2025.
const (
	maxDocument = 32 << 20
	maxValues   = 1 << 20 // a value takes some hundred bytes
	maxEntries  = 50_000
	maxName     = 256 // bytes of a vendor's or product's name
)

// decode reads one JSON document (RFC 8259: UTF-8) and nothing after it.
func decode(op string, data []byte, into any) error {
	refuse := func(format string, args ...any) error {
		return fleet.Errorf(fleet.Invalid, op, "", format, args...)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // which a reader may ignore (section 8.1)
	switch {
	case len(data) > maxDocument:
		return refuse("the answer is larger than %d bytes", maxDocument)
	case len(bytes.TrimSpace(data)) == 0:
		return refuse("the answer is empty")
	case !utf8.Valid(data):
		return refuse("offset %d: the answer is not UTF-8", invalidAt(data))
	case bytes.Count(data, []byte(","))+bytes.Count(data, []byte("["))+bytes.Count(data, []byte("{")) > maxValues:
		return refuse("the answer has more than %d values", maxValues)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(into); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			return refuse("offset %d: %s is a %s", kind.Offset, kind.Field, kind.Value)
		}
		return refuse("offset %d: the answer is not the JSON that is expected: %w", dec.InputOffset(), err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return refuse("offset %d: more follows the document", dec.InputOffset())
	}
	return nil
}

// invalidAt is where the first byte stands that is no UTF-8.
func invalidAt(data []byte) int {
	at := 0
	for at < len(data) {
		r, n := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		at += n
	}
	return at
}

// A field is a member of an entry that must be there, as text.
type field struct {
	name  string
	value *string
}

// text is what the field says, without the white space around it.
func (f field) text(op, object string) (string, error) {
	if f.value == nil {
		return "", fleet.Errorf(fleet.Invalid, op, object, "has no %s", f.name)
	}
	s := strings.TrimSpace(*f.value)
	if s == "" || len(s) > maxName || strings.ContainsFunc(s, unicode.IsControl) {
		return "", fleet.Errorf(fleet.Invalid, op, object, "%s is no name or value: %.60q", f.name, s)
	}
	return s, nil
}

// texts are what the fields say; the first that says nothing is an error.
func texts(op, object string, fields ...field) ([]string, error) {
	out := make([]string, len(fields))
	for i, f := range fields {
		var err error
		if out[i], err = f.text(op, object); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// dated is a calendar day of the form 2006-01-02.
func dated(op, object, name, text string) error {
	if _, err := time.Parse(time.DateOnly, text); err != nil {
		return fleet.Errorf(fleet.Invalid, op, object, "%s is no date: %.60q", name, text)
	}
	return nil
}
