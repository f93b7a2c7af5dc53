package factory

import (
	"context"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/version"
	"github.com/packmill/packmill/internal/view"
)

// stopHeld says in a package's open pull request why its version must not be
// merged any more: what was ready when it was opened may be held, withdrawn or
// ignored since. What is ignored is closed. When the version may be merged again,
// its text is made anew without this.
func (f *Factory) stopHeld(ctx context.Context, r *round, out *Proposed) error {
	if out.State == fleet.StateNew || r.look.Repo.Packages[out.Package].Upstream == nil {
		return nil
	}
	prefix := BumpBranch(out.Package, "")
	for _, p := range r.pulls {
		if p.State != "open" || !strings.HasPrefix(p.Branch, prefix) {
			continue
		}
		hold, why := r.stopped(out.Finding, p.Branch)
		var err error
		switch {
		case hold == "":
			continue
		case hold == fleet.HoldIgnored:
			err = f.Forge.Close(ctx, p.Number, "Closed: "+view.Neutral(why)+".")
			out.Changed = out.Changed || err == nil
		default:
			spec := fleet.PullSpec{Branch: p.Branch, Base: p.Base, Title: p.Title, Body: view.Stopped(p.Body, hold, why)}
			var changed bool
			out.Pull, changed, err = f.Forge.EnsurePull(ctx, spec)
			out.Changed = out.Changed || changed
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// stopped is why the version of a branch must not be merged, "" when the look says
// nothing of it: a vendor who cannot be reached takes nothing back.
func (r *round) stopped(found Finding, branch string) (hold, why string) {
	switch found.Hold {
	case fleet.HoldUnreachable, fleet.HoldRateLimited, fleet.HoldTruncated, fleet.HoldUnparsable:
		return "", ""
	}
	if BumpBranch(found.Package, found.Found) == branch {
		return found.Hold, found.Why
	}
	scheme := version.SchemeOf(*r.look.Repo.Packages[found.Package].Upstream)
	told, err := scheme.Parse(found.Found)
	if err != nil {
		return "", ""
	}
	// Branches spell versions otherwise when they must; such a one is left alone.
	open, err := scheme.Parse(strings.TrimPrefix(branch, BumpBranch(found.Package, "")))
	if err != nil || version.Compare(told, open) >= 0 {
		return "", ""
	}
	return fleet.HoldBackwards, "upstream has " + found.Found + " now: the version may have been withdrawn"
}
