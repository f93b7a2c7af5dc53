package pe

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/packmill/packmill/internal/fleet"
)

// No tool on a Linux machine makes installers of these kinds, NSIS apart
// (TestNSISAgrees). So the files here are made by hand and hold exactly the marks
// that the sources named in marks.go and payload.go document, and nothing else.

// A made program: an image with the sections and resources of a test, and bytes
// behind them.
type made struct {
	sections  map[string][]byte
	resources []resource
	overlay   []byte
	header    func(dos []byte) // changes the DOS header
}

// A resource has a numbered type or a named one, and a number.
type resource struct {
	kind     uint32
	kindName string
	id       uint32
	data     []byte
}

const madeSection = 0x1000 // where the first section is loaded; the next are 64 KiB apart

func (m made) bytes() []byte {
	sections := map[string][]byte{".text": {0xc3}}
	for name, data := range m.sections {
		sections[name] = data
	}
	names := []string{".text"}
	for name := range m.sections {
		names = append(names, name)
	}
	if len(m.resources) > 0 {
		names = append(names, ".rsrc")
		sections[".rsrc"] = m.tree(madeSection + 0x10000*uint32(len(names)-1))
	}
	head := make([]byte, 0x400)
	copy(head, "MZ")
	head[60] = 0x80
	copy(head[0x80:], "PE\x00\x00\x64\x86")
	le := binary.LittleEndian
	le.PutUint16(head[0x86:], uint16(len(names)))
	le.PutUint16(head[0x94:], 240)
	optional := head[0x98:]
	le.PutUint16(optional, 0x20b)
	le.PutUint32(optional[108:], 16)
	table, body := optional[240:], []byte{}
	for i, name := range names {
		s := table[40*i:]
		data := append(bytes.Clone(sections[name]), make([]byte, -len(sections[name])&511)...)
		copy(s, name)
		le.PutUint32(s[8:], uint32(len(sections[name])))
		le.PutUint32(s[12:], madeSection+0x10000*uint32(i))
		le.PutUint32(s[16:], uint32(len(data)))
		le.PutUint32(s[20:], uint32(len(head)+len(body)))
		if name == ".rsrc" {
			le.PutUint32(optional[112+8*directoryResource:], madeSection+0x10000*uint32(i))
			le.PutUint32(optional[116+8*directoryResource:], uint32(len(data)))
		}
		body = append(body, data...)
	}
	if m.header != nil {
		m.header(head)
	}
	return append(append(head, body...), m.overlay...)
}

// tree is a resource directory of one resource for each type: root, then for
// each a directory of names, one of languages, a leaf, its name, its data.
func (m made) tree(rva uint32) []byte {
	le := binary.LittleEndian
	n := len(m.resources)
	root := make([]byte, 16+8*n)
	named := 0
	for _, r := range m.resources {
		if r.kindName != "" {
			named++ // they come first
		}
	}
	le.PutUint16(root[12:], uint16(named))
	le.PutUint16(root[14:], uint16(n-named))
	out := root
	for i, r := range m.resources {
		at := uint32(len(out))
		part := make([]byte, 24+24+16)
		le.PutUint16(part[14:], 1)
		le.PutUint32(part[16:], r.id)
		le.PutUint32(part[20:], subdirectory|(at+24))
		le.PutUint16(part[38:], 1)
		le.PutUint32(part[40:], 0x409)
		le.PutUint32(part[44:], at+48)
		name := binary.LittleEndian.AppendUint16(nil, uint16(len(r.kindName)))
		name = append(name, wide(r.kindName)...)
		le.PutUint32(part[48:], rva+at+uint32(len(part)+len(name)))
		le.PutUint32(part[52:], uint32(len(r.data)))
		le.PutUint32(out[16+8*i:], r.kind)
		if r.kindName != "" {
			le.PutUint32(out[16+8*i:], subdirectory|(at+uint32(len(part))))
		}
		le.PutUint32(out[20+8*i:], subdirectory|at)
		out = append(append(append(out, part...), name...), r.data...)
	}
	return out
}

