package factory

import (
	"context"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/version"
	"github.com/packmill/packmill/internal/view"
)

// stopHeld says in open pull requests which of their versions must not be merged
// any more: what was ready when it was opened may be held, withdrawn or ignored
// since. One of a version that is ignored is closed; of a group such a one is
// taken out before this. The word goes when nothing of a pull request is held.
func (f *Factory) stopHeld(ctx context.Context, r *round, out []Proposed) error {
	for _, p := range r.pulls {
		if p.State != "open" || !strings.HasPrefix(p.Branch, bumpPrefix) {
			continue
		}
		stops, all, err := f.stopsOf(ctx, r, p.Branch, out)
		if err != nil {
			return err
		}
		switch marked := view.IsStopped(p.Body); {
		case len(stops) == 1 && stops[0].Hold == fleet.HoldIgnored && groupOfBranch(p.Branch) == "":
			err = f.Forge.Close(ctx, p.Number, "Closed: "+view.Neutral(stops[0].Why)+".")
		case len(stops) > 0 || marked && all:
			err = f.mark(ctx, p.Number, stops)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mark writes the stops in front of a pull request's text as it is now: this run
// may have made it anew, or closed it.
func (f *Factory) mark(ctx context.Context, number int, stops []view.Stop) error {
	p, err := f.Forge.Pull(ctx, number)
	if err != nil || p.State != "open" {
		return err
	}
	body := view.Stopped(p.Body, stops)
	if body == p.Body {
		return nil
	}
	_, _, err = f.Forge.EnsurePull(ctx, fleet.PullSpec{Branch: p.Branch, Base: p.Base, Title: p.Title, Body: body})
	return err
}

// stopsOf are the versions of a branch that must not be merged, and whether this
// run looked at all that it proposes.
func (f *Factory) stopsOf(ctx context.Context, r *round, branch string, out []Proposed) (stops []view.Stop, all bool, err error) {
	var files map[string]bool
	if groupOfBranch(branch) != "" {
		if files, err = f.addedBy(ctx, r.look.Repo.Commit, branch); err != nil {
			return nil, false, err
		}
	}
	looked := 0
	for _, p := range out {
		v, is := proposedOn(p.Package, branch, files)
		if !is {
			continue
		}
		looked++
		if hold, why := r.stopped(p.Finding, v); hold != "" {
			stops = append(stops, view.Stop{Package: p.Package, Version: v, Hold: hold, Why: why})
		}
	}
	return stops, looked == max(len(files), 1), nil
}

// proposedOn is the version of a package that a branch proposes: by its name, or
// by the files that a group's adds.
func proposedOn(id fleet.PackageID, branch string, files map[string]bool) (string, bool) {
	if files == nil {
		return strings.CutPrefix(branch, BumpBranch(id, ""))
	}
	for name := range files {
		if rest, is := strings.CutPrefix(name, id.Dir()+"/"); is {
			return strings.TrimSuffix(rest, ".cue"), true
		}
	}
	return "", false
}

// stopped is why a version must not be merged, "" when the look says nothing of
// it: a vendor who cannot be reached takes nothing back.
func (r *round) stopped(found Finding, proposed string) (hold, why string) {
	pkg := r.look.Repo.Packages[found.Package]
	if found.State == fleet.StateNew || pkg.Upstream == nil {
		return "", ""
	}
	switch found.Hold {
	case fleet.HoldUnreachable, fleet.HoldRateLimited, fleet.HoldTruncated, fleet.HoldUnparsable:
		return "", ""
	}
	// Branches and files spell some versions otherwise.
	onBranch, inFile := strings.TrimPrefix(BumpBranch("", found.Found), bumpPrefix), strings.TrimSuffix(fleet.FileOfVersion(found.Found), ".cue")
	if proposed == found.Found || proposed == onBranch || proposed == inFile {
		return found.Hold, found.Why
	}
	scheme := version.SchemeOf(*pkg.Upstream)
	told, err := scheme.Parse(found.Found)
	if err != nil {
		return "", ""
	}
	open, err := scheme.Parse(proposed)
	if err != nil || version.Compare(told, open) >= 0 {
		return "", ""
	}
	return fleet.HoldBackwards, "upstream has " + found.Found + " now: the version may have been withdrawn"
}
