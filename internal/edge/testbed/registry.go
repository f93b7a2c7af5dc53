package testbed

import (
	"bufio"
	"encoding/hex"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/packmill/packmill/internal/fleet"
)

// Registry of a Wine prefix, as its server writes it when it ends: system.reg is
// HKEY_LOCAL_MACHINE, user.reg HKEY_CURRENT_USER. Reading the files takes
// milliseconds where asking reg.exe takes a start of Wine.

// Limits on a registry file, which a package can make large.
const (
	maxRegistry     = 256 << 20
	maxRegistryLine = 4 << 20
)

// registry is the values of a device: key → value → text, the names folded to
// lower case, each key in full: "hklm\software\widget".
type registry map[string]map[string]registryValue

// A registryValue has the name as it was written, and its text. Numbers are in
// decimal; other bytes are as they stand in the file.
type registryValue struct{ name, text string }

// value looks a value up, or a key alone with the name "". The 32-bit view of
// HKLM\Software lies in its folder Wow6432Node.
func (r registry) value(key, name string, view int) (text string, found bool) {
	key = strings.ToLower(strings.Trim(key, `\`))
	const software, redirected = `hklm\software\`, `hklm\software\wow6432node\`
	if rest, ok := strings.CutPrefix(key, software); ok && view == 32 && !strings.HasPrefix(key, redirected) {
		key = redirected + rest
	}
	values, found := r[key]
	if name == "" || !found {
		return "", found
	}
	v, found := values[strings.ToLower(name)]
	return v.text, found
}

// registryOf reads both files of a prefix.
func registryOf(prefix *os.Root) (registry, error) {
	out := registry{}
	for name, hive := range map[string]string{"system.reg": "HKLM", "user.reg": "HKCU"} {
		data, err := readCapped(prefix, name, maxRegistry)
		if err != nil {
			return nil, err
		}
		if err := out.read(strings.NewReader(string(data)), hive); err != nil {
			return nil, fleet.Errorf(fleet.Internal, "testbed.wine", name, "%w", err)
		}
	}
	return out, nil
}

// read adds the keys of a file in Wine's registry format, version 2: lines
// "[Key\\Sub] time", "name"=value, @=value, comments with # and ;.
func (r registry) read(in io.Reader, hive string) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxRegistryLine)
	var values map[string]registryValue
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "["):
			name, _, ok := quoted(line[1:], ']')
			if !ok {
				continue // cut off while it was written
			}
			values = map[string]registryValue{}
			r[strings.ToLower(hive+`\`+name)] = values
		case values == nil:
		case strings.HasPrefix(line, `"`):
			name, rest, ok := quoted(line[1:], '"')
			if text, is := strings.CutPrefix(rest, "="); ok && is {
				values[strings.ToLower(name)] = registryValue{name, registryText(text)}
			}
		case strings.HasPrefix(line, "@="):
			values[""] = registryValue{"", registryText(line[2:])}
		}
	}
	return lines.Err()
}

// registryText is a value's text as a Windows program would show it.
func registryText(data string) string {
	if number, ok := strings.CutPrefix(data, "dword:"); ok {
		if n, err := strconv.ParseUint(number, 16, 32); err == nil {
			return strconv.FormatUint(n, 10)
		}
		return number
	}
	if i := strings.IndexByte(data, '"'); i >= 0 && (i == 0 || strings.HasPrefix(data, "str(")) {
		text, _, _ := quoted(data[i+1:], '"')
		return strings.TrimRight(text, "\x00")
	}
	return data
}

// quoted reads up to an unescaped end character, and gives what follows it.
// Escapes are \\, \", \[, \], \n, \r, \0 and \x with up to four hexadecimal
// digits, which is one UTF-16 unit.
func quoted(text string, end byte) (value, rest string, ok bool) {
	var b strings.Builder
	var units []uint16
	flush := func() {
		b.WriteString(string(utf16.Decode(units)))
		units = units[:0]
	}
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == end {
			flush()
			return b.String(), text[i+1:], true
		}
		if c != '\\' || i+1 == len(text) {
			flush()
			b.WriteByte(c)
			continue
		}
		i++
		switch c := text[i]; c {
		case 'n', 'r', '0':
			flush()
			b.WriteByte(map[byte]byte{'n': '\n', 'r': '\r', '0': 0}[c])
		case 'x':
			digits := text[i+1 : min(i+5, len(text))]
			n := strings.IndexFunc(digits, func(r rune) bool { return !strings.ContainsRune("0123456789abcdefABCDEF", r) })
			if n >= 0 {
				digits = digits[:n]
			}
			raw, err := hex.DecodeString(strings.Repeat("0", 4-len(digits)) + digits)
			if err != nil || len(digits) == 0 {
				return "", "", false
			}
			units = append(units, uint16(raw[0])<<8|uint16(raw[1]))
			i += len(digits)
		default:
			flush()
			b.WriteByte(c)
		}
	}
	return "", "", false
}
