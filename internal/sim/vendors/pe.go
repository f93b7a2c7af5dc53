package vendors

import (
	"bytes"
	"encoding/binary"
	"sort"
	"unicode/utf16"
)

// Layout of the program: headers, code, resources; file and memory alignment of
// Microsoft's "PE Format".
const (
	fileAlign  = 0x200
	memAlign   = 0x1000
	codeRVA    = memAlign
	resRVA     = 2 * memAlign
	headerSize = fileAlign
)

// program is a PE file for Windows on x64 or arm64 whose entry point returns 0,
// with a version resource.
func (c Content) program() []byte {
	machine, code := uint16(0x8664), []byte{0x31, 0xc0, 0xc3} // xor eax, eax; ret
	if c.Arch == "arm64" {
		machine, code = 0xaa64, []byte{0x00, 0x00, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6} // mov w0, #0; ret
	}
	resources := resourceSection(c.versionInfo())
	var b bytes.Buffer
	le := func(v ...any) {
		for _, x := range v {
			_ = binary.Write(&b, binary.LittleEndian, x) // a bytes.Buffer never fails
		}
	}
	dos := make([]byte, 64)
	copy(dos, "MZ")
	binary.LittleEndian.PutUint32(dos[60:], 64)
	b.Write(dos)
	b.WriteString("PE\x00\x00")
	// COFF header: two sections, no symbols, executable and large-address aware.
	le(machine, uint16(2), uint32(0), uint32(0), uint32(0), uint16(240), uint16(0x22))
	resSize := uint32(align(len(resources), fileAlign))
	// Optional header, PE32+: console subsystem of Windows 6.
	le(uint16(0x20b), uint8(14), uint8(0), uint32(fileAlign), resSize, uint32(0), uint32(codeRVA), uint32(codeRVA))
	le(uint64(0x140000000), uint32(memAlign), uint32(fileAlign))
	le(uint16(6), uint16(0), uint16(0), uint16(0), uint16(6), uint16(0), uint32(0))
	image := resRVA + align(len(resources), memAlign)
	le(uint32(image), uint32(headerSize), uint32(0), uint16(3), uint16(0x8160))
	le(uint64(1<<20), uint64(1<<12), uint64(1<<20), uint64(1<<12), uint32(0), uint32(16))
	directories := make([]uint32, 32)
	directories[4], directories[5] = resRVA, uint32(len(resources))
	le(directories)
	section := func(name string, size, rva, raw, at, flags uint32) {
		padded := [8]byte{}
		copy(padded[:], name)
		le(padded, size, rva, raw, at, uint32(0), uint32(0), uint32(0), flags)
	}
	section(".text", uint32(len(code)), codeRVA, fileAlign, headerSize, 0x60000020)
	section(".rsrc", uint32(len(resources)), resRVA, resSize, headerSize+fileAlign, 0x40000040)
	out := append(fill(b.Bytes(), headerSize), fill(code, fileAlign)...)
	return append(out, fill(resources, int(resSize))...)
}

// resourceSection files one version resource under type 16, name 1, US English.
func resourceSection(version []byte) []byte {
	var b bytes.Buffer
	directory := func(id, next uint32) {
		_ = binary.Write(&b, binary.LittleEndian, []uint32{0, 0, 0, 1 << 16, id, next})
	}
	const sub = 0x80000000
	directory(16, sub|24)
	directory(1, sub|48)
	directory(1033, 72)
	_ = binary.Write(&b, binary.LittleEndian, []uint32{resRVA + 88, uint32(len(version)), 1200, 0})
	b.Write(version)
	return b.Bytes()
}

// versionInfo is a VS_VERSIONINFO resource.
func (c Content) versionInfo() []byte {
	n := numbers(c.Version)
	high, low := uint32(n[0])<<16|uint32(n[1]), uint32(n[2])<<16|uint32(n[3])
	var fixed bytes.Buffer
	_ = binary.Write(&fixed, binary.LittleEndian, []uint32{0xfeef04bd, 1 << 16, high, low, high, low, 0x3f, 0, 0x40004, 1, 0, 0, 0})
	texts := map[string]string{
		"CompanyName": c.Company, "ProductName": c.Name, "FileVersion": dotted(n), "ProductVersion": c.Version,
		"FileDescription": c.Name + " (simulated)",
	}
	keys := make([]string, 0, len(texts))
	for k := range texts {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	var list []byte
	for _, k := range keys {
		value := append(utf16.Encode([]rune(texts[k])), 0)
		list = appendBlock(list, block(k, 1, len(value), wide(value)))
	}
	table := block("040904b0", 1, 0, nil, list)
	translation := block("Translation", 0, 4, []byte{0x09, 0x04, 0xb0, 0x04})
	children := appendBlock(nil, block("StringFileInfo", 1, 0, nil, table))
	children = appendBlock(children, block("VarFileInfo", 1, 0, nil, translation))
	return block("VS_VERSION_INFO", 0, fixed.Len(), fixed.Bytes(), children)
}

// block is one node of a version resource; valueLength is in the unit its kind
// counts in: bytes (0) or characters (1).
func block(key string, kind uint16, valueLength int, value []byte, children ...[]byte) []byte {
	b := make([]byte, 6)
	b = append(b, wide(append(utf16.Encode([]rune(key)), 0))...)
	b = fill(b, align(len(b), 4))
	b = append(b, value...)
	for _, child := range children {
		b = appendBlock(b, child)
	}
	binary.LittleEndian.PutUint16(b, uint16(len(b)))
	binary.LittleEndian.PutUint16(b[2:], uint16(valueLength))
	binary.LittleEndian.PutUint16(b[4:], kind)
	return b
}

// appendBlock appends on a 32-bit boundary.
func appendBlock(b, child []byte) []byte { return append(fill(b, align(len(b), 4)), child...) }

func wide(units []uint16) []byte {
	out := make([]byte, 0, 2*len(units))
	for _, u := range units {
		out = binary.LittleEndian.AppendUint16(out, u)
	}
	return out
}

func align(n, to int) int { return (n + to - 1) / to * to }

// fill appends zeros up to size.
func fill(b []byte, size int) []byte { return append(b, make([]byte, max(size-len(b), 0))...) }
