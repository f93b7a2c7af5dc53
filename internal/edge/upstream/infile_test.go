package upstream

import (
	"crypto"
	"encoding/binary"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/xar/xarbuild"
)

// macPackage is a macOS package with this description.
func macPackage(t testing.TB, packageInfo string) []byte {
	t.Helper()
	data, err := xarbuild.Archive{Hash: crypto.SHA256, Files: []xarbuild.File{{Path: "PackageInfo", Data: []byte(packageInfo)}}}.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestPkgHostile gives packages that lie, and what stands where one should be.
func TestPkgHostile(t *testing.T) {
	good := macPackage(t, `<pkg-info identifier="a" version="1"/>`)
	table := append([]byte(nil), good...)
	binary.BigEndian.PutUint64(table[16:], 4<<30)
	for name, tt := range map[string]struct {
		data       []byte
		hold, says string
	}{
		"a disk image":       {[]byte("x\x01" + strings.Repeat("z", 2000) + "koly" + strings.Repeat("\x00", 508)), fleet.HoldNotInstaller, "take the vendor's .pkg"},
		"a table of 4 GiB":   {table, fleet.HoldNotInstaller, "offset 16"},
		"nested deeply":      {macPackage(t, `<pkg-info identifier="a">`+strings.Repeat("<b>", 10_000)), fleet.HoldNotInstaller, "nested deeper"},
		"another encoding":   {macPackage(t, `<?xml version="1.0" encoding="utf-16"?><pkg-info identifier="a" version="1"/>`), fleet.HoldNotInstaller, "encoding"},
		"cut off":            {good[:len(good)-4], fleet.HoldNotInstaller, "a macOS package"},
		"without a version":  {macPackage(t, `<pkg-info identifier="a"/>`), fleet.HoldUnparsable, "states no version"},
		"a Windows program":  {[]byte("MZ" + strings.Repeat("x", 600)), fleet.HoldNotInstaller, "a Windows program"},
		"a version of words": {macPackage(t, `<pkg-info identifier="a" version="latest"/>`), "", ""}, // the scheme judges it
	} {
		v := &vendor{answers: map[string]func(http.ResponseWriter, *http.Request){"GET /vendor.example/x.pkg": document(tt.data)}}
		_, err := v.start(t, "").entries(t.Context(), fleet.Feed{InFile: &fleet.InFile{URL: "https://vendor.example/x.pkg", Read: "pkg"}})
		if tt.hold == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if h, ok := HoldOf(err); !ok || h.Name != tt.hold || !strings.Contains(fmt.Sprint(err), tt.says) {
			t.Errorf("%s: %v, want the hold %s with %q", name, err, tt.hold, tt.says)
		}
	}
}
