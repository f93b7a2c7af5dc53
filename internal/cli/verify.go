package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/view"
)

// verified is the JSON form of verify: it is printed only for what holds.
type verified struct {
	Subject  fleet.Digest      `json:"subject"`
	Package  fleet.PackageID   `json:"package"`
	Version  string            `json:"version"`
	Builder  string            `json:"builder"`
	Files    []fleet.BuiltFile `json:"files"`
	Sources  []string          `json:"sources"`
	Release  bool              `json:"release"` // the sources are those of the merged release
	Policies string            `json:"policy"`  // whose keys counted
	Parts    int               `json:"parts"`   // components of the signed bill of materials, 0 where there is none
}

// maxBundleFile is how much of a bundle file is read.
const maxBundleFile = 8 << 20

func newVerifyCmd(a *app) *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify ARTIFACT",
		Short: "Verify an artifact: bytes, signature, subject, release",
		Long: `verify takes an artifact of the store by its digest (sha256:…), or a built file.

Of an artifact it reads every byte, and looks for a provenance that a trusted
key signed, that names the artifact and all its files, and whose sources are
those of the merged release. Of a file it does the same against a bundle: the
one --bundle names, or provenance.sigstore.json beside it.

With --container a .intunewin that any tool made is judged by its format alone:
layout, MAC, digest, names. The error names the field that is wrong. Nothing is
said of who made it. --unpack writes the setup folder into a new folder.

Trusted keys are those of tenants/operator.cue on main that may sign builds at
this instant (--now another); --key trusts one public key file instead. Anything
that does not hold ends with exit code 3.`,
		Example: `  packmill verify sha256:6005f288a6b5ace23dfd75af2fe43d78d2725b7975ef0b361ee16945321764b9
  packmill verify dist/igor-pavlov/7-zip/24.09/7-zip-24.09-x64.intunewin --key mill.pub
  packmill verify --container vendor.intunewin --unpack vendor`,
		Args: cobra.ExactArgs(1),
	}
	flags := cmd.Flags()
	flags.StringVar(&o.store, "store", "", storeFlagText)
	flags.StringVar(&o.bundle, "bundle", "", "provenance bundle of a file")
	flags.StringVar(&o.key, "key", "", "trust this public key file, in place of the operator's policy")
	flags.StringVar(&o.release, "release", "", "refuse unless it is of this release: PACKAGE@VERSION")
	flags.StringVar(&o.rev, "rev", "", "read policy and releases from this commit")
	flags.BoolVar(&o.container, "container", false, "judge a .intunewin by its format alone, whoever made it")
	flags.StringVar(&o.unpack, "unpack", "", "with --container: write the setup folder into this new folder")
	f := formatFlag(cmd, formatText, formatJSON)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r, err := a.verify(cmd.Context(), args[0], o)
		if err != nil {
			return err
		}
		return a.write(*f, r)
	}
	return cmd
}

// verifyOptions are the flags of verify.
type verifyOptions struct {
	store, bundle, key, release, rev string
	container                        bool
	unpack                           string
}

// verify verifies an artifact by its digest, or a file.
func (a *app) verify(ctx context.Context, subject string, o verifyOptions) (result, error) {
	switch {
	case o.container && (o.bundle != "" || o.key != "" || o.release != ""):
		return result{}, usageErrorf("--container asks for no signature: leave out --bundle, --key and --release")
	case o.container:
		return verifyContainer(ctx, subject, o.unpack)
	case o.unpack != "":
		return result{}, usageErrorf("--unpack goes with --container")
	}
	claim, err := a.claim(ctx, o.key, o.release, o.rev)
	if err != nil {
		return result{}, err
	}
	var proof factory.Proof
	if digest := fleet.Digest(subject); digest.Valid() {
		if o.bundle != "" {
			return result{}, usageErrorf("--bundle is for files: an artifact has its provenance in the store")
		}
		proof, err = a.verifyStored(ctx, o.store, digest, claim)
	} else {
		proof, err = verifyFile(subject, o.bundle, claim)
	}
	if err != nil {
		return result{}, err
	}
	return verifyResult(proof, o.key), nil
}

