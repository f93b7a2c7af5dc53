package intunewin

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"
)

// FormatVersion labels the bytes this package gives for given input. It enters
// the derivation of the keys: raise it with any change of the output.
const FormatVersion = "packmill intunewin v1"

// Keys are the secrets of one container. Derive makes them from the content;
// other ones are for known-answer tests.
type Keys struct {
	Encryption [32]byte
	Mac        [32]byte
	IV         [16]byte
}

// Derive gives the keys of a container with these entries: HKDF-SHA256
// (RFC 5869) over the digest of their names, sizes and SHA-256 sums. Different
// content has different keys, so no key and IV meet two plaintexts.
func Derive(setupFile string, entries []Entry) (Keys, error) {
	return derive(FormatVersion, setupFile, entries)
}

// derive is Derive under a label: no two kinds of output share a key.
func derive(label, setupFile string, entries []Entry) (Keys, error) {
	h := sha256.New()
	field := func(s string) {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(s))))
		h.Write([]byte(s))
	}
	field(setupFile)
	for _, e := range sorted(entries) {
		field(e.Name)
		field(string(binary.BigEndian.AppendUint64(nil, uint64(e.Size))))
		field(string(e.SHA256[:]))
	}
	var k Keys
	out, err := hkdf.Key(sha256.New, h.Sum(nil), nil, label, len(k.Encryption)+len(k.Mac)+len(k.IV))
	if err != nil {
		return Keys{}, err
	}
	copy(k.Encryption[:], out)
	copy(k.Mac[:], out[32:])
	copy(k.IV[:], out[64:])
	return k, nil
}

// sorted is entries in the order they are stored in.
func sorted(entries []Entry) []Entry {
	return slices.SortedFunc(slices.Values(entries), func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
}
