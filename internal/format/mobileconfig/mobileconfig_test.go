package mobileconfig

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"howett.net/plist"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/testreq"
)

const wifi = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>PayloadContent</key>
	<array>
		<dict>
			<key>PayloadType</key><string>com.apple.wifi.managed</string>
			<key>PayloadIdentifier</key><string>com.acme.wifi.office</string>
			<key>PayloadUUID</key><string>5B3F1B2A-0B1C-4E6E-9C2F-2A3B4C5D6E7F</string>
			<key>PayloadVersion</key><integer>1</integer>
			<key>PayloadDisplayName</key><string>Büro &amp; Lager</string>
			<key>SSID_STR</key><string>acme</string>
			<key>Password</key><data>c2VjcmV0</data>
			<key>AutoJoin</key><true/>
		</dict>
		<dict>
			<key>PayloadType</key><string>com.apple.security.root</string>
			<key>PayloadVersion</key><integer>1</integer>
		</dict>
	</array>
	<key>PayloadDisplayName</key><string>Office network</string>
	<key>PayloadIdentifier</key><string>com.acme.wifi</string>
	<key>PayloadOrganization</key><string>Acme AS</string>
	<key>PayloadRemovalDisallowed</key><true/>
	<key>PayloadScope</key><string>System</string>
	<key>PayloadType</key><string>Configuration</string>
	<key>PayloadUUID</key><string>0F1E2D3C-4B5A-6978-8796-A5B4C3D2E1F0</string>
	<key>PayloadVersion</key><integer>1</integer>
	<key>TargetDeviceType</key><integer>5</integer>
