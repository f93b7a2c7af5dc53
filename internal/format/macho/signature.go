package macho

import (
	"bytes"
	"crypto"
	_ "crypto/sha1"   // code directories for old systems
	_ "crypto/sha256" // present ones
	_ "crypto/sha512" // SHA-384
	"encoding/binary"
	"io"
	"strings"
)

// Magic numbers and slots of cs_blobs.h.
const (
	superBlob     = 0xfade0cc0 // CSMAGIC_EMBEDDED_SIGNATURE
	codeDirectory = 0xfade0c02 // CSMAGIC_CODEDIRECTORY
	wrapper       = 0xfade0b01 // CSMAGIC_BLOBWRAPPER, around the CMS message

	directorySlot    = 0
	requirementsSlot = 2
	entitlementsSlot = 5
	derSlot          = 7       // entitlements in DER
	signatureSlot    = 0x10000 // CSSLOT_SIGNATURESLOT

	flagAdHoc   = 0x2
	flagRuntime = 0x10000
)

// Caps on what a signature may make its reader do.
const (
	maxBlobs     = 64
	maxDirectory = 40 << 20 // bytes: SHA-256 of each 4 KiB of a file of 5 GB
	maxBlob      = 4 << 20  // bytes of the CMS message, of entitlements
	maxPage      = 16       // power of two of a page's size
)

// A Signature is the code signature of one machine's program. Nothing about it
// is verified by reading it.
type Signature struct {
	Identifier string      // "com.acme.tool"
	TeamID     string      // of the developer's team, by Apple: "ABCDE12345"; "" where there is none
	Hash       crypto.Hash // of the pages
	AdHoc      bool        // made without a key
	Hardened   bool        // it asks for the hardened runtime

	Directory []byte // the code directory, which the CMS message is over
	CMS       []byte // SignedData in BER without its content, nil where nobody signed

	at        int64 // of the signature, where what is signed ends
	end       int64 // where the signature ends
	limit     int64 // how many bytes the code directory covers
	page      int64 // bytes of a page, 0 for one page of everything
	size      int   // bytes of a digest
	pages     []byte
	special   map[uint32][]byte // digests of the other blobs, by slot
	companion map[uint32][]byte // those blobs
}

// readSignature reads the signature at offset of a part.
func readSignature(r io.ReaderAt, offset, length int64) (*Signature, error) {
	in := io.NewSectionReader(r, offset, length)
	var head [12]byte // magic, length, count
	if _, err := in.ReadAt(head[:], 0); err != nil || binary.BigEndian.Uint32(head[:]) != superBlob {
		return nil, invalid("offset %d: the code signature is malformed", offset)
	}
	count := binary.BigEndian.Uint32(head[8:])
	if count > maxBlobs {
		return nil, invalid("offset %d: the code signature has %d parts", offset, count)
	}
	s := &Signature{at: offset, end: offset + length, companion: map[uint32][]byte{}}
	for i := range int64(count) {
		var entry [8]byte // slot, offset
		if _, err := in.ReadAt(entry[:], 12+8*i); err != nil {
			return nil, invalid("offset %d: the code signature is cut off", offset+12+8*i)
		}
		if err := s.blob(in, binary.BigEndian.Uint32(entry[:]), int64(binary.BigEndian.Uint32(entry[4:]))); err != nil {
			return nil, err
		}
	}
	if s.Directory == nil {
		return nil, invalid("offset %d: the code signature has no code directory", offset)
	}
	return s, nil
}

// blob reads one of the parts, if it is wanted.
func (s *Signature) blob(in *io.SectionReader, slot uint32, at int64) error {
	limit := int64(maxBlob)
	switch slot {
	case directorySlot:
		limit = maxDirectory
	case requirementsSlot, entitlementsSlot, derSlot, signatureSlot:
	default:
		return nil // an alternative code directory, or what newer systems add
	}
	var head [8]byte // magic, length of the whole blob
	if _, err := in.ReadAt(head[:], at); err != nil {
		return invalid("offset %d: the code signature is cut off", s.at+at)
	}
	magic, length := binary.BigEndian.Uint32(head[:]), int64(binary.BigEndian.Uint32(head[4:]))
	if length < 8 || length > limit || at > in.Size()-length {
		return invalid("offset %d: a part of the code signature has %d bytes", s.at+at, length)
	}
	data := make([]byte, length)
	if _, err := in.ReadAt(data, at); err != nil {
		return invalid("offset %d: the code signature is cut off", s.at+at)
	}
	switch {
	case slot == signatureSlot && magic == wrapper && s.CMS == nil:
		if length > 8 {
			s.CMS = data[8:]
		}
	case slot == directorySlot && magic == codeDirectory && s.Directory == nil:
		return s.directory(data, s.at+at)
	case slot != signatureSlot && slot != directorySlot && s.companion[slot] == nil:
		s.companion[slot] = data
	default:
		return invalid("offset %d: a part of the code signature is of another kind (%#x), or stands twice", s.at+at, magic)
	}
	return nil
}

