package releases

import (
	"bytes"
	"cmp"
	"fmt"

	"github.com/mmcdole/gofeed"
)

// News reads an Atom feed (RFC 4287), an RSS feed (rssboard.org) or a JSON feed
// (jsonfeed.org) at the address base. field is the part of an entry that holds
// the version: title, link, id or content. Enclosures are its files.
func News(data []byte, base, field string) ([]Entry, error) {
	feed, err := parseNews(data)
	if err != nil {
		return nil, err
	}
	var out []Entry
	for _, item := range feed.Items {
		e := Entry{
			Published: cmp.Or(toldTime(item.Published), toldTime(item.Updated)),
			Notes:     cmp.Or(item.Content, item.Description), NotesURL: item.Link,
		}
		switch field {
		case "link":
			e.Version = item.Link
		case "id":
			e.Version = item.GUID
		case "content":
			e.Version = cut64K(e.Notes)
		default:
			e.Version = item.Title
		}
		for _, enclosure := range item.Enclosures {
			if f, err := fileAt(base, enclosure.URL, ""); err == nil { // others are no downloads
				f.Size, f.Arch = sizeOf(enclosure.Length), archIn(f.Name)
				e.Files = append(e.Files, f)
			}
		}
		out = append(out, e)
	}
	return listed(out)
}

func parseNews(data []byte) (feed *gofeed.Feed, err error) {
	text, marked, err := plain(data)
	if err != nil {
		return nil, err
	}
	if text = bytes.TrimSpace(text); text[0] == '{' {
		if err := few(text, 2*maxEntries, "[", "{"); err != nil {
			return nil, err
		}
	} else if err := few(text, maxEntries, "<item", "<entry"); err != nil {
		return nil, err // each costs the parser some kilobytes
	} else if _, _, err := markup(data); err != nil {
		return nil, err
	} else if after, ok := bytes.CutPrefix(text, []byte("<?xml")); ok && marked {
		// It was made UTF-8 and declares what it was before.
		_, text, _ = bytes.Cut(after, []byte("?>"))
	}
	defer func() {
		// The parser follows elements wherever they stand.
		if p := recover(); p != nil {
			feed, err = nil, fmt.Errorf("the answer is no feed: %v", p)
		}
	}()
	if feed, err = gofeed.NewParser().Parse(bytes.NewReader(text)); err != nil {
		return nil, fmt.Errorf("the answer is no feed: %w", err)
	}
	return feed, nil
}
