package archive

import (
	"encoding/binary"
	"fmt"
)

// cursor reads a 7z header. The first error stays, and everything after it is
// zero.
type cursor struct {
	b   []byte
	err error
}

func (c *cursor) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

// take cuts bytes off.
func (c *cursor) take(n uint64) []byte {
	if c.err != nil || n > uint64(len(c.b)) {
		if c.err == nil {
			c.err = errSevenCut
		}
		return nil
	}
	out := c.b[:n]
	c.b = c.b[n:]
	return out
}

func (c *cursor) byte() byte {
	if b := c.take(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (c *cursor) uint32() uint32 {
	if b := c.take(4); len(b) == 4 {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// number reads a number of one to nine bytes: the ones that the first byte begins
// with count the bytes behind it, its other bits are the highest.
func (c *cursor) number() uint64 {
	first := c.byte()
	value, mask := uint64(0), byte(0x80)
	for i := range 8 {
		if first&mask == 0 {
			return value | uint64(first&(mask-1))<<(8*i)
		}
		value |= uint64(c.byte()) << (8 * i)
		mask >>= 1
	}
	return value
}

// count is a number of things, of which there is at most limit. Each takes a bit
// of what is left at the least, so that a short header cannot ask for much room.
func (c *cursor) count(limit int) int {
	n := c.number()
	if n > uint64(limit) || n > 8*uint64(len(c.b)) {
		c.fail("the 7z header states %d things of a kind", n)
		return 0
	}
	return int(n)
}

// bits are a bit for each thing, the highest of a byte first.
func (c *cursor) bits(n int) []bool {
	b := c.take((uint64(n) + 7) / 8)
	if c.err != nil {
		return nil
	}
	out := make([]bool, n)
	for i := range out {
		out[i] = b[i/8]&(0x80>>(i%8)) != 0
	}
	return out
}

// optional are bits that one byte may say are all set.
func (c *cursor) optional(n int) []bool {
	if c.byte() == 0 {
		return c.bits(n)
	}
	out := make([]bool, n)
	for i := range out {
		out[i] = true
	}
	return out
}

// inline refuses properties that stand in another stream.
func (c *cursor) inline() {
	if c.byte() != 0 {
		c.fail("the 7z header has parts outside of it, which are not read")
	}
}

// expect reads an id.
func (c *cursor) expect(id uint64) {
	if got := c.number(); got != id {
		c.fail("the 7z header has part %d where %d should be", got, id)
	}
}

// streamsInfo is what streams there are, and how they are packed.
type streamsInfo struct {
	at      uint64   // of the first packed stream, behind the signature header
	packed  []uint64 // bytes of each
	folders []folder
	streams []stream // of all folders: a file each
}

type stream struct {
	size      uint64
	encrypted bool
}

// A folder is a chain of coders with one result.
type folder struct {
	coders []coder
	bound  []uint64 // out streams that another coder takes
	sizes  []uint64 // of all out streams
	hasCRC bool
	crc    uint32
}

type coder struct {
	id         []byte
	in, out    uint64
	properties []byte
}

// size is that of the result: of the out stream that nothing takes.
func (f folder) size() uint64 {
	for i := len(f.sizes) - 1; i >= 0; i-- {
		taken := false
		for _, b := range f.bound {
			taken = taken || b == uint64(i)
		}
		if !taken {
			return f.sizes[i]
		}
	}
	return 0
}

func (f folder) encrypted() bool {
	for _, c := range f.coders {
		if string(c.id) == "\x06\xf1\x07\x01" { // AES-256 with SHA-256
			return true
		}
	}
	return false
}

// streams reads StreamsInfo, of at most limit streams.
func (c *cursor) streams(limit int) streamsInfo {
	var s streamsInfo
	divided := false
	for c.err == nil {
		switch id := c.number(); id {
		case idPack:
			s.at = c.number()
			if s.at > 1<<62 {
				c.fail("the 7z header places streams at %d", s.at)
			}
			n := c.count(4 * limit)
			c.pack(&s, n)
		case idUnpack:
			c.unpackInfo(&s, limit)
		case idSubStreams:
			divided = true
			c.subStreams(&s, limit)
		case idEnd:
			if !divided {
				for _, f := range s.folders {
					s.streams = append(s.streams, stream{f.size(), f.encrypted()})
				}
			}
			return s
		default:
			c.fail("the 7z header has a part %d among the streams", id)
		}
	}
	return s
}

func (c *cursor) pack(s *streamsInfo, n int) {
	for c.err == nil {
		switch id := c.number(); id {
		case idSize:
			for range n {
				s.packed = append(s.packed, c.number())
			}
		case idCRC:
			c.digests(n)
		case idEnd:
			return
		default:
			c.fail("the 7z header has a part %d among the packed streams", id)
		}
	}
}

// digests skips checksums, of which it tells those that are there.
func (c *cursor) digests(n int) (defined []bool, sums []uint32) {
	defined = c.optional(n)
	sums = make([]uint32, len(defined))
	for i, is := range defined {
		if is {
			sums[i] = c.uint32()
		}
	}
	return defined, sums
}

func (c *cursor) unpackInfo(s *streamsInfo, limit int) {
	c.expect(idFolder)
	n := c.count(limit)
	c.inline()
	for range n {
		if c.err != nil {
			return
		}
		s.folders = append(s.folders, c.folder())
	}
	c.expect(idCodersSize)
	for i := range s.folders {
		f := &s.folders[i]
		total := uint64(0)
		for _, coder := range f.coders {
			total += coder.out
		}
		for range total {
			f.sizes = append(f.sizes, c.number())
		}
		if f.size() > 1<<62 {
			c.fail("the 7z header states %d bytes", f.size())
		}
	}
	for c.err == nil {
		switch id := c.number(); id {
		case idCRC:
			defined, sums := c.digests(len(s.folders))
			for i := range defined {
				s.folders[i].hasCRC, s.folders[i].crc = defined[i], sums[i]
			}
		case idEnd:
			return
		default:
			c.fail("the 7z header has a part %d among the folders", id)
		}
	}
}

func (c *cursor) folder() folder {
	var f folder
	ins, outs := uint64(0), uint64(0)
	for range c.count(maxCoders) {
		flags := c.byte()
		k := coder{id: c.take(uint64(flags & 0xf)), in: 1, out: 1}
		if flags&0x10 != 0 {
			k.in, k.out = uint64(c.count(maxCoders)), uint64(c.count(maxCoders))
		}
		if flags&0x20 != 0 {
			k.properties = c.take(uint64(c.count(maxProperties)))
		}
		if flags&0xc0 != 0 {
			c.fail("the 7z header has a coder of a kind that is not read")
		}
		ins, outs = ins+k.in, outs+k.out
		f.coders = append(f.coders, k)
	}
	if outs == 0 || ins < outs-1 || ins > maxCoders || outs > maxCoders {
		c.fail("the 7z header has a folder without a result, or with too many streams")
		return f
	}
	for range outs - 1 {
		c.number() // in stream
		f.bound = append(f.bound, c.number())
	}
	if packed := ins - (outs - 1); packed > 1 {
		for range packed {
			c.number()
		}
	}
	return f
}

// subStreams divides the results of folders into files.
func (c *cursor) subStreams(s *streamsInfo, limit int) {
	counts := make([]uint64, len(s.folders))
	for i := range counts {
		counts[i] = 1
	}
	id := c.number()
	if id == idStreamCount {
		total := uint64(0)
		for i := range counts {
			counts[i] = c.number()
			if counts[i] > uint64(limit) {
				counts[i] = 0
				c.fail("the 7z header states more than %d streams", limit)
			}
			if total += counts[i]; total > uint64(limit) {
				c.fail("the 7z header states more than %d streams", limit)
				return
			}
		}
		id = c.number()
	}
	for i, f := range s.folders {
		left, encrypted := f.size(), f.encrypted()
		for n := range counts[i] {
			size := left
			if n < counts[i]-1 {
				// Sizes are there when id says so; the last one is what is left.
				if size = c.number(); id != idSize || size > left {
					c.fail("the 7z header states sizes of files that do not fit")
					return
				}
			}
			left -= size
			s.streams = append(s.streams, stream{size, encrypted})
		}
	}
	if id == idSize {
		id = c.number()
	}
	for ; c.err == nil && id != idEnd; id = c.number() {
		if id != idCRC {
			c.fail("the 7z header has a part %d among the files' streams", id)
			return
		}
		unknown := 0
		for i, f := range s.folders {
			if counts[i] != 1 || !f.hasCRC {
				unknown += int(counts[i])
			}
		}
		c.digests(unknown)
	}
}
