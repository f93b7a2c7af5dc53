package setting

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/packmill/packmill/internal/fleet"
)

// literal is a text as a PowerShell expression, in brackets where it is more
// than one literal. It begins with a string: a leading [char] would make "+" add
// numbers.
func literal(s string) string {
	var parts []string
	var plain strings.Builder
	flush := func() {
		if plain.Len() > 0 || len(parts) == 0 {
			parts = append(parts, "'"+plain.String()+"'")
			plain.Reset()
		}
	}
	for _, u := range utf16.Encode([]rune(s)) {
		switch {
		case u == '\'':
			plain.WriteString("''")
		case u >= ' ' && u < 0x7f:
			plain.WriteByte(byte(u))
		default:
			flush()
			parts = append(parts, fmt.Sprintf("[char]0x%04X", u))
		}
	}
	flush()
	if len(parts) == 1 {
		return parts[0]
	}
	return "(" + strings.Join(parts, "+") + ")"
}

// bytesLiteral is bytes as a PowerShell expression.
func bytesLiteral(b []byte) string {
	return "[Convert]::FromBase64String('" + base64.StdEncoding.EncodeToString(b) + "')"
}

// kinds are the names of .NET's RegistryValueKind.
func kindOf(registryType string) string {
	return map[string]string{
		"string": "String", "expandString": "ExpandString", "multiString": "MultiString", "dword": "DWord", "qword": "QWord", "binary": "Binary",
	}[registryType]
}

// dataOf is a value's data as a PowerShell expression of the type that .NET
// stores and gives back: numbers are signed there.
func dataOf(v fleet.RegistryValue) (string, error) {
	if !v.Data.Fits(v.Type) {
		return "", fleet.Errorf(fleet.Invalid, "setting.write", v.Key, "value %q holds no data of type %s", v.Value, v.Type)
	}
	switch v.Type {
	case "dword":
		return "[int](" + strconv.FormatInt(int64(int32(uint32(v.Data.Number))), 10) + ")", nil
	case "qword":
		return "[long](" + strconv.FormatInt(int64(v.Data.Number), 10) + ")", nil
	case "multiString":
		list := make([]string, len(v.Data.List))
		for i, s := range v.Data.List {
			list[i] = literal(s)
		}
		return "[string[]]@(" + strings.Join(list, ",") + ")", nil
	case "binary":
		b, err := hex.DecodeString(v.Data.Text)
		if err != nil {
			return "", fleet.Errorf(fleet.Invalid, "setting.write", v.Key, "value %q: %w", v.Value, err)
		}
		return "[byte[]](" + bytesLiteral(b) + ")", nil
	}
	return literal(v.Data.Text), nil
}