// claim is what is asked, by the flags and the policy on main.
func (a *app) claim(ctx context.Context, key, release, rev string) (factory.Claim, error) {
	clock, err := a.clock()
	if err != nil {
		return factory.Claim{}, err
	}
	c := factory.Claim{At: clock.Now()}
	_, repo, err := a.loadMain(ctx, rev)
	switch {
	case err == nil:
		c.Repo, c.Trust = repo, repo.Operator.Trust
	case key == "" || rev != "":
		return c, err
	}
	if key != "" {
		pem, err := readCapped(key, 64<<10)
		if err != nil {
			return c, err
		}
		c.Trust = fleet.Trust{Keys: map[string]fleet.TrustedKey{filepath.Base(key): {PEM: string(pem), Uses: []string{"build"}}}}
	}
	if release != "" {
		name, version, ok := strings.Cut(release, "@")
		if !ok {
			return c, usageErrorf("--release %q is not PACKAGE@VERSION", release)
		}
		c.Package, c.Version = fleet.PackageID(name), version
	}
	return c, nil
}

func (a *app) verifyStored(ctx context.Context, at string, digest fleet.Digest, c factory.Claim) (factory.Proof, error) {
	var operator *fleet.Store
	if c.Repo != nil {
		operator = c.Repo.Operator.Store
	}
	kept, err := a.openStore(at, operator)
	if err != nil {
		return factory.Proof{}, err
	}
	mill := &factory.Factory{Log: a.log(), Store: kept}
	return mill.VerifyArtifact(ctx, digest, c)
}

func verifyFile(path, bundle string, c factory.Claim) (factory.Proof, error) {
	if bundle == "" {
		bundle = filepath.Join(filepath.Dir(path), factory.ProvenanceFile)
	}
	data, err := readCapped(bundle, maxBundleFile)
	if err != nil {
		return factory.Proof{}, err
	}
	file, err := os.Open(path)
	if err != nil {
		return factory.Proof{}, notThere(path, err)
	}
	defer file.Close()
	proof, err := factory.VerifyFile(file, data, c)
	if err == nil {
		proof.Parts, err = besideBill(bundle, proof.Subject, c)
	}
	var e *fleet.Error
	if errors.As(err, &e) && e.Object == "" {
		e.Object = path
	}
	return proof, err
}

// besideBill checks the bill of materials that lies beside a provenance bundle,
// if there is one, and tells how many components it names.
func besideBill(bundle string, subject fleet.Digest, c factory.Claim) (int, error) {
	path := filepath.Join(filepath.Dir(bundle), factory.BOMBundleFile)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	data, err := readCapped(path, maxBundleFile)
	if err != nil {
		return 0, err
	}
	return factory.VerifyBill(subject, data, c)
}

func readCapped(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, notThere(path, err)
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return nil, fleet.Errorf(fleet.Invalid, "cli.verify", path, "is no file of at most %d bytes", limit)
	}
	return os.ReadFile(path)
}

func notThere(path string, err error) error {
	var own *fs.PathError
	if errors.As(err, &own) {
		err = own.Err
	}
	return fleet.Errorf(fleet.Invalid, "cli.verify", path, "cannot be read: %w", err)
}

func verifyResult(p factory.Proof, key string) result {
	v := verified{Subject: p.Subject, Package: p.Package, Version: p.Version, Builder: p.Builder, Files: p.Files, Sources: p.Sources, Release: p.Release, Policies: "operator", Parts: p.Parts}
	if key != "" {
		v.Policies = "key"
	}
	var text strings.Builder
	fmt.Fprintf(&text, "verified: %s %s\n  subject  %s\n", view.Plain(string(p.Package)), view.Plain(p.Version), p.Subject)
	for _, f := range p.Files {
		fmt.Fprintf(&text, "  file     %s  %s\n", f.Digest.Hex(), view.Plain(f.Name))
	}
	for _, s := range p.Sources {
		fmt.Fprintf(&text, "  from     %s\n", view.Plain(s))
	}
	if p.Parts > 0 {
		fmt.Fprintf(&text, "  parts    %d, by a signed bill of materials\n", p.Parts)
	} else {
		fmt.Fprintln(&text, "  parts    not told: there is no bill of materials")
	}
	if p.Release {
		fmt.Fprintln(&text, "  release  the sources are those that were merged")
	} else {
		fmt.Fprintln(&text, "  release  not compared: there is no repository here")
	}
	return result{name: "verification", value: v, text: text.String()}
}
