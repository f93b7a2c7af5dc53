package wrapper

import (
	"slices"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// argv reads a command line by the documented rules of Microsoft's C runtime,
// for arguments after the program: whitespace separates, 2n backslashes before a
// quotation mark are n and the mark begins or ends a quoted part, 2n+1 are n and
// the mark is meant, and within a quoted part two marks are one.
func argv(line string) []string {
	var out []string
	var arg strings.Builder
	in, quoted, slashes := false, false, 0
	rs := []rune(line)
	flush := func() {
		if in {
			out = append(out, arg.String())
		}
		arg.Reset()
		in = false
	}
	for i := 0; i < len(rs); i++ {
		switch r := rs[i]; {
		case r == '\\':
			slashes, in = slashes+1, true
		case r == '"':
			arg.WriteString(strings.Repeat(`\`, slashes/2))
			switch {
			case slashes%2 == 1:
				arg.WriteRune('"')
			case quoted && i+1 < len(rs) && rs[i+1] == '"':
				arg.WriteRune('"')
				i++
			default:
				quoted = !quoted
			}
			slashes, in = 0, true
		default:
			arg.WriteString(strings.Repeat(`\`, slashes))
			slashes = 0
			if !quoted && (r == ' ' || r == '\t') {
				flush()
				continue
			}
			arg.WriteRune(r)
			in = true
		}
	}
	arg.WriteString(strings.Repeat(`\`, slashes))
	flush()
	return out
}

// TestArgv holds the reader of these tests to the table of Microsoft's page.
func TestArgv(t *testing.T) {
	for line, want := range map[string][]string{
		`"abc" d e`: {"abc", "d", "e"}, `a\\b d"e f"g h`: {`a\\b`, "de fg", "h"}, `a\\\"b c d`: {`a\"b`, "c", "d"},
		`a\\\\"b c" d e`: {`a\\b c`, "d", "e"}, `a"b"" c d`: {`ab" c d`},
	} {
		if got := argv(line); !slices.Equal(got, want) {
			t.Errorf("%s is read as %q, want %q", line, got, want)
		}
	}
}

func hostileTexts() []string {
	return []string{
		"", "a", "a b", ` a `, `"`, `""`, `a"b`, `\`, `\\`, `a\`, `a b\`, `a b\\`, `a\"b`, `C:\Program Files\`, `x\\"y z\\\`, "%PATH%", "100%", "^", "a^b", "a&b", "a & b",
		"a|b<c>d", "$env:x", "$(calc)", "`whoami`", "it's", "\u2018x\u2019", "ä ö", "日本", "{folder}", "/D=C:\\x y", "!a!", "@x", "(a)", ";,=",
	}
}

func TestArgument(t *testing.T) {
	for in, want := range map[string]string{
		"": `""`, "a": "a", "a b": `"a b"`, `a"b`: `"a\"b"`, `C:\x y\`: `"C:\x y\\"`, `a\"b`: `"a\\\"b"`, `C:\x\`: `C:\x\`, `%A% &^`: `"%A% &^"`,
	} {
		if got, err := Argument(in); err != nil || got != want {
			t.Errorf("%q becomes %s, %v, want %s", in, got, err, want)
		}
	}
	for _, bad := range []string{"a\nb", "a\r", "\x00", "a\tb", "\u2028", "\xff"} {
		if got, err := Argument(bad); fleet.KindOf(err) != fleet.Invalid || err == nil {
			t.Errorf("%q becomes %s, %v", bad, got, err)
		}
	}
}

// FuzzArgument: whatever an argument is, a program reads back that one argument.
func FuzzArgument(f *testing.F) {
	for _, s := range hostileTexts() {
		f.Add(s, "b")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		qa, errA := Argument(a)
		qb, errB := Argument(b)
		if errA != nil || errB != nil {
			return
		}
		if got := argv(qa + " " + qb); !slices.Equal(got, []string{a, b}) {
			t.Errorf("%q, %q stand as %s %s and are read as %q", a, b, qa, qb, got)
		}
		batch, err := BatchLine("x.exe " + qa)
		if err != nil || strings.ContainsAny(batch, "\r\n") {
			t.Errorf("%q in a batch file: %q, %v", qa, batch, err)
		}
	})
}

func TestProperty(t *testing.T) {
	for value, want := range map[string]string{
		"1": `A="1"`, "": `A=""`, `say "hi"`: `A="say ""hi"""`, `C:\x y\`: `A="C:\x y\"`, "%PATH% & calc ^": `A="%PATH% & calc ^"`, "ä": `A="ä"`, `"`: `A=""""`,
	} {
		if got, err := Property("A", value); err != nil || got != want {
			t.Errorf("%q becomes %s, %v, want %s", value, got, err, want)
		}
	}
	for _, bad := range []struct{ name, value string }{{"", "x"}, {"a", "x"}, {"A=1 B", "x"}, {"A B", "x"}, {`A"`, "x"}, {"1A", "x"}, {"A", "x\r\ncalc"}, {"A", "\x00"}, {"Ä", "x"}} {
		if got, err := Property(bad.name, bad.value); fleet.KindOf(err) != fleet.Invalid || err == nil {
			t.Errorf("%q: %s, %v", bad, got, err)
		}
	}
}

func TestSplit(t *testing.T) {
	for text, want := range map[string][]string{
		"": nil, "  ": nil, "/S": {"/S"}, " /S  /D=C:\\x ": {"/S", `/D=C:\x`}, `/v"/qn A=1" /s`: {`/v"/qn A=1"`, "/s"}, `"a b" c`: {`"a b"`, "c"},
		`/v"A=\"x  y\"  B"  /s `: {`/v"A=\"x`, ` y\"  B"`, ` /s`}, `"C:\x\"   /S`: {`"C:\x\"`, `  /S`}, `  \"a b\"`: {`\"a b\"`},
	} {
		if got, err := split(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, bad := range []string{`"a`, "a\nb"} {
		if got, err := split(bad); fleet.KindOf(err) != fleet.Invalid || err == nil {
			t.Errorf("%q: %q, %v", bad, got, err)
		}
	}
}

// FuzzSplit: what is split says the same when it is joined again, to the letter
// where somebody may take a quotation mark for none.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{`/v"A=\"x  y\"  B"  /s `, `"C:\x\"   /S`, "/S  /D=C:\\x", `"a  b" c`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.Trim(s, " ")
		parts, err := split(s)
		if err != nil {
			return
		}
		joined := strings.Join(parts, " ")
		if strings.Contains(s, `\"`) && joined != s || !slices.Equal(argv(joined), argv(s)) {
			t.Errorf("%q became %q", s, parts)
		}
	})
}

func TestBare(t *testing.T) {
	for line, want := range map[string]string{
		"": "", "/S": "", "/log={log}": "{log}", `/log="{log}"`: "", `"/log={log}"`: "", `/log "{log}" {folder}\x`: "{folder}", `/v"/l*v \"{log}\" /qn"`: "",
		`A="x ""{log}"" y"`: "", `"a\\" {secret:key}`: "{secret:key}", `{system}\x.dll`: "", "{AC76BA86-1033-FF00-7760-BC15014EA700}": "", `"{folder}" "{`: "",
	} {
		if got := bare(line); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

func TestBatchLine(t *testing.T) {
	for line, want := range map[string]string{
		`a.exe 100% %PATH%`: `a.exe 100%% %%PATH%%`, `a.exe "x & y" z&calc`: `a.exe "x & y" z^&calc`, `A="a ""b&c"" d" e^f`: `A="a ""b&c"" d" e^^f`,
		`a (b) <c> |d @e !f`: `a ^(b^) ^<c^> ^|d ^@e ^!f`,
	} {
		if got, err := BatchLine(line); err != nil || got != want {
			t.Errorf("%s becomes %s, %v, want %s", line, got, err, want)
		}
	}
	if _, err := BatchLine("a\r\ncalc"); fleet.KindOf(err) != fleet.Invalid || err == nil {
		t.Errorf("a second line: %v", err)
	}
}
