package applesign

import "errors"

// Caps on what a message may make its reader do.
const (
	maxSize  = 8 << 20 // bytes of a message, its content included
	maxDepth = 32
)

// errBER is all that is said of a malformed encoding: encoding/asn1 says more of
// what is well formed and wrong.
var errBER = errors.New("malformed BER")

// toDER gives the first value in b by definite and shortest lengths, and an octet
// string in one piece. What follows the value is let be: signatures stand in
// room that was left for them. What a key signed is in DER already, so it passes
// through unchanged, or the signature fails.
func toDER(b []byte) ([]byte, error) {
	if len(b) > maxSize {
		return nil, errBER
	}
	out, _, err := value(b, 0)
	return out, err
}

// value converts one value and gives what follows it.
func value(b []byte, depth int) (out, rest []byte, err error) {
	if len(b) < 2 || depth > maxDepth || b[0]&0x1f == 0x1f { // tags above 30 have no use here
		return nil, nil, errBER
	}
	tag, length, head, err := header(b)
	if err != nil {
		return nil, nil, err
	}
	b = b[head:]
	const constructed = 0x20
	if tag&constructed == 0 {
		if length < 0 {
			return nil, nil, errBER
		}
		return encoded(tag, b[:length]), b[length:], nil
	}
	var content []byte
	inside, whole := b, length >= 0
	if whole {
		inside, rest = b[:length], b[length:]
	}
	for {
		if whole && len(inside) == 0 {
			break
		}
		if !whole && len(inside) >= 2 && inside[0] == 0 && inside[1] == 0 {
			rest = inside[2:]
			break
		}
		var part []byte
		if part, inside, err = value(inside, depth+1); err != nil {
			return nil, nil, err
		}
		if tag == 0x24 { // an octet string in pieces
			if part[0] != 0x04 {
				return nil, nil, errBER
			}
			_, _, head, err := header(part)
			if err != nil {
				return nil, nil, err
			}
			part = part[head:]
		}
		content = append(content, part...)
	}
	if tag == 0x24 {
		tag = 0x04
	}
	return encoded(tag, content), rest, nil
}

// header reads tag and length, -1 for one that is not known beforehand. The bytes
// of a known length are there.
func header(b []byte) (tag byte, length, size int, err error) {
	tag, length, size = b[0], int(b[1]), 2
	if length == 0x80 {
		return tag, -1, size, nil
	}
	if length > 0x80 {
		n := length & 0x7f
		if n > 4 || len(b) < 2+n {
			return 0, 0, 0, errBER
		}
		length = 0
		for _, c := range b[2 : 2+n] {
			length = length<<8 | int(c)
		}
		size += n
	}
	if length > len(b)-size {
		return 0, 0, 0, errBER
	}
	return tag, length, size, nil
}

// encoded is a value with its length in the shortest form.
func encoded(tag byte, content []byte) []byte {
	n := len(content)
	out := make([]byte, 0, n+6)
	switch {
	case n < 0x80:
		out = append(out, tag, byte(n))
	case n < 1<<8:
		out = append(out, tag, 0x81, byte(n))
	case n < 1<<16:
		out = append(out, tag, 0x82, byte(n>>8), byte(n))
	case n < 1<<24:
		out = append(out, tag, 0x83, byte(n>>16), byte(n>>8), byte(n))
	default:
		out = append(out, tag, 0x84, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return append(out, content...)
}
