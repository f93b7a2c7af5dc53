package setting

import (
	_ "embed" // the text all scripts share
	"encoding/base64"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// Version labels the text of the scripts: raise it with any change.
const Version = "packmill setting v2"

// MaxScript is the largest script in bytes: what the service takes of a
// remediation script.
const MaxScript = 200 << 10

// Names of the scripts, as they lie in a setup folder.
const (
	DetectName    = "detect.ps1"
	RemediateName = "remediate.ps1"
	RevertName    = "revert.ps1"
)

// A Pair is the scripts of one setting. Detect ends with 0 when everything is in
// place, with 1 when not, and changes nothing. Remediate puts it in place, and
// ends with 1 if it is not in place then. Revert puts back what was there
// before. Each may run any number of times.
type Pair struct{ Detect, Remediate, Revert []byte }

//go:embed common.ps1
var common string

// Write writes the scripts of a setting for Windows: its registry values, or its
// files, whose bytes content tells by the name of the payload. The same setting
// gives the same bytes.
func Write(id fleet.PackageID, key string, s fleet.Setting, content map[string][]byte) (Pair, error) {
	if s.Platform() != "windows" || s.Scripts != nil {
		return Pair{}, fleet.Errorf(fleet.Invalid, "setting.write", key, "has neither registry values nor files for Windows")
	}
	var values, files []string
	for _, v := range s.Registry {
		text, err := valueOf(v)
		if err != nil {
			return Pair{}, err
		}
		values = append(values, text)
	}
	for _, f := range s.Files {
		data, ok := content[f.Content]
		if !ok {
			return Pair{}, fleet.Errorf(fleet.Invalid, "setting.write", f.Content, "its bytes are not at hand")
		}
		files = append(files, "@{ Path = "+literal(f.Path)+"; Id = '"+idOf(f.Path)+"'; Sum = '"+strings.ToUpper(fleet.DigestOf(data).Hex())+"'; Bytes = '"+base64.StdEncoding.EncodeToString(data)+"' }")
	}
	head := "# " + comment(string(id)+", setting "+key) + ": written by packmill.\n" +
		"$ErrorActionPreference = 'Stop'\n" +
		"$package = " + literal(string(id)) + "\n" +
		"$setting = " + literal(key) + "\n" +
		"$values = " + table(values) + "\n" +
		"$files = " + table(files) + "\n"
	script := func(end string) []byte {
		return []byte(strings.ReplaceAll(head+common+"\n"+end+"\n", "\n", "\r\n"))
	}
	p := Pair{Detect: script("exit (Test-Setting)"), Remediate: script("Save-Setting\nSet-Setting\nexit (Test-Setting)"), Revert: script("Restore-Setting $true\nexit 0")}
	if n := len(p.Remediate); n > MaxScript {
		return Pair{}, fleet.Errorf(fleet.Invalid, "setting.write", key, "the scripts have %d bytes, the service takes %d: ship large files as a package", n, MaxScript)
	}
	return p, nil
}

// valueOf is one registry value as a hash table.
func valueOf(v fleet.RegistryValue) (string, error) {
	hive, key, _ := strings.Cut(v.Key, `\`)
	if hive != "HKLM" || key == "" {
		return "", fleet.Errorf(fleet.Invalid, "setting.write", v.Key, "is no key below HKLM")
	}
	data, err := dataOf(v)
	if err != nil {
		return "", err
	}
	view := "64"
	if v.View == 32 {
		view = "32"
	}
	return "@{ View = '" + view + "'; Key = " + literal(key) + "; Name = " + literal(v.Value) + "; Kind = '" + kindOf(v.Type) + "'; Data = " + data + " }", nil
}

// table is an array of hash tables, of one and of none too.
func table(rows []string) string {
	if len(rows) == 0 {
		return "@()"
	}
	return "@(\n  " + strings.Join(rows, "\n  ") + "\n)"
}

// comment keeps of a text what is harmless behind "#".
func comment(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

// idOf names a file among what was kept, whatever release it is in.
func idOf(path string) string { return fleet.DeriveID("setting-file", strings.ToLower(path))[:16] }
