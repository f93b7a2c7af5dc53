package cli

import (
	"cmp"
	"crypto/x509"
	"errors"
	"net/url"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/edge/notify"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

func newNotifyCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "notify",
		Short: "Tell partners what a cycle brings, once",
		Long: `notify renders the announcement of an approved cycle for each partner, in the
partner's language and name, and delivers it: into the folder PACKMILL_MAILBOX,
or through the server PACKMILL_SMTP (smtp://user@host:587, or smtps://user@host)
with the password PACKMILL_SMTP_PASSWORD, from the address PACKMILL_MAIL_FROM.

Each audience is told once a cycle. A message whose receipt was lost in a crash
goes out again under the same Message-ID.`,
		Args: cobra.NoArgs,
	}
	f := formatFlag(cmd, formatTable, formatJSON, formatMarkdown)
	a.yesFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.execute(cmd, *f, factory.Only{Kinds: map[string]bool{rollout.RecordMerge: true, rollout.Announce: true}})
	}
	return cmd
}

// wireOutbox sets up the channels that the environment names.
func (a *app) wireOutbox(f *factory.Factory) error {
	from := cmp.Or(a.getenv("PACKMILL_MAIL_FROM"), f.Author.Email)
	f.Outbox = map[string]factory.Channel{}
	switch dir, server := a.getenv("PACKMILL_MAILBOX"), a.getenv("PACKMILL_SMTP"); {
	case dir != "":
		box, err := notify.NewMailbox(dir, from, f.Clock)
		if err != nil {
			return err
		}
		f.Outbox["mail"] = box
	case server != "":
		options, err := a.smtpOptions(server)
		if err != nil {
			return err
		}
		options.From, options.Clock = from, f.Clock
		box, err := notify.NewSMTP(options)
		if err != nil {
			return err
		}
		f.Outbox["mail"] = box
	}
	return nil
}

// smtpOptions reads a server's address: smtp means STARTTLS, smtps TLS from the
// first byte; there is no way without.
func (a *app) smtpOptions(server string) (notify.SMTPOptions, error) {
	wrong := func(why string) (notify.SMTPOptions, error) {
		return notify.SMTPOptions{}, &fleet.Error{Op: "cli.notify", Object: "PACKMILL_SMTP", Kind: fleet.Invalid, Err: errors.New(why), Hint: "for example smtp://packmill@mail.example:587"}
	}
	u, err := url.Parse(server)
	if err != nil || u.Hostname() == "" {
		return wrong("is no address of a mail server")
	}
	o := notify.SMTPOptions{Host: u.Hostname(), User: u.User.Username(), Password: a.getenv("PACKMILL_SMTP_PASSWORD")}
	if _, set := u.User.Password(); set {
		return wrong("holds a password: set PACKMILL_SMTP_PASSWORD instead")
	}
	port := map[string]string{"smtp": "587", "smtps": "465"}[u.Scheme]
	if port == "" {
		return wrong("begins with neither smtp:// nor smtps://")
	}
	if o.Port, err = strconv.Atoi(cmp.Or(u.Port(), port)); err != nil {
		return wrong("has no port number")
	}
	o.Security = notify.StartTLS
	if u.Scheme == "smtps" {
		o.Security = notify.ImplicitTLS
	}
	if file := a.getenv("PACKMILL_SMTP_CA"); file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return wrong("PACKMILL_SMTP_CA cannot be read: " + err.Error())
		}
		o.Roots = x509.NewCertPool()
		if !o.Roots.AppendCertsFromPEM(data) {
			return wrong("PACKMILL_SMTP_CA holds no certificate in PEM")
		}
	}
	return o, nil
}