</dict>
</plist>
`

func office() *File {
	return &File{
		Identifier: "com.acme.wifi", UUID: "0F1E2D3C-4B5A-6978-8796-A5B4C3D2E1F0", Type: "Configuration", Version: 1,
		DisplayName: "Office network", Organization: "Acme AS", Scope: "System",
		Payloads: []Payload{
			{"com.apple.wifi.managed", "com.acme.wifi.office", "5B3F1B2A-0B1C-4E6E-9C2F-2A3B4C5D6E7F", 1, "Büro & Lager"},
			{"com.apple.security.root", "", "", 1, ""},
		},
	}
}

// asBinary is a property list in the other form.
func asBinary(t testing.TB, text string) []byte {
	t.Helper()
	var v any
	if _, err := plist.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	out, err := plist.Marshal(v, plist.BinaryFormat)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRead(t *testing.T) {
	for name, data := range map[string][]byte{
		"XML": []byte(wifi), "binary": asBinary(t, wifi), "with a mark in front": []byte("\ufeff" + wifi),
	} {
		f, err := Read(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !reflect.DeepEqual(f, office()) {
			t.Errorf("%s: %+v", name, f)
		}
	}
	f, err := Read([]byte(strings.Replace(wifi, "<key>TargetDeviceType</key><integer>5</integer>", "<key>EncryptedPayloadContent</key><data>AAAA</data>", 1)))
	if err != nil || !f.Encrypted || f.Removable {
		t.Errorf("encrypted: %+v, %v", f, err)
	}
}

// binaryList is a binary property list of these objects, the first on top.
func binaryList(objects ...string) []byte {
	out := []byte("bplist00")
	var offsets []int
	for _, o := range objects {
		offsets = append(offsets, len(out))
		out = append(out, o...)
	}
	table := len(out)
	for _, at := range offsets {
		out = binary.BigEndian.AppendUint32(out, uint32(at))
	}
	out = append(out, 0, 0, 0, 0, 0, 0, 4, 2)
	for _, n := range []int{len(objects), 0, table} {
		out = binary.BigEndian.AppendUint64(out, uint64(n))
	}
	return out
}

func TestRefused(t *testing.T) {
	arrays := func(n int, refs string) []byte { // each holds the next, as often as refs says
		var objects []string
		for i := range n {
			next := string(binary.BigEndian.AppendUint16(nil, uint16(i+1)))
			objects = append(objects, strings.ReplaceAll(refs, "x", next))
		}
		return binaryList(append(objects, "\x09")...)
	}
	trailer := func(at int, b byte) []byte {
		out := asBinary(t, wifi)
		out[len(out)-32+at] = b
		return out
	}
	changed := func(old, new string) []byte {
		if !strings.Contains(wifi, old) {
			t.Fatalf("the profile has no %s", old)
		}
		return []byte(strings.Replace(wifi, old, new, 1))
	}
	for name, data := range map[string][]byte{
		"empty":              nil,
		"a page":             []byte("<!DOCTYPE html><title>Sign in</title>"),
		"text":               []byte("{ PayloadType = Configuration; PayloadIdentifier = a; PayloadUUID = b; }"),
		"signed":             {0x30, 0x80, 0x06, 0x09},
		"too large":          make([]byte, maxSize+1),
		"not closed":         changed("</plist>", ""),
		"something behind":   []byte(wifi + wifi[len(`<?xml version="1.0" encoding="UTF-8"?>`):]),
		"no key":             changed("<key>PayloadScope</key>", ""),
		"an entity":          changed("System", "&x;"),
		"version is text":    changed("<integer>1</integer>\n	<key>TargetDeviceType", "<string>one</string>\n	<key>TargetDeviceType"),
		"other type":         changed("<string>Configuration</string>", "<string>Other</string>"),
		"no identifier":      changed("<key>PayloadIdentifier</key><string>com.acme.wifi</string>", ""),
		"payload of no type": changed("<key>PayloadType</key><string>com.apple.wifi.managed</string>", ""),
		"deep":               changed("<true/>", strings.Repeat("<array>", 5000)+strings.Repeat("</array>", 5000)),
		"many values":        changed("<true/>", "<array>"+strings.Repeat("<true/>", maxValues)+"</array>"),
		"binary, cut":        asBinary(t, wifi)[:100],
		"binary, offsets":    trailer(6, 0),
		"binary, references": trailer(7, 0),
		"binary, count":      trailer(8, 0x7f),
		"binary, top":        trailer(16, 1),
		"binary, table":      trailer(24, 1),
		"binary, deep":       arrays(3000, "\xa1x"),
		"binary, doubling":   arrays(60, "\xa2xx"),
		"binary, in itself":  binaryList("\xa1\x00\x00", "\x09"),
		"binary, in a ring":  binaryList("\xa1\x00\x01", "\xa1\x00\x00"),
		"binary, no such":    binaryList("\xa1\x00\x07", "\x09"),
		"binary, long text":  binaryList("\x5f\x13\xff\xff\xff\xff\xff\xff\xff\xf0", "\x09"),
		"binary, long list":  binaryList("\xaf\x13\x40\x00\x00\x00\x00\x00\x00\x00", "\x09"),
		"binary, strange":    binaryList("\xf0", "\x09"),
		"binary, a number":   binaryList("\x10\x05", "\x09"),
	} {
		begin := time.Now()
		f, err := Read(data)
		if fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("%s: it took %v", name, took)
		}
	}
}

// TestPlistutil compares with another program, which turns one form into the
// other. It returns 0 whatever happens, so what counts is what it writes.
func TestPlistutil(t *testing.T) {
	plistutil := testreq.Program(t, "plistutil")
	dir := t.TempDir()
	convert := func(text, format string) ([]byte, bool) {
		in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
		_ = os.Remove(out)
		if err := os.WriteFile(in, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), plistutil, "-i", in, "-o", out, "-f", format)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		_ = cmd.Run() // its exit code says nothing
		data, err := os.ReadFile(out)
		return data, err == nil && len(data) > 0 && stderr.Len() == 0
	}
	other, ok := convert(wifi, "bin")
	if !ok {
		t.Fatal("plistutil does not read the profile")
	}
	if f, err := Read(other); err != nil || !reflect.DeepEqual(f, office()) {
		t.Errorf("of plistutil: %+v, %v", f, err)
	}
	back, ok := convert(string(asBinary(t, wifi)), "xml")
	if !ok {
		t.Fatal("plistutil does not read the binary profile")
	}
	if f, err := Read(back); err != nil || !reflect.DeepEqual(f, office()) {
		t.Errorf("back from plistutil: %+v, %v", f, err)
	}
	// What we take of altered files, it takes too, and reads the same.
	bin := asBinary(t, wifi)
	taken := 0
	for i := 0; i < len(bin); i += 17 {
		altered := bytes.Clone(bin)
		altered[i] ^= 1
		f, err := Read(altered)
		if err != nil {
			continue
		}
		back, ok := convert(string(altered), "xml")
		if !utf8.Valid(back) || bytes.ContainsFunc(back, func(r rune) bool { return r < '\t' || r > '\n' && r < ' ' }) {
			continue // a text that XML cannot hold
		}
		taken++
		if !ok {
			t.Errorf("byte %d: we read %+v, plistutil nothing", i, f)
			continue
		}
		if other, err := Read(back); err != nil || !reflect.DeepEqual(f, other) {
			t.Errorf("byte %d: we read %+v, plistutil %+v, %v", i, f, other, err)
		}
	}
	if taken < 10 {
		t.Errorf("only %d of the altered files were compared", taken)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(wifi))
	f.Add(asBinary(f, wifi))
	f.Add(binaryList("\xd1\x00\x01\x00\x02", "\x55hello", "\x6a\x00a"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Read(data)
		if err == nil && (file.Identifier == "" && file.UUID == "" || strings.ContainsAny(fmt.Sprint(file), "\x00\x1b")) {
			t.Fatalf("accepted %+v", file)
		}
	})
}
