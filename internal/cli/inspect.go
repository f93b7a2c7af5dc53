package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/view"
)

func newInspectCmd(a *app) *cobra.Command {
	var o factory.SampleOptions
	var key string
	cmd := &cobra.Command{
		Use:   "inspect FILE|URL",
		Short: "Say what an installer says of itself",
		Long: `inspect reads an installer and prints what its bytes say: product, version,
processor, who signed it and whether the signature holds, the command lines its
kind takes, services, scripts, files. It runs nothing and changes nothing, and of a
large package it reads no more than that takes.

It reads Windows programs and MSI packages, MSIX, macOS packages and configuration
profiles, Debian and RPM packages, and lists zip, tar and 7z archives. A file that
claims to be one of these and is broken ends with exit code 2 and says which
structure is wrong, and where.

An address is downloaded first; it may be redirected to hosts that --host names.`,
		Example: `  packmill inspect ./setup.exe
  packmill inspect https://vendor.example/agent.msi --format json`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().StringSliceVar(&o.Hosts, "host", nil, "host that the download may be redirected to")
	cmd.Flags().StringVar(&key, "key", "", pgpFlagText)
	cmd.Flags().BoolVar(&o.Digest, "digest", false, "read all of a file on this machine, for its SHA-256")
	f := formatFlag(cmd, formatTable, formatJSON, formatCSV)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := a.sample(cmd.Context(), args[0], key, o)
		if err != nil {
			return err
		}
		defer s.Close()
		tables := view.InspectionTables(s.File)
		return a.write(*f, result{name: "inspection", value: *s.File, table: tables[0], also: tables[1:]})
	}
	return cmd
}

// sample opens a file, or downloads one.
func (a *app) sample(ctx context.Context, source, keyFile string, o factory.SampleOptions) (_ *factory.Sample, err error) {
	if o.Keys, err = openPGPKey(keyFile); err != nil {
		return nil, err
	}

	clock, err := a.clock()
	if err != nil {
		return nil, err
	}
	o.At = clock.Now()
	if !strings.HasPrefix(source, "https://") {
		if _, err := os.Stat(source); err != nil && strings.Contains(source, "://") {
			e := fleet.Errorf(fleet.Invalid, "cli.inspect", source, "only https addresses are downloaded")
			e.Hint = "download it yourself if you trust where it comes from, and name the file"
			return nil, e
		}
		return factory.OpenSample(source, o)
	}
	client, err := a.upstream(ctx, clock)
	if err != nil {
		return nil, err
	}
	return factory.FetchSample(ctx, client, source, o)
}

const pgpFlagText = "file with the armored OpenPGP key that should have signed an RPM package"

// openPGPKey reads the file of a key, "" when none is named.
func openPGPKey(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	const most = 1 << 20
	file, err := os.Open(name)
	if err != nil {
		return "", &fleet.Error{Op: "cli.inspect", Object: name, Kind: fleet.Invalid, Err: err}
	}
	data, err := io.ReadAll(io.LimitReader(file, most+1))
	if err = errors.Join(err, file.Close()); err == nil && len(data) > most {
		err = errors.New("is larger than any key")
	}
	if err != nil {
		return "", &fleet.Error{Op: "cli.inspect", Object: name, Kind: fleet.Invalid, Err: err}
	}
	return string(data), nil
}
