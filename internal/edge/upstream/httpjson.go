package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"time"

	"github.com/ohler55/ojg/jp"

	"github.com/packmill/packmill/internal/fleet"
)

// httpJSON reads a version from a document by JSONPath. Redirects stay on the
// document's own host.
func (c *Client) httpJSON(ctx context.Context, feed fleet.HTTPJSON) (told, error) {
	u, err := url.Parse(feed.URL)
	if err != nil {
		return told{}, err
	}
	body, err := c.get(ctx, query{url: feed.URL, client: c.guarded, hosts: []string{u.Hostname()}})
	if err != nil {
		return told{}, err
	}
	// Numbers keep their text: 24.10 is not 24.1.
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var doc any
	if err := dec.Decode(&doc); err != nil {
		return told{}, holdf(fleet.HoldUnparsable, "%s: the answer is no JSON: %w", feed.URL, err)
	}
	var t told
	if t.version, err = first(doc, feed.Path); err != nil {
		return told{}, err
	}
	if feed.Published == "" {
		return t, nil
	}
	text, err := first(doc, feed.Published)
	if err != nil {
		return told{}, err
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			t.published = at.UTC()
			return t, nil
		}
	}
	return told{}, holdf(fleet.HoldUnparsable, "%s: %q is no release time", feed.URL, text)
}

// first is the first value that the path selects, as text.
func first(doc any, path string) (string, error) {
	x, err := jp.ParseString(path)
	if err != nil {
		return "", fleet.Errorf(fleet.Invalid, "upstream.httpJSON", path, "malformed JSONPath: %v", err)
	}
	values := x.Get(doc)
	if len(values) == 0 {
		return "", holdf(fleet.HoldUnparsable, "the document has nothing at %s", path)
	}
	switch v := values[0].(type) {
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	case nil:
		return "null", nil
	}
	return "", holdf(fleet.HoldUnparsable, "the document has no text at %s", path)
}
