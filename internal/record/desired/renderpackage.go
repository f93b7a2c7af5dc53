package desired

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode"

	"cuelang.org/go/cue/format"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/schema"
)

// Notes are comments for a file that is written: by the path of a field below
// the file's value ("installers.x64.detect"), texts of which each becomes a
// comment of its own above the field, or in its place when it is not there.
type Notes map[string][]string

// PackageFile is the package.cue of a package without releases. Zero values are
// left to the schema's defaults. It belongs at PackagePath.
func PackageFile(p fleet.Package, notes Notes) ([]byte, error) {
	p.Releases = nil
	if p.Tests.Matrix == nil {
		p.Tests.Matrix = []string{}
	}
	return valueFile("pkg", "#Package", p, notes)
}

// PublisherFile is the publisher.cue of a publisher. It belongs at PublisherPath.
func PublisherFile(p fleet.Publisher, notes Notes) ([]byte, error) {
	if p.Hosts == nil {
		p.Hosts = []string{}
	}
	return valueFile("publisher", "#Publisher", p, notes)
}

// PackagePath is where a package's file stands.
func PackagePath(id fleet.PackageID) string { return id.Dir() + "/package.cue" }

// PublisherPath is where a publisher's file stands.
func PublisherPath(publisher string) string { return "catalog/" + publisher + "/publisher.cue" }

// valueFile writes a catalog file with one value, as cue fmt would.
func valueFile(label, def string, value any, notes Notes) ([]byte, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	tree, err := readNode(decoder)
	if err != nil {
		return nil, err
	}
	w := writer{notes: notes}
	w.out.WriteString("package catalog\n\nimport \"" + schema.ImportPath + "\"\n\n")
	w.comments("")
	w.out.WriteString(label + ": schema." + def + " & ")
	w.block(tree, "")
	w.out.WriteByte('\n')
	return format.Source([]byte(w.out.String()))
}

// A node is a JSON value whose members keep their order.
type node struct {
	members []field  // of an object
	list    []node   // of a list
	literal string   // of anything else, as CUE writes it
	kind    nodeKind // which of the three it is
}

type field struct {
	name  string
	value node
}

type nodeKind int

const (
	literalNode nodeKind = iota
	objectNode
	listNode
)

// readNode reads one value. Members that say nothing are left out.
func readNode(d *json.Decoder) (node, error) {
	token, err := d.Token()
	if err != nil {
		return node{}, err
	}
	switch t := token.(type) {
	case json.Delim:
		return readInner(d, t)
	case string:
		return node{literal: quote(t)}, nil
	case json.Number:
		return node{literal: t.String()}, nil
	case bool:
		if t {
			return node{literal: "true"}, nil
		}
		return node{literal: "false"}, nil
	case nil:
		return node{literal: "null"}, nil
	}
	return node{}, errors.New("no JSON value")
}

func readInner(d *json.Decoder, open json.Delim) (node, error) {
	n := node{kind: objectNode}
	if open == '[' {
		n.kind = listNode
	}
	for d.More() {
		var name string
		if n.kind == objectNode {
			key, err := d.Token()
			if err != nil {
				return node{}, err
			}
			name, _ = key.(string)
		}
		value, err := readNode(d)
		if err != nil {
			return node{}, err
		}
		switch {
		case n.kind == listNode:
			n.list = append(n.list, value)
		case !value.silent(name):
			n.members = append(n.members, field{name, value})
		}
	}
	if _, err := d.Token(); err != nil && !errors.Is(err, io.EOF) {
		return node{}, err
	}
	return n, nil
}

// silent reports whether a member says no more than the schema's default does.
// Lists that the schema asks for are written when they are empty.
func (n node) silent(name string) bool {
	switch n.kind {
	case objectNode:
		return len(n.members) == 0
	case listNode:
		return len(n.list) == 0 && name != "matrix" && name != "hosts"
	}
	return slices.Contains([]string{`""`, "0", "false", "null", `"0s"`}, n.literal)
}

// A writer writes nodes with their comments.
type writer struct {
	out   strings.Builder
	notes Notes
}

