package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"unicode/utf16"

	"github.com/ulikunitz/xz/lzma"
)

// 7z is read here and not by a library: the list is all that is needed, and the
// libraries for Go make room for as many files as a header of 40 bytes states.
// Layout and names are those of DOC/7zFormat.txt in 7-zip.org's LZMA SDK.
const (
	sevenMagic = "7z\xbc\xaf\x27\x1c"

	sevenHeader   = 32       // bytes of the signature header
	maxSevenList  = 32 << 20 // bytes of the header that lists, plain or unpacked
	maxSevenDict  = 64 << 20 // bytes of dictionary to unpack it
	maxCoders     = 32
	maxProperties = 64 // bytes of a coder's properties
)

// Ids of properties.
const (
	idEnd = iota
	idHeader
	idArchiveProperties
	idAdditionalStreams
	idMainStreams
	idFiles
	idPack
	idUnpack
	idSubStreams
	idSize
	idCRC
	idFolder
	idCodersSize
	idStreamCount
	idEmptyStream
	idEmptyFile
	idAnti
	idNames
	idAttributes = 0x15
	idEncoded    = 0x17
)

var errSevenCut = errors.New("the 7z header is cut off")

// seven lists a 7z archive.
func (l *lister) seven(r io.ReaderAt, size int64) error {
	var start [sevenHeader]byte
	if n, err := r.ReadAt(start[:], 0); n < len(start) {
		return fmt.Errorf("offset 0: it is cut off (%v)", err)
	}
	at, length := binary.LittleEndian.Uint64(start[12:]), binary.LittleEndian.Uint64(start[20:])
	if crc32.ChecksumIEEE(start[12:]) != binary.LittleEndian.Uint32(start[8:]) {
		return errors.New("offset 8: the checksum of the 7z start header is wrong")
	}
	if length == 0 {
		return nil // it is empty
	}
	if length > maxSevenList || at > uint64(size) || at+length+sevenHeader > uint64(size) {
		return fmt.Errorf("offset 12: the 7z header of %d bytes at %d lies outside the file or is too long", length, at)
	}
	header := make([]byte, length)
	if n, err := r.ReadAt(header, sevenHeader+int64(at)); n < len(header) {
		return err
	}
	if crc32.ChecksumIEEE(header) != binary.LittleEndian.Uint32(start[28:]) {
		return errors.New("offset 28: the checksum of the 7z header is wrong")
	}
	for range 4 { // a header may be packed more than once
		c := &cursor{b: header}
		switch id := c.number(); id {
		case idHeader:
			return l.sevenFiles(c)
		case idEncoded:
			s := c.streams(1)
			if c.err != nil {
				return c.err
			}
			var err error
			if header, err = s.unpack(r, size); err != nil {
				return err
			}
		default:
			return fmt.Errorf("the 7z header begins with %d", id)
		}
	}
	return errors.New("the 7z header is packed too often")
}

// unpack decodes a header that is a packed stream of its own.
func (s streamsInfo) unpack(r io.ReaderAt, size int64) ([]byte, error) {
	if len(s.folders) != 1 || len(s.packed) != 1 || len(s.folders[0].coders) != 1 {
		return nil, errors.New("the list is encrypted, or packed in a way that is not read")
	}
	f := s.folders[0]
	at := sevenHeader + s.at
	if f.size() > maxSevenList || s.at > uint64(size) || s.packed[0] > uint64(size) || at+s.packed[0] > uint64(size) {
		return nil, fmt.Errorf("the packed list at %d lies outside the file or is too long", at)
	}
	in := io.Reader(io.NewSectionReader(r, int64(at), int64(s.packed[0])))
	var err error
	switch c := f.coders[0]; string(c.id) {
	case "\x00":
	case "\x03\x01\x01": // LZMA, whose own files have the size behind the properties
		head := binary.LittleEndian.AppendUint64(bytes.Clone(c.properties), f.size())
		in, err = lzma.ReaderConfig{DictCap: maxSevenDict}.NewReader(io.MultiReader(bytes.NewReader(head), in))
	case "\x21": // LZMA2
		in, err = lzma.Reader2Config{DictCap: maxSevenDict}.NewReader2(in)
	default:
		return nil, fmt.Errorf("the list is encrypted, or packed by coder %x, which is not read", c.id)
	}
	if err != nil {
		return nil, err
	}
	out := make([]byte, f.size())
	if _, err := io.ReadFull(in, out); err != nil {
		return nil, fmt.Errorf("the packed list: %w", err)
	}
	if f.hasCRC && crc32.ChecksumIEEE(out) != f.crc {
		return nil, errors.New("the checksum of the packed list is wrong")
	}
	return out, nil
}

