package xar

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Caps on the XML of a package. A file of the table of contents takes about 20
// elements.
const (
	maxElements = 400_000
	maxDepth    = 32
)

// An element is one of an XML document.
type element struct {
	name  string
	attrs []xml.Attr
	text  string // between the tags, without that of elements inside, trimmed
	kids  []*element
	raw   []byte // the same while it grows
	at    int64  // offset behind its start tag
	in    string
}

// parse reads a document; what names it in errors. Entities other than XML's own
// five are refused, so nothing expands.
func parse(text []byte, what string) (*element, error) {
	d := xml.NewDecoder(bytes.NewReader(text))
	var root *element
	var open []*element
	for n := 0; ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, invalid("offset %d of the %s: %w", d.InputOffset(), what, err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			e := &element{name: t.Name.Local, attrs: t.Attr, at: d.InputOffset(), in: what}
			n++
			switch {
			case n > maxElements || len(open) == maxDepth:
				return nil, e.fail("too many elements, or nested deeper than %d", maxDepth)
			case len(open) > 0:
				open[len(open)-1].kids = append(open[len(open)-1].kids, e)
			case root != nil:
				return nil, e.fail("a second root")
			default:
				root = e
			}
			open = append(open, e)
		case xml.EndElement:
			e := open[len(open)-1]
			e.text, e.raw = strings.TrimSpace(string(e.raw)), nil
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 && len(bytes.TrimSpace(t)) > 0 {
				open[len(open)-1].raw = append(open[len(open)-1].raw, t...)
			}
		}
	}
	if root == nil {
		return nil, invalid("offset 0 of the %s: no XML", what)
	}
	return root, nil
}

// fail is an error about an element.
func (e *element) fail(format string, args ...any) error {
	return invalid("offset %d of the %s: %.40s: %w", e.at, e.in, printable(e.name), fmt.Errorf(format, args...))
}

func (e *element) attr(name string) string {
	for _, a := range e.attrs {
		if a.Name.Local == name {
			return printable(a.Value)
		}
	}
	return ""
}

func (e *element) all(name string) []*element {
	var out []*element
	for _, k := range e.kids {
		if k.name == name {
			out = append(out, k)
		}
	}
	return out
}

func (e *element) has(name string) bool { return len(e.all(name)) > 0 }

// only is the one element of that name inside.
func (e *element) only(name string) (*element, error) {
	found := e.all(name)
	if len(found) != 1 {
		return nil, e.fail("%d elements %q inside, not one", len(found), name)
	}
	return found[0], nil
}

// number is the one element of that name inside, as a number that is not
// negative.
func (e *element) number(name string) (int64, error) {
	k, err := e.only(name)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(k.text, 10, 64)
	if err != nil || n < 0 {
		return 0, k.fail("%.30q is no number of bytes", k.text)
	}
	return n, nil
}

// walk visits the elements inside, at any depth, until visit says that it wants
// nothing inside of one.
func (e *element) walk(visit func(*element) (inside bool)) {
	for _, k := range e.kids {
		if visit(k) {
			k.walk(visit)
		}
	}
}

// base64Of decodes base64 with white space in it.
func base64Of(s string) ([]byte, error) {
	return base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s), ""))
}
