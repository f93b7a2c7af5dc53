package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/packmill/packmill/internal/fleet"
)

// A postOffice is an SMTP server with TLS and authentication that fails as it
// is told.
type postOffice struct {
	mu       sync.Mutex
	taken    [][]byte
	rcpt     error // answer to RCPT
	data     error // answer to DATA
	hang     chan struct{}
	rcptSeen chan struct{}
}

func (o *postOffice) NewSession(*smtp.Conn) (smtp.Session, error) { return &visit{office: o}, nil }

type visit struct {
	office *postOffice
	known  bool
}

func (v *visit) AuthMechanisms() []string { return []string{sasl.Plain} }
func (v *visit) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "notify" || password != "correct" {
			return smtp.ErrAuthFailed
		}
		v.known = true
		return nil
	}), nil
}

func (v *visit) Mail(string, *smtp.MailOptions) error {
	if !v.known {
		return smtp.ErrAuthRequired
	}
	return nil
}

func (v *visit) Rcpt(string, *smtp.RcptOptions) error {
	if v.office.hang != nil {
		close(v.office.rcptSeen)
		<-v.office.hang
	}
	return v.office.rcpt
}

func (v *visit) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	v.office.mu.Lock()
	defer v.office.mu.Unlock()
	v.office.taken = append(v.office.taken, data)
	return v.office.data
}
func (v *visit) Reset()        {}
func (v *visit) Logout() error { return nil }

// open starts a server with implicit TLS or STARTTLS, or with none.
func (o *postOffice) open(t *testing.T, security string) SMTPOptions {
	t.Helper()
	cert, roots := certificate(t)
	s := smtp.NewServer(o)
	s.Domain = "localhost"
	config := &tls.Config{Certificates: []tls.Certificate{cert}}
	if security != "none" {
		s.TLSConfig = config
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if security == ImplicitTLS {
		l = tls.NewListener(l, config)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l) // ends with the listener
	}()
	t.Cleanup(func() { s.Close(); <-done })
	if security == "none" {
		security = StartTLS
	}
	return SMTPOptions{Host: "localhost", Port: port, Security: security, User: "notify", Password: "correct",
		From: "updates@operator.example", Roots: roots, Timeout: 20 * time.Second, Clock: clock()}
}

func deliver(t *testing.T, o SMTPOptions) error {
	t.Helper()
	s, err := NewSMTP(o)
	if err != nil {
		t.Fatal(err)
	}
	return s.Deliver(t.Context(), message())
}

func TestSMTP(t *testing.T) {
	for _, security := range []string{StartTLS, ImplicitTLS} {
		t.Run(security, func(t *testing.T) {
			office := &postOffice{}
			o := office.open(t, security)
			for range 2 {
				if err := deliver(t, o); err != nil {
					t.Fatal(err)
				}
			}
			if len(office.taken) != 2 || !bytes.Equal(office.taken[0], office.taken[1]) {
				t.Fatalf("%d messages arrived, or not the same one twice", len(office.taken))
			}
			checkMail(t, office.taken[0], message(), o.From)
		})
	}
}

