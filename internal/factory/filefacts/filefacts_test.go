package filefacts

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

func day() time.Time { return time.Date(2026, 11, 18, 6, 0, 0, 0, time.UTC) }

// fixtures are the installers beside the readers, by their paths below formats.
func fixtures(t testing.TB) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, glob := range []string{"pe/testdata/*.exe", "msi/testdata/*.msi", "deb/testdata/*.deb", "macho/testdata/*", "sip/testdata/*"} {
		names, err := filepath.Glob(filepath.Join("../../format", glob))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				continue // a folder
			}
			out[filepath.Base(name)] = data
		}
	}
	for _, name := range []string{"hello.pkg", "hello.rpm"} {
		data, err := os.ReadFile("../testdata/build/" + name)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = data
	}
	return out
}

func read(name string, data []byte) (*fleet.Inspection, error) {
	return Read(bytes.NewReader(data), int64(len(data)), name, fleet.DigestOf(data), "", day())
}

func TestRead(t *testing.T) {
	files := fixtures(t)
	for _, c := range []struct {
		name, kind, deployed, product, version, arch string
		unsigned                                     bool
	}{
		{"hello-signed.exe", "a Windows program", "portable", "Hello", "24.09", "x64", false},
		{"hello.exe", "a Windows program", "portable", "Hello", "24.09", "x64", true},
		{"hello64-signed.msi", "an MSI package", "msi", "Hello", "24.9.0", "x64", false},
		{"hello.msi", "an MSI package", "msi", "Hello", "24.9.0", "x86", true},
		{"hello-xz.deb", "a Debian package", "deb", "packmill-hello", "1:2.0-3", "universal", true},
		{"hello.pkg", "a macOS package", "pkg", "Hello", "1.0", "universal", true},
		{"hello.rpm", "an RPM package", "rpm", "hello", "2.0.0-1", "x64", true},
	} {
		data, ok := files[c.name]
		if !ok {
			t.Errorf("%s is not there", c.name)
			continue
		}
		got, err := read(c.name, data)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got.Kind != c.kind || got.Type != c.deployed || got.Product != c.product || got.Version != c.version || got.Arch != c.arch || got.Signer.Unsigned != c.unsigned {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	for name, text := range map[string]string{
		"notes.txt": "hello", "page.html": "<!DOCTYPE html><html>", "x.json": "{}",
		"plain.ps1": "Write-Output 1\r\n",
	} {
		if got, err := read(name, []byte(text)); err != nil || got.Type != "" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	profile := `<?xml version="1.0"?><plist version="1.0"><dict><key>PayloadType</key><string>Configuration</string><key>PayloadVersion</key><integer>1</integer>
		<key>PayloadIdentifier</key><string>com.acme.wifi</string><key>PayloadUUID</key><string>0B8E3B5E-6B4C-4B62-9E1E-6A4B5C1D2E3F</string><key>PayloadContent</key><array/></dict></plist>`
	if got, err := read("wifi.mobileconfig", []byte(profile)); err != nil || got.Type != "profile" || got.Packages[0] != "com.acme.wifi" {
		t.Errorf("a profile: %+v, %v", got, err)
	}
}

// TestCut cuts each file off: an error that names the file, or a file of another
// kind, but never a panic.
func TestCut(t *testing.T) {
	for name, data := range fixtures(t) {
		for _, n := range []int{1, len(data) / 4, len(data) / 2, len(data) - 1} {
			if _, err := read(name, data[:n]); err != nil && !strings.Contains(err.Error(), name) {
				t.Errorf("%s cut to %d bytes: %v does not name the file", name, n, err)
			}
		}
	}
}

func FuzzRead(f *testing.F) {
	for name, data := range fixtures(f) {
		if len(data) < 64<<10 {
			f.Add(name, data)
		}
	}
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		got, err := read(name, data)
		if err != nil && fleet.KindOf(err) != fleet.Invalid && fleet.KindOf(err) != fleet.Refused {
			t.Errorf("%v is of kind %v", err, fleet.KindOf(err))
		}
		if err == nil && (got.Kind == "" || got.Size != int64(len(data))) {
			t.Errorf("%+v", got)
		}
	})
}
