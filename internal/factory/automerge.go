package factory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// AutoMerge merges a pull request of packmill's own, as rollout.Step asks for:
// the approval of a wave after a pass, or the revocation of a release that
// failed. It does so only while the pull request is exactly what packmill would
// propose now, one added file and nothing else, every check passed and nobody
// objects. What is not ready yet is said and is no error.
func (f *Factory) AutoMerge(ctx context.Context, facts rollout.Facts, a rollout.Action) (string, error) {
	p, err := f.proposalOf(facts, a)
	if err != nil {
		return "", err
	}
	pull, found, err := f.openPull(ctx, p.spec.Branch)
	if err != nil {
		return "", err
	}
	if !found {
		return "no pull request of " + p.spec.Branch + " is open yet", nil
	}
	if err := f.ownPull(ctx, facts, pull, p); err != nil {
		return "", err
	}
	if why, err := f.unready(ctx, pull); err != nil || why != "" {
		return pullNote(pull) + " waits: " + why, err
	}
	if moved, err := f.moved(ctx, facts.Repo.Commit); err != nil || moved {
		return pullNote(pull) + " waits: main has moved", err
	}
	_, err = f.Forge.Merge(ctx, pull.Number, pull.Head)
	if err != nil && fleet.KindOf(err) == fleet.Waiting {
		return "", &fleet.Error{Op: "factory.merge", Object: numbered(pull), Kind: fleet.Stalled, Err: err,
			Hint: "let packmill's app pass the rule that asks for reviews, as docs/configuration.md says, or review it"}
	}
	return "merged by itself, " + pullNote(pull), err
}

// proposalOf is the proposal that an action is about.
func (f *Factory) proposalOf(facts rollout.Facts, a rollout.Action) (proposal, error) {
	if len(a.Packages) > 0 {
		return revocationProposal(facts, a), nil
	}
	return approvalProposal(facts, a.Cycle, a.Wave)
}

// openPull is the open pull request of a branch into main.
func (f *Factory) openPull(ctx context.Context, branch string) (fleet.Pull, bool, error) {
	if f.Forge == nil {
		return fleet.Pull{}, false, fleet.Errorf(fleet.Invalid, "factory.merge", branch, "merging needs a forge (GITHUB_REPOSITORY, GITHUB_TOKEN)")
	}
	pulls, err := f.Forge.Pulls(ctx, "open")
	if err != nil {
		return fleet.Pull{}, false, err
	}
	i := slices.IndexFunc(pulls, func(p fleet.Pull) bool { return p.Branch == branch && p.Base == "main" })
	if i < 0 {
		return fleet.Pull{}, false, nil
	}
	pull, err := f.Forge.Pull(ctx, pulls[i].Number)
	return pull, err == nil, err
}

// ownPull refuses a pull request that is not packmill's own, or does anything
// but add the one file that packmill would propose, byte for byte: somebody has
// something to say there, and people settle it.
func (f *Factory) ownPull(ctx context.Context, facts rollout.Facts, pull fleet.Pull, p proposal) error {
	refuse := func(format string, args ...any) error {
		return &fleet.Error{Op: "factory.merge", Object: numbered(pull), Kind: fleet.Stalled, Err: fmt.Errorf(format, args...),
			Hint: "review and merge it as people, or close it and delete its branch"}
	}
	if app := facts.Repo.Operator.Trust.App; !strings.EqualFold(pull.Author, app) {
		return refuse("was opened by %s, not by packmill's app %s", pull.Author, app)
	}
	if err := f.Git.Fetch(ctx); err != nil {
		return err
	}
	head, err := f.remoteBranch(p.spec.Branch)
	if err != nil {
		return err
	}
	if head != pull.Head {
		return refuse("its branch is at %s, the pull request at %s", head, pull.Head)
	}
	base, err := f.Git.MergeBase(ctx, facts.Repo.Commit, head)
	if err != nil {
		return err
	}
	changes, err := f.Git.Changed(ctx, base, head)
	if err != nil {
		return err
	}
	if len(changes) != 1 || changes[0].Old != "" || changes[0].NewMode != "100644" {
		return refuse("does something else than add one file")
	}
	want, ok := p.files[changes[0].Path]
	if !ok {
		return refuse("adds %s", changes[0].Path)
	}
	have, err := f.Git.ReadBlob(changes[0].New)
	if err != nil {
		return err
	}
	if !bytes.Equal(have, want) {
		return refuse("%s says something else than packmill proposes", changes[0].Path)
	}
	return nil
}

// unready says what a pull request still waits for, "" when it may be merged.
// What waits for people is an error.
func (f *Factory) unready(ctx context.Context, pull fleet.Pull) (string, error) {
	stalled := func(text, hint string) error {
		return &fleet.Error{Op: "factory.merge", Object: numbered(pull), Kind: fleet.Stalled, Err: errors.New(text), Hint: hint}
	}
	reviews, err := f.Forge.Reviews(ctx, pull.Number)
	if err != nil {
		return "", err
	}
	if who := rollout.Objections(reviews, f.Clock.Now()); len(who) > 0 {
		return "", stalled("changes were requested by "+strings.Join(who, ", "), "settle it with them, or close the pull request")
	}
	required, err := f.Forge.Required(ctx, "main")
	if err != nil {
		return "", err
	}
	if len(required) == 0 {
		return "", stalled("main requires no check, so nothing speaks for it", "require the check validate on main, as docs/configuration.md says")
	}
	checks, err := f.Forge.Checks(ctx, pull.Head)
	if err != nil {
		return "", err
	}
	state := map[string]string{}
	for _, name := range required {
		state[name] = "is not there yet"
	}
	for _, c := range checks {
		state[c.Name] = c.Conclusion
	}
	for _, name := range slices.Sorted(maps.Keys(state)) {
		switch state[name] {
		case "success", "neutral", "skipped":
		case "is not there yet", "pending", "queued", "in_progress":
			return "check " + name + " " + state[name], nil
		default:
			return "", stalled("check "+name+": "+state[name], "look at the check; people may still merge it")
		}
	}
	return "", nil
}

func numbered(p fleet.Pull) string { return fmt.Sprintf("pull request #%d", p.Number) }
