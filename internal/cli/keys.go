package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/edge/signing"
)

// newKey is the JSON form of keys generate.
type newKey struct {
	Path   string `json:"path"`   // of the private half
	Public string `json:"public"` // path of the public half
	ID     string `json:"id"`
	PEM    string `json:"pem"`
	Trust  string `json:"trust"` // CUE for tenants/operator.cue
}

func newKeysCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Make the keys packmill signs and hashes with",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(newKeysGenerateCmd(a), newKeysTenantsCmd(a))
	return cmd
}

func newKeysGenerateCmd(a *app) *cobra.Command {
	var name string
	var uses []string
	cmd := &cobra.Command{
		Use:   "generate PATH",
		Short: "Make a signing key, and say how to trust it",
		Long: `generate writes a new ECDSA P-256 key to PATH, readable by you alone, and its
public half beside it with the extension .pub. With PACKMILL_KEY_PASSWORD set the
private half is encrypted with it.

A key counts once the trust policy names it: the command prints the lines to add
to tenants/operator.cue, by a pull request like any other change. Set PACKMILL_KEY
to PATH where packmill is to sign.`,
		Example: "  packmill keys generate ~/.config/packmill/mill.key",
		Args:    cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&name, "name", "mill", "name of the key in the trust policy")
	cmd.Flags().StringSliceVar(&uses, "use", []string{signing.UseBuild, signing.UseTest, signing.UseEvidence}, "what the key is to sign")
	f := formatFlag(cmd, formatText, formatJSON)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		clock, err := a.clock()
		if err != nil {
			return err
		}
		key, err := signing.GenerateFile(args[0], []byte(a.getenv("PACKMILL_KEY_PASSWORD")))
		if err != nil {
			return err
		}
		v := newKey{Path: args[0], Public: signing.PublicPath(args[0]), ID: key.KeyID(), PEM: key.PublicPEM(), Trust: trustSnippet(name, uses, key.PublicPEM(), clock.Now())}
		text := fmt.Sprintf("private key  %s (keep it; nobody can make it again)\npublic key   %s\n\nTo trust it, add to tenants/operator.cue:\n\n%s", v.Path, v.Public, v.Trust)
		return a.write(*f, result{name: "key", value: v, text: text})
	}
	return cmd
}

// trustSnippet is the CUE that makes the operator trust a key from today.
func trustSnippet(name string, uses []string, pem string, now time.Time) string {
	quoted := make([]string, len(uses))
	for i, u := range uses {
		quoted[i] = fmt.Sprintf("%q", u)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "operator: trust: keys: %q: {\n\tuses: [%s]\n\tfrom: %q\n\tpem: \"\"\"\n", name, strings.Join(quoted, ", "), now.UTC().Format(time.DateOnly))
	for line := range strings.Lines(pem) {
		b.WriteString("\t\t" + line)
	}
	b.WriteString("\t\t\"\"\"\n}\n")
	return b.String()
}
