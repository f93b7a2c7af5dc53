package msi

import (
	"encoding/binary"
	"strings"
)

// Properties of the summary information stream, [MS-OLEPS] section 3.1.2 and
// the Windows Installer's "Summary Information Stream" pages.
const (
	summaryTemplate = 7
	summaryRevision = 9
	typeText        = 30 // VT_LPSTR
)

// readSummary reads the architecture and the package code. A file without
// summary information is read all the same: it then states neither.
func (f *File) readSummary() error {
	data, err := f.stream("\x05SummaryInformation", maxSummary)
	if err != nil || len(data) < 48 {
		return nil
	}
	at := binary.LittleEndian.Uint32(data[44:]) // of the first set
	if int64(at)+8 > int64(len(data)) {
		return invalid("the summary information is cut off")
	}
	set := data[at:]
	count := binary.LittleEndian.Uint32(set[4:])
	if int64(count) > int64(len(set)-8)/8 {
		return invalid("the summary information is cut off")
	}
	for i := range count {
		id := binary.LittleEndian.Uint32(set[8+8*i:])
		text, ok := summaryText(set, binary.LittleEndian.Uint32(set[12+8*i:]))
		if !ok {
			continue
		}
		switch id {
		case summaryTemplate:
			f.Arch = arch(text)
		case summaryRevision:
			f.PackageCode, _, _ = strings.Cut(text, ";")
		}
	}
	return nil
}

func summaryText(set []byte, at uint32) (string, bool) {
	if int64(at)+8 > int64(len(set)) || binary.LittleEndian.Uint32(set[at:]) != typeText {
		return "", false
	}
	length := int64(binary.LittleEndian.Uint32(set[at+4:]))
	rest := set[at+8:]
	if length > int64(len(rest)) {
		return "", false
	}
	return decode(nil, []byte(strings.TrimRight(string(rest[:length]), "\x00"))), true
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
