package msi

import (
	"encoding/binary"
)

// Special sector and entry numbers, [MS-CFB] sections 2.1 and 2.6.1.
const (
	freeSector = 0xffffffff
	endOfChain = 0xfffffffe
	noEntry    = 0xffffffff
)

// Types of directory entries, [MS-CFB] section 2.6.1.
const (
	entryUnused  = 0
	entryStorage = 1
	entryStream  = 2
	entryRoot    = 5
)

const (
	headerSize = 512
	entrySize  = 128
	maxEntries = 100_000 // streams and storages
	maxParents = 1_000   // storages that hold something
)

// A survey walks the container's own structures before the library does, and
// refuses what the library would believe: chains that go in circles, a directory
// whose nesting costs it memory by the square, streams larger than their file,
// a file that ends before its sectors do.
type survey struct {
	src     *source
	sector  int64
	sectors int64    // that begin inside the file
	fat     []uint32 // the sectors of the file allocation table, in order
	version uint16

	cached int // index in fat of what page holds, -1 at first
	page   []byte
}

// surveyContainer checks a compound file and gives its directory as it is
// stored.
func surveyContainer(src *source) ([]byte, error) {
	s := &survey{src: src, cached: -1}
	header := make([]byte, headerSize)
	if _, err := src.ReadAt(header, 0); err != nil {
		return nil, damaged("compound file header", 0, "no MSI: %w", err)
	}
	if err := s.header(header); err != nil {
		return nil, err
	}
	if err := s.tables(header); err != nil {
		return nil, err
	}
	if err := s.complete(); err != nil {
		return nil, err
	}
	return s.directory(binary.LittleEndian.Uint32(header[48:]))
}

// header reads the fields of [MS-CFB] section 2.2 that say how to read on.
func (s *survey) header(h []byte) error {
	const structure = "compound file header"
	if binary.LittleEndian.Uint64(h) != 0xe11ab1a1e011cfd0 {
		return damaged(structure, 0, "no MSI: this is no compound file")
	}
	s.version = binary.LittleEndian.Uint16(h[26:])
	shift := binary.LittleEndian.Uint16(h[30:])
	if s.version != 3 && s.version != 4 || shift != map[uint16]uint16{3: 9, 4: 12}[s.version] {
		return damaged(structure, 26, "version %d with sectors of 2^%d bytes", s.version, shift)
	}
	if mini := binary.LittleEndian.Uint16(h[32:]); mini != 6 {
		return damaged(structure, 32, "small sectors of 2^%d bytes", mini)
	}
	if cutoff := binary.LittleEndian.Uint32(h[56:]); cutoff != 4096 {
		return damaged(structure, 56, "small streams are those under %d bytes", cutoff)
	}
	s.sector = 1 << shift
	s.sectors = (s.src.size - 1) / s.sector // the header takes the first
	if s.sectors < 1 {
		return damaged(structure, headerSize, "the file ends with its header")
	}
	return nil
}

// tables lists the sectors of the file allocation table: the first 109 stand in
// the header, the others in a chain of sectors, [MS-CFB] section 2.5.
func (s *survey) tables(h []byte) error {
	want := int64(binary.LittleEndian.Uint32(h[44:]))
	chain := int64(binary.LittleEndian.Uint32(h[72:]))
	if want > s.sectors || chain > s.sectors {
		return damaged("compound file header", 44, "%d sectors of allocation table, %d of its list, in a file of %d", want, chain, s.sectors)
	}
	if err := s.take(h[76:headerSize], 76, want); err != nil {
		return err
	}
	page := make([]byte, s.sector)
	next := binary.LittleEndian.Uint32(h[68:])
	for i := int64(0); i < chain && int64(len(s.fat)) < want; i++ {
		at := s.offset(next)
		if _, err := s.src.ReadAt(page, at); err != nil {
			return damaged("list of allocation tables", at, "%w", err)
		}
		if err := s.take(page[:s.sector-4], at, want); err != nil {
			return err
		}
		next = binary.LittleEndian.Uint32(page[s.sector-4:])
	}
	if int64(len(s.fat)) < want {
		return damaged("list of allocation tables", 72, "it names %d of %d", len(s.fat), want)
	}
	return nil
}

// take notes the allocation table's sectors that a list names.
func (s *survey) take(list []byte, at, want int64) error {
	for i := 0; i+4 <= len(list) && int64(len(s.fat)) < want; i += 4 {
		n := binary.LittleEndian.Uint32(list[i:])
		if int64(n) >= s.sectors {
			return damaged("list of allocation tables", at+int64(i), "sector %d is not in the file, which has %d: it is truncated", n, s.sectors)
		}
		s.fat = append(s.fat, n)
	}
	return nil
}

