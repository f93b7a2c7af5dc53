package msi

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A Summary is the summary information stream, [MS-OLEPS] section 2.21 with the
// meanings that "Summary Property Descriptions" of the Windows Installer
// reference gives its properties. What a file does not state is zero.
type Summary struct {
	CodePage    int
	Title       string
	Subject     string // the product's name, as a rule
	Author      string // the manufacturer
	Keywords    string
	Comments    string
	Template    string   // "platform,…;language,…"
	Platforms   []string // of the template, as written: Intel, x64, Arm64
	Languages   []int    // of the template
	LastAuthor  string
	Revision    string // the package code; of patches and transforms more
	LastPrinted time.Time
	Created     time.Time
	LastSaved   time.Time
	Pages       int // the installer version it needs: 200 is 2.0
	Words       int // the flags below
	Characters  int
	Application string
	Security    int // 0 read and write, 2 read-only recommended, 4 read-only enforced

	ShortNames  bool // word count bit 0: the source has 8.3 names
	Compressed  bool // bit 1: the source is in cabinets
	AdminImage  bool // bit 2: an administrative installation
	NoElevation bool // bit 3: it installs without administrator rights
}

// Property numbers of the summary information.
const (
	summaryCodePage   = 1
	summaryTitle      = 2
	summarySubject    = 3
	summaryAuthor     = 4
	summaryKeywords   = 5
	summaryComments   = 6
	summaryTemplate   = 7
	summaryLastAuthor = 8
	summaryRevision   = 9
	summaryPrinted    = 11
	summaryCreated    = 12
	summarySaved      = 13
	summaryPages      = 14
	summaryWords      = 15
	summaryCharacters = 16
	summaryApp        = 18
	summarySecurity   = 19
)

// Types of property values, [MS-OLEPS] section 2.2.
const (
	typeInt2  = 2
	typeInt4  = 3
	typeLPStr = 30
	typeTime  = 64
)

const maxProperties = 1_000 // of a set; twenty have a meaning

// readSummary reads the summary information. A file without it is read all the
// same: it then states nothing there.
func (f *File) readSummary() error {
	data, err := f.container.readAll(summaryStream, maxSummary)
	if errors.Is(err, errNoStream) {
		return nil
	}
	if err != nil {
		return err
	}
	values, err := readPropertySet(data)
	if err != nil {
		return err
	}
	f.Summary = newSummary(values)
	f.Arch = arch(f.Summary.Template)
	f.PackageCode, _, _ = strings.Cut(f.Summary.Revision, ";")
	return nil
}

// A propertyValue is what one property of a set holds.
type propertyValue struct {
	number int
	text   []byte
	time   time.Time
}

// readPropertySet reads the first set of a stream: its numbers, texts and times.
// Values of other types are passed over.
func readPropertySet(data []byte) (map[uint32]propertyValue, error) {
	const structure = "summary information"
	if len(data) < 48 {
		return nil, damaged(structure, int64(len(data)), "it ends in its header")
	}
	begin := int64(binary.LittleEndian.Uint32(data[44:]))
	if begin+8 > int64(len(data)) {
		return nil, damaged(structure, 44, "its properties begin at %d of %d bytes", begin, len(data))
	}
	set := data[begin:]
	count := int64(binary.LittleEndian.Uint32(set[4:]))
	if count > (int64(len(set))-8)/8 || count > maxProperties {
		return nil, damaged(structure, begin+4, "%d properties in %d bytes", count, len(set))
	}
	values := map[uint32]propertyValue{}
	for i := range count {
		id := binary.LittleEndian.Uint32(set[8+8*i:])
		at := int64(binary.LittleEndian.Uint32(set[12+8*i:]))
		if at+8 > int64(len(set)) {
			return nil, damaged(structure, begin+12+8*i, "property %d stands at %d of %d bytes", id, at, len(set))
		}
		v, ok := readProperty(set[at:])
		if !ok {
			return nil, damaged(structure, begin+at, "property %d is longer than what is left", id)
		}
		values[id] = v
	}
	return values, nil
}

// readProperty reads a value from its type on; b has eight bytes at least.
func readProperty(b []byte) (v propertyValue, ok bool) {
	low := binary.LittleEndian.Uint32(b[4:])
	switch binary.LittleEndian.Uint32(b) {
	case typeInt2:
		v.number = int(int16(low))
	case typeInt4:
		v.number = int(int32(low))
	case typeLPStr:
		if int64(low) > int64(len(b)-8) {
			return v, false
		}
		v.text = b[8 : 8+low]
	case typeTime:
		if len(b) < 12 {
			return v, false
		}
		v.time = fileTime(int64(low) | int64(binary.LittleEndian.Uint32(b[8:]))<<32)
	}
	return v, true
}

// fileTime is an instant counted in 100 ns since 1601; zero and what is before
// it in two's complement state none.
func fileTime(n int64) time.Time {
	if n <= 0 {
		return time.Time{}
	}
	const toUnix = 11_644_473_600 // seconds from 1601 to 1970
	return time.Unix(n/1e7-toUnix, n%1e7*100).UTC()
}

func newSummary(values map[uint32]propertyValue) Summary {
	page := codePage(uint32(uint16(values[summaryCodePage].number)))
	text := func(id uint32) string {
		b := bytes.TrimRight(values[id].text, "\x00")
		if utf8.Valid(b) {
			// msitools writes UTF-8 whatever code page it states, and hardly any
			// text of another one is valid UTF-8.
			return clean(string(b))
		}
		return clean(decode(page, b))
	}
	s := Summary{
		CodePage:    int(uint16(values[summaryCodePage].number)),
		Title:       text(summaryTitle),
		Subject:     text(summarySubject),
		Author:      text(summaryAuthor),
		Keywords:    text(summaryKeywords),
		Comments:    text(summaryComments),
		Template:    text(summaryTemplate),
		LastAuthor:  text(summaryLastAuthor),
		Revision:    text(summaryRevision),
		LastPrinted: values[summaryPrinted].time,
		Created:     values[summaryCreated].time,
		LastSaved:   values[summarySaved].time,
		Pages:       values[summaryPages].number,
		Words:       values[summaryWords].number,
		Characters:  values[summaryCharacters].number,
		Application: text(summaryApp),
		Security:    values[summarySecurity].number,
	}
	s.ShortNames, s.Compressed = s.Words&1 != 0, s.Words&2 != 0
	s.AdminImage, s.NoElevation = s.Words&4 != 0, s.Words&8 != 0
	platforms, languages, _ := strings.Cut(s.Template, ";")
	for p := range strings.SplitSeq(platforms, ",") {
		if p = strings.TrimSpace(p); p != "" {
			s.Platforms = append(s.Platforms, p)
		}
	}
	for l := range strings.SplitSeq(languages, ",") {
		if n, err := strconv.Atoi(strings.TrimSpace(l)); err == nil {
			s.Languages = append(s.Languages, n)
		}
	}
	return s
}

// arch reads a template "platform,…;language,…": an empty platform is x86.
func arch(template string) string {
	platform, _, ok := strings.Cut(template, ";")
	switch strings.ToLower(strings.TrimSpace(platform)) {
	case "x64", "amd64":
		return "x64"
	case "arm64":
		return "arm64"
	case "intel":
		return "x86"
	case "":
		if ok {
			return "x86"
		}
	}
	return ""
}