func wide(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

func numbers(values ...uint32) []byte {
	var b []byte
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

func zipOf(t testing.TB, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range names {
		if _, err := w.Create(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// innoFile has an offset table of the revision, and data behind the program.
func innoFile(revision uint32, version string) []byte {
	data := append([]byte("Inno Setup Setup Data ("+version+")"), make([]byte, 64)...)
	make1 := func(at uint64) made {
		table := append([]byte(innoNew), numbers(revision)...)
		switch revision {
		case 1:
			table = append(table, numbers(0, 0, 0, 0, uint32(at), 0)...)
		default:
			table = append(table, make([]byte, 24)...)
			table = binary.LittleEndian.AppendUint64(table, at)
			table = append(table, make([]byte, 12)...)
		}
		table = append(table, numbers(crc32.ChecksumIEEE(table))...)
		return made{resources: []resource{{kind: typeData, id: innoTable, data: table}}, overlay: data}
	}
	at := len(make1(0).bytes()) - len(data)
	return make1(uint64(at)).bytes()
}

func shieldStream(kind byte, names ...string) []byte {
	b := make([]byte, 46)
	copy(b, "ISSetupStream")
	b[14], b[16] = byte(len(names)), kind
	for _, name := range names {
		attributes := make([]byte, 24)
		binary.LittleEndian.PutUint32(attributes, uint32(2*len(name)))
		binary.LittleEndian.PutUint32(attributes[10:], 3)
		if kind == 4 {
			attributes = append(attributes, make([]byte, 24)...)
		}
		b = append(append(append(b, attributes...), wide(name)...), "xyz"...)
	}
	return b
}

func shieldPlain(names ...string) []byte {
	b := make([]byte, 46)
	copy(b, "InstallShield")
	b[14] = byte(len(names))
	for _, name := range names {
		attributes := make([]byte, 312)
		copy(attributes, name)
		binary.LittleEndian.PutUint32(attributes[268:], 3)
		b = append(append(b, attributes...), "xyz"...)
	}
	return b
}

func advancedFooter() []byte {
	b := append([]byte("payload"), numbers(0, 1, 1, 1, 7, 7, 0)...)
	b = append(b, "00112233445566778899AABBCCDDEEFF"...)
	return append(append(b, numbers(0x32)...), "ADVINSTSFX\x00\x00"...)
}

func nsisHeader(before int) []byte {
	return append(append(make([]byte, before), 0, 0, 0, 0), nsisMark+"\x00\x00\x00\x00\x00\x00\x00\x00"...)
}

func installers(t testing.TB) map[string]struct {
	data []byte
	want Installer
} {
	burn := append(numbers(0x00f14300, 2), 0x78, 0x56, 0x34, 0x12, 0x34, 0x12, 0x78, 0x56, 1, 2, 3, 4, 5, 6, 7, 8)
	behind := func(b []byte) []byte { return made{overlay: b}.bytes() }
	legacy := made{overlay: []byte("rDlPtS07\x87eVx"), header: func(dos []byte) {
		copy(dos[innoPointer:], "Inno")
		binary.LittleEndian.PutUint32(dos[innoPointer+4:], 0x600)
		binary.LittleEndian.PutUint32(dos[innoPointer+8:], ^uint32(0x600))
	}}
	seven := "7z\xbc\xaf\x27\x1c\x00\x04"
	type c = struct {
		data []byte
		want Installer
	}
	return map[string]c{
		"burn":           {made{sections: map[string][]byte{".wixburn": burn}}.bytes(), Installer{Kind: fleet.InstallerBurn, Version: "2", Bundle: "{12345678-1234-5678-0102-030405060708}"}},
		"inno 6":         {innoFile(1, "6.2.0"), Installer{Kind: fleet.InstallerInno, Version: "6.2.0"}},
		"inno 64 bit":    {innoFile(2, "6.5.2"), Installer{Kind: fleet.InstallerInno, Version: "6.5.2"}},
		"inno 4":         {legacy.bytes(), Installer{Kind: fleet.InstallerInno}},
		"nsis":           {behind(nsisHeader(0)), Installer{Kind: fleet.InstallerNSIS}},
		"nsis, later":    {behind(nsisHeader(3 * 512)), Installer{Kind: fleet.InstallerNSIS}},
		"installshield":  {behind(shieldStream(0, "setup.inx", "data1.cab")), Installer{Kind: fleet.InstallerInstallShield}},
		"shield, msi":    {behind(shieldStream(4, "Setup.ini", "Widget.msi")), Installer{Kind: fleet.InstallerInstallShieldMSI, Payload: "Widget.msi"}},
		"shield, msi 2":  {behind(shieldStream(2, "Setup.ini", "Widget.msi")), Installer{Kind: fleet.InstallerInstallShieldMSI, Payload: "Widget.msi"}},
		"old shield msi": {behind(shieldPlain("setup.ini", "W.MSI")), Installer{Kind: fleet.InstallerInstallShieldMSI, Payload: "W.MSI"}},
		"shield, debug":  {behind(append([]byte("NB10\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00setup.pdb\x00"), shieldPlain("a.cab")...)), Installer{Kind: fleet.InstallerInstallShield}},
		"advanced":       {behind(advancedFooter()), Installer{Kind: fleet.InstallerAdvanced}},
		"squirrel":       {made{resources: []resource{{kindName: "DATA", id: 131, data: zipOf(t, "Update.exe", "App-1.0-full.nupkg")}}}.bytes(), Installer{Kind: fleet.InstallerSquirrel}},
		"msix":           {behind(zipOf(t, "AppxManifest.xml", "app.exe")), Installer{Kind: fleet.InstallerMSIX}},
		"msix bundle":    {made{resources: []resource{{kind: typeData, id: 1, data: zipOf(t, "AppxMetadata/AppxBundleManifest.xml")}}}.bytes(), Installer{Kind: fleet.InstallerMSIX}},
		"7z":             {behind([]byte(seven)), Installer{Kind: fleet.InstallerSevenZip}},
		"7z, configured": {behind([]byte("\xef\xbb\xbf;!@Install@!UTF-8!\r\nTitle=\"x\"\r\n;!@InstallEnd@!\r\n" + seven)), Installer{Kind: fleet.InstallerSevenZip}},
	}
}

func TestInstaller(t *testing.T) {
	for name, c := range installers(t) {
		f, err := parse(c.data)
		if err != nil || f.Installer != c.want {
			t.Errorf("%s: %+v, %v; want %+v", name, f, err, c.want)
		}
	}
}

// What looks like a mark and is none of an installer.
func TestPlainProgram(t *testing.T) {
	badTable := innoFile(1, "6.2.0")
	at := bytes.Index(badTable, []byte(innoNew))
	badTable[at+40]++
	for name, data := range map[string][]byte{
		"nothing behind":       made{}.bytes(),
		"text of NSIS":         made{overlay: []byte("the word NullsoftInst")}.bytes(),
		"NSIS not on a block":  made{overlay: nsisHeader(100)}.bytes(),
		"NSIS as data":         made{sections: map[string][]byte{".data": []byte(nsisMark)}}.bytes(),
		"burn without magic":   made{sections: map[string][]byte{".wixburn": make([]byte, 64)}}.bytes(),
		"Inno's table changed": badTable,
		"text of Inno":         made{overlay: []byte("Inno Setup Setup Data (6.2.0)")}.bytes(),
		"another DATA 131":     made{resources: []resource{{kindName: "DATA", id: 131, data: zipOf(t, "readme.txt")}}}.bytes(),
		"a zip behind":         made{overlay: zipOf(t, "app.exe")}.bytes(),
		"text of Advanced":     made{overlay: []byte(strings.Repeat("x", 100) + "ADVINSTSFX")}.bytes(),
		"half a configuration": made{overlay: []byte(";!@Install@!UTF-8!\r\n7z\xbc\xaf\x27\x1c")}.bytes(),
		"a name like a setup":  made{resources: []resource{{kindName: "DATA", id: 132, data: []byte("Setup.exe")}}}.bytes(),
	} {
		if f, err := parse(data); err != nil || f.Installer != (Installer{Kind: fleet.InstallerNone}) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

// A signature behind what an installer carries does not hide it.
func TestInstallerSigned(t *testing.T) {
	data := made{overlay: advancedFooter()}.bytes()
	data = append(data, make([]byte, -len(data)&7)...)
	entry := data[0x98+112+8*directorySecurity:]
	binary.LittleEndian.PutUint32(entry, uint32(len(data)))
	binary.LittleEndian.PutUint32(entry[4:], 8+12_000)
	table := append(numbers(8+12_000, 0x00020200), make([]byte, 12_000)...)
	f, err := parse(append(data, table...))
	if err != nil || f.Installer.Kind != fleet.InstallerAdvanced || len(f.Signature) != 12_000 {
		t.Errorf("%+v, %v", f, err)
	}
}
