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
	approves string            // "<cycle>/<gate>", "" when it brings no gate's approval or more than one
	plan     fleet.Digest      // that the approval names
	blobs    map[string]string // every approval file it touches → blob, "" where it is removed
	revokes  []fleet.Hold      // revocations in files it adds or changes
	rejects  []fleet.Rejection // in approvals it adds or changes
	cycles   map[string]string // every cycle's file it touches → blob, "" where it is removed
	policy   bool              // it brings a gate's approval, and changes the policy by which that is judged
	changes  []gitrepo.Change
	unread   bool // what it brings could not be read
}

func (f *Factory) broughtBy(ctx context.Context, base, commit string) (brought, error) {
	changes, err := f.Git.Changed(ctx, base, commit)
	if err != nil {
		return brought{}, err
	}
	out := brought{changes: changes}
	var holds, gates []string
	operator := false
	for _, c := range changes {
		dir, file := path.Split(c.Path)
		name, cue := strings.CutSuffix(file, ".cue")
		id, inCatalog := strings.CutPrefix(path.Clean(dir), "catalog/")
		switch parts := strings.Split(c.Path, "/"); {
		case !cue:
		case inCatalog && strings.Count(id, "/") == 1 && c.Old == "" && name != "package":
			out.releases = append(out.releases, id+"@"+fleet.VersionOfFile(name))
		case len(parts) == 5 && parts[0] == "schedules" && parts[1] == "cycles" && parts[3] == "approvals":
			out.blob(c)
			gates = append(gates, c.Path)
		case len(parts) == 4 && parts[0] == "schedules" && parts[1] == "cycles" && file == "cycle.cue":
			out.cycle(c)
		case c.Path == operatorFile:
			operator = true
		case path.Clean(dir) == "schedules/holds" && c.New != "":
			holds = append(holds, name)
		}
	}
	out.policy = operator && len(gates) > 0
	for _, c := range changes {
		if _, _, ok := fleet.TenantApprovalOf(c.Path); ok {
			out.blob(c)
		}
	}
	if len(out.blobs) == 0 && len(holds) == 0 {
		return out, nil
	}
	repo, err := f.Desired(ctx, commit)
	if isContent(err) {
		out.unread = true
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
	out.gates(repo, gates)
	for _, c := range changes {
		t, id, ok := fleet.TenantApprovalOf(c.Path)
		if a := repo.TenantApprovals[t][id]; ok && a.Decision == rejected {
			out.rejects = append(out.rejects, fleet.Rejection{Cycle: id, Tenant: t, Because: a.Because})
		}
	}
	return out, nil
}

// gates notes what files of gates' approvals say.
func (b *brought) gates(repo *fleet.Repository, files []string) {
	for _, file := range files {
		parts := strings.Split(file, "/")
		gate := strings.TrimSuffix(parts[4], ".cue")
		a, ok := repo.Approvals[fleet.CycleID(parts[2])][gate]
		if ok && len(files) == 1 {
			b.approves, b.plan = parts[2]+"/"+gate, a.Plan
		}
		if ok && a.Decision == rejected {
			b.rejects = append(b.rejects, fleet.Rejection{Cycle: fleet.CycleID(parts[2]), Gate: gate, Because: a.Because})
		}
	}
}

const (
	rejected     = "rejected"
	operatorFile = "tenants/operator.cue"
)

func (b *brought) blob(c gitrepo.Change) {
	if b.blobs == nil {
		b.blobs = map[string]string{}
	}
	b.blobs[c.Path] = c.New
}

func (b *brought) cycle(c gitrepo.Change) {
	if b.cycles == nil {
		b.cycles = map[string]string{}
	}
	b.cycles[c.Path] = c.New
}

// isContent reports whether an error is about what a commit holds, and not
// about reading it.
func isContent(err error) bool {
	kind := fleet.KindOf(err)
	return err != nil && (kind == fleet.Invalid || kind == fleet.Refused)
}

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