// sevenFiles reads the header proper, behind its id.
func (l *lister) sevenFiles(c *cursor) error {
	var s streamsInfo
	for c.err == nil {
		switch id := c.number(); id {
		case idArchiveProperties:
			for c.err == nil && c.number() != idEnd {
				c.take(c.number())
			}
		case idMainStreams:
			s = c.streams(l.limits.Entries)
		case idFiles:
			if err := l.sevenEntries(c, s); err != nil {
				return err
			}
		case idEnd:
			return c.err
		default:
			return fmt.Errorf("the 7z header has a part %d, which is not read", id)
		}
	}
	return c.err
}

// sevenEntries joins the properties of the files.
func (l *lister) sevenEntries(c *cursor, s streamsInfo) error {
	count := c.count(l.limits.Entries)
	var emptyStream, emptyFile []bool
	var names []string
	attributes := make([]uint32, count)
	for c.err == nil {
		id := c.number()
		if id == idEnd {
			break
		}
		part := &cursor{b: c.take(c.number())}
		switch id {
		case idEmptyStream:
			emptyStream = part.bits(count)
		case idEmptyFile:
			emptyFile = part.bits(trues(emptyStream))
		case idNames:
			part.inline()
			names = part.names(count)
		case idAttributes:
			defined := part.optional(count)
			part.inline()
			for i, is := range defined {
				if is {
					attributes[i] = part.uint32()
				}
			}
		}
		c.err = errors.Join(c.err, part.err)
	}
	if c.err != nil {
		return c.err
	}
	if len(names) != count {
		return fmt.Errorf("the 7z header names %d of %d files", len(names), count)
	}
	empties, stream := 0, 0
	for i, name := range names {
		e := Entry{Name: name, Mode: sevenMode(attributes[i])}
		if len(emptyStream) > 0 && emptyStream[i] {
			if empties >= len(emptyFile) || !emptyFile[empties] {
				e.Mode |= fs.ModeDir
			}
			empties++
		} else {
			if stream >= len(s.streams) {
				return fmt.Errorf("the 7z header has %d streams, too few for its files", len(s.streams))
			}
			e.Size, e.Encrypted = int64(s.streams[stream].size), s.streams[stream].encrypted
			stream++
		}
		if err := l.add(e); err != nil {
			return err
		}
	}
	return nil
}

// sevenMode makes a mode of Windows attributes, which hold a Unix mode in their
// upper half where bit 15 says so.
func sevenMode(attributes uint32) fs.FileMode {
	if attributes&0x8000 == 0 {
		if attributes&0x10 != 0 { // FILE_ATTRIBUTE_DIRECTORY
			return fs.ModeDir
		}
		return 0
	}
	unix := attributes >> 16
	mode := fs.FileMode(unix & 0o777)
	for bit, is := range map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if unix&bit != 0 {
			mode |= is
		}
	}
	switch unix & 0o170000 {
	case 0o100000, 0:
	case 0o040000:
		mode |= fs.ModeDir
	case 0o120000:
		mode |= fs.ModeSymlink
	default:
		mode |= fs.ModeIrregular
	}
	return mode
}

func trues(bits []bool) int {
	n := 0
	for _, b := range bits {
		if b {
			n++
		}
	}
	return n
}

// names reads zero-ended UTF-16 texts.
func (c *cursor) names(count int) []string {
	var out []string
	var units []uint16
	for len(out) < count && c.err == nil {
		u := c.take(2)
		if len(u) < 2 {
			break
		}
		if v := binary.LittleEndian.Uint16(u); v != 0 {
			units = append(units, v)
			continue
		}
		out, units = append(out, string(utf16.Decode(units))), units[:0]
	}
	return out
}
