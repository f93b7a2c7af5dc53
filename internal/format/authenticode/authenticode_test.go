package authenticode

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

func fixture(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/hello.p7")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestRead(t *testing.T) {
	s, err := Read(fixture(t))
	if err != nil {
		t.Fatal(err)
	}
	if s.Subject != "CN=Example AS Code Signing,O=Example AS,C=FI" || s.Hash != crypto.SHA256 {
		t.Errorf("%+v", s)
	}
	// osslsigncode prints it as "Calculated message digest".
	if got := hex.EncodeToString(s.Digest); got != "a051cf074697630e7d0bd39de3e13ef68074e303b7699c09008001d16d9e78e3" {
		t.Errorf("digest is %s", got)
	}
}

// No changed byte may yield another subject or digest with a good signature.
func TestEveryFlippedByte(t *testing.T) {
	der := fixture(t)
	good, err := Read(der)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for i := range der {
		bad := bytes.Clone(der)
		bad[i] ^= 0x01
		s, err := Read(bad)
		if err != nil {
			if kind := fleet.KindOf(err); kind != fleet.Invalid && kind != fleet.Refused {
				t.Errorf("byte %d: kind %v", i, kind)
			}
			refused++
			continue
		}
		if !bytes.Equal(s.Digest, good.Digest) {
			t.Errorf("byte %d: another digest passed", i)
		}
	}
	if refused < 600 {
		t.Errorf("only %d of %d changes were noticed", refused, len(der))
	}
}

func FuzzRead(f *testing.F) {
	f.Add(fixture(f))
	f.Add([]byte{0x30, 0x80})
	f.Fuzz(func(t *testing.T, der []byte) {
		if s, err := Read(der); err == nil && strings.ContainsAny(s.Subject, "\n\x00") {
			t.Fatal("the subject holds control characters")
		}
	})
}