// named are the members whose keys people choose: each is written by itself.
var named = map[string]bool{"installers": true, "settings": true, "health": true, "signers": true}

// apart are the members of a package that a blank line stands before.
var apart = map[string]bool{"upstream": true, "installers": true, "settings": true, "tests": true, "identity": true, "advisories": true}

// block writes an object on lines of its own.
func (w *writer) block(n node, at string) {
	w.out.WriteString("{\n")
	for _, f := range n.members {
		if at == "" && apart[f.name] {
			w.out.WriteByte('\n')
		}
		if named[f.name] {
			w.comments(below(at, f.name))
			for _, one := range f.value.members {
				w.comments(below(below(at, f.name), one.name))
				w.out.WriteString(key(f.name) + ": ")
				w.member(one, below(below(at, f.name), one.name))
			}
			continue
		}
		w.comments(below(at, f.name))
		w.member(f, below(at, f.name))
	}
	for _, path := range w.absent(n, at) {
		w.comments(path)
	}
	w.out.WriteByte('}')
}

// member writes one field, in the shortest form that leaves room for comments.
func (w *writer) member(f field, at string) {
	w.out.WriteString(key(f.name) + ": ")
	w.value(f.value, at)
	w.out.WriteByte('\n')
}

func (w *writer) value(n node, at string) {
	commented := w.commented(at)
	switch {
	case n.kind == objectNode && len(n.members) == 1 && !commented:
		w.out.WriteString(key(n.members[0].name) + ": ")
		w.value(n.members[0].value, below(at, n.members[0].name))
	case n.kind == objectNode && !commented && n.small():
		w.out.WriteString(n.inline())
	case n.kind == objectNode:
		w.block(n, at)
	case n.kind == listNode && len(n.list) > 1 && len(n.inline()) > 120:
		w.out.WriteString("[\n")
		for _, e := range n.list {
			w.out.WriteString(e.inline() + ",\n")
		}
		w.out.WriteByte(']')
	default:
		w.out.WriteString(n.inline())
	}
}

// small reports whether an object fits one line.
func (n node) small() bool {
	for _, f := range n.members {
		if f.value.kind == objectNode {
			return false
		}
	}
	return len(n.inline()) <= 120
}

// inline is a value on one line.
func (n node) inline() string {
	var parts []string
	switch n.kind {
	case objectNode:
		for _, f := range n.members {
			parts = append(parts, key(f.name)+": "+f.value.inline())
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case listNode:
		for _, e := range n.list {
			parts = append(parts, e.inline())
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return n.literal
}

// commented reports whether something below a path has comments.
func (w *writer) commented(at string) bool {
	for path := range w.notes {
		if strings.HasPrefix(path, at+".") {
			return true
		}
	}
	return false
}

// absent are the paths with comments of members that an object has not.
func (w *writer) absent(n node, at string) []string {
	var out []string
	for path := range w.notes {
		rest, within := strings.CutPrefix(path, at)
		if rest = strings.TrimPrefix(rest, "."); !within || rest == "" || at != "" && path[len(at)] != '.' {
			continue
		}
		name, _, _ := strings.Cut(rest, ".")
		if !slices.ContainsFunc(n.members, func(f field) bool { return f.name == name }) {
			out = append(out, path)
		}
	}
	slices.Sort(out)
	return out
}

func below(at, name string) string {
	if at == "" {
		return name
	}
	return at + "." + name
}

// commentWidth is where the lines of comments are broken.
const commentWidth = 90

// comments writes the notes of a path. Whatever a text holds, it stays one
// comment: there is nothing in it that ends a line.
func (w *writer) comments(at string) {
	for _, text := range w.notes[at] {
		text = strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return ' '
			}
			return r
		}, strings.ToValidUTF8(text, "\uFFFD"))
		line := "//"
		for word := range strings.FieldsSeq(text) {
			if len(line)+1+len(word) > commentWidth && line != "//" {
				w.out.WriteString(line + "\n")
				line = "//"
			}
			line += " " + word
		}
		w.out.WriteString(line + "\n")
	}
}
