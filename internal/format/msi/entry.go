package msi

import (
	"encoding/binary"

	"github.com/richardlehane/mscfb"
)

// A dirEntry is a directory entry as it is stored, [MS-CFB] section 2.6.1, beside
// the library's view of it, which leaves out what a signature covers.
type dirEntry struct {
	raw  [entrySize]byte
	file *mscfb.File
}

// Places in an entry.
const (
	atNameLength = 64 // bytes of the name with its end mark
	atType       = 66
	atColor      = 67
	atLeft       = 68
	atRight      = 72
	atChild      = 76
	atClass      = 80
	atState      = 96
	atTimes      = 100
	atStart      = 116
	atSize       = 120
)

func (e *dirEntry) field(at int) uint32       { return binary.LittleEndian.Uint32(e.raw[at:]) }
func (e *dirEntry) setField(at int, v uint32) { binary.LittleEndian.PutUint32(e.raw[at:], v) }

// name is the stored name without its end mark.
func (e *dirEntry) name() ([]byte, error) {
	n := int(binary.LittleEndian.Uint16(e.raw[atNameLength:]))
	if n < 2 || n > 64 || n%2 != 0 {
		return nil, invalid("directory entry: a name of %d bytes", n)
	}
	return e.raw[:n-2], nil
}

// metadata is what the extended digest covers of an entry.
func (e *dirEntry) metadata() ([]byte, error) {
	var out []byte
	if e.raw[atType] != entryRoot {
		name, err := e.name()
		if err != nil {
			return nil, err
		}
		out = append(out, name...)
	}
	if e.raw[atType] == entryStream {
		out = append(out, e.raw[atSize:atSize+4]...)
	} else {
		out = append(out, e.raw[atClass:atClass+16]...)
	}
	out = append(out, e.raw[atState:atState+4]...)
	if e.raw[atType] != entryRoot {
		out = append(out, e.raw[atTimes:atTimes+16]...)
	}
	return out, nil
}

// stored reads the directory again, in the order of c.entries.
func (c *container) stored() ([]dirEntry, error) {
	all, err := surveyContainer(c.src)
	if err != nil {
		return nil, err
	}
	count := len(all) / entrySize
	at := func(i uint32) *dirEntry { return &dirEntry{raw: [entrySize]byte(all[i*entrySize:][:entrySize])} }
	// The same walk that the library made: left, the entry, what it holds, right.
	type step struct {
		at   uint32
		open bool // its left side was walked
	}
	var out []dirEntry
	for stack := []step{{}}; len(stack) > 0; {
		top := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if top.at == noEntry {
			continue
		}
		if int64(top.at) >= int64(count) || len(out) > count || len(stack) > 4*count {
			return nil, invalid("directory: its tree leads to entry %d of %d, or in a circle", top.at, count)
		}
		e := at(top.at)
		if !top.open {
			stack = append(stack, step{top.at, true}, step{at: e.field(atLeft)})
			continue
		}
		out = append(out, *e)
		stack = append(stack, step{at: e.field(atRight)}, step{at: e.field(atChild)})
	}
	if len(out) != len(c.entries) {
		return nil, invalid("directory: its tree has %d entries, not %d", len(out), len(c.entries))
	}
	for i := range out {
		out[i].file = c.entries[i]
	}
	return out, nil
}
