package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/adopt"
	"github.com/packmill/packmill/internal/view"
)

// addOptions are the flags of catalog add.
type addOptions struct {
	factory.ImportOptions
	given adopt.Given
	id    string
	hosts []string
	store string
	key   string
	dry   bool
}

func newCatalogAddCmd(a *app) *cobra.Command {
	var o addOptions
	cmd := &cobra.Command{
		Use:   "add FILE|URL",
		Short: "Make a package of an installer",
		Long: `add reads an installer as packmill inspect does and writes the files of a package:
how a device is seen to have it, how it installs and is removed silently, what it
needs, who signed it; and its first release, whose size, digest and facts are those
of the bytes that were read.

What is in no installer is written into the file as a comment that begins with
QUESTION, at the fields it concerns, and listed: where the vendor tells new versions,
or what an installer program leaves on a device. Until it is answered such a field
has a value that does no harm.

A file on this machine is put into the artifact store, where build finds it by its
digest. The whole repository is checked with the new files before one is written:
exit code 2 says that it would not validate, 3 that packmill deploys no such file,
that the signature does not hold, or that the package is there already.`,
		Example: `  packmill catalog add https://vendor.example/agent-2.1.msi
  packmill catalog add ./setup.exe --id acme/widget --name "Acme Widget"`,
		Args: cobra.ExactArgs(1),
	}
	flags := cmd.Flags()
	flags.StringVar(&o.id, "id", "", "id of the package, \"publisher/package\"; made of the file's own words without it")
	flags.StringVar(&o.Publisher, "publisher", "", "first part of the package's id, without --id")
	flags.StringVar(&o.given.Name, "name", "", "name of the program, where the file's own is none to show")
	flags.StringVar(&o.given.Version, "release", "", "version, where the file does not say it as the vendor does")
	flags.StringVar(&o.given.Type, "type", "", "installer type where the file leaves it open: exe or portable")
	flags.StringSliceVar(&o.hosts, "host", nil, "host that the download may be redirected to")
	flags.StringVar(&o.key, "key", "", pgpFlagText)
	flags.StringVar(&o.store, "store", "", storeFlagText)
	flags.BoolVar(&o.Replace, "replace", false, "write a package without releases anew")
	flags.BoolVar(&o.dry, "dry-run", false, "write nothing")
	f := formatFlag(cmd, formatText, formatJSON)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if t := o.given.Type; t != "" && t != "exe" && t != "portable" {
			return usageErrorf("--type is exe or portable, not %q", t)
		}
		o.ID = fleet.PackageID(o.id)
		got, err := a.addFile(cmd.Context(), args[0], o)
		if err != nil {
			return err
		}
		return a.write(*f, importResult(got, !o.dry))
	}
	return cmd
}

// addFile makes the package and writes it, and keeps a file that was handed in.
func (a *app) addFile(ctx context.Context, source string, o addOptions) (*factory.Imported, error) {
	in, done, err := a.importing(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	s, err := a.sample(ctx, source, o.key, factory.SampleOptions{Hosts: o.hosts, Digest: true})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if s.File.RPM != nil && s.File.Trouble == "" && !s.File.Signer.Unsigned {
		if o.given.Key, err = openPGPKey(o.key); err != nil {
			return nil, err
		}
	}
	got, err := factory.Add(ctx, in.tree, in.repo, s, o.given, o.ImportOptions, in.check)
	if err != nil || o.dry {
		return got, err
	}
	if s.URL == "" {
		to, err := a.openStore(o.store, in.repo.Operator.Store)
		if err != nil {
			return nil, err
		}
		// Before the files: a release whose bytes nobody has is worse than bytes
		// that no release names.
		if err := s.Keep(ctx, to, got.Package.ID, got.Version); err != nil {
			return nil, err
		}
		fmt.Fprintf(a.stderr, "packmill: put %s into %s\n", view.Plain(s.File.Name), view.Plain(to.Where()))
	}
	return got, a.writeImported(got.Files)
}
