package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	git "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/transport"

	"github.com/packmill/packmill/internal/fleet"
)

// fetchAll brings every branch of the remote. Forced, because bump branches
// are rewritten; which branches must not be is checked after fetching.
const fetchAll = config.RefSpec("+refs/heads/*:refs/remotes/" + remoteName + "/*")

// fetchLock is the file that is locked while the remote's refs are brought.
const fetchLock = "packmill-fetch.lock"

// ErrNotFastForward says that the remote's branch holds commits the pushed one
// does not come from: someone else pushed first. Fetch, decide anew, push.
var ErrNotFastForward = errors.New("the remote's branch has moved on")

// ErrRewritten says that a branch which only ever grows lost commits at the
// remote.
var ErrRewritten = errors.New("history was rewritten at the remote")

// Push pushes refspecs such as "refs/heads/x:refs/heads/x",
// "<commit id>:refs/heads/x" or ":refs/heads/x" (remove). What the remote
// already has is not an error. A push that is no fast-forward fails with an
// error that is ErrNotFastForward, kind Waiting; a protected branch is Refused.
//
// Without a remote the refspecs are applied to the repository's own branches.
func (r *Repo) Push(ctx context.Context, refspecs []string, force bool) error {
	specs := make([]config.RefSpec, len(refspecs))
	for i, s := range refspecs {
		specs[i] = config.RefSpec(s)
		if err := specs[i].Validate(); err != nil || specs[i].IsWildcard() {
			return fleet.Errorf(fleet.Invalid, "gitrepo.push", s, "is no refspec packmill pushes")
		}
	}
	if len(specs) == 0 {
		return nil
	}
	if !r.HasRemote() {
		return r.pushHere(ctx, specs, force)
	}
	err := r.git.PushContext(ctx, &git.PushOptions{RemoteName: remoteName, RefSpecs: specs, Auth: r.auth.method(), Force: force})
	if err == nil || errors.Is(err, git.NoErrAlreadyUpToDate) {
		return nil
	}
	return remoteError("gitrepo.push", strings.Join(refspecs, " "), r.auth, err)
}

// Replace makes a branch of the remote stand at the commit new if it still
// stands at old, "" for a branch that is not there: what others pushed meanwhile
// is not overwritten, and the error then is ErrNotFastForward, kind Waiting.
func (r *Repo) Replace(ctx context.Context, branch, old, new string) error {
	spec := new + ":refs/heads/" + branch
	if err := plumbing.NewBranchReferenceName(branch).Validate(); err != nil {
		return fleet.Errorf(fleet.Invalid, "gitrepo.push", branch, "is no name of a branch")
	}
	if !r.HasRemote() {
		return r.SetBranch(branch, old, new)
	}
	if old == "" {
		return r.Push(ctx, []string{spec}, false)
	}
	options := &git.PushOptions{
		RemoteName: remoteName, RefSpecs: []config.RefSpec{config.RefSpec(spec)}, Auth: r.auth.method(), Force: true,
		RequireRemoteRefs: []config.RefSpec{config.RefSpec(old + ":refs/heads/" + branch)},
	}
	for _, s := range append(options.RefSpecs, options.RequireRemoteRefs...) {
		if err := s.Validate(); err != nil || s.IsWildcard() {
			return fleet.Errorf(fleet.Invalid, "gitrepo.push", s.String(), "is no refspec packmill pushes")
		}
	}
	err := r.git.PushContext(ctx, options)
	if err == nil || errors.Is(err, git.NoErrAlreadyUpToDate) {
		return nil
	}
	return remoteError("gitrepo.push", spec, r.auth, err)
}

// pushHere applies refspecs to the repository's own branches.
func (r *Repo) pushHere(ctx context.Context, specs []config.RefSpec, force bool) error {
	for _, s := range specs {
		target := s.Dst("")
		branch, ok := strings.CutPrefix(target.String(), "refs/heads/")
		if !ok {
			return fleet.Errorf(fleet.Invalid, "gitrepo.push", s.String(), "names no branch to push to")
		}
		old, err := r.Ref(target.String())
		if err != nil {
			return err
		}
		new := ""
		if !s.IsDelete() {
			if new, err = r.Resolve(s.Src()); err != nil {
				return err
			}
		}
		if old == new {
			continue
		}
		if old != "" && new != "" && !force && !s.IsForceUpdate() {
			grown, err := r.IsAncestor(ctx, old, new)
			if err != nil {
				return err
			}
			if !grown {
				return notFastForward(s.String())
			}
		}
		if err := r.SetBranch(branch, old, new); err != nil {
			return err
		}
	}
	return nil
}

// Fetch brings all branches of the remote into refs/remotes/origin and drops
// those the remote dropped. Without a remote it does nothing.
//
// main and evidence/* only ever grow: if one of them lost commits or is gone,
// the old one is kept and the error is ErrRewritten, kind Refused.
func (r *Repo) Fetch(ctx context.Context) error {
	return r.fetch(ctx, []config.RefSpec{fetchAll}, true)
}

