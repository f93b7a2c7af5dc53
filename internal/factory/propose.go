package factory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"strings"

	"github.com/packmill/packmill/internal/edge/upstream"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/rules/bump"
	"github.com/packmill/packmill/internal/rules/change"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/view"
)

// A Proposed is a finding and what came of it.
type Proposed struct {
	Finding
	Release *fleet.Release // nil unless the version could become one
	Pull    fleet.Pull     // zero unless there is a pull request
	Changed bool           // something was written at the forge
	Note    string         // for people: "superseded 12", "declined in 11"
	// standing is a Note that the next run would say too, for the issue of all
	// packages.
	standing string
	declined int // the pull request that a person closed, 0 for none
}

// Propose looks at upstreams and makes one pull request for each package with a
// new version, and one for each group of packages that policy names. Bytes are
// downloaded, hashed and read before anything is written, and the changed tree
// is checked before anything leaves this machine: a failure anywhere leaves no
// half of a proposal.
//
// A package has one open pull request at most, but for what a group that was
// reviewed goes on proposing. When a newer version comes, the pull request of
// the older one is closed with a word on which replaced it, and a new one
// opened: its reviews were of other bytes. One that a person closed without
// merging is declined until somebody reopens it or says retry. A branch that
// somebody else committed to is left alone. A second run that finds nothing new
// downloads nothing and writes nothing.
//
// Policy bounds how many are opened; what does not fit waits for a later run. A
// look at all packages also keeps the issue that lists them.
//
// What several packages install is downloaded once, where all have it from one
// address.
//
// One package's failure does not stop the others: errors are joined.
func (f *Factory) Propose(ctx context.Context, look Look) (_ []Proposed, err error) {
	if f.Forge == nil {
		return nil, fleet.Errorf(fleet.Invalid, "factory.propose", "", "a pull request needs a forge (GITHUB_REPOSITORY, GITHUB_TOKEN)")
	}
	if look.Said, err = f.takeCommands(ctx, look); err != nil {
		return nil, err
	}
	findings, err := f.Detect(ctx, look)
	if err != nil {
		return nil, err
	}
	defer f.foresee(ctx, look, findings)()
	// Whether somebody committed to a proposal is told by its branch as it is now.
	if err := f.Git.Fetch(ctx); err != nil {
		return nil, err
	}
	pulls, err := f.Forge.Pulls(ctx, "all")
	if err != nil {
		return nil, err
	}
	round, err := f.round(look, pulls)
	if err != nil {
		return nil, err
	}
	round.got = newPool(look.Repo, findings)
	defer func() { err = errors.Join(err, round.got.remove()) }()
	out := make([]Proposed, len(findings))
	for i, finding := range findings {
		out[i] = Proposed{Finding: finding}
	}
	if err := f.beginDashboard(ctx, look, out); err != nil {
		return nil, err
	}
	failures := f.proposeAll(ctx, round, findings, out)
	if ctx.Err() != nil {
		return out, ctx.Err()
	}
	f.progress(len(findings), len(findings), "propose")
	if err := f.stopHeld(ctx, round, out); err != nil {
		failures = append(failures, err)
	}
	if err := f.dashboard(ctx, look, out); err != nil {
		failures = append(failures, err)
	}
	if len(failures) == 0 {
		err = f.Upstream.Keep()
	}
	return out, errors.Join(append(failures, err)...)
}

// proposeOne makes the pull request of one new version.
func (f *Factory) proposeOne(ctx context.Context, round *round, out *Proposed) error {
	look := round.look
	id, branch := out.Package, BumpBranch(out.Package, out.Found)
	stop := func(why string) bool {
		out.Note, out.standing = why, why
		return why != ""
	}
	number, err := f.declined(ctx, round, id, out.Found)
	if err != nil || stop(declinedWords(number, id)) {
		out.declined = number
		return err
	}
	who, err := f.strangers(ctx, look.Repo.Commit, branch)
	if err != nil {
		return err
	}
	if who != "" {
		out.Pull, _ = round.openOn(branch)
		stop(leftAlone(who, branch))
		return nil
	}
	if stop(round.full([]fleet.PackageID{id}, branch)) {
		return nil
	}
	if out.Release == nil { // a group may have drafted it
		release, err := f.proposed(ctx, look.Repo.Packages[id], out.Finding, branch, round.lifted(out.Finding))
		if err != nil {
			out.Finding, err = held(ctx, out.Finding, err)
			return err
		}
		if out.Release = release; release == nil {
			release, err := f.draft(ctx, look.Repo, out.Finding, round.got)
			if err := out.drafted(ctx, release, err); err != nil || out.Release == nil {
				return err
			}
		}
	}
	b, err := f.bump(ctx, look, out.Finding, *out.Release)
	if err != nil {
		return err
	}
	pull := view.BumpPull(b)
	spec := fleet.PullSpec{Branch: branch, Title: pull.Title, Body: pull.Text, Labels: append([]string{"bump"}, round.limits.Labels[out.Release.Change]...)}
	files := map[string][]byte{desired.ReleasePath(id, out.Found): desired.ReleaseFile(out.Found, *out.Release)}
	if out.Pull, out.Changed, err = f.propose(ctx, look.Repo.Commit, proposal{files: files, spec: spec}); err != nil {
		return err
	}
	round.opened([]fleet.PackageID{id}, branch)
	if err := f.supersede(ctx, out, round.pulls); err != nil {
		return err
	}
	return f.askOwners(ctx, round, out, desired.ReleasePath(id, out.Found))
}

// leftAlone says why a branch is not touched.
func leftAlone(who, branch string) string {
	return "left alone: " + who + " committed to " + branch + "; delete the branch to have it made anew"
}

