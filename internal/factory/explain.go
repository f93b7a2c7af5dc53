package factory

import (
	"context"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/rules/why"
)

// Explain tells what decides about one package on one tenant: from facts at
// now, with the place in the commit's files where each rule is written and the
// merge that brought it there.
func (f *Factory) Explain(ctx context.Context, facts rollout.Facts, tenant, pkg string, now time.Time) (why.Explanation, error) {
	t, err := known("tenant", tenant, slices.Collect(maps.Keys(facts.Repo.Tenants)))
	if err != nil {
		return why.Explanation{}, err
	}
	id, err := known("package", pkg, slices.Collect(maps.Keys(facts.Repo.Packages)))
	if err != nil {
		return why.Explanation{}, err
	}
	e, err := why.Explain(facts, t, id, now)
	if err != nil {
		return e, err
	}
	tree, err := f.Git.Tree(facts.Repo.Commit)
	if err != nil {
		return e, err
	}
	files := tree.Desired(ctx)
	e.Locate(func(file string, keys []string) (fleet.Pos, bool) {
		return desired.Where(files, spelt(facts.Repo, file), keys...)
	})
	last, err := f.lastTouched(ctx, facts, ruleFiles(e))
	if err != nil {
		return e, err
	}
	e.Decide(func(file string) why.Decision { return last[file] })
	return e, nil
}

// known is the id that a person means: it exists, or the error says what was
// meant, perhaps.
func known[ID ~string](what, name string, ids []ID) (ID, error) {
	var words []string
	hint := ""
	for _, id := range slices.Sorted(slices.Values(ids)) {
		if string(id) == name {
			return id, nil
		}
		words = append(words, string(id))
		if hint == "" && path.Base(string(id)) == path.Base(name) {
			hint = "; did you mean " + string(id) + "?"
		}
	}
	if hint == "" {
		hint = desired.Suggest(name, words)
	}
	folder := map[string]string{"tenant": "tenants/", "package": "catalog/"}[what]
	return "", &fleet.Error{Op: "factory.explain", Object: name, Kind: fleet.Invalid, Err: errors.New("there is no such " + what + " on main" + hint),
		Hint: "git ls-tree -r --name-only main " + folder + "  lists what there is; an id is two folders, for example " + example(words)}
}

func example(words []string) string {
	if len(words) == 0 {
		return "partner/name"
	}
	return words[0]
}

// spelt is the path of a file of the catalog as it stands in the repository:
// bytes of versions that file names cannot hold are written otherwise there.
func spelt(repo *fleet.Repository, file string) string {
	if _, there := repo.Blobs[file]; there || !strings.HasPrefix(file, "catalog/") {
		return file
	}
	dir, base := path.Split(file)
	return dir + fleet.FileOfVersion(strings.TrimSuffix(base, ".cue"))
}

func ruleFiles(e why.Explanation) []string {
	var out []string
	for _, r := range e.Rules {
		if r.Pos.File != "" {
			out = append(out, r.Pos.File)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// lastTouched is, for each of some files, the commit of main's first-parent line
// that changed it last, as evidence records its merge. It goes back only as far
// as it must.
func (f *Factory) lastTouched(ctx context.Context, facts rollout.Facts, files []string) (map[string]why.Decision, error) {
	out := make(map[string]why.Decision, len(files))
	recorded := make(map[string]*fleet.Merge, len(facts.Record.Merges))
	for i := range facts.Record.Merges {
		recorded[facts.Record.Merges[i].Commit] = &facts.Record.Merges[i]
	}
	for commit := facts.Repo.Commit; commit != "" && len(out) < len(files); {
		info, err := f.Git.CommitInfo(commit)
		if err != nil {
			return nil, err
		}
		base := ""
		if len(info.Parents) > 0 {
			base = info.Parents[0]
		}
		changes, err := f.Git.Changed(ctx, base, commit)
		if err != nil {
			return nil, err
		}
		for _, c := range changes {
			if _, told := out[c.Path]; told || !slices.Contains(files, c.Path) {
				continue
			}
			if m := recorded[commit]; m != nil {
				out[c.Path] = why.DecisionOf(m)
			} else {
				out[c.Path] = why.Decision{Commit: commit, Title: info.Title(), At: info.When}
			}
		}
		commit = base
	}
	return out, nil
}
