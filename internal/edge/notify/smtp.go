package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/mail"
	"net/textproto"
	"os"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/packmill/packmill/internal/fleet"
)

// The ways to encrypt a connection; there is none without.
const (
	StartTLS    = "starttls" // RFC 3207, port 587 by custom
	ImplicitTLS = "tls"      // RFC 8314, port 465 by custom
)

// SMTPOptions say how mail leaves the machine.
type SMTPOptions struct {
	Host     string
	Port     int
	Security string // StartTLS or ImplicitTLS
	User     string // with Password; both empty: no authentication
	Password string
	From     string // sender's address
	Helo     string // how this machine calls itself, "localhost" when empty
	Roots    *x509.CertPool
	Timeout  time.Duration // for the whole delivery, 30 s when zero
	Clock    fleet.Clock   // dates messages
}

// SMTP delivers by submission to one server (RFC 6409).
type SMTP struct{ o SMTPOptions }

// NewSMTP checks the options. It opens no connection.
func NewSMTP(o SMTPOptions) (*SMTP, error) {
	refuse := func(format string, args ...any) (*SMTP, error) {
		return nil, fleet.Errorf(fleet.Invalid, "notify.smtp", o.Host, format, args...)
	}
	if a, err := mail.ParseAddress(o.From); err != nil || a.Address != o.From {
		return refuse("the sender %q is no plain mail address", o.From)
	}
	switch {
	case o.Host == "" || o.Port < 1 || o.Port > 65535:
		return refuse("%q, port %d, is no server", o.Host, o.Port)
	case o.Security != StartTLS && o.Security != ImplicitTLS:
		return refuse("the connection must be encrypted: %q is neither %s nor %s", o.Security, StartTLS, ImplicitTLS)
	case (o.User == "") != (o.Password == ""):
		return refuse("a user needs a password, and a password a user")
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Helo == "" {
		o.Helo = "localhost"
	}
	return &SMTP{o}, nil
}

// Deliver hands the message to the server, on a connection of its own. When it
// returns nil the server has taken it for all recipients. An error after the
// message was handed over may mean either.
func (s *SMTP) Deliver(ctx context.Context, m fleet.Message) error {
	msg, err := compose(m, s.o.From, s.o.Clock.Now())
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	client, err := gomail.NewClient(s.o.Host, s.options(limited)...)
	if err != nil {
		return &fleet.Error{Op: "notify.smtp", Object: s.o.Host, Kind: fleet.Invalid, Err: err}
	}
	if err := client.DialAndSendWithContext(limited, msg); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return s.explain(limited, m, err)
	}
	return nil
}

func (s *SMTP) options(ctx context.Context) []gomail.Option {
	config := &tls.Config{ServerName: s.o.Host, RootCAs: s.o.Roots, MinVersion: tls.VersionTLS12}
	out := []gomail.Option{
		gomail.WithPort(s.o.Port), gomail.WithTimeout(s.o.Timeout), gomail.WithHELO(s.o.Helo), gomail.WithTLSConfig(config),
		gomail.WithoutNoop(),
		// Headers are encoded and addresses plain: asking for SMTPUTF8 (RFC 6531)
		// would only make servers further on refuse the mail.
		gomail.WithoutSMTPUTF8(), gomail.WithDialContextFunc(func(dialing context.Context, network, address string) (net.Conn, error) {
			return s.dial(dialing, ctx, config, network, address)
		}),
	}
	if s.o.Security == StartTLS {
		out = append(out, gomail.WithTLSPolicy(gomail.TLSMandatory))
	} else {
		out = append(out, gomail.WithSSL())
	}
	if s.o.User != "" {
		out = append(out, gomail.WithUsername(s.o.User), gomail.WithPassword(s.o.Password),
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin))
	}
	return out
}

// dial connects so that the end of ctx ends the conversation too, not only the
// dialing: the library looks at its own clock afterwards.
func (s *SMTP) dial(dialing, ctx context.Context, config *tls.Config, network, address string) (net.Conn, error) {
	plain, err := new(net.Dialer).DialContext(dialing, network, address)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { plain.Close() })
	if s.o.Security == StartTLS {
		return plain, nil
	}
	secure := tls.Client(plain, config)
	if err := secure.HandshakeContext(dialing); err != nil {
		plain.Close()
		return nil, err
	}
	return secure, nil
}

// outOfTime reports whether a connection's own deadline ended the exchange, which
// is that of the context and may be noticed first. The library joins such errors
// as text.
func outOfTime(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || strings.Contains(err.Error(), os.ErrDeadlineExceeded.Error())
}

// explain gives an error its kind and next step. Texts of servers are kept;
// they hold the recipient's address at most.
func (s *SMTP) explain(ctx context.Context, m fleet.Message, err error) error {
	e := &fleet.Error{Op: "notify.smtp", Object: m.ID, Kind: fleet.Internal, Err: err, Hint: "look at " + s.o.Host + "; the next run sends the message again"}
	var sent *gomail.SendError
	var reply *textproto.Error
	var untrusted *tls.CertificateVerificationError
	code := 0
	switch {
	case errors.As(err, &sent):
		code = sent.ErrorCode()
	case errors.As(err, &reply):
		code = reply.Code
	}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded), ctx.Err() == nil && outOfTime(err):
		e.Err = errors.New("the server did not answer in " + s.o.Timeout.String())
	case errors.As(err, &untrusted):
		e.Kind, e.Hint = fleet.Refused, "the server's certificate is not trusted here: name its CA"
	case errors.Is(err, gomail.ErrPlainAuthNotSupported), code == 530, code == 534, code == 535:
		e.Kind, e.Hint = fleet.Refused, "the server does not take the user and password it was given"
	case code >= 400 && code < 500:
		e.Kind, e.Hint = fleet.Waiting, "the server asks to try again later; the next run does"
	case sent != nil && sent.Reason == gomail.ErrSMTPRcptTo && code >= 500:
		e.Kind, e.Hint = fleet.Invalid, "the server knows no such recipient: look at the channel's address in partner.cue"
	case code >= 500:
		e.Kind, e.Hint = fleet.Refused, "the server does not take this message: ask who runs it"
	}
	return e
}
