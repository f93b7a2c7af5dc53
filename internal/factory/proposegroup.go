package factory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/rules/change"
	"github.com/packmill/packmill/internal/view"
)

// proposeGroup makes one pull request of a group's new versions, list. What must
// not be in one with others, or has nothing to be with, gets its own.
//
// The pull request of this week is kept up to date in place. One that somebody
// committed to or reviewed stays as it is, and so do the versions in it: others
// get their own pull requests for the rest of the week. An earlier week's stays
// as long as there is nothing to add to it, and is superseded then.
func (f *Factory) proposeGroup(ctx context.Context, round *round, name string, list []*Proposed) error {
	g, err := f.readGroup(ctx, round, name)
	if err != nil {
		return err
	}
	var take, alone []*Proposed
	for _, p := range list {
		switch place, err := f.place(ctx, round, g, p); {
		case err != nil:
			return fmt.Errorf("%s: %w", p.Package, err)
		case place == takenInto:
			take = append(take, p)
		case place == byItself:
			alone = append(alone, p)
		}
	}
	more, failures := f.together(ctx, round, g, take)
	for _, p := range append(alone, more...) {
		if err := f.proposeOne(ctx, round, p); err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", p.Package, err))
		}
	}
	return errors.Join(failures...)
}

// Where a version goes.
const (
	isThere   = iota // it is in a pull request that stays as it is
	takenInto        // the group's pull request
	byItself         // its own pull request
)

// place says where a version goes before its bytes are known.
func (f *Factory) place(ctx context.Context, round *round, g *group, p *Proposed) (int, error) {
	for _, gp := range g.pulls {
		m, ok := gp.members[p.Package]
		if !ok || m.version != p.Found || !gp.stays() {
			continue
		}
		p.Pull, p.Release = gp.pull, &m.release
		if gp.who != "" {
			p.Note = leftAlone(gp.who, gp.pull.Branch)
			p.standing = p.Note
		}
		return isThere, nil
	}
	if p.Unheld != nil || p.Current == "" {
		return byItself, nil
	}
	branch := BumpBranch(p.Package, p.Found)
	if who, err := f.strangers(ctx, round.look.Repo.Commit, branch); err != nil || who != "" {
		return byItself, err
	}
	if own, open := round.openOn(branch); open {
		reviews, err := f.Forge.Reviews(ctx, own.Number)
		if err != nil || len(reviews) > 0 {
			return byItself, err
		}
		return takenInto, nil
	}
	if number, err := f.declined(ctx, round, p.Package, p.Found); err != nil || number > 0 {
		return byItself, err
	}
	return takenInto, nil
}

// together makes the pull request of the versions that may be in one, and gives
// those that may not after all, for each to get its own.
func (f *Factory) together(ctx context.Context, round *round, g *group, take []*Proposed) (alone []*Proposed, failures []error) {
	g.keep(round)
	branch, err := f.branchOf(ctx, round, g, take)
	if err != nil {
		return nil, []error{err}
	}
	if branch == "" {
		return take, nil
	}
	_, open := round.openOn(branch)
	if why := round.full(g.ids(take), branch); why != "" {
		for _, p := range take {
			p.Note, p.standing = why, why
		}
		return nil, nil
	}
	var drafted []*Proposed
	for _, p := range take {
		apart, err := f.draftMember(ctx, round, g, p)
		switch was, ok := g.was(p); {
		case err != nil:
			failures = append(failures, fmt.Errorf("%s: %w", p.Package, err))
			fallthrough
		case p.Release == nil:
			if ok { // what people look at stays while the vendor is in trouble
				g.kept[p.Package] = was
			}
		case apart:
			alone = append(alone, p)
		default:
			drafted = append(drafted, p)
		}
	}
	if !open && len(g.ids(drafted)) < 2 {
		return append(alone, drafted...), failures
	}
	if err := f.writeGroup(ctx, round, g, branch, drafted); err != nil {
		failures = append(failures, err)
	}
	return alone, failures
}

// branchOf is the branch for the kept members and those to take; "" when each of
// these gets its own.
func (f *Factory) branchOf(ctx context.Context, round *round, g *group, take []*Proposed) (string, error) {
	this := GroupBranch(g.name, f.Clock.Now())
	older := ""
	for _, gp := range g.pulls {
		switch {
		case gp.stays():
		case gp.pull.Branch == this:
			return this, nil
		default:
			older = gp.pull.Branch
			if gp.fits && g.says(gp, take) {
				return older, nil
			}
		}
	}
	free, err := f.freeForGroup(ctx, round, this)
	if err != nil || free && len(g.ids(take)) > 1 {
		return this, err
	}
	return older, nil // in place, if there is one: it must not go on proposing what is outdated
}

