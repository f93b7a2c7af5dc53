package macho

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// program is a minimal Mach-O file for the CPU whose signature blob holds the
// CMS message.
func program(cpu uint32, cms []byte, sign bool) []byte {
	var b bytes.Buffer
	le := func(words ...uint32) {
		for _, w := range words {
			_ = binary.Write(&b, binary.LittleEndian, w)
		}
	}
	be := func(words ...uint32) {
		for _, w := range words {
			_ = binary.Write(&b, binary.BigEndian, w)
		}
	}
	loads := uint32(0)
	if sign {
		loads = 1
	}
	le(0xfeedfacf, cpu, 3, 2, loads, 16*loads, 0, 0)
	if sign {
		le(loadCodeSignature, 16, 64, uint32(28+8+len(cms)))
		b.Write(make([]byte, 64-b.Len()))
		be(superBlob, uint32(28+8+len(cms)), 2, 0, 12, signatureSlot, 28)
		be(0xfade0b01, uint32(8+len(cms)))
		b.Write(cms)
	}
	return b.Bytes()
}

const (
	amd64 = 0x01000007
	arm64 = 0x0100000c
)

func TestRead(t *testing.T) {
	for _, tt := range []struct {
		name     string
		data     []byte
		machines string
		signed   bool
	}{
		{"unsigned", program(amd64, nil, false), "x64", false},
		{"ad hoc", program(arm64, nil, true), "arm64", false},
		{"by somebody", program(arm64, []byte("cms"), true), "arm64", true},
		{"universal", fat(program(amd64, nil, true), program(arm64, []byte("cms"), true)), "x64 arm64", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Read(bytes.NewReader(tt.data))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(f.Machines, " "); got != tt.machines || f.Signed != tt.signed {
				t.Errorf("machines %q, signed %v", got, f.Signed)
			}
		})
	}
}

// fat is a universal program of an amd64 and an arm64 part.
func fat(parts ...[]byte) []byte {
	var head, body bytes.Buffer
	_ = binary.Write(&head, binary.BigEndian, []uint32{0xcafebabe, uint32(len(parts))})
	const start = 256
	for i, p := range parts {
		_ = binary.Write(&head, binary.BigEndian, []uint32{[]uint32{amd64, arm64}[i], 3, uint32(start + body.Len()), uint32(len(p)), 0})
		body.Write(p)
	}
	return append(append(head.Bytes(), make([]byte, start-head.Len())...), body.Bytes()...)
}

func TestRefused(t *testing.T) {
	good := program(arm64, []byte("cms"), true)
	for name, data := range map[string][]byte{
		"empty": nil, "text": []byte("<!DOCTYPE html>"), "another CPU": program(18, nil, false),
		"signature outside": good[:60], "signature cut": good[:70], "no superblob": append(bytes.Clone(good[:64]), make([]byte, 60)...),
	} {
		if f, err := Read(bytes.NewReader(data)); fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("%s: %+v, %v; want an error of kind invalid", name, f, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(program(arm64, []byte("cms"), true))
	f.Add(fat(program(amd64, nil, true), program(arm64, nil, true)))
	f.Add([]byte{0xca, 0xfe, 0xba, 0xbe, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		if file, err := Read(bytes.NewReader(data)); err == nil && len(file.Machines) == 0 {
			t.Error("a program for no machine")
		}
	})
}
