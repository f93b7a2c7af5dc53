package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/edge/signing"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/view"
)

// built is the JSON form of build.
type built struct {
	Package  fleet.PackageID   `json:"package"`
	Version  string            `json:"version"`
	Commit   string            `json:"commit"` // the release was read from
	Artifact fleet.Digest      `json:"artifact"`
	Inputs   fleet.Digest      `json:"inputs"`
	Store    string            `json:"store"`
	Folder   string            `json:"folder"` // holds the files, "" with --out ""
	Files    []fleet.BuiltFile `json:"files"`
	Skipped  []builtSkip       `json:"skipped"`
	Verify   []string          `json:"verify"` // commands of stock cosign
}

// builtSkip is an installer that was left out.
type builtSkip struct {
	Installer string `json:"installer"`
	Why       string `json:"why"`
}

func newBuildCmd(a *app) *cobra.Command {
	var o buildOptions
	cmd := &cobra.Command{
		Use:   "build PACKAGE[@VERSION]",
		Short: "Build, sign and store the artifact of a release",
		Long: `build downloads the installers of a merged release, compares every byte with the
digests that were merged, wraps what Windows consoles take into .intunewin
containers, signs checksums and provenance, and stores the artifact. Without a
version it builds the newest release.

The same release gives the same artifact, byte for byte, on any machine. What
changed since the merge is refused, and nothing of it is kept. The release is
read from main (origin/main where there is a remote); --rev reads another
commit. packmill run builds what is due by itself and records it in evidence.`,
		Example: `  packmill keys generate ~/.config/packmill/mill.key
  PACKMILL_KEY=~/.config/packmill/mill.key packmill build igor-pavlov/7-zip@24.09`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completePackages,
	}
	flags := cmd.Flags()
	flags.StringVar(&o.store, "store", "", storeFlagText)
	flags.StringVar(&o.key, "key", "", keyFlagText)
	flags.StringVar(&o.out, "out", "dist", `folder for copies of the files and their bundles; "" writes none`)
	flags.StringVar(&o.rev, "rev", "", "read the release from this commit")
	f := formatFlag(cmd, formatText, formatJSON)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r, err := a.build(cmd.Context(), args[0], o)
		if err != nil {
			return err
		}
		return a.write(*f, r)
	}
	return cmd
}

// buildOptions are the flags of build.
type buildOptions struct{ store, key, out, rev string }

// build builds PACKAGE[@VERSION] and copies what it made to the out folder.
func (a *app) build(ctx context.Context, release string, o buildOptions) (result, error) {
	signer, err := a.loadKey(o.key)
	if err != nil {
		return result{}, err
	}
	git, repo, err := a.loadMain(ctx, o.rev)
	if err != nil {
		return result{}, err
	}
	id, version, err := releaseOf(repo, release)
	if err != nil {
		return result{}, err
	}
	clock, err := a.clock()
	if err != nil {
		return result{}, err
	}
	mill := &factory.Factory{Clock: clock, Log: a.log(), Progress: a.progress(), Git: git, Attester: signer, Version: buildVersion()}
	if mill.Store, err = a.openStore(o.store, repo.Operator.Store); err != nil {
		return result{}, err
	}
	if err := a.wireCode(mill); err != nil {
		return result{}, err
	}
	client, err := a.upstream(ctx, clock)
	if err != nil {
		return result{}, err
	}
	mill.Upstream = client
	product, err := mill.Make(ctx, repo, id, version)
	if err != nil {
		return result{}, asked(err)
	}
	folder := ""
	if o.out != "" {
		if folder, err = mill.Export(ctx, product, o.out); err != nil {
			return result{}, err
		}
	}
	return buildResult(product, repo.Commit, mill.Store.Where(), folder, signing.PublicPath(a.keyPath(o.key))), nil
}

// releaseOf reads PACKAGE[@VERSION]; without a version the newest is meant.
func releaseOf(repo *fleet.Repository, arg string) (fleet.PackageID, string, error) {
	name, version, given := strings.Cut(arg, "@")
	id := fleet.PackageID(name)
	pkg, ok := repo.Packages[id]
	if !ok {
		return id, "", &fleet.Error{Op: "cli.release", Object: name, Kind: fleet.Invalid, Err: errors.New("there is no such package on main"),
			Hint: "--rev HEAD reads the commit you stand on"}
	}
	if given {
		return id, version, nil
	}
	version, _, ok = pkg.Latest()
	if !ok {
		return id, "", &fleet.Error{Op: "cli.release", Object: name, Kind: fleet.Invalid, Err: errors.New("the package has no release yet"),
			Hint: "packmill detect " + name + " says what its vendor has; packmill propose makes a release"}
	}
	return id, version, nil
}

func buildResult(p factory.Product, commit, where, folder, public string) result {
	b := p.Built
	v := built{Package: b.Package, Version: b.Version, Commit: commit, Artifact: b.Artifact, Inputs: b.Inputs, Store: where, Folder: folder, Files: b.Files}
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s\n  artifact  %s\n  store     %s\n", b.Package, b.Version, b.Artifact, where)
	for _, f := range b.Files {
		fmt.Fprintf(&text, "  file      %s  %s (%s)\n", f.Digest.Hex(), f.Name, view.Plain(f.Installer))
	}
	for _, s := range p.Skipped {
		v.Skipped = append(v.Skipped, builtSkip{s.Installer, s.Why})
		fmt.Fprintf(&text, "  skipped   %s: %s\n", view.Plain(s.Installer), view.Plain(s.Why))
	}
	if folder != "" {
		v.Verify = cosignCommands(b, folder, public)
		fmt.Fprintf(&text, "  folder    %s\n\nAnybody with the public key can verify it:\n", folder)
		for _, line := range v.Verify {
			fmt.Fprintf(&text, "  %s\n", line)
		}
	}
	return result{name: "build", value: v, text: text.String()}
}

// cosignCommands are what stock cosign takes: without the transparency log,
// which a key of one's own has no entry in, no network is asked.
func cosignCommands(b fleet.Built, folder, public string) []string {
	in := func(name string) string { return shellWord(filepath.Join(folder, name)) }
	key := shellWord(public)
	out := []string{fmt.Sprintf("cosign verify-blob --bundle %s --key %s --insecure-ignore-tlog %s", in(factory.SumsBundleFile), key, in(factory.SumsFile))}
	for _, f := range b.Files {
		out = append(out, fmt.Sprintf("cosign verify-blob-attestation --bundle %s --key %s --insecure-ignore-tlog --type slsaprovenance1 %s",
			in(factory.ProvenanceFile), key, in(f.Name)))
	}
	for _, f := range b.Files {
		out = append(out, fmt.Sprintf("cosign verify-blob-attestation --bundle %s --key %s --insecure-ignore-tlog --type cyclonedx %s",
			in(factory.BOMBundleFile), key, in(f.Name)))
	}
	return out
}

// shellWord quotes a path for a POSIX shell where it must be.
func shellWord(s string) string {
	harmless := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._+-:@=", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !harmless(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