// superseded begins what packmill says when it closes a pull request that another
// one replaces: such a one was not declined.
const superseded = "Superseded"

// supersede closes the package's other open pull requests.
func (f *Factory) supersede(ctx context.Context, out *Proposed, pulls []fleet.Pull) error {
	prefix := BumpBranch(out.Package, "")
	for _, p := range pulls {
		if p.State != "open" || p.Branch == out.Pull.Branch || !strings.HasPrefix(p.Branch, prefix) {
			continue
		}
		text := fmt.Sprintf(superseded+" by #%d, which proposes %s.", out.Pull.Number, view.Code(out.Found))
		if err := f.Forge.Close(ctx, p.Number, text); err != nil {
			return err
		}
		out.Changed = true
		out.Note = fmt.Sprintf("supersedes pull request %d", p.Number)
	}
	return nil
}

// proposed is the release that the version's branch proposes already, nil when
// there is none or it is not what would be proposed now: main has moved on, for
// example. A vendor that states other bytes than those that people are looking
// at is a hold.
func (f *Factory) proposed(ctx context.Context, p fleet.Package, finding Finding, branch string, lifted map[string]string) (*fleet.Release, error) {
	head, err := f.remoteBranch(branch)
	if err != nil || head == "" {
		return nil, err
	}
	repo, err := f.Desired(ctx, head)
	if err != nil {
		// What we once proposed may not be valid on top of today's main.
		f.Log.Debug("the proposed tree is not valid", "branch", branch, "error", err)
		return nil, nil
	}
	have, ok := repo.Packages[p.ID].Releases[finding.Found]
	if !ok {
		return nil, nil
	}
	return proposes(p, finding, have, branch, lifted)
}

// proposes is a release of a branch if it is what would be proposed now, nil if
// it is not. What the release is may have come to be known meanwhile: that is as
// it would be proposed now, and its bytes are those that people look at.
func proposes(p fleet.Package, finding Finding, have fleet.Release, branch string, lifted map[string]string) (*fleet.Release, error) {
	want := newRelease(p, finding)
	if have.Counter != want.Counter || have.Epoch != want.Epoch {
		return nil, nil
	}
	have.Change, have.Fixes = want.Change, want.Fixes
	if p.Kind == "configuration" {
		if !maps.Equal(have.Files, finding.Payload) {
			return nil, nil
		}
		return &have, nil
	}
	for _, key := range p.InstallerKeys() {
		d, at := have.Installers[key], finding.Upstream.Installers[key]
		if d.URL != at.URL || d.PURL != at.PURL {
			return nil, nil
		}
		if at.Digest != "" && d.SHA256 != at.Digest {
			err := fmt.Errorf("installer %s: %s proposes %s, the vendor now states %s; delete the branch to propose the new bytes", key, branch, d.SHA256.Short(), at.Digest.Short())
			if lifted[fleet.HoldChangedHash] == err.Error() {
				return nil, nil
			}
			return nil, &upstream.Hold{Name: fleet.HoldChangedHash, Err: err}
		}
	}
	return &have, nil
}

// bump is what is known about a release: what the change does, in the field's
// words.
func (f *Factory) bump(ctx context.Context, look Look, finding Finding, release fleet.Release) (view.Bump, error) {
	head := withRelease(look.Repo, finding.Package, finding.Found, release)
	c := change.Compare(look.Repo, head, change.Options{Devices: look.Devices, Now: f.Clock.Now()})
	for _, r := range c.Releases {
		if r.Package == finding.Package && r.To == finding.Found {
			b := view.Bump{Change: c, Release: r, Unheld: finding.Unheld, Agreement: finding.Agreement, Notes: finding.Upstream.Notes, NotesFrom: finding.Upstream.NotesURL}
			p := look.Repo.Packages[r.Package]
			if b.NotesFrom == "" && p.Upstream != nil {
				b.NotesFrom = upstream.FeedName(p.Upstream.From)
			}
			b.Major = bump.Class(p, r.To) == "major"
			b.Known = f.weaknesses(ctx, look, p, release, b.Notes)
			return b, nil
		}
	}
	return view.Bump{}, fleet.Errorf(fleet.Internal, "factory.propose", string(finding.Package), "the change does not hold its own release")
}

// BumpBranch is the branch that proposes a version: bump/<package>/<version>.
// What git allows in no branch name stands as % and two hex digits.
func BumpBranch(id fleet.PackageID, version string) string {
	var b strings.Builder
	for i := range len(version) {
		c := version[i]
		switch {
		case c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', strings.IndexByte("+_-", c) >= 0:
			b.WriteByte(c)
		case c == '.' && i > 0 && i < len(version)-1 && version[i-1] != '.' && version[i:] != ".lock":
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return path.Join("bump", string(id)) + "/" + b.String()
}

// DetectAndPropose is the week's look upstream on the facts at hand. It returns
// what was found, for evidence.
func (f *Factory) DetectAndPropose(ctx context.Context, facts rollout.Facts) ([]fleet.Detection, error) {
	tree, err := f.Git.Tree(facts.Repo.Commit)
	if err != nil {
		return nil, err
	}
	proposed, err := f.Propose(ctx, Look{
		Repo: facts.Repo, Seen: Seen(facts.Record.Detections), Fixed: Fixed(facts.Record.Detections), Read: tree.Read, Devices: Devices(facts.Record), Record: facts.Record, Recheck: RecheckFor,
	})
	out := make([]fleet.Detection, len(proposed))
	for i, p := range proposed {
		out[i] = p.Detection
	}
	return out, err
}
