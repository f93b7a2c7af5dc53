package releases

import (
	"cmp"
	"errors"
	"strings"
)

// An appcast is RSS with elements and attributes of Sparkle's namespace
// (sparkle-project.org/documentation/publishing). They are known by their local
// names: appcasts with a misspelt namespace are about.
type appcast struct {
	Items []appcastItem `xml:"channel>item"`
}

type appcastItem struct {
	Short       string             `xml:"shortVersionString"`
	Build       string             `xml:"version"`
	Channel     string             `xml:"channel"`
	Published   string             `xml:"pubDate"`
	NotesURL    string             `xml:"releaseNotesLink"`
	Description string             `xml:"description"`
	Enclosures  []appcastEnclosure `xml:"enclosure"`
}

type appcastEnclosure struct {
	URL       string `xml:"url,attr"`
	Length    string `xml:"length,attr"`
	Short     string `xml:"shortVersionString,attr"`
	Build     string `xml:"version,attr"`
	OS        string `xml:"os,attr"` // WinSparkle: "windows-arm64"
	DeltaFrom string `xml:"deltaFrom,attr"`
}

// Sparkle reads the appcast at the address base: the items of a channel, the
// default one when it is "". version says what their versions are: short, build,
// or both as "short,build". Items that lack it are left out: a build number among
// short versions would always be the newest.
func Sparkle(data []byte, base, version, channel string) ([]Entry, error) {
	var doc appcast
	if err := unmarshalXML(data, "rss", &doc); err != nil {
		return nil, err
	}
	var out []Entry
	for _, item := range doc.Items {
		if strings.TrimSpace(item.Channel) != channel {
			continue
		}
		e := Entry{Published: toldTime(item.Published), Notes: strings.TrimSpace(item.Description), NotesURL: item.NotesURL}
		for _, enclosure := range item.Enclosures {
			if enclosure.DeltaFrom != "" {
				continue
			}
			item.Short, item.Build = cmp.Or(item.Short, enclosure.Short), cmp.Or(item.Build, enclosure.Build)
			if f, err := fileAt(base, enclosure.URL, ""); err == nil {
				_, arch, _ := strings.Cut(enclosure.OS, "-")
				f.Size, f.Arch = sizeOf(enclosure.Length), cmp.Or(archOf(arch), archIn(f.Name))
				e.Files = append(e.Files, f)
			}
		}
		if e.Version = item.version(version); e.Version != "" {
			out = append(out, e)
		}
	}
	switch {
	case len(out) > 0:
		return listed(merged(out))
	case len(doc.Items) > 0:
		return nil, errors.New("no item of the appcast is of the channel and states the version that is asked for")
	}
	return nil, errNothing
}

func (i appcastItem) version(which string) string {
	short, build := strings.TrimSpace(i.Short), strings.TrimSpace(i.Build)
	switch {
	case which == "build":
		return build
	case which != "both":
		return short
	case short == "" || build == "":
		return ""
	}
	return short + "," + build
}
