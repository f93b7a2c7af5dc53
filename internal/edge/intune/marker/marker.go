// Package marker is packmill's line in a text that belongs to others.
//
// Objects of a tenant have a field for people's words: notes, a description.
// There packmill keeps what it must find again when everything else is lost,
// since no other field is its own: one line, [Prefix] and a JSON object. The line
// says whose the object is, so a name never has to; who takes it out has taken
// the object over. All other lines are kept, wherever the line stands among them.
//
// What the object says, and which values make it packmill's, is for the packages
// that keep one: a line that does not read as theirs is somebody's text.
package marker

import (
	"encoding/json"
	"strings"
)

// Prefix begins the line. White space before it, such as an editor's indent, does
// not hide a marker.
const Prefix = "packmill: "

// Line is a marker as it stands in a text. It panics for a value without a JSON
// form: markers are structs of plain fields.
func Line(m any) string {
	data, err := json.Marshal(m)
	if err != nil {
		panic("marker: no JSON form: " + err.Error())
	}
	return Prefix + string(data)
}

// Find is the first line of a text that reads as an M which valid takes. Texts
// are hostile: a line that is no such JSON, or of another kind of object, is
// passed over.
func Find[M any](text string, valid func(M) bool) (M, bool) {
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), Prefix)
		if !ok {
			continue
		}
		var m M
		if json.Unmarshal([]byte(rest), &m) == nil && valid(m) {
			return m, true
		}
	}
	var none M
	return none, false
}

// Put puts a marker's line behind a text, in place of all earlier ones, of whatever
// kind of object. A line that is no JSON object is somebody's text and stays.
func Put(text, line string) string {
	return strings.Join(append(others(text), line), "\n")
}

// Without is a text as people wrote it, its lines ended by "\n" alone and the
// last one not at all.
func Without(text string) string {
	return strings.Join(others(text), "\n")
}

func others(text string) []string {
	var kept []string
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), Prefix)
		if !ok || !strings.HasPrefix(rest, "{") || !json.Valid([]byte(rest)) {
			kept = append(kept, strings.TrimRight(line, "\r\n"))
		}
	}
	return kept
}
