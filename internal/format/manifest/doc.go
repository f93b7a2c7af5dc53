// Package manifest reads what other catalogs say of an application: manifests of
// winget (schema 1.x, YAML), Homebrew casks as formulae.brew.sh tells them, Scoop
// manifests and the rows of Evergreen's API (JSON). All of them end as one
// fleet.Manifest.
//
// The formats are read as they are documented: learn.microsoft.com, "Create your
// package manifest"; formulae.brew.sh/docs/api; the App-Manifests page of Scoop's
// wiki; stealthpuppy.com/evergreen. Fields that are not known are passed over:
// the catalogs grow faster than their readers. What is there is a stranger's and
// bounded in size and number before anything is made of it.
package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// The bounds of what is read. The largest manifest of winget's repository that
// was seen lists 63 installers in 20 KiB.
const (
	MaxBytes      = 1 << 20 // of one file
	MaxFiles      = 64      // of one version
	maxInstallers = 512
	maxText       = 2048 // bytes of one value
	maxList       = 64   // entries of a list within an installer
)

var errLarge = fmt.Errorf("is larger than %d bytes", MaxBytes)

// text is a value on one line, or an error: control characters have no place in
// any value that is taken over.
func text(what, s string) (string, error) {
	s = strings.TrimSpace(s)
	if len(s) > maxText {
		return "", fmt.Errorf("%s has %d bytes; %d are read", what, len(s), maxText)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r == unicode.ReplacementChar || unicode.IsControl(r) }) {
		return "", fmt.Errorf("%s holds control characters", what)
	}
	return s, nil
}

// texts checks several values in place.
func texts(values map[string]*string) error {
	for what, v := range values {
		s, err := text(what, *v)
		if err != nil {
			return err
		}
		*v = s
	}
	return nil
}

// oneOrMore is a JSON value that is a text or a list of texts; what else stands
// in a list is passed over.
type oneOrMore []string

// UnmarshalJSON reads either form.
func (o *oneOrMore) UnmarshalJSON(data []byte) error {
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		return err
	}
	switch v := value.(type) {
	case string:
		*o = oneOrMore{v}
	case []any:
		for _, e := range v {
			if s, ok := e.(string); ok {
				*o = append(*o, s)
			}
		}
	}
	if len(*o) > maxList {
		*o = (*o)[:maxList]
	}
	return nil
}

func (o oneOrMore) first() string {
	if len(o) == 0 {
		return ""
	}
	return o[0]
}

// decodeJSON reads one document.
func decodeJSON(data []byte, into any) error {
	if len(data) > MaxBytes {
		return errLarge
	}
	err := json.Unmarshal(data, into)
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return fmt.Errorf("%s is a %s, which was not expected there", wrong.Field, wrong.Value)
	}
	return err
}
