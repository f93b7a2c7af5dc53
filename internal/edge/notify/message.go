// Package notify delivers rendered messages: into a folder, where anyone can
// look at them, or by SMTP.
//
// It renders nothing and decides nothing. Whether a message was sent before is
// evidence's business, not that of a channel: a channel is told to deliver, and
// does so once for each call or fails. What it guards is the border between
// texts, which partners write, and headers, which mail servers obey.
package notify

import (
	"errors"
	"fmt"
	"net/mail"
	"regexp"
	"strings"
	"time"
	"unicode"

	gomail "github.com/wneessen/go-mail"

	"github.com/packmill/packmill/internal/fleet"
)

// Bounds of a message. A mail program shows neither a longer subject nor a
// longer list of recipients.
const (
	maxSubject    = 300
	maxRecipients = 50
	maxBody       = 1 << 20
)

var (
	// idForm is a Message-ID without brackets (RFC 5322 3.6.4), of the
	// characters that are also a file name everywhere.
	idForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}@[A-Za-z0-9][A-Za-z0-9.-]{0,127}$`)
	// langForm is a language tag (BCP 47).
	langForm = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)
)

// compose makes a mail of a message: sent from address under the message's
// display name, dated at. The same arguments give the same bytes.
func compose(m fleet.Message, address string, at time.Time) (*gomail.Msg, error) {
	if err := check(m); err != nil {
		return nil, &fleet.Error{Op: "notify.compose", Object: m.ID, Kind: fleet.Refused, Err: err}
	}
	out := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithBoundary("part-"+fleet.DeriveID("boundary", m.ID)))
	if err := out.FromFormat(m.From, address); err != nil {
		return nil, fleet.Errorf(fleet.Invalid, "notify.compose", m.ID, "the sender's address cannot be used: %w", err)
	}
	for _, to := range m.To {
		if err := out.AddTo(to); err != nil {
			return nil, fleet.Errorf(fleet.Invalid, "notify.compose", m.ID, "a recipient's address cannot be used: %w", err)
		}
	}
	out.SetMessageIDWithValue(m.ID)
	out.SetDateWithValue(at.UTC())
	out.Subject(m.Subject)
	// Programs that answer mail by themselves leave it alone (RFC 3834).
	out.SetGenHeader("Auto-Submitted", "auto-generated")
	if m.Lang != "" {
		out.SetGenHeader("Content-Language", m.Lang)
	}
	out.SetBodyString(gomail.TypeTextPlain, m.Text)
	if m.HTML != "" {
		out.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	}
	return out, nil
}

// check refuses what could end a header, and what is no message.
func check(m fleet.Message) error {
	switch {
	case hasControls(m.From):
		return errors.New("the sender's name holds a line end or another control character")
	case hasControls(m.Subject):
		return errors.New("the subject holds a line end or another control character")
	case !idForm.MatchString(m.ID):
		return fmt.Errorf("%q is no Message-ID", m.ID)
	case m.Lang != "" && !langForm.MatchString(m.Lang):
		return fmt.Errorf("%q is no language tag", m.Lang)
	case strings.TrimSpace(m.Subject) == "":
		return errors.New("the subject is empty")
	case len(m.Subject) > maxSubject:
		return fmt.Errorf("the subject has %d bytes, more than %d", len(m.Subject), maxSubject)
	case strings.TrimSpace(m.Text) == "":
		return errors.New("the text is empty")
	case len(m.Text)+len(m.HTML) > maxBody:
		return fmt.Errorf("the message has %d bytes, more than %d", len(m.Text)+len(m.HTML), maxBody)
	case len(m.To) == 0:
		return errors.New("it has no recipient")
	case len(m.To) > maxRecipients:
		return fmt.Errorf("it has %d recipients, more than %d", len(m.To), maxRecipients)
	}
	for _, to := range m.To {
		a, err := mail.ParseAddress(to)
		if err != nil || a.Address != to || strings.ContainsFunc(to, func(r rune) bool { return r > unicode.MaxASCII }) {
			return fmt.Errorf("recipient %q is no plain mail address", to)
		}
	}
	return nil
}

// hasControls reports whether a text holds what ends a line somewhere.
func hasControls(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' })
}
