package notify

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

func clock() fleet.Clock {
	return fleet.NewManualClock(time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC))
}

func message() fleet.Message {
	return fleet.Message{
		ID: "0a1b2c@packmill.operator.example", From: "Päivitykset, Nordic IT", To: []string{"updates@tenant1.example"},
		Subject: "Ohjelmistopäivitykset 23.11. – 3 sovellusta", Lang: "fi",
		Text: "Hei,\n\n.7-Zip 24.08 → 24.09\n" + strings.Repeat("pitkä rivi ", 40) + "\n",
		HTML: "<p>Hei,</p><p>7-Zip 24.08 &rarr; 24.09</p>",
	}
}

// parts opens a mail as a mail program does: its header, and its parts by type.
func parts(t *testing.T, data []byte) (mail.Header, map[string]string) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("no mail: %v\n%s", err, data)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	if !strings.HasPrefix(kind, "multipart/") {
		body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
		if err != nil {
			t.Fatal(err)
		}
		return m.Header, map[string]string{kind: string(body)}
	}
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		p, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return m.Header, out
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(p) // the reader undoes quoted-printable
		if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := mime.ParseMediaType(p.Header.Get("Content-Type"))
		out[kind] = string(body)
	}
}

// same compares texts, line ends aside.
func same(a, b string) bool {
	return strings.TrimSpace(strings.ReplaceAll(a, "\r\n", "\n")) == strings.TrimSpace(b)
}

// checkMail compares a mail as it arrived with the message that was sent.
func checkMail(t *testing.T, data []byte, m fleet.Message, from string) {
	t.Helper()
	header, body := parts(t, data)
	subject, err := new(mime.WordDecoder).DecodeHeader(header.Get("Subject"))
	if err != nil || subject != m.Subject {
		t.Errorf("subject %q, %v", subject, err)
	}
	sender, err := header.AddressList("From")
	if err != nil || len(sender) != 1 || sender[0].Name != m.From || sender[0].Address != from {
		t.Errorf("from %v, %v", sender, err)
	}
	for name, want := range map[string]string{
		"Message-Id": "<" + m.ID + ">", "Content-Language": m.Lang, "Auto-Submitted": "auto-generated",
		"Date": "Mon, 23 Nov 2026 06:00:00 +0000", "To": "<" + m.To[0] + ">",
	} {
		if got := header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if !same(body["text/plain"], m.Text) || !same(body["text/html"], m.HTML) {
		t.Errorf("bodies %q", body)
	}
}

func TestMailbox(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "outbox")
	box, err := NewMailbox(dir, "updates@operator.example", clock())
	if err != nil {
		t.Fatal(err)
	}
	m := message()
	var before []byte
	for range 2 { // delivered again, it is there once and the same
		if err := box.Deliver(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		files, err := os.ReadDir(dir)
		if err != nil || len(files) != 1 || files[0].Name() != m.ID+".eml" {
			t.Fatalf("files %v, %v", files, err)
		}
		data, err := os.ReadFile(filepath.Join(dir, files[0].Name()))
		if err != nil || before != nil && !bytes.Equal(data, before) {
			t.Fatalf("another delivery gives other bytes: %v", err)
		}
		before = data
	}
	checkMail(t, before, m, "updates@operator.example")
	plain := m
	plain.ID, plain.HTML = "plain@packmill.operator.example", ""
	if err := box.Deliver(t.Context(), plain); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, plain.ID+".eml"))
	if _, body := parts(t, data); err != nil || len(body) != 1 || !same(body["text/plain"], m.Text) {
		t.Errorf("a message without HTML has parts %q, %v", body, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := box.Deliver(ended, m); !errors.Is(err, context.Canceled) {
		t.Errorf("delivered after the end: %v", err)
	}
}

func TestMailboxErrors(t *testing.T) {
	if _, err := NewMailbox(t.TempDir(), "Name <a@b.example>", clock()); fleet.KindOf(err) != fleet.Invalid {
		t.Errorf("sender with a name: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewMailbox(file, "a@b.example", clock()); fleet.KindOf(err) != fleet.Invalid {
		t.Errorf("folder that is a file: %v", err)
	}
	dir := t.TempDir()
	box, err := NewMailbox(dir, "a@b.example", clock())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, message().ID+".eml"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := box.Deliver(t.Context(), message()); fleet.KindOf(err) != fleet.Internal || err == nil {
		t.Errorf("a folder in the way: %v", err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("half a file is left: %v, %v", files, err)
	}
}

// TestRefusedMessages tries to get from a text into a header or a path.
func TestRefusedMessages(t *testing.T) {
	dir := t.TempDir()
	box, err := NewMailbox(filepath.Join(dir, "box"), "a@b.example", clock())
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*fleet.Message){
		"subject, line feed":       func(m *fleet.Message) { m.Subject = "x\nBcc: all@victim.example" },
		"subject, carriage return": func(m *fleet.Message) { m.Subject = "x\rBcc: all@victim.example" },
		"subject, both":            func(m *fleet.Message) { m.Subject = "x\r\n\r\n<html>" },
		"subject, zero":            func(m *fleet.Message) { m.Subject = "x\x00y" },
		"subject, next line":       func(m *fleet.Message) { m.Subject = "x\u0085y" },
		"subject, separator":       func(m *fleet.Message) { m.Subject = "x\u2028Bcc: y" },
		"subject, empty":           func(m *fleet.Message) { m.Subject = " " },
		"subject, long":            func(m *fleet.Message) { m.Subject = strings.Repeat("x", maxSubject+1) },
		"name, line end":           func(m *fleet.Message) { m.From = "x\r\nBcc: all@victim.example" },
		"id, line end":             func(m *fleet.Message) { m.ID = "a@b\r\nBcc: c" },
		"id, path":                 func(m *fleet.Message) { m.ID = "../../evil@b.example" },
		"id, hidden":               func(m *fleet.Message) { m.ID = ".evil@b.example" },
		"id, brackets":             func(m *fleet.Message) { m.ID = "<a@b.example>" },
		"id, none":                 func(m *fleet.Message) { m.ID = "" },
		"to, line end":             func(m *fleet.Message) { m.To = []string{"a@b.example\r\nRCPT TO:<c@d.example>"} },
		"to, two":                  func(m *fleet.Message) { m.To = []string{"a@b.example, c@d.example"} },
		"to, named":                func(m *fleet.Message) { m.To = []string{"A <a@b.example>"} },
		"to, not ASCII":            func(m *fleet.Message) { m.To = []string{"päivi@b.example"} },
		"to, none":                 func(m *fleet.Message) { m.To = nil },
		"to, many":                 func(m *fleet.Message) { m.To = make([]string, maxRecipients+1) },
		"language":                 func(m *fleet.Message) { m.Lang = "fi\r\nX: y" },
		"text, none":               func(m *fleet.Message) { m.Text = "" },
		"text, long":               func(m *fleet.Message) { m.HTML = strings.Repeat("x", maxBody) },
	} {
		m := message()
		spoil(&m)
		if err := box.Deliver(t.Context(), m); fleet.KindOf(err) != fleet.Refused || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, folder := range []string{dir, filepath.Join(dir, "box")} {
		files, err := os.ReadDir(folder)
		if err != nil || len(files) > 1 || len(files) == 1 && files[0].Name() != "box" {
			t.Errorf("something was written: %v, %v", files, err)
		}
	}
}
