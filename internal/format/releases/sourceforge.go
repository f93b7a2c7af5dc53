package releases

import (
	"cmp"
	"path"
	"strings"
)

// SourceForge reads the RSS of a project's files
// (sourceforge.net/p/forge/documentation/RSS). Each entry's version is the path
// of one file, "/tool/1.4/tool-1.4.msi": what is a version in it is for the
// package to say. The MD5 that stands beside each is not used.
func SourceForge(data []byte) ([]Entry, error) {
	var doc struct {
		Items []struct {
			Title     string `xml:"title"`
			Link      string `xml:"link"`
			Published string `xml:"pubDate"`
			Content   struct {
				URL  string `xml:"url,attr"`
				Size string `xml:"filesize,attr"`
			} `xml:"content"`
		} `xml:"channel>item"`
	}
	if err := unmarshalXML(data, "rss", &doc); err != nil {
		return nil, err
	}
	var out []Entry
	for _, item := range doc.Items {
		title := strings.TrimSpace(item.Title)
		f, err := fileAt("https://sourceforge.net/", cmp.Or(item.Content.URL, strings.TrimSpace(item.Link)), path.Base(title))
		if title == "" || err != nil {
			continue // a folder, or news
		}
		f.Size, f.Arch = sizeOf(item.Content.Size), archIn(f.Name)
		out = append(out, Entry{Version: title, Published: toldTime(item.Published), Files: []File{f}})
	}
	return listed(out)
}
