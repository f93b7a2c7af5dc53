package intunewin

import (
	"encoding/binary"
	"hash/crc32"
)

// A stored zip is written by hand, since archive/zip puts sizes and checksums
// into data descriptors behind the bytes, which the service's reader does not
// take. Layout and field names are those of APPNOTE.TXT 6.3.10, sections 4.3.7,
// 4.3.12, 4.3.14 to 4.3.16 and 4.5.3.
const (
	sigLocal    = 0x04034b50
	sigCentral  = 0x02014b50
	sigEnd      = 0x06054b50
	sigEnd64    = 0x06064b50
	sigLocate64 = 0x07064b50

	version20 = 20 // files in folders
	version45 = 45 // zip64
	flagUTF8  = 0x800
	dosDate   = 0x0021     // 1980-01-01, the first day the format knows
	fileMode  = 0600 << 16 // Unix permissions in the external attributes
	max32     = 0xffffffff
	max16     = 0xffff
)

// zipEntry is one stored file of a zip.
type zipEntry struct {
	name   string
	size   int64
	crc    uint32
	offset int64 // of the local header
}

func (e zipEntry) flags() uint16 {
	for i := range len(e.name) {
		if e.name[i] >= 0x80 {
			return flagUTF8
		}
	}
	return 0
}

// local is the header before the file's bytes.
func (e zipEntry) local() []byte {
	le := binary.LittleEndian
	version, size, extra := uint16(version20), uint32(e.size), []byte(nil)
	if e.size >= max32 {
		version, size = version45, max32
		extra = le.AppendUint16(extra, 1)
		extra = le.AppendUint16(extra, 16)
		extra = le.AppendUint64(extra, uint64(e.size))
		extra = le.AppendUint64(extra, uint64(e.size))
	}
	b := le.AppendUint32(nil, sigLocal)
	b = le.AppendUint16(b, version)
	b = le.AppendUint16(b, e.flags())
	b = le.AppendUint16(b, 0) // stored
	b = le.AppendUint16(b, 0) // time
	b = le.AppendUint16(b, dosDate)
	b = le.AppendUint32(b, e.crc)
	b = le.AppendUint32(b, size)
	b = le.AppendUint32(b, size)
	b = le.AppendUint16(b, uint16(len(e.name)))
	b = le.AppendUint16(b, uint16(len(extra)))
	b = append(b, e.name...)
	return append(b, extra...)
}

// central is the file's record in the directory.
func (e zipEntry) central() []byte {
	le := binary.LittleEndian
	version, size, offset := uint16(version20), uint32(e.size), uint32(e.offset)
	var fields []byte
	if e.size >= max32 {
		version, size = version45, max32
		fields = le.AppendUint64(fields, uint64(e.size))
		fields = le.AppendUint64(fields, uint64(e.size))
	}
	if e.offset >= max32 {
		version, offset = version45, max32
		fields = le.AppendUint64(fields, uint64(e.offset))
	}
	var extra []byte
	if len(fields) > 0 {
		extra = le.AppendUint16(extra, 1)
		extra = le.AppendUint16(extra, uint16(len(fields)))
		extra = append(extra, fields...)
	}
	b := le.AppendUint32(nil, sigCentral)
	b = le.AppendUint16(b, version) // made by: MS-DOS
	b = le.AppendUint16(b, version)
	b = le.AppendUint16(b, e.flags())
	b = le.AppendUint16(b, 0)
	b = le.AppendUint16(b, 0)
	b = le.AppendUint16(b, dosDate)
	b = le.AppendUint32(b, e.crc)
	b = le.AppendUint32(b, size)
	b = le.AppendUint32(b, size)
	b = le.AppendUint16(b, uint16(len(e.name)))
	b = le.AppendUint16(b, uint16(len(extra)))
	b = le.AppendUint16(b, 0) // comment
	b = le.AppendUint16(b, 0) // disk
	b = le.AppendUint16(b, 0) // internal attributes
	b = le.AppendUint32(b, fileMode)
	b = le.AppendUint32(b, offset)
	b = append(b, e.name...)
	return append(b, extra...)
}

// directory is everything behind the last file: the central directory, which
// begins at offset at, and the end records.
func directory(entries []zipEntry, at int64) []byte {
	le := binary.LittleEndian
	var b []byte
	for _, e := range entries {
		b = append(b, e.central()...)
	}
	size := int64(len(b))
	count, start := uint16(len(entries)), uint32(at)
	if at >= max32 || len(entries) >= max16 {
		end := at + size
		b = le.AppendUint32(b, sigEnd64)
		b = le.AppendUint64(b, 44) // what follows of this record
		b = le.AppendUint16(b, version45)
		b = le.AppendUint16(b, version45)
		b = le.AppendUint32(b, 0)
		b = le.AppendUint32(b, 0)
		b = le.AppendUint64(b, uint64(len(entries)))
		b = le.AppendUint64(b, uint64(len(entries)))
		b = le.AppendUint64(b, uint64(size))
		b = le.AppendUint64(b, uint64(at))
		b = le.AppendUint32(b, sigLocate64)
		b = le.AppendUint32(b, 0)
		b = le.AppendUint64(b, uint64(end))
		b = le.AppendUint32(b, 1)
		count, start = uint16(min(len(entries), max16)), uint32(min(at, max32))
	}
	b = le.AppendUint32(b, sigEnd)
	b = le.AppendUint16(b, 0)
	b = le.AppendUint16(b, 0)
	b = le.AppendUint16(b, count)
	b = le.AppendUint16(b, count)
	b = le.AppendUint32(b, uint32(size))
	b = le.AppendUint32(b, start)
	return le.AppendUint16(b, 0)
}

// crcJoin is the CRC-32 of two byte strings, of which the checksums a and b and
// the second one's length are known. The MAC stands before the ciphertext it
// covers, so the checksum of both cannot be taken in the order of the bytes.
func crcJoin(a, b uint32, length int64) uint32 {
	// shift is the operator "append one zero bit" as a matrix over GF(2).
	var shift [32]uint32
	shift[0] = crc32.IEEE
	for i := 1; i < 32; i++ {
		shift[i] = 1 << (i - 1)
	}
	for bits := uint64(length) * 8; bits > 0; bits >>= 1 {
		if bits&1 == 1 {
			a = multiply(&shift, a)
		}
		var square [32]uint32
		for i := range square {
			square[i] = multiply(&shift, shift[i])
		}
		shift = square
	}
	return a ^ b
}

func multiply(m *[32]uint32, v uint32) uint32 {
	var sum uint32
	for i := 0; v != 0; i, v = i+1, v>>1 {
		if v&1 == 1 {
			sum ^= m[i]
		}
	}
	return sum
}
