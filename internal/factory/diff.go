package factory

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/rules/change"
)

// DiffOptions are what Diff needs beside the repository.
type DiffOptions struct {
	Evaluator desired.Evaluator
	Devices   map[fleet.TenantID]int // by newest inventory; nil reads it from this clone's evidence
	Now       time.Time              // when it would be merged; zero gives no dates
}

// Diff says in domain words what head does to base: everything since the
// commit both come from, so that what base gained meanwhile is not told
// backwards. It reads the files that differ, the packages they belong to, and
// schedules and tenants, which say whom a package reaches: the work grows with
// the change and the tenants, not with the catalog.
func Diff(ctx context.Context, git *gitrepo.Repo, base, head string, o DiffOptions) (change.Change, error) {
	from, err := git.Resolve(base)
	if err != nil {
		return change.Change{}, err
	}
	to, err := git.Resolve(head)
	if err != nil {
		return change.Change{}, err
	}
	if common, err := git.MergeBase(ctx, from, to); err != nil {
		return change.Change{}, err
	} else if common != "" {
		from = common
	}
	changed, err := git.Changed(ctx, from, to)
	if err != nil {
		return change.Change{}, err
	}
	part, policyDiffers := affected(changed)
	loaded, err := loadPart(ctx, git, to, part, o)
	if err != nil {
		return change.Change{}, err
	}
	if policyDiffers {
		if loaded, err = withNamed(ctx, git, to, &part, changed, loaded, o); err != nil {
			return change.Change{}, err
		}
	} else {
		part.Policy = loaded
	}
	before, err := loadPart(ctx, git, from, part, o)
	if err != nil {
		return change.Change{}, err
	}
	options := change.Options{Devices: o.Devices, Now: o.Now}
	if options.Devices == nil {
		reached := change.Compare(before, loaded, options).Reach.Tenants
		if options.Devices, err = inventoried(ctx, git, reached); err != nil {
			return change.Change{}, err
		}
	}
	return change.Compare(before, loaded, options), nil
}

func loadPart(ctx context.Context, git *gitrepo.Repo, commit string, part desired.Part, o DiffOptions) (*fleet.Repository, error) {
	tree, err := git.Tree(commit)
	if err != nil {
		return nil, err
	}
	return desired.LoadPart(ctx, tree.Desired(ctx), part, desired.Options{Evaluator: o.Evaluator})
}

// withNamed loads the packages that changed cycles name, too: what a cycle does
// is told with their versions and ways back.
func withNamed(ctx context.Context, git *gitrepo.Repo, commit string, part *desired.Part, changed []gitrepo.Change, loaded *fleet.Repository, o DiffOptions) (*fleet.Repository, error) {
	named := map[string]bool{}
	for _, c := range changed {
		words := strings.Split(c.Path, "/")
		if len(words) < 4 || words[1] != "cycles" {
			continue
		}
		for id := range loaded.Cycles[fleet.CycleID(words[2])].Entries {
			named[id.Dir()] = true
		}
	}
	for _, place := range part.Catalog {
		delete(named, place)
	}
	if len(named) == 0 {
		return loaded, nil
	}
	part.Catalog = slices.Sorted(maps.Keys(union(part.Catalog, named)))
	again := *part
	again.Policy = loaded
	return loadPart(ctx, git, commit, again, o)
}

func union(list []string, more map[string]bool) map[string]bool {
	out := maps.Clone(more)
	for _, s := range list {
		out[s] = true
	}
	return out
}

// affected is the part of a repository that changed paths lie in, and whether
// schedules or tenants are among them.
func affected(changed []gitrepo.Change) (desired.Part, bool) {
	places := map[string]bool{}
	policy := false
	for _, c := range changed {
		words := strings.Split(c.Path, "/")
		switch {
		case words[0] == "schedules" || words[0] == "tenants":
			policy = true
		case words[0] != "catalog":
		case len(words) == 2 || words[2] == "publisher.cue":
			places[c.Path] = true
		default:
			places[strings.Join(words[:3], "/")] = true
			places["catalog/"+words[1]+"/publisher.cue"] = true
		}
	}
	return desired.Part{Catalog: slices.Sorted(maps.Keys(places))}, policy
}
