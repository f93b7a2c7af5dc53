package factory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
)

// groupPrefix begins the branches that propose the versions of groups.
const groupPrefix = bumpPrefix + "group/"

// GroupBranch is the branch that proposes the versions of a group in the ISO
// week, UTC, of an instant: bump/group/<name>/2026-W47.
func GroupBranch(name string, at time.Time) string {
	return groupPrefix + name + "/" + string(fleet.CycleOf(at.UTC()))
}

// A group is what is proposed of a group of packages.
type group struct {
	name  string
	pulls []groupPull                // that are open
	kept  map[fleet.PackageID]member // that go on being proposed though this run did not find them anew
}

// A groupPull is an open pull request of a group.
type groupPull struct {
	pull     fleet.Pull
	members  map[fleet.PackageID]member
	fits     bool   // main still has room for all of them
	who      string // who else committed to it
	reviewed bool
}

// A member is a release in a group's pull request.
type member struct {
	version string
	release fleet.Release
	branch  string  // that proposes it already, "" when none does
	finding Finding // of this run; package and version alone when it has none
}

// stays reports whether a pull request is left as it is. A review of what cannot
// be merged any more keeps nothing.
func (p groupPull) stays() bool { return p.who != "" || p.reviewed && p.fits }

// readGroup reads the open pull requests of a group.
func (f *Factory) readGroup(ctx context.Context, round *round, name string) (*group, error) {
	g := &group{name: name, kept: map[fleet.PackageID]member{}}
	for _, p := range round.pulls {
		if p.State != "open" || groupOfBranch(p.Branch) != name {
			continue
		}
		gp := groupPull{pull: p}
		var err error
		if gp.who, err = f.strangers(ctx, round.look.Repo.Commit, p.Branch); err != nil {
			return nil, err
		}
		reviews, err := f.Forge.Reviews(ctx, p.Number)
		if err != nil {
			return nil, err
		}
		gp.reviewed = len(reviews) > 0
		if gp.members, gp.fits, err = f.membersOf(ctx, round.look.Repo, p.Branch); err != nil {
			return nil, err
		}
		g.pulls = append(g.pulls, gp)
	}
	return g, nil
}

// membersOf are the releases of a branch that main still has room for, and
// whether these are all.
func (f *Factory) membersOf(ctx context.Context, main *fleet.Repository, branch string) (map[fleet.PackageID]member, bool, error) {
	out := map[fleet.PackageID]member{}
	paths, err := f.addedBy(ctx, main.Commit, branch)
	if err != nil || len(paths) == 0 {
		return out, false, err
	}
	head, err := f.remoteBranch(branch)
	if err != nil {
		return nil, false, err
	}
	repo, err := f.Desired(ctx, head)
	if isContent(err) {
		return out, false, nil // somebody's commit may not be valid
	}
	if err != nil {
		return nil, false, err
	}
	for id, p := range repo.Packages {
		for version, release := range p.Releases {
			if !paths[desired.ReleasePath(id, version)] {
				continue
			}
			now, ok := main.Packages[id]
			_, there := now.Releases[version]
			if _, latest, _ := now.Latest(); !ok || there || release.Counter != latest.Counter+1 {
				continue
			}
			out[id] = member{version: version, release: release, branch: branch, finding: Finding{Detection: fleet.Detection{Package: id, Found: version}}}
		}
	}
	return out, len(out) == len(paths), nil
}

// addedBy are the files that a branch changes on top of main.
func (f *Factory) addedBy(ctx context.Context, main, branch string) (map[string]bool, error) {
	head, err := f.remoteBranch(branch)
	if err != nil || head == "" {
		return nil, err
	}
	base, err := f.Git.MergeBase(ctx, main, head)
	if err != nil {
		return nil, err
	}
	changes, err := f.Git.Changed(ctx, base, head)
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, c := range changes {
		out[c.Path] = true
	}
	return out, nil
}

// keep notes the members of pull requests that are written anew which this run
// says nothing else of: it did not look at the package, or the vendor is in
// trouble. What a person ignores leaves, and so does a package that is no longer
// of the group.
func (g *group) keep(round *round) {
	for _, gp := range g.pulls {
		if gp.stays() {
			continue
		}
		for id, m := range gp.members {
			found, looked := round.found[id]
			switch {
			case round.limits.GroupOf(id) != g.name:
			case looked && found.State == fleet.StateNew:
			case looked && found.Hold == fleet.HoldIgnored && found.Found == m.version:
			default:
				g.kept[id] = m
			}
		}
	}
}

// was is the member that proposes the version already, in a pull request that
// is written anew.
func (g *group) was(p *Proposed) (member, bool) {
	for _, gp := range g.pulls {
		if m, ok := gp.members[p.Package]; ok && m.version == p.Found && !gp.stays() {
			return m, true
		}
	}
	return member{}, false
}

// says reports whether a pull request proposes exactly the kept members and
// those to take.
func (g *group) says(gp groupPull, take []*Proposed) bool {
	want := map[fleet.PackageID]string{}
	for id, m := range g.kept {
		want[id] = m.version
	}
	for _, p := range take {
		want[p.Package] = p.Found
	}
	have := map[fleet.PackageID]string{}
	for id, m := range gp.members {
		have[id] = m.version
	}
	return maps.Equal(want, have)
}

// ids are the packages of the kept members and of list.
func (g *group) ids(list []*Proposed) []fleet.PackageID {
	out := slices.Collect(maps.Keys(g.kept))
	for _, p := range list {
		out = append(out, p.Package)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// with are the kept members and those of list.
func (g *group) with(list []*Proposed) map[fleet.PackageID]member {
	out := maps.Clone(g.kept)
	for _, p := range list {
		out[p.Package] = member{version: p.Found, release: *p.Release, finding: p.Finding}
	}
	return out
}

// groupOfBranch is the group whose versions a branch proposes, "" when it is no
// such branch.
func groupOfBranch(branch string) string {
	rest, ok := strings.CutPrefix(branch, groupPrefix)
	name, week, slashed := strings.Cut(rest, "/")
	if !ok || !slashed || !fleet.CycleID(week).Valid() {
		return ""
	}
	return name
}

// proposeAll makes the pull requests of what is new, each of the packages in its
// turn, a group in that of its first one. Groups with nothing new are looked at
// because of what may have left them.
func (f *Factory) proposeAll(ctx context.Context, round *round, findings []Finding, out []Proposed) []error {
	order := round.order(findings)
	members := map[string][]*Proposed{}
	for i := range out {
		round.found[out[i].Package] = findings[i]
	}
	for _, i := range order {
		if name := round.limits.GroupOf(out[i].Package); name != "" {
			members[name] = append(members[name], &out[i])
		}
	}
	var failures []error
	done := map[string]bool{}
	together := func(name string) {
		if !done[name] && ctx.Err() == nil {
			done[name] = true
			if err := f.proposeGroup(ctx, round, name, members[name]); err != nil {
				failures = append(failures, fmt.Errorf("group %s: %w", name, err))
			}
		}
	}
	for n, i := range order {
		p := &out[i]
		f.progress(n, len(out), "propose "+string(p.Package))
		if name := round.limits.GroupOf(p.Package); name != "" {
			together(name)
		} else if err := f.proposeOne(ctx, round, p); err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", p.Package, err))
		}
		if ctx.Err() != nil {
			return failures
		}
	}
	for _, name := range round.openGroups() {
		together(name)
	}
	return failures
}
