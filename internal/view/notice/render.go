package notice

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html"
	"strings"
	"text/template"

	"github.com/packmill/packmill/internal/fleet"
)

// Bounds of a template and of what it gives.
const (
	maxTemplate = 16 << 10
	maxOutput   = 128 << 10
)

//go:embed texts/*.tmpl
var texts embed.FS

// FileName is the name of an announcement's template in a language.
func FileName(lang string) string { return "announcement." + lang + ".tmpl" }

// Languages are the tags under which a template is looked for, best first:
// "de-CH", "de", then English.
func Languages(lang string) []string {
	out := []string{lang}
	if base, _, found := strings.Cut(lang, "-"); found {
		out = append(out, base)
	}
	if out[len(out)-1] != "en" {
		out = append(out, "en")
	}
	return out
}

// Shipped is the template that packmill brings for a language tag, and false
// when it has none in exactly that language.
func Shipped(lang string) (string, bool) {
	data, err := texts.ReadFile("texts/" + FileName(lang))
	return string(data), err == nil
}

// Render makes the message of an announcement by a template; file is where the
// template stands, for errors. It is pure. Id and recipients are left to the
// caller.
func Render(a Announcement, file, text string) (fleet.Message, error) {
	refuse := func(err error) (fleet.Message, error) {
		return fleet.Message{}, &fleet.Error{Op: "notice.render", Pos: fleet.Pos{File: file}, Kind: fleet.Invalid, Err: err,
			Hint: "a template is: a line \"Subject: …\", an empty line, the text; fields stand in {{.Name}}"}
	}
	if len(text) > maxTemplate {
		return refuse(fmt.Errorf("the template has %d bytes, more than %d", len(text), maxTemplate))
	}
	t, err := template.New(file).Funcs(template.FuncMap{"join": strings.Join}).Parse(strings.ReplaceAll(text, "\r\n", "\n"))
	if err != nil {
		return refuse(err)
	}
	if len(t.Templates()) > 1 {
		return refuse(errors.New("the template defines another one: it may not"))
	}
	if t.Tree == nil {
		return refuse(errors.New("the template is empty"))
	}
	if err := tame(t.Tree.Root, 0); err != nil {
		return refuse(err)
	}
	out := &limited{left: maxOutput}
	if err := t.Execute(out, a); err != nil {
		return refuse(err)
	}
	subject, body, ok := strings.Cut(out.String(), "\n")
	subject, named := strings.CutPrefix(subject, "Subject: ")
	body = tidy(body)
	if !ok || !named || strings.TrimSpace(subject) == "" || strings.TrimSpace(body) == "" {
		return refuse(errors.New("the text does not begin with a line \"Subject: …\" and go on after an empty line"))
	}
	return fleet.Message{From: a.From, Subject: strings.TrimSpace(subject), Text: body, HTML: page(body, a.Language), Lang: a.Language}, nil
}

// limited is a buffer that refuses to grow without end.
type limited struct {
	bytes.Buffer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, fmt.Errorf("the message grows past %d bytes", maxOutput)
	}
	return l.Buffer.Write(p)
}

// tidy takes out white space at line ends and more than one empty line in a
// row, which templates leave where a condition did not hold.
func tidy(text string) string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimRight(line, " \t\r")
		if line == "" && (len(lines) == 0 || lines[len(lines)-1] == "") {
			continue
		}
		lines = append(lines, line)
	}
	return strings.TrimSpace(strings.Join(lines, "\n")) + "\n"
}

// page is a text as HTML: paragraphs, and lists where lines begin with "- ".
func page(text, lang string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<!doctype html>\n<html lang=\"%s\">\n<body style=\"font-family:sans-serif;line-height:1.5;max-width:42em\">\n", html.EscapeString(lang))
	for paragraph := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		lines := strings.Split(paragraph, "\n")
		isList := true
		for i := range lines {
			isList = isList && strings.HasPrefix(lines[i], "- ")
			lines[i] = html.EscapeString(lines[i])
		}
		if !isList {
			b.WriteString("<p>" + strings.Join(lines, "<br>\n") + "</p>\n")
			continue
		}
		b.WriteString("<ul>\n")
		for _, line := range lines {
			b.WriteString("<li>" + strings.TrimPrefix(line, "- ") + "</li>\n")
		}
		b.WriteString("</ul>\n")
	}
	b.WriteString("</body>\n</html>\n")
	return b.String()
}
