package factory

import (
	"context"
	"errors"
	"slices"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// asApproved takes out the assignments and promotions of packages whose commands, detection or
// release on main are not those any more that the wave's approval was given
// for: a wave that has started goes on with what people approved, or waits for
// them. What is restored is what was brought there, which an approval was given
// for. Ways back are never kept waiting.
func (c *campaign) asApproved(ctx context.Context, effects []rollout.Effect) (rest []rollout.Effect, failures []error) {
	changed := map[string][]string{} // by commit of the approval: paths that differ on main
	told := map[fleet.PackageID]bool{}
	for _, e := range effects {
		if e.Action != "assign" && e.Action != "promote" && e.Action != "restore" {
			rest = append(rest, e)
			continue
		}
		file, err := c.changedFile(ctx, changed, e)
		switch {
		case err != nil && !told[e.Package]:
			failures = append(failures, err)
		case err == nil && file != "" && !told[e.Package]:
			failures = append(failures, stale(e, file))
		case err == nil && file == "":
			rest = append(rest, e)
			continue
		}
		told[e.Package] = true
	}
	return rest, failures
}

// stale says that a file is not any more what an effect was approved for.
func stale(e rollout.Effect, file string) error {
	err := &fleet.Error{Op: "factory.apply", Object: file, Kind: fleet.Stalled, Err: errors.New("was changed after wave " + e.Wave + " was approved"),
		Hint: "revert the change on main to go on with this wave; the changed package travels in the next cycle"}
	if e.Action == "restore" {
		err.Err = errors.New("was changed after " + string(e.Tenant) + " was given " + string(e.Package))
		err.Hint = "revert the change on main to restore what was given; the changed package travels in the next cycle"
	}
	return err
}

// changedFile is a file of an effect's package that differs between main and what
// it was approved or made for, "" if none does: for an assignment the merge of its
// wave's approval, for a restoration the commits that brought what the package's
// apps hold. A promotion is what the last wave was approved for.
func (c *campaign) changedFile(ctx context.Context, changed map[string][]string, e rollout.Effect) (string, error) {
	if e.Action == "restore" {
		for _, i := range rollout.BroughtBy(c.facts.Record, e.Tenant, e.Package) {
			if file, err := c.changedSince(ctx, changed, i.Main, e.Package, i.Release); file != "" || err != nil {
				return file, err
			}
		}
		return "", nil
	}
	commit := ""
	for _, m := range c.facts.Record.Merges {
		if m.Approves == string(e.Cycle)+"/"+e.Wave && (m.Plan == e.Plan || e.Action == "promote") { // whose rows may not be of this wave
			commit = m.Commit
		}
	}
	if commit == "" {
		return "", fleet.Errorf(fleet.Refused, "factory.apply", string(e.Cycle), "no recorded merge approves the plan %s of wave %s", e.Plan.Short(), e.Wave)
	}
	return c.changedSince(ctx, changed, commit, e.Package, e.Entry.Release)
}

// changedSince is a file of a package's release that differs between a commit and
// main. The paths that do are kept by commit.
func (c *campaign) changedSince(ctx context.Context, changed map[string][]string, commit string, id fleet.PackageID, version string) (string, error) {
	if _, known := changed[commit]; !known {
		list, err := c.Git.Changed(ctx, commit, c.facts.Repo.Commit)
		if err != nil {
			return "", err
		}
		changed[commit] = []string{}
		for _, change := range list {
			changed[commit] = append(changed[commit], change.Path)
		}
	}
	for _, file := range delivered(c.facts.Repo.Packages[id], version) {
		if slices.Contains(changed[commit], file) {
			return file, nil
		}
	}
	return "", nil
}

// delivered are the files of a package that say what devices are told to do
// with a release, beside the artifact.
func delivered(pkg fleet.Package, version string) []string {
	dir := pkg.ID.Dir()
	out := []string{dir + "/package.cue", pkg.ID.Release(version)}
	for _, i := range pkg.Installers {
		named := []string{}
		for _, d := range i.Detect {
			named = append(named, d.Script)
		}
		if i.Needs != nil {
			named = append(named, i.Needs.Script)
		}
		if i.Scripts != nil {
			named = append(named, i.Scripts.Before, i.Scripts.After)
		}
		for _, name := range named {
			if name != "" {
				out = append(out, dir+"/"+name)
			}
		}
	}
	for _, s := range pkg.Settings {
		if s.Scripts != nil {
			out = append(out, dir+"/"+s.Scripts.Detect)
		}
		for _, f := range s.Files { // a written detect script tells their digests
			out = append(out, dir+"/"+f.Content)
		}
	}
	for _, p := range pkg.Health {
		out = append(out, dir+"/"+p.Script)
	}
	slices.Sort(out)
	return out
}
