package intunewin

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/testreq"
)

func writeContent(t testing.TB, e Entry, keys *Keys) ([]byte, ContentInfo) {
	t.Helper()
	var m memory
	info, err := WriteContent(context.Background(), &m, e, keys)
	if err != nil {
		t.Fatal(err)
	}
	return m.b, info
}

// Content without a container is the content of a container: the vector's inner
// zip taken as a file encrypts to the vector's content.
func TestContentKnownAnswer(t *testing.T) {
	got, info := writeContent(t, BytesEntry("inner.zip", testdata(t, "inner.zip")), vectorKeys())
	if !bytes.Equal(got, testdata(t, "IntunePackage.intunewin")) {
		t.Error("the content differs from the vector's")
	}
	if info.SizeEncrypted != int64(len(got)) || info.Size != 142 {
		t.Errorf("%+v", info)
	}
}

func TestContentRoundTrip(t *testing.T) {
	seen := map[string]bool{}
	for _, size := range []int{0, 1, 15, 16, 17, blockSize, 2*blockSize + 5} {
		plain := bytes.Repeat([]byte("pkg"), size/3+1)[:size]
		data, info := writeContent(t, BytesEntry("a.pkg", plain), nil)
		again, _ := writeContent(t, BytesEntry("a.pkg", plain), nil)
		if !bytes.Equal(data, again) {
			t.Errorf("%d bytes: written twice, and different", size)
		}
		text, err := info.JSON()
		if err != nil {
			t.Fatal(err)
		}
		if info, err = ParseContentInfo(text); err != nil {
			t.Fatal(err)
		}
		c, err := ReadContent(bytes.NewReader(data), int64(len(data)), info)
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		back, err := io.ReadAll(c.Plain())
		if err != nil || !bytes.Equal(back, plain) {
			t.Errorf("%d bytes: read back %d (%v)", size, len(back), err)
		}
		key := hex.EncodeToString(info.Encryption.EncryptionKey)
		if seen[key] {
			t.Error("two contents share a key")
		}
		seen[key] = true
	}
}

// openssl decrypts what was written.
func TestContentIsWhatOpensslReads(t *testing.T) {
	openssl := testreq.Program(t, "openssl")
	plain := bytes.Repeat([]byte("xar!"), 5000)
	data, info := writeContent(t, BytesEntry("a.pkg", plain), nil)
	file := filepath.Join(t.TempDir(), "cipher")
	if err := os.WriteFile(file, data[prefix:], 0o600); err != nil {
		t.Fatal(err)
	}
	h := hex.EncodeToString
	out, err := exec.CommandContext(t.Context(), openssl, "enc", "-d", "-aes-256-cbc", "-K", h(info.Encryption.EncryptionKey), "-iv", h(info.Encryption.InitializationVector), "-in", file).Output()
	if err != nil || !bytes.Equal(out, plain) {
		t.Errorf("openssl reads %d bytes (%v)", len(out), err)
	}
	mac, err := exec.CommandContext(t.Context(), "/bin/sh", "-c", `tail -c +33 "$1" | "$2" dgst -sha256 -mac HMAC -macopt hexkey:"$3" -binary`, "sh", place(t, data), openssl, h(info.Encryption.MacKey)).Output()
	if err != nil || !bytes.Equal(mac, data[:32]) {
		t.Errorf("openssl's MAC is %x (%v)", mac, err)
	}
}

func place(t *testing.T, data []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "content")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestContentRefuses(t *testing.T) {
	plain := []byte("a macOS package")
	data, info := writeContent(t, BytesEntry("a.pkg", plain), nil)
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 1
		if _, err := ReadContent(bytes.NewReader(bad), int64(len(bad)), info); fleet.KindOf(err) != fleet.Refused || err == nil {
			t.Errorf("byte %d: %v", i, err)
		}
	}
	for n := range data {
		if _, err := ReadContent(bytes.NewReader(data[:n]), int64(n), info); err == nil {
			t.Errorf("%d of %d bytes were accepted", n, len(data))
		}
	}
	text, err := info.JSON()
	if err != nil {
		t.Fatal(err)
	}
	for field, c := range map[string][2]string{
		"name":                 {`"a.pkg"`, `"../a.pkg"`},
		"size ":                {`"size": 15`, `"size": -15`},
		"encryptionKey":        {`"encryptionKey": "`, `"encryptionKey": "AAAA`},
		"macKey":               {`"macKey": "`, `"macKey": "AAAA`},
		"initializationVector": {`"initializationVector": "`, `"initializationVector": "AAAA`},
		"mac ":                 {`"mac": "`, `"mac": "AAAA`},
		"fileDigest ":          {`"fileDigest": "`, `"fileDigest": "AAAA`},
		"fileDigestAlgorithm":  {`"SHA256"`, `"SHA1"`},
		"profileIdentifier":    {`"ProfileVersion1"`, `"ProfileVersion2"`},
		"unknown field":        {`"size"`, `"more": 1, "size"`},
	} {
		bad := strings.Replace(string(text), c[0], c[1], 1)
		if _, err := ParseContentInfo([]byte(bad)); err == nil || bad == string(text) || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	longer := BytesEntry("a.pkg", plain)
	longer.Open = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("a macOS package and more")), nil }
	other := BytesEntry("a.pkg", plain)
	other.Open = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("A macOS package")), nil }
	for name, e := range map[string]Entry{"longer": longer, "other": other} {
		if _, err := WriteContent(t.Context(), &memory{}, e, nil); fleet.KindOf(err) != fleet.Refused || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := WriteContent(t.Context(), &failing{10}, BytesEntry("a.pkg", plain), nil); !errors.Is(err, errDisk) {
		t.Errorf("a full disk: %v", err)
	}
}

func FuzzContent(f *testing.F) {
	data, info := writeContent(f, BytesEntry("a.pkg", []byte("a macOS package")), nil)
	text, err := info.JSON()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data, text)
	f.Add([]byte(nil), []byte("{}"))
	f.Fuzz(func(t *testing.T, data, text []byte) {
		info, err := ParseContentInfo(text)
		if err != nil {
			return
		}
		c, err := ReadContent(bytes.NewReader(data), int64(len(data)), info)
		if err != nil {
			return
		}
		if n, err := io.Copy(io.Discard, c.Plain()); err != nil || n != info.Size {
			t.Fatalf("accepted, but %d bytes of %d can be read: %v", n, info.Size, err)
		}
	})
}
