package releases

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/antchfx/xmlquery"
	"github.com/antchfx/xpath"

	"github.com/packmill/packmill/internal/fleet"
)

// XML finds the versions that an XPath 1.0 expression selects. published, unless
// it is "", selects the release times: as many as there are versions, or one of
// the first. A malformed expression is of kind Invalid.
func XML(data []byte, path, published string) ([]Entry, error) {
	text, decode, err := markup(data)
	if err != nil {
		return nil, err
	}
	doc, err := xmlquery.ParseWithOptions(bytes.NewReader(text), xmlquery.ParserOptions{Decoder: &xmlquery.DecoderOptions{Strict: true, CharsetReader: decode}})
	if err != nil {
		return nil, fmt.Errorf("the answer is no XML: %w", err)
	}
	return selected(path, published, func(path string) ([]string, error) { return selectXML(doc, path) })
}

// selected makes entries of what an expression selects in a document, and of what
// another selects as their release times, unless it is "".
func selected(path, published string, at func(path string) ([]string, error)) ([]Entry, error) {
	versions, err := at(path)
	if err != nil {
		return nil, err
	}
	out := make([]Entry, len(versions))
	for i, v := range versions {
		out[i].Version = v
	}
	if published == "" {
		return listed(out)
	}
	times, err := at(published)
	if err != nil {
		return nil, err
	}
	if err := stamp(out, times); err != nil {
		return nil, err
	}
	return listed(out)
}

// stamp gives entries the release times that a document tells of them: of each,
// or of the first alone.
func stamp(out []Entry, times []string) error {
	if len(times) != len(out) && len(times) != 1 {
		return fmt.Errorf("the document tells %d versions and %d release times", len(out), len(times))
	}
	for i, text := range times {
		at, err := parseTime(text)
		if err != nil {
			return err
		}
		out[i].Published = at
	}
	return nil
}

// selectXML are the texts that an expression selects: of nodes, or its value.
func selectXML(doc *xmlquery.Node, path string) ([]string, error) {
	x, err := compileXPath(path)
	if err != nil {
		return nil, err
	}
	var out []string
	switch v := x.Evaluate(xmlquery.CreateXPathNavigator(doc)).(type) {
	case *xpath.NodeIterator:
		for v.MoveNext() && len(out) < maxEntries {
			if text := strings.TrimSpace(v.Current().Value()); text != "" && len(text) <= maxText {
				out = append(out, text)
			}
		}
	case string:
		out = append(out, strings.TrimSpace(v))
	default:
		return nil, fmt.Errorf("%s selects no text, but a number or a truth", path)
	}
	if len(out) == 0 || out[0] == "" {
		return nil, fmt.Errorf("%w: nothing is at %s", errNothing, path)
	}
	return out, nil
}

func compileXPath(path string) (*xpath.Expr, error) {
	x, err := xpath.Compile(path)
	if err != nil {
		return nil, fleet.Errorf(fleet.Invalid, "releases.xml", path, "malformed XPath: %v", err)
	}
	switch x.Evaluate(xmlquery.CreateXPathNavigator(&xmlquery.Node{Type: xmlquery.DocumentNode})).(type) {
	case float64, bool:
		return nil, fleet.Errorf(fleet.Invalid, "releases.xml", path, "the XPath gives a number or a truth, not texts: leave count() and comparisons out")
	}
	return x, nil
}

// maxDepth is how deep elements may be nested: parsers of trees call themselves
// for each level.
const maxDepth = 256

// shallow refuses documents that are nested too deep, or are no XML.
func shallow(data []byte, decode func(string, io.Reader) (io.Reader, error)) error {
	dec := xml.NewDecoder(bytes.NewReader(data))
	dec.CharsetReader = decode
	depth := 0
	for {
		token, err := dec.RawToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the answer is no XML: %w", err)
		}
		switch token.(type) {
		case xml.StartElement:
			depth++
		case xml.EndElement:
			depth--
		}
		if depth > maxDepth {
			return fmt.Errorf("the document is nested more than %d elements deep", maxDepth)
		}
	}
}
