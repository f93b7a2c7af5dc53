package wrapper

import (
	"strings"
	"unicode"

	"github.com/packmill/packmill/internal/fleet"
)

func invalid(object, format string, args ...any) error {
	return fleet.Errorf(fleet.Invalid, "wrapper", object, format, args...)
}

// printable refuses what cannot stand on a command line at all: control
// characters end it, and what is no text has no form there.
func printable(what, s string) error {
	if i := strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }); i >= 0 {
		return invalid(what, "cannot stand on a command line: byte %d of %q is not printable", i, s)
	}
	return nil
}

// Argument is s as one argument on a command line, quoted so that programs read
// it back: https://learn.microsoft.com/cpp/c-language/parsing-c-command-line-arguments,
// which CommandLineToArgvW follows too. Backslashes count only before a quotation
// mark: there, and at the end, they are doubled. msiexec reads its properties by
// other rules: see Property.
func Argument(s string) (string, error) {
	if err := printable("argument", s); err != nil {
		return "", err
	}
	// A placeholder may become a path with spaces.
	if s != "" && !strings.ContainsAny(s, " \"{") {
		return s, nil
	}
	var out strings.Builder
	out.WriteByte('"')
	slashes := 0
	for _, r := range s {
		switch r {
		case '\\':
			slashes++
		case '"':
			out.WriteString(strings.Repeat(`\`, slashes+1))
			slashes = 0
		default:
			slashes = 0
		}
		out.WriteRune(r)
	}
	out.WriteString(strings.Repeat(`\`, slashes))
	out.WriteByte('"')
	return out.String(), nil
}

// Property is NAME="value" as msiexec reads it: a quotation mark within is
// doubled, and a backslash means nothing:
// https://learn.microsoft.com/windows/win32/msi/command-line-options.
func Property(name, value string) (string, error) {
	for i, r := range name {
		if !(r >= 'A' && r <= 'Z' || r == '_' || i > 0 && (r >= '0' && r <= '9' || r == '.')) {
			return "", invalid(name, "is no name of a public MSI property")
		}
	}
	if name == "" {
		return "", invalid("property", "has no name")
	}
	if err := printable("property "+name, value); err != nil {
		return "", err
	}
	return name + `="` + strings.ReplaceAll(value, `"`, `""`) + `"`, nil
}

// split takes the text of arguments apart at spaces outside quotation marks.
// The parts are as they stood, quotation marks included; joined by single
// spaces they say the same. A quotation mark behind a backslash is one to some
// programs and none to others, so where there is one no space is known to stand
// outside, and of several in a row a part keeps those after the first.
func split(text string) ([]string, error) {
	if err := printable("arguments", text); err != nil {
		return nil, err
	}
	text = strings.Trim(text, " ")
	var out []string
	quoted, from, exact := false, 0, strings.Contains(text, `\"`)
	for i, r := range text {
		switch {
		case r == '"':
			quoted = !quoted
		case r == ' ' && !quoted:
			if exact && strings.Trim(text[from:i], " ") == "" {
				continue
			}
			if i > from {
				out = append(out, text[from:i])
			}
			from = i + 1
		}
	}
	if quoted {
		return nil, invalid("arguments", "a quotation mark is not closed: %q", text)
	}
	if from < len(text) {
		out = append(out, text[from:])
	}
	return out, nil
}

// bare is the first place in a line of arguments that stands outside quotation
// marks, "" where all stand inside: a path with spaces would be several arguments
// there. The folder of the system's programs has none. Both readings of a
// quotation mark behind a backslash count, see split.
func bare(line string) string {
	simple, escaped, slashes := false, false, 0
	for i, r := range line {
		switch r {
		case '"':
			simple = !simple
			if slashes%2 == 0 {
				escaped = !escaped
			}
		case '{':
			m := mark.FindString(line[i:])
			if m != "" && m != "{system}" && strings.HasPrefix(line[i:], m) && !simple && !escaped {
				return m
			}
		}
		if r == '\\' {
			slashes++
		} else {
			slashes = 0
		}
	}
	return ""
}

// BatchLine is a command line as a line of a batch file that starts exactly it:
// cmd takes percent signs everywhere and other characters outside quotation
// marks for its own. It is how a machine without PowerShell runs a Command.
func BatchLine(line string) (string, error) {
	if err := printable("command line", line); err != nil {
		return "", err
	}
	var out strings.Builder
	quoted := false
	for _, r := range line {
		switch {
		case r == '"':
			quoted = !quoted
		case r == '%':
			out.WriteByte('%')
		case !quoted && strings.ContainsRune("^&|<>()@!", r):
			out.WriteByte('^')
		}
		out.WriteRune(r)
	}
	return out.String(), nil
}
