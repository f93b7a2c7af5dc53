package rpm

// Tags of the main header.
const (
	tagName              = 1000
	tagVersion           = 1001
	tagRelease           = 1002
	tagEpoch             = 1003
	tagSummary           = 1004
	tagDescription       = 1005
	tagSize              = 1009
	tagVendor            = 1011
	tagLicense           = 1014
	tagPackager          = 1015
	tagURL               = 1020
	tagOS                = 1021
	tagArch              = 1022
	tagOldFileNames      = 1027
	tagFileSizes         = 1028
	tagFileModes         = 1030
	tagFileDigests       = 1035
	tagFileLinks         = 1036
	tagFileFlags         = 1037
	tagFileUsers         = 1039
	tagFileGroups        = 1040
	tagSourceRPM         = 1044
	tagProvideName       = 1047
	tagRequireFlags      = 1048
	tagRequireName       = 1049
	tagRequireVersion    = 1050
	tagConflictFlags     = 1053
	tagConflictName      = 1054
	tagConflictVersion   = 1055
	tagObsoleteName      = 1090
	tagSourcePackage     = 1106
	tagProvideFlags      = 1112
	tagProvideVersion    = 1113
	tagObsoleteFlags     = 1114
	tagObsoleteVersion   = 1115
	tagDirIndexes        = 1116
	tagBaseNames         = 1117
	tagDirNames          = 1118
	tagPayloadFormat     = 1124
	tagPayloadCompressor = 1125
	tagLongFileSizes     = 5008
	tagLongSize          = 5009
	tagPayloadDigest     = 5092
	tagPayloadDigestAlgo = 5093
)

// Flags of a file.
const (
	flagConfig = 1 << 0
	flagGhost  = 1 << 6
)

// files joins the lists that describe the package's files.
func (h header) files() ([]Entry, error) {
	names, err := h.names()
	if err != nil || len(names) == 0 {
		return nil, err
	}
	out := make([]Entry, len(names))
	for i, name := range names {
		if !safe(name) || clean(name) != name {
			return nil, h.fault(tagBaseNames, "the path %.200q leads elsewhere", name)
		}
		out[i].Path = name
	}
	sizes := uint32(tagFileSizes)
	if h.has(tagLongFileSizes) {
		sizes = tagLongFileSizes
	}
	for _, list := range []struct {
		tag uint32
		set func(*Entry, int64)
	}{
		{sizes, func(e *Entry, n int64) { e.Size = n }},
		{tagFileModes, func(e *Entry, n int64) { e.Mode = uint16(n) }},
		{tagFileFlags, func(e *Entry, n int64) { e.Config, e.Ghost = n&flagConfig != 0, n&flagGhost != 0 }},
	} {
		values, err := h.numbers(list.tag, maxFiles)
		if err != nil {
			return nil, err
		}
		if len(values) != len(out) {
			return nil, h.fault(list.tag, "there are %d values for %d files", len(values), len(out))
		}
		for i, n := range values {
			list.set(&out[i], n)
		}
	}
	for _, list := range []struct {
		tag uint32
		set func(*Entry, string)
	}{
		{tagFileUsers, func(e *Entry, s string) { e.User = s }},
		{tagFileGroups, func(e *Entry, s string) { e.Group = s }},
		{tagFileLinks, func(e *Entry, s string) { e.Link = s }},
		{tagFileDigests, func(e *Entry, s string) { e.Digest = s }},
	} {
		values, err := h.texts(list.tag, maxFiles)
		if err != nil {
			return nil, err
		}
		if len(values) != len(out) {
			return nil, h.fault(list.tag, "there are %d values for %d files", len(values), len(out))
		}
		for i, text := range values {
			list.set(&out[i], clean(text))
		}
	}
	return out, nil
}
