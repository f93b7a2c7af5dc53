package setting

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/packmill/packmill/internal/fleet"
)

// hostile is text that would end a literal, run something or be replaced in a
// script that is quoted carelessly.
const hostile = "it's \u2018smart\u2019 \u201Aquotes\u201B $(calc) `n \"x\" %PATH%\r\n'; calc #\U0001F600\x00"

func examples() map[string]fleet.Setting {
	return map[string]fleet.Setting{
		"registry": {Registry: []fleet.RegistryValue{
			{Key: `HKLM\SOFTWARE\Policies\Example`, Value: "Proxy", Type: "string", Data: fleet.TextData("proxy.example:3128"), View: 64},
			{Key: `HKLM\SOFTWARE\Policies\Example`, Value: "Home", Type: "expandString", Data: fleet.TextData(`%ProgramData%\Example`), View: 64},
			{Key: `HKLM\SOFTWARE\Policies\Example`, Value: "Hosts", Type: "multiString", Data: fleet.ListData("a.example", "b.example"), View: 32},
			{Key: `HKLM\SOFTWARE\Policies\Example`, Value: "Enabled", Type: "dword", Data: fleet.NumberData(1), View: 64},
			{Key: `HKLM\SOFTWARE\Policies\Example`, Value: "Mask", Type: "dword", Data: fleet.NumberData(math.MaxUint32), View: 64},
			{Key: `HKLM\SOFTWARE\Policies\Example`, Value: "Large", Type: "qword", Data: fleet.NumberData(math.MaxUint64), View: 64},
			{Key: `HKLM\SOFTWARE\Policies\Example`, Value: "Blob", Type: "binary", Data: fleet.TextData("00ff10"), View: 64},
			{Key: `HKLM\SOFTWARE\Policies\Example`, Type: "string", Data: fleet.TextData(""), View: 64},
		}},
		"files": {Files: []fleet.SettingFile{
			{Path: `%ProgramData%\Example\example.ini`, Content: "files/example.ini"},
			{Path: `C:\Example\empty.txt`, Content: "files/empty.txt"},
		}},
		"hostile": {Registry: []fleet.RegistryValue{
			{Key: `HKLM\SOFTWARE\` + hostile, Value: hostile, Type: "multiString", Data: fleet.ListData(hostile, "", "'"), View: 64},
		}},
	}
}

func exampleContent() map[string][]byte {
	return map[string][]byte{"files/example.ini": []byte("[example]\r\nname=größe\r\n"), "files/empty.txt": {}}
}

// The scripts are those in testdata, which other tests read as PowerShell.
// UPDATE=1 writes them anew.
func TestGolden(t *testing.T) {
	for name, s := range examples() {
		p, err := Write("acme/example", name, s, exampleContent())
		if err != nil {
			t.Fatal(err)
		}
		again, err := Write("acme/example", name, s, exampleContent())
		if err != nil || !bytes.Equal(again.Remediate, p.Remediate) {
			t.Errorf("%s: written twice, and different (%v)", name, err)
		}
		for script, text := range map[string][]byte{DetectName: p.Detect, RemediateName: p.Remediate, RevertName: p.Revert} {
			file := filepath.Join("testdata", name+"-"+script)
			if os.Getenv("UPDATE") == "1" {
				if err := os.WriteFile(file, text, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil || !bytes.Equal(text, want) {
				t.Errorf("%s differs (%v):\n%s", file, err, text)
			}
			if i := bytes.IndexFunc(text, func(r rune) bool { return r > '~' || r < ' ' && r != '\r' && r != '\n' }); i >= 0 {
				t.Errorf("%s: byte %d is not plain text", file, i)
			}
		}
	}
}

// unquote reads what literal writes, as PowerShell's quoting rules say.
func unquote(t *testing.T, s string) string {
	t.Helper()
	s = strings.TrimSuffix(strings.TrimPrefix(s, "("), ")")
	var units []uint16
	for s != "" {
		switch {
		case s[0] == '\'':
			s = s[1:]
			for {
				if strings.HasPrefix(s, "''") {
					units, s = append(units, '\''), s[2:]
					continue
				}
				if s[0] == '\'' {
					s = s[1:]
					break
				}
				units, s = append(units, uint16(s[0])), s[1:]
			}
		case strings.HasPrefix(s, "[char]0x"):
			var u uint16
			for _, c := range s[8:12] {
				u = u<<4 | uint16(strings.IndexRune("0123456789ABCDEF", c))
			}
			units, s = append(units, u), s[12:]
		default:
			t.Fatalf("%q is no literal", s)
		}
		s = strings.TrimPrefix(s, "+")
	}
	return string(utf16.Decode(units))
}

func FuzzLiteral(f *testing.F) {
	for _, s := range []string{"", "plain", "it's", hostile, "\u2019", "\U0001F600x", "'", "(a+b)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := literal(s)
		if !strings.HasPrefix(strings.TrimPrefix(got, "("), "'") {
			t.Errorf("%q begins with no string", got)
		}
		// What is no UTF-8 becomes the replacement character, as everywhere in Go.
		if back := unquote(t, got); back != string([]rune(s)) {
			t.Errorf("%q became %q", s, back)
		}
	})
}

func TestReadable(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "exit 0\r\n# 'x' `n\t$(1)\x00": "", "# a \u2013 b": "line 1, column 5", "exit 0\r\n  'gr\u00f6\u00dfe'\r\n": "line 2, column 6",
		"\ufeffexit 0": "line 1, column 1", "\xff\xfee\x00": "line 1, column 1", "exit 0 \x93": "line 1, column 8",
	} {
		err := Readable("files/x.ps1", []byte(text))
		if (err == nil) != (want == "") || err != nil && (fleet.KindOf(err) != fleet.Invalid || !strings.Contains(err.Error(), want+":")) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	value := fleet.RegistryValue{Key: `HKLM\SOFTWARE\X`, Value: "v", Type: "dword", Data: fleet.NumberData(1), View: 64}
	change := func(f func(v *fleet.RegistryValue)) fleet.Setting {
		v := value
		f(&v)
		return fleet.Setting{Registry: []fleet.RegistryValue{v}}
	}
	for name, s := range map[string]fleet.Setting{
		"nothing":         {},
		"scripts":         {Scripts: &fleet.SettingScripts{Detect: "d", Remediate: "m", Revert: "v"}},
		"Linux":           {Files: []fleet.SettingFile{{Path: "/etc/x", Content: "files/empty.txt"}}},
		"another hive":    change(func(v *fleet.RegistryValue) { v.Key = `HKCU\SOFTWARE\X` }),
		"a hive alone":    change(func(v *fleet.RegistryValue) { v.Key = `HKLM` }),
		"text of a dword": change(func(v *fleet.RegistryValue) { v.Data = fleet.TextData("1") }),
		"large dword":     change(func(v *fleet.RegistryValue) { v.Data = fleet.NumberData(1 << 32) }),
		"unknown type":    change(func(v *fleet.RegistryValue) { v.Type = "link" }),
		"no hexadecimal":  change(func(v *fleet.RegistryValue) { v.Type, v.Data = "binary", fleet.TextData("0g") }),
		"no content":      {Files: []fleet.SettingFile{{Path: `C:\x`, Content: "files/none"}}},
		"too large":       {Files: []fleet.SettingFile{{Path: `C:\x`, Content: "files/large"}}},
	} {
		content := exampleContent()
		content["files/large"] = make([]byte, MaxScript)
		if _, err := Write("acme/example", "x", s, content); fleet.KindOf(err) != fleet.Invalid || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
