package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/view"
)

// proposals is the JSON form of propose.
type proposals struct {
	Packages []proposedAs `json:"packages"`
}

// proposedAs is what came of one package.
type proposedAs struct {
	detectedAs
	Pull    int    `json:"pull,omitempty"` // number of the pull request
	File    string `json:"file,omitempty"` // release file
	Changed bool   `json:"changed"`        // something was written by this run
	Note    string `json:"note,omitempty"`
}

// draft drafts the releases of what is new. A hold that only the bytes tell
// ends in the finding.
func (a *app) draft(ctx context.Context, mill *factory.Factory, look factory.Look) ([]factory.Proposed, map[string][]byte, error) {
	findings, err := mill.Detect(ctx, look)
	if err != nil {
		return nil, nil, err
	}
	out := make([]factory.Proposed, len(findings))
	files := map[string][]byte{}
	var failures []error
	for i, finding := range findings {
		out[i] = factory.Proposed{Finding: finding}
		if finding.State != fleet.StateNew {
			continue
		}
		mill.Progress(i, len(findings), "download "+string(finding.Package))
		if err := mill.DraftOf(ctx, look.Repo, &out[i]); err != nil {
			failures = append(failures, err)
		} else if out[i].Release != nil {
			files[desired.ReleasePath(finding.Package, finding.Found)] = desired.ReleaseFile(finding.Found, *out[i].Release)
		}
	}
	return out, files, errors.Join(failures...)
}

// writeReleases checks the work tree as it would be with the files, and then
// writes them: all of them are right, or none is written.
func (a *app) writeReleases(ctx context.Context, files map[string][]byte) error {
	tree, done, err := a.openTree(ctx, "")
	if err != nil {
		return err
	}
	defer done()
	evaluator, err := policyEvaluator()
	if err != nil {
		return err
	}
	clock, err := a.clock()
	if err != nil {
		return err
	}
	if _, err := desired.Load(ctx, factory.Overlay(tree, files), desired.Options{Evaluator: evaluator, Now: clock.Now()}); err != nil {
		return err
	}
	root, err := os.OpenRoot(a.repo)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		made, err := writeNew(root, name, files[name])
		if err != nil {
			err = errors.Join(err, root.Remove(name))
			return fleet.Errorf(fleet.Internal, "cli.propose", name, "write the release file: %w", err)
		}
		if !made {
			return fleet.Errorf(fleet.Refused, "cli.propose", name, "the file is there already: a release never changes")
		}
	}
	return nil
}

func newProposeCmd(a *app) *cobra.Command {
	var write bool
	cmd := &cobra.Command{
		Use:   "propose [PACKAGE...]",
		Short: "Propose new versions as pull requests, or as files",
		Long: `propose does what detect does, downloads the installers of every new version,
hashes and reads them, and opens one pull request for each package, or for each
group that tenants/operator.cue names, whose text says what the change does. A
look at all packages with --yes also keeps the issue "packmill: packages", and
takes the commands that approvers wrote below it.

With --write it writes the release files into the work tree instead, for a
person to commit. Without --write or --yes it only says what it would propose.
With --yes and a signing key, what was seen is recorded in evidence, so that
versions whose vendor states no time grow old from this look on.
Nothing is written unless the repository is valid with it.`,
		Example: `  packmill propose --write igor-pavlov/7-zip
  packmill propose --yes`,
		ValidArgsFunction: a.completePackages,
	}
	a.yesFlag(cmd)
	cmd.Flags().BoolVar(&write, "write", false, "write release files into the work tree instead of opening pull requests")
	f := formatFlag(cmd, formatTable, formatJSON, formatCSV)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		if a.yes && !write {
			return a.proposePulls(ctx, *f, args)
		}
		mill, look, done, err := a.look(ctx, args)
		if err != nil {
			return err
		}
		defer done()
		list, files, failed := a.draft(ctx, mill, look)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if write && len(files) > 0 {
			if err := a.writeReleases(ctx, files); err != nil {
				return err
			}
		}
		if write && failed == nil {
			if failed = mill.Upstream.Keep(); failed != nil {
				return failed
			}
		}
		return errors.Join(a.write(*f, proposeResult(list, write)), failed)
	}
	return cmd
}

// proposePulls looks upstream from main and evidence, as the week does, and
// opens pull requests.
func (a *app) proposePulls(ctx context.Context, f format, args []string) error {
	mill, ledger, err := a.factory(ctx)
	if err != nil {
		return err
	}
	main, err := mill.Git.Main()
	if err != nil {
		return err
	}
	repo, err := mill.Desired(ctx, main)
	if err != nil {
		return err
	}
	tree, err := mill.Git.Tree(main)
	if err != nil {
		return err
	}
	rec, err := ledger.Read(ctx)
	if err != nil {
		return err
	}
	look := factory.Look{Repo: repo, Seen: factory.Seen(rec.Detections), Fixed: factory.Fixed(rec.Detections), Read: tree.Read, Devices: factory.Devices(rec), Record: rec}
	for _, arg := range args {
		look.Packages = append(look.Packages, fleet.PackageID(arg))
	}
	list, err := mill.Propose(ctx, look)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if mill.Signer != nil { // evidence is signed
		seen := make([]fleet.Detection, len(list))
		for i, p := range list {
			seen[i] = p.Detection
		}
		err = errors.Join(err, mill.RecordLook(ctx, repo, seen))
	}
	return errors.Join(a.write(f, proposeResult(list, false)), err)
}

func proposeResult(list []factory.Proposed, written bool) result {
	var v proposals
	t := view.Table{Columns: view.Cols("package", "released", "found", "state", "outcome"), Empty: "no packages"}
	for _, p := range list {
		as := proposedAs{Pull: p.Pull.Number, Changed: p.Changed, Note: p.Note, detectedAs: detectedAs{
			Package: p.Package, Released: p.Current, Found: p.Detection.Found, State: p.State, Hold: p.Hold, Why: p.Why, Fixes: p.Fixes, Agreement: p.Agreement,
		}}
		outcome := p.Why
		if p.Release != nil {
			as.File = desired.ReleasePath(p.Package, p.Detection.Found)
			switch {
			case p.Pull.Number > 0:
				outcome = fmt.Sprintf("pull request %d", p.Pull.Number)
			case written:
				as.Changed = true
				outcome = "wrote " + as.File
			default:
				outcome = "would propose " + as.File
			}
		}
		if p.Note != "" {
			outcome += " (" + p.Note + ")"
		}
		v.Packages = append(v.Packages, as)
		t.Add(string(p.Package), p.Current, p.Detection.Found, stateWords(p.Detection), outcome)
	}
	return result{name: "propose", value: v, table: t}
}