// directory reads a code directory: 44 bytes of numbers, more by version, then
// texts and digests at the offsets they give.
func (s *Signature) directory(data []byte, at int64) error {
	be := binary.BigEndian
	malformed := func(what string) error {
		return invalid("offset %d: code directory: %s", at, what)
	}
	if len(data) < 44 {
		return malformed("cut off")
	}
	version, flags := be.Uint32(data[8:]), be.Uint32(data[12:])
	hashes, identifier := int64(be.Uint32(data[16:])), be.Uint32(data[20:])
	special, code := int64(be.Uint32(data[24:])), int64(be.Uint32(data[28:]))
	s.limit, s.size = int64(be.Uint32(data[32:])), int(data[36])
	s.AdHoc, s.Hardened = flags&flagAdHoc != 0, flags&flagRuntime != 0
	team, what := s.extended(data, version)
	if what != "" {
		return malformed(what)
	}
	sizes := map[byte]int{1: 20, 2: 32, 3: 20, 4: 48} // by kind: SHA-1, SHA-256, SHA-256 cut to 20, SHA-384
	if sizes[data[37]] != s.size || s.size == 0 {
		return malformed("an unknown kind of digest")
	}
	s.Hash = map[byte]crypto.Hash{1: crypto.SHA1, 2: crypto.SHA256, 3: crypto.SHA256, 4: crypto.SHA384}[data[37]]
	if log := data[39]; log > maxPage {
		return malformed("pages that are too large")
	} else if log > 0 {
		s.page = 1 << log
	}
	size := int64(s.size)
	if hashes < special*size || hashes > int64(len(data)) || code*size > int64(len(data))-hashes || special > maxBlobs {
		return malformed("digests outside of it")
	}
	s.pages = data[hashes : hashes+code*size]
	s.special = map[uint32][]byte{}
	for slot := int64(1); slot <= special; slot++ {
		s.special[uint32(slot)] = data[hashes-slot*size : hashes-(slot-1)*size]
	}
	ok := false
	if s.Identifier, ok = text(data, identifier); !ok || s.Identifier == "" {
		return malformed("an identifier outside of it")
	}
	if team != 0 {
		if s.TeamID, ok = text(data, team); !ok {
			return malformed("a team outside of it")
		}
	}
	s.Directory = data
	return nil
}

// extended reads the numbers that later versions added: the offset of the team's
// id, and a limit of 64 bits. what says what is wrong.
func (s *Signature) extended(data []byte, version uint32) (team uint32, what string) {
	be := binary.BigEndian
	need := 44
	for from, length := range map[uint32]int{0x20100: 48, 0x20200: 52, 0x20300: 64} {
		if version >= from {
			need = max(need, length)
		}
	}
	if len(data) < need {
		return 0, "cut off"
	}
	if need >= 48 && be.Uint32(data[44:]) != 0 {
		return 0, "scattered over the file, which is not supported"
	}
	if need >= 52 {
		team = be.Uint32(data[48:])
	}
	if need >= 64 {
		if long := be.Uint64(data[56:]); long > 1<<40 {
			return 0, "it covers more than a file has"
		} else if long > 0 {
			s.limit = int64(long)
		}
	}
	return team, ""
}

// text is the one at an offset, up to its zero byte.
func text(data []byte, at uint32) (string, bool) {
	if int64(at) >= int64(len(data)) {
		return "", false
	}
	end := bytes.IndexByte(data[at:], 0)
	if end < 0 || end > 1024 {
		return "", false
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return -1
		}
		return r
	}, string(data[at:int(at)+end])), true
}

// check compares the bytes of a part with its code directory: each page, and the
// requirements and entitlements beside the directory. The directory must cover
// all up to the signature, and the signature must end the part.
func (s *Signature) check(code *io.SectionReader) error {
	if s.limit != s.at || s.end != code.Size() {
		return refused("offset %d: the code directory covers %d bytes and its signature ends at %d of %d", s.at, s.limit, s.end, code.Size())
	}
	for _, slot := range []uint32{requirementsSlot, entitlementsSlot, derSlot} {
		want, blob := s.special[slot], s.companion[slot]
		if bytes.Count(want, []byte{0}) == len(want) && blob == nil {
			continue
		}
		if blob == nil || !bytes.Equal(want, s.digest(blob)) {
			return refused("offset %d: the part of the signature in slot %d is not what was signed", s.at, slot)
		}
	}
	page := s.page
	if page == 0 {
		page = max(s.limit, 1)
	}
	count := (s.limit + page - 1) / page
	if count != int64(len(s.pages)/s.size) {
		return refused("offset %d: the code directory has %d digests for %d pages", s.at, len(s.pages)/s.size, count)
	}
	h := s.Hash.New()
	buffer := make([]byte, min(page, 64<<10))
	for i := range count {
		h.Reset()
		in := io.NewSectionReader(code, i*page, min(page, s.limit-i*page))
		if n, err := io.CopyBuffer(h, in, buffer); err != nil || n != in.Size() {
			return refused("offset %d: the file is cut off", i*page)
		}
		if !bytes.Equal(h.Sum(nil)[:s.size], s.pages[i*int64(s.size):(i+1)*int64(s.size)]) {
			return refused("offset %d: the page is not what was signed", i*page)
		}
	}
	return nil
}

func (s *Signature) digest(data []byte) []byte {
	h := s.Hash.New()
	h.Write(data)
	return h.Sum(nil)[:s.size]
}