func (s *survey) offset(sector uint32) int64 { return (int64(sector) + 1) * s.sector }

// next is the sector after one in its chain.
func (s *survey) next(structure string, sector uint32) (uint32, error) {
	perPage := s.sector / 4
	index := int64(sector) / perPage
	if index >= int64(len(s.fat)) {
		return 0, damaged(structure, s.offset(sector), "the allocation table does not know sector %d", sector)
	}
	if int(index) != s.cached {
		if s.page == nil {
			s.page = make([]byte, s.sector)
		}
		s.cached = -1
		at := s.offset(s.fat[index])
		if _, err := s.src.ReadAt(s.page, at); err != nil {
			return 0, damaged("allocation table", at, "%w", err)
		}
		s.cached = int(index)
	}
	return binary.LittleEndian.Uint32(s.page[int64(sector)%perPage*4:]), nil
}

// complete checks that no sector past the file's end is in use.
func (s *survey) complete() error {
	for n := s.sectors; n < int64(len(s.fat))*(s.sector/4); n++ {
		use, err := s.next("allocation table", uint32(n))
		if err != nil {
			return err
		}
		if use != freeSector {
			at := s.offset(s.fat[n/(s.sector/4)]) + n%(s.sector/4)*4
			return damaged("allocation table", at, "sector %d is in use and past the file's end: it is truncated", n)
		}
	}
	return nil
}

// directory walks the directory's chain and every entry of it, and gives them.
func (s *survey) directory(sector uint32) ([]byte, error) {
	const structure = "directory"
	seen := map[uint32]bool{}
	page := make([]byte, s.sector)
	var all []byte
	var places []int64
	for sector != endOfChain {
		at := s.offset(sector)
		if seen[sector] {
			return nil, damaged(structure, at, "its chain of sectors comes back to %d", sector)
		}
		seen[sector] = true
		if int64(len(all))/entrySize >= maxEntries {
			return nil, damaged(structure, at, "more than %d entries", maxEntries)
		}
		if _, err := s.src.ReadAt(page, at); err != nil {
			return nil, damaged(structure, at, "%w", err)
		}
		all, places = append(all, page...), append(places, at)
		var err error
		if sector, err = s.next(structure, sector); err != nil {
			return nil, err
		}
	}
	if len(all) == 0 || all[66] != entryRoot {
		return nil, damaged(structure, headerSize, "it does not begin with a root")
	}
	perPage := int(s.sector / entrySize)
	var t totals
	for i := range len(all) / entrySize {
		at := places[i/perPage] + int64(i%perPage)*entrySize
		if err := s.entry(all[i*entrySize:(i+1)*entrySize], at, i, len(all)/entrySize, &t); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// totals are what the entries seen so far claim together.
type totals struct {
	bytes   int64
	parents int
}

// entry checks an entry of the directory, [MS-CFB] section 2.6.1.
func (s *survey) entry(e []byte, at int64, index, count int, t *totals) error {
	const structure = "directory entry"
	kind := e[66]
	if kind == entryUnused {
		return nil
	}
	if kind != entryStorage && kind != entryStream && kind != entryRoot || kind == entryRoot && index > 0 {
		return damaged(structure, at+66, "it is of no known type: %d", kind)
	}
	if n := binary.LittleEndian.Uint16(e[64:]); n > 64 {
		return damaged(structure, at+64, "a name of %d bytes", n)
	}
	for _, link := range []int{68, 72, 76} {
		if n := binary.LittleEndian.Uint32(e[link:]); n != noEntry && int64(n) >= int64(count) {
			return damaged(structure, at+int64(link), "it names entry %d of %d", n, count)
		}
	}
	if binary.LittleEndian.Uint32(e[76:]) != noEntry && index > 0 {
		// The library copies the path for each storage within a storage.
		if t.parents++; t.parents > maxParents {
			return damaged(structure, at+76, "more than %d storages", maxParents)
		}
	}
	if kind != entryStream {
		return nil
	}
	size := binary.LittleEndian.Uint64(e[120:])
	if s.version == 3 {
		size &= 0xffffffff // the upper half is undefined there
	}
	if size > uint64(s.src.size) || int64(size) > s.src.size-t.bytes {
		return damaged(structure, at+120, "a stream of %d bytes where a file of %d holds no more than %d", size, s.src.size, s.src.size-t.bytes)
	}
	t.bytes += int64(size)
	return nil
}