// FetchBranch is Fetch for one branch; that the remote has no such branch is no
// error.
func (r *Repo) FetchBranch(ctx context.Context, branch string) error {
	spec := config.RefSpec(fmt.Sprintf("+refs/heads/%s:refs/remotes/%s/%s", branch, remoteName, branch))
	if err := spec.Validate(); err != nil || spec.IsWildcard() {
		return fleet.Errorf(fleet.Invalid, "gitrepo.fetch", branch, "is no name of a branch")
	}
	return r.fetch(ctx, []config.RefSpec{spec}, false)
}

func (r *Repo) fetch(ctx context.Context, specs []config.RefSpec, prune bool) error {
	if !r.HasRemote() {
		return nil
	}
	// Another process that fetches into this clone rewrites the refs that are
	// compared below.
	unlock, err := r.lockFile(ctx, fetchLock)
	if err != nil {
		return err
	}
	defer unlock()
	before, err := r.Refs("refs/remotes/" + remoteName + "/")
	if err != nil {
		return err
	}
	err = r.git.FetchContext(ctx, &git.FetchOptions{
		RemoteName: remoteName, RefSpecs: specs, Auth: r.auth.method(), Tags: git.NoTags, Prune: prune,
	})
	var none git.NoMatchingRefSpecError
	switch {
	case err == nil, errors.Is(err, git.NoErrAlreadyUpToDate):
	case errors.Is(err, transport.ErrEmptyRemoteRepository), errors.As(err, &none):
		return nil
	default:
		return remoteError("gitrepo.fetch", remoteName, r.auth, err)
	}
	return r.checkGrown(ctx, before)
}

// grows reports whether the remote-tracking ref belongs to a branch that only
// ever grows.
func grows(ref string) bool {
	branch := strings.TrimPrefix(ref, "refs/remotes/"+remoteName+"/")
	return branch == mainBranch || strings.HasPrefix(branch, "evidence/")
}

// checkGrown puts back what was rewritten, and says so.
func (r *Repo) checkGrown(ctx context.Context, before map[string]string) error {
	var findings fleet.Errors
	for _, name := range slices.Sorted(maps.Keys(before)) {
		old := before[name]
		if !grows(name) {
			continue
		}
		is, err := r.Ref(name)
		if err != nil {
			return err
		}
		grown := is == old
		if !grown && is != "" {
			if grown, err = r.IsAncestor(ctx, old, is); err != nil {
				return err
			}
		}
		if grown {
			continue
		}
		if err := r.store.SetReference(plumbing.NewHashReference(plumbing.ReferenceName(name), plumbing.NewHash(old))); err != nil {
			return &fleet.Error{Op: "gitrepo.fetch", Object: name, Kind: fleet.Internal, Err: err}
		}
		findings = append(findings, &fleet.Error{
			Op: "gitrepo.fetch", Object: strings.TrimPrefix(name, "refs/remotes/"), Kind: fleet.Refused,
			Err:  fmt.Errorf("%w: it stands at %s, which does not come from %s", ErrRewritten, shown(is), shown(old)),
			Hint: "find out who did it; the old history is kept here",
		})
	}
	if len(findings) > 0 {
		return findings
	}
	return nil
}

func notFastForward(what string) error {
	return &fleet.Error{Op: "gitrepo.push", Object: what, Kind: fleet.Waiting, Err: ErrNotFastForward, Hint: "run the command again: it fetches first"}
}

// raced are the words with which git servers refuse an update because the
// branch is not where the client saw it.
var raced = []string{"non-fast-forward", "fetch first", "cannot lock ref", "failed to update ref", "reference already exists", "stale info", "incorrect old value", "required to be"}

// remoteError gives an error of the network or of the remote its kind, and
// takes credentials out of its text.
func remoteError(op, object string, auth Auth, err error) error {
	text := scrub(err.Error(), auth)
	e := &fleet.Error{Op: op, Object: object, Kind: fleet.Internal, Err: errors.New(text)}
	switch {
	case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		return err
	case containsAny(text, raced):
		return notFastForward(object)
	case strings.Contains(text, "declined") || strings.Contains(text, "hidden ref") || strings.Contains(text, "prohibited"):
		e.Kind = fleet.Refused
		e.Hint = "the branch is protected: changes reach it through a pull request"
	case errors.Is(err, transport.ErrAuthenticationRequired):
		e.Kind = fleet.Refused
		e.Hint = "give a token that may write to the repository"
		if auth.Token != "" {
			e.Hint = "the token was not accepted: it may have expired"
		}
	case errors.Is(err, transport.ErrAuthorizationFailed):
		e.Kind = fleet.Refused
		e.Hint = "the token may not do this: it needs write access to the repository's contents"
	case errors.Is(err, transport.ErrRepositoryNotFound):
		e.Kind = fleet.Invalid
		e.Hint = "look at the remote's address: git remote -v; a token without access to a private repository gives the same answer"
	}
	return e
}

func containsAny(text string, words []string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
}

// userInfo is the part of an address before the host.
func scrubURL(text string) string {
	return regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://)[^/@\s"]+@`).ReplaceAllString(text, "$1")
}

// scrub takes credentials out of a text.
func scrub(text string, auth Auth) string {
	if auth.Token != "" {
		text = strings.ReplaceAll(text, auth.Token, "(hidden)")
	}
	return scrubURL(text)
}