// freeForGroup reports whether a new pull request may be opened on the branch:
// nobody works on it, and no person closed one of it.
func (f *Factory) freeForGroup(ctx context.Context, round *round, branch string) (bool, error) {
	if _, open := round.openOn(branch); open {
		return false, nil
	}
	if who, err := f.strangers(ctx, round.look.Repo.Commit, branch); err != nil || who != "" {
		return false, err
	}
	number, err := f.declinedOn(ctx, round, branch)
	return number == 0, err
}

// draftMember finds the release on a branch that proposes it already, or drafts
// it. apart says that people must look at its signer by itself.
func (f *Factory) draftMember(ctx context.Context, round *round, g *group, p *Proposed) (apart bool, err error) {
	repo := round.look.Repo
	if m, ok := g.was(p); ok {
		p.Release, err = proposes(repo.Packages[p.Package], p.Finding, m.release, m.branch, round.lifted(p.Finding))
		if err != nil {
			p.Finding, err = held(ctx, p.Finding, err)
			return false, err
		}
	}
	if p.Release == nil {
		p.Release, err = f.proposed(ctx, repo.Packages[p.Package], p.Finding, BumpBranch(p.Package, p.Found), round.lifted(p.Finding))
		if err != nil {
			p.Finding, err = held(ctx, p.Finding, err)
			return false, err
		}
	}
	if p.Release == nil {
		release, err := f.draft(ctx, repo, p.Finding, round.got)
		if err := p.drafted(ctx, release, err); err != nil || p.Release == nil {
			return false, err
		}
	}
	b, err := f.bump(ctx, round.look, p.Finding, *p.Release)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(b.Release.Installers, func(in change.Installer) bool {
		return in.SignerState != change.SignerSame && in.SignerState != change.SignerUnsigned
	}), nil
}

// writeGroup makes the pull request be open and say what it should, and closes
// those that it replaces.
func (f *Factory) writeGroup(ctx context.Context, round *round, g *group, branch string, drafted []*Proposed) error {
	open, isOpen := round.openOn(branch)
	members := g.with(drafted)
	if len(members) == 0 {
		return f.Forge.Close(ctx, open.Number, superseded+": nothing is left of it.")
	}
	p, err := f.groupProposal(ctx, round, g, branch, members)
	if err != nil {
		return err
	}
	whole := Proposed{Pull: open}
	same := false
	if isOpen && len(g.kept) > 0 {
		// The notes of those that were not found anew are not known now: their
		// text stays.
		if same, err = f.holds(ctx, branch, round.look.Repo.Commit, p.files); err != nil {
			return err
		}
	}
	if !same {
		if whole.Pull, whole.Changed, err = f.propose(ctx, round.look.Repo.Commit, p); err != nil {
			return err
		}
		round.opened(g.ids(drafted), branch)
	}
	for _, m := range drafted {
		m.Pull, m.Changed = whole.Pull, whole.Changed
		if err := f.supersede(ctx, m, round.pulls); err != nil {
			return err
		}
	}
	for _, gp := range g.pulls {
		if gp.pull.Branch != branch && !gp.stays() {
			if err := f.Forge.Close(ctx, gp.pull.Number, fmt.Sprintf("%s by #%d, which proposes what is new of the group now.", superseded, whole.Pull.Number)); err != nil {
				return err
			}
		}
	}
	err = f.askOwners(ctx, round, &whole, slices.Sorted(maps.Keys(p.files))...)
	for _, m := range drafted {
		m.Note = join(m.Note, whole.Note)
	}
	return err
}

// groupProposal is the pull request of the members.
func (f *Factory) groupProposal(ctx context.Context, round *round, g *group, branch string, members map[fleet.PackageID]member) (proposal, error) {
	text := view.Group{Name: g.name}
	files := map[string][]byte{}
	labels := []string{"bump"}
	head := round.look.Repo
	for _, id := range slices.Sorted(maps.Keys(members)) {
		m := members[id]
		b, err := f.bump(ctx, round.look, m.finding, m.release)
		if err != nil {
			return proposal{}, err
		}
		text.Bumps = append(text.Bumps, b)
		head = withRelease(head, id, m.version, m.release)
		files[desired.ReleasePath(id, m.version)] = desired.ReleaseFile(m.version, m.release)
		for _, l := range round.limits.Labels[m.release.Change] {
			if !slices.Contains(labels, l) {
				labels = append(labels, l)
			}
		}
	}
	text.Reach = change.Compare(round.look.Repo, head, change.Options{Devices: round.look.Devices, Now: f.Clock.Now()}).Reach
	pull := view.GroupPull(text)
	return proposal{files: files, spec: fleet.PullSpec{Branch: branch, Title: pull.Title, Body: pull.Text, Labels: labels}}, nil
}