func TestSMTPErrors(t *testing.T) {
	reply := func(code int, text string) error { return &smtp.SMTPError{Code: code, Message: text} }
	for name, c := range map[string]struct {
		office   *postOffice
		security string
		change   func(*SMTPOptions)
		kind     fleet.Kind
		text     string
	}{
		"unknown recipient":     {&postOffice{rcpt: reply(550, "no such user")}, StartTLS, nil, fleet.Invalid, "no such user"},
		"grey-listed":           {&postOffice{rcpt: reply(451, "try again later")}, StartTLS, nil, fleet.Waiting, "try again later"},
		"content not taken":     {&postOffice{data: reply(554, "looks like spam")}, ImplicitTLS, nil, fleet.Refused, "looks like spam"},
		"full disk":             {&postOffice{data: reply(452, "no space")}, ImplicitTLS, nil, fleet.Waiting, "no space"},
		"wrong password":        {&postOffice{}, StartTLS, func(o *SMTPOptions) { o.Password = "wrong" }, fleet.Refused, "535"},
		"no password":           {&postOffice{}, StartTLS, func(o *SMTPOptions) { o.User, o.Password = "", "" }, fleet.Refused, "uthenticat"},
		"untrusted, STARTTLS":   {&postOffice{}, StartTLS, func(o *SMTPOptions) { o.Roots = x509.NewCertPool() }, fleet.Refused, "certificate"},
		"untrusted, TLS":        {&postOffice{}, ImplicitTLS, func(o *SMTPOptions) { o.Roots = x509.NewCertPool() }, fleet.Refused, "certificate"},
		"certificate of other":  {&postOffice{}, StartTLS, func(o *SMTPOptions) { o.Host = "127.0.0.1" }, fleet.Refused, "certificate"},
		"no STARTTLS there":     {&postOffice{}, "none", nil, fleet.Internal, "STARTTLS"},
		"TLS where there's not": {&postOffice{}, StartTLS, func(o *SMTPOptions) { o.Security = ImplicitTLS }, fleet.Internal, "tls"},
	} {
		t.Run(name, func(t *testing.T) {
			o := c.office.open(t, c.security)
			if c.change != nil {
				c.change(&o)
			}
			err := deliver(t, o)
			if err == nil || fleet.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v (%v), want %v with %q", err, fleet.KindOf(err), c.kind, c.text)
			}
			var e *fleet.Error
			if !errors.As(err, &e) || e.Hint == "" || strings.Contains(err.Error(), "correct") || strings.Contains(err.Error(), "wrong") {
				t.Errorf("no hint, or a secret in it: %v", err)
			}
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		l.Close()
		err = deliver(t, SMTPOptions{Host: "127.0.0.1", Port: port, Security: StartTLS, From: "a@b.example", Clock: clock()})
		if fleet.KindOf(err) != fleet.Internal || err == nil || !strings.Contains(err.Error(), "refused") {
			t.Errorf("got %v", err)
		}
	})
}

// TestSMTPEnds ends a delivery that hangs in the middle: by the caller and by
// the time limit.
func TestSMTPEnds(t *testing.T) {
	for _, how := range []string{"caller", "limit"} {
		t.Run(how, func(t *testing.T) {
			office := &postOffice{hang: make(chan struct{}), rcptSeen: make(chan struct{})}
			o := office.open(t, ImplicitTLS)
			t.Cleanup(func() { close(office.hang) }) // before the server is closed
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if how == "limit" {
				o.Timeout = 300 * time.Millisecond
			} else {
				go func() { <-office.rcptSeen; cancel() }()
			}
			s, err := NewSMTP(o)
			if err != nil {
				t.Fatal(err)
			}
			err = s.Deliver(ctx, message())
			if how == "caller" && !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			if how == "limit" && (fleet.KindOf(err) != fleet.Internal || err == nil || !strings.Contains(err.Error(), "did not answer in 300ms")) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestNewSMTPRefuses(t *testing.T) {
	good := SMTPOptions{Host: "mail.example", Port: 587, Security: StartTLS, From: "a@b.example", Clock: clock()}
	for name, spoil := range map[string]func(*SMTPOptions){
		"no encryption": func(o *SMTPOptions) { o.Security = "none" },
		"no host":       func(o *SMTPOptions) { o.Host = "" },
		"port":          func(o *SMTPOptions) { o.Port = 70000 },
		"sender":        func(o *SMTPOptions) { o.From = "a" },
		"no password":   func(o *SMTPOptions) { o.User = "x" },
		"no user":       func(o *SMTPOptions) { o.Password = "x" },
	} {
		o := good
		spoil(&o)
		if _, err := NewSMTP(o); fleet.KindOf(err) != fleet.Invalid || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := NewSMTP(good); err != nil {
		t.Error(err)
	}
}
