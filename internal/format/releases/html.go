package releases

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/PuerkitoBio/goquery"
	"github.com/andybalholm/cascadia"
	"golang.org/x/net/html/charset"

	"github.com/packmill/packmill/internal/fleet"
)

// HTML gives a version for each element of a page that a CSS selector names: the
// attribute's value, or the element's text when attribute is "". A malformed
// selector is of kind Invalid.
func HTML(data []byte, selector, attribute string) ([]Entry, error) {
	matcher, err := compileCSS(selector)
	if err != nil {
		return nil, err
	}
	text, marked, err := plain(data)
	if err != nil {
		return nil, err
	}
	if err := few(text, maxElements, "<"); err != nil {
		return nil, err
	}
	var page io.Reader = bytes.NewReader(text)
	if !marked { // what the page says of its encoding, else what its bytes look like
		if page, err = charset.NewReader(page, ""); err != nil {
			return nil, fmt.Errorf("the page is of an unknown encoding: %w", err)
		}
	}
	doc, err := goquery.NewDocumentFromReader(page)
	if err != nil {
		return nil, fmt.Errorf("the answer is no page: %w", err)
	}
	var out []Entry
	for _, node := range doc.FindMatcher(matcher).EachIter() {
		text := node.Text()
		if attribute != "" {
			text = node.AttrOr(attribute, "")
		}
		if text = strings.TrimSpace(text); text != "" && len(text) <= maxText && len(out) < maxEntries {
			out = append(out, Entry{Version: text})
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: nothing on the page is selected by %s", errNothing, selector)
	}
	return listed(out)
}

func compileCSS(selector string) (cascadia.Selector, error) {
	m, err := cascadia.Compile(selector)
	if err != nil {
		return nil, fleet.Errorf(fleet.Invalid, "releases.html", selector, "malformed CSS selector: %v", err)
	}
	return m, nil
}
