package xar

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/xar/xarbuild"
)

// TestRefused gives archives that lie. Each error says where.
func TestRefused(t *testing.T) {
	good := component(t)
	patched := func(at int, value uint64, width int) []byte {
		out := bytes.Clone(good)
		switch width {
		case 2:
			binary.BigEndian.PutUint16(out[at:], uint16(value))
		case 4:
			binary.BigEndian.PutUint32(out[at:], uint32(value))
		default:
			binary.BigEndian.PutUint64(out[at:], value)
		}
		return out
	}
	edited := func(edit func(string) string) []byte {
		return build(t, xarbuild.Archive{Files: productFiles(), Edit: edit})
	}
	replaced := func(old, new string) []byte {
		return edited(func(toc string) string {
			if !strings.Contains(toc, old) {
				t.Fatalf("the table of contents has no %s", old)
			}
			return strings.Replace(toc, old, new, 1)
		})
	}
	with := func(files ...xarbuild.File) []byte { return build(t, xarbuild.Archive{Files: files}) }
	heapByte := bytes.Clone(good)
	heapByte[28+binary.BigEndian.Uint64(good[8:])+20] ^= 1 // of Bom, which is not read
	checksumByte := bytes.Clone(good)
	checksumByte[28+binary.BigEndian.Uint64(good[8:])] ^= 1
	if _, err := Read(bytes.NewReader(heapByte), int64(len(heapByte))); err != nil {
		t.Errorf("a member that is not read: %v", err)
	}
	deep := strings.Repeat("<file><name>d</name><type>directory</type>", 100) + strings.Repeat("</file>", 100)
	for _, tt := range []struct {
		name string
		data []byte
		want string // in the error
	}{
		{"empty", nil, "offset 0"},
		{"a page", []byte("<!DOCTYPE html><title>Sign in</title>"), "offset 0"},
		{"header cut", good[:20], "offset 0"},
		{"version 2", patched(6, 2, 2), "offset 4: header"},
		{"header of 10 bytes", patched(4, 10, 2), "offset 4: header"},
		{"table of 4 GiB", patched(8, 4<<30, 8), "offset 8: header"},
		{"table of 2^63", patched(8, 1<<63, 8), "offset 8: header"},
		{"table that unpacks to 4 GiB", patched(16, 4<<30, 8), "offset 16: header"},
		{"table that unpacks to more than stated", patched(16, 10, 8), "offset 28: table of contents"},
		{"table that unpacks to less than stated", patched(16, 1<<20, 8), "offset 28: table of contents"},
		{"unknown algorithm", patched(24, 9, 4), "offset 24: header"},
		{"other algorithm", patched(24, 3, 4), "checksum: of style"},
		{"cut in the table", good[:200], "offset 8: header"},
		{"cut in the heap", good[:len(good)-600], "of the table of contents: data"},
		{"checksum altered", checksumByte, "was altered"},
		{"checksum outside", replaced("<offset>0</offset>", "<offset>99999</offset>"), "checksum: 32 bytes at 99999"},
		{"negative offset", replaced("<offset>0</offset>", "<offset>-1</offset>"), "no number"},
		{"offset that overflows", replaced("<offset>0</offset>", "<offset>9223372036854775807</offset>"), "checksum"},
		{"two checksums", replaced("</checksum>", "</checksum><checksum style=\"sha256\"><offset>0</offset><size>32</size></checksum>"), "2 elements"},
		{"member outside", edited(func(toc string) string {
			at := strings.LastIndex(toc, "<length>")
			return toc[:at] + "<length>99999999999" + toc[at+strings.Index(toc[at:], "</length>"):]
		}), "Payload"},
		{"name of a folder", replaced("<name>Extras.pkg</name>", "<name>../Extras.pkg</name>"), "no file name"},
		{"name that is a path up", replaced("<name>Extras.pkg</name>", "<name>..</name>"), "no file name"},
		{"no name", replaced("<name>Extras.pkg</name>", ""), "0 elements"},
		{"two names", replaced("<name>Extras.pkg</name>", "<name>a</name><name>b</name>"), "2 elements"},
		{"a member twice", replaced("<name>Extras.pkg</name>", "<name>Tool.pkg</name>"), "stands twice"},
		{"deep", replaced("</toc>", deep+"</toc>"), "nested deeper"},
		{"many elements", replaced("</toc>", strings.Repeat("<a/>", maxElements)+"</toc>"), "too many elements"},
		{"an entity", replaced("<name>Extras.pkg</name>", "<name>&x;</name>"), "of the table of contents"},
		{"a second root", replaced("</xar>", "</xar><xar/>"), "second root"},
		{"not closed", replaced("</xar>", ""), "of the table of contents"},
		{"other document", replaced("<xar>", "<tar>"), "of the table of contents"},
		{"bad checksum", replaced("<archived-checksum style=\"sha256\">", "<archived-checksum style=\"sha256\">zz"), "no checksum"},
		{"strange compression", replaced("application/x-gzip", "application/x-lzma"), "not supported"},
		{"bomb", replaced(fmt.Sprintf("<size>%d</size>", len(distribution)), "<size>99999999</size>"), "has 99999999 bytes"},
		{"size that lies", replaced(fmt.Sprintf("<size>%d</size>", len(distribution)), "<size>10</size>"), "not as many bytes"},
		{"signature outside", replaced("<file ", `<signature style="RSA"><offset>9999999</offset><size>256</size></signature><file `), "signature: 256 bytes"},
		{"signature of 1 GiB", replaced("<file ", `<signature style="RSA"><offset>0</offset><size>1073741824</size></signature><file `), "signature: 1073741824 bytes"},
		{"signature without certificate", replaced("<file ", `<signature style="RSA"><offset>0</offset><size>2</size><KeyInfo/></signature><file `), "no certificate"},
		{"no package", with(xarbuild.File{Path: "Content", Data: []byte("x")}), "no installer package"},
		{"component in a folder", with(xarbuild.File{Path: "a/PackageInfo", Data: []byte(packageInfo)}), "no installer package"},
		{"PackageInfo is a page", with(xarbuild.File{Path: "PackageInfo", Data: []byte("<html>")}), "of the PackageInfo"},
		{"PackageInfo without identifier", with(xarbuild.File{Path: "PackageInfo", Data: []byte("<pkg-info/>")}), "identifier"},
		{"PackageInfo empty", with(xarbuild.File{Path: "PackageInfo", Plain: true}), "no XML"},
		{"Distribution of another kind", with(xarbuild.File{Path: "Distribution", Data: []byte("<pkg-info/>")}), "no installer script"},
		{"long identifier", with(xarbuild.File{Path: "PackageInfo", Data: []byte(`<pkg-info identifier="` + strings.Repeat("a", 300) + `"/>`)}), "an identifier of 300 bytes"},
		{"long version", with(xarbuild.File{Path: "PackageInfo", Data: []byte(`<pkg-info identifier="a"><bundle id="a" path="a" CFBundleVersion="` + strings.Repeat("1", 300) + `"/></pkg-info>`)}), "of 300 bytes"},
		{"long path", with(xarbuild.File{Path: "PackageInfo", Data: []byte(`<pkg-info identifier="a"><bundle id="a" path="` + strings.Repeat("a/", 2000) + `"/></pkg-info>`)}), "a path of"},
	} {
		begin := time.Now()
		_, err := Read(bytes.NewReader(tt.data), int64(len(tt.data)))
		if fleet.KindOf(err) != fleet.Invalid || !strings.Contains(fmt.Sprint(err), tt.want) || !strings.Contains(fmt.Sprint(err), "offset") {
			t.Errorf("%s: %v, want an error of kind invalid with %q and an offset", tt.name, err, tt.want)
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("%s: it took %v", tt.name, took)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(component(f))
	f.Add(build(f, xarbuild.Archive{Files: productFiles()}))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Read(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			if fleet.KindOf(err) != fleet.Invalid {
				t.Fatal(err)
			}
			return
		}
		_ = file.CheckMembers()
		facts := file.Facts()
		if strings.ContainsAny(facts.Identifier+facts.Version+file.Version(), "\n\x00\x1b") {
			t.Fatalf("accepted %+v", facts)
		}
	})
}

// FuzzTable has the table of contents varied, behind its compression.
func FuzzTable(f *testing.F) {
	var toc string
	build(f, xarbuild.Archive{Files: productFiles(), Edit: func(s string) string { toc = s; return s }})
	f.Add(toc)
	f.Fuzz(func(t *testing.T, toc string) {
		data := build(t, xarbuild.Archive{Files: productFiles(), Edit: func(string) string { return toc }})
		file, err := Read(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		for _, m := range file.Members {
			if strings.HasPrefix(m.Path, "/") || strings.Contains("/"+m.Path+"/", "/../") {
				t.Fatalf("a member %q", m.Path)
			}
		}
	})
}
