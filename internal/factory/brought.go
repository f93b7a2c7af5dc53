package factory

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/gitrepo"
)

// brought is what a commit of main brings that rollouts rest on, read from the
// commit alone.
type brought struct {
	releases []string          // "<package>@<version>" of release files it adds
	approves string            // "<cycle>/<gate>", "" when it brings no approval or more than one
	plan     fleet.Digest      // that the approval names
	blobs    map[string]string // every approval file it touches → blob, "" where it is removed
	revokes  []fleet.Hold      // revocations in files it adds or changes
}

func (f *Factory) broughtBy(ctx context.Context, base, commit string) (brought, error) {
	changes, err := f.Git.Changed(ctx, base, commit)
	if err != nil {
		return brought{}, err
	}
	var out brought
	var holds []string
	for _, c := range changes {
		dir, file := path.Split(c.Path)
		name, cue := strings.CutSuffix(file, ".cue")
		id, inCatalog := strings.CutPrefix(path.Clean(dir), "catalog/")
		switch parts := strings.Split(c.Path, "/"); {
		case !cue:
		case inCatalog && strings.Count(id, "/") == 1 && c.Old == "" && name != "package":
			out.releases = append(out.releases, id+"@"+name)
		case len(parts) == 5 && parts[0] == "schedules" && parts[1] == "cycles" && parts[3] == "approvals":
			if out.blobs == nil {
				out.blobs = map[string]string{}
			}
			out.blobs[c.Path] = c.New
		case path.Clean(dir) == "schedules/holds" && c.New != "":
			holds = append(holds, name)
		}
	}
	if len(out.blobs) == 0 && len(holds) == 0 {
		return out, nil
	}
	repo, err := f.Desired(ctx, commit)
	if isContent(err) {
		return out, nil // it says nothing that could count
	}
	if err != nil {
		return brought{}, err
	}
	for _, name := range holds {
		if h := repo.Holds[name]; h.Kind == "revocation" {
			out.revokes = append(out.revokes, h)
		}
	}
	if len(out.blobs) == 1 {
		for file := range out.blobs {
			parts := strings.Split(file, "/")
			gate := strings.TrimSuffix(parts[4], ".cue")
			if a, ok := repo.Approvals[fleet.CycleID(parts[2])][gate]; ok {
				out.approves, out.plan = parts[2]+"/"+gate, a.Plan
			}
		}
	}
	return out, nil
}

// isContent reports whether an error is about what a commit holds, and not
// about reading it.
func isContent(err error) bool {
	kind := fleet.KindOf(err)
	return err != nil && (kind == fleet.Invalid || kind == fleet.Refused)
}

// fault says why main was not properly reviewed at a commit, "" when it was: a
// merge of two, holding what the reviewed branch held, approved by as many as
// the policy before it asks for. The run and the audit judge by it alike.
func (f *Factory) fault(ctx context.Context, c gitrepo.CommitInfo, parent *fleet.Repository, approvers []string) (string, error) {
	if len(c.Parents) != 2 {
		return noMerge, nil
	}
	same, err := f.asReviewed(ctx, c)
	if err != nil {
		return "", err
	}
	if !same {
		return "holds something else than the branch that was reviewed", nil
	}
	return tooFew(parent, approvers), nil
}

const noMerge = "is a commit on main that is no merge"

// asReviewed reports whether a merge holds exactly what the reviewed branch
// held on top of main: nothing was slipped in while merging. A branch that
// shares no history with main was never a change to it.
func (f *Factory) asReviewed(ctx context.Context, c gitrepo.CommitInfo) (bool, error) {
	base, err := f.Git.MergeBase(ctx, c.Parents[0], c.Parents[1])
	if err != nil {
		return false, err
	}
	reviewed, err := f.Git.Changed(ctx, base, c.Parents[1])
	if err != nil {
		return false, err
	}
	merged, err := f.Git.Changed(ctx, c.Parents[0], c.ID)
	if err != nil {
		return false, err
	}
	return slices.EqualFunc(reviewed, merged, func(x, y gitrepo.Change) bool { return x.Path == y.Path && x.New == y.New && x.NewMode == y.NewMode }), nil
}
