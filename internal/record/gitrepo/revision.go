package gitrepo

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"

	"github.com/packmill/packmill/internal/fleet"
)

// minPrefix is how many hex digits may stand for an object id, as in git.
const minPrefix = 4

// Resolve gives the commit a revision names: a full ref name, HEAD, a branch,
// a branch of the remote ("origin/x", or "x" if there is no local one), a tag
// or an id of at least four digits, followed by any number of ^, ^N and ~N.
// What it does not know is Invalid.
func (r *Repo) Resolve(rev string) (string, error) {
	name, steps := rev, ""
	if i := strings.IndexAny(rev, "^~"); i >= 0 {
		name, steps = rev[:i], rev[i:]
	}
	id, err := r.named(name)
	if err != nil {
		return "", err
	}
	for steps != "" {
		op := steps[0]
		digits := len(steps[1:]) - len(strings.TrimLeft(steps[1:], "0123456789"))
		n := 1
		if digits > 0 {
			if n, err = strconv.Atoi(steps[1 : 1+digits]); err != nil {
				return "", unknown(rev)
			}
		}
		steps = steps[1+digits:]
		if steps != "" && steps[0] != '^' && steps[0] != '~' {
			return "", unknown(rev)
		}
		if id, err = r.step(id, op, n); err != nil {
			return "", err
		}
	}
	return id.String(), nil
}

func unknown(rev string) error {
	return &fleet.Error{Op: "gitrepo.resolve", Object: rev, Kind: fleet.Invalid, Err: errors.New("is no branch, tag or commit of this repository"),
		Hint: "git fetch, or look at: git branch --all"}
}

// step goes from a commit to its n-th parent (^) or n parents back (~).
func (r *Repo) step(id plumbing.Hash, op byte, n int) (plumbing.Hash, error) {
	times, parent := 1, n
	if op == '~' {
		times, parent = n, 1
	}
	for ; times > 0 && parent > 0; times-- {
		c, err := r.readCommit(id)
		if err != nil {
			return id, err
		}
		if len(c.parents) < parent {
			return id, fleet.Errorf(fleet.Invalid, "gitrepo.resolve", id.String(), "has no parent number %d", parent)
		}
		id = c.parents[parent-1]
	}
	return id, nil
}

// named is the commit of a name without ^ and ~.
func (r *Repo) named(name string) (plumbing.Hash, error) {
	if plumbing.IsHash(name) {
		return r.peel(plumbing.NewHash(strings.ToLower(name)), name)
	}
	refs := []string{"refs/heads/" + name, "refs/remotes/" + remoteName + "/" + name, "refs/remotes/" + name, "refs/tags/" + name}
	if name == "HEAD" || strings.HasPrefix(name, "refs/") {
		refs = []string{name}
	}
	for _, full := range refs {
		ref, err := storer.ResolveReference(r.store, plumbing.ReferenceName(full))
		if err == nil {
			return r.peel(ref.Hash(), name)
		}
		if !errors.Is(err, plumbing.ErrReferenceNotFound) {
			return plumbing.ZeroHash, fleet.Errorf(fleet.Invalid, "gitrepo.resolve", name, "the ref cannot be read: %w", err)
		}
	}
	return r.abbreviated(name)
}

// abbreviated is the one commit whose id begins with the given hex digits.
func (r *Repo) abbreviated(digits string) (plumbing.Hash, error) {
	digits = strings.ToLower(digits)
	even := digits[:len(digits)/2*2]
	prefix, err := hex.DecodeString(even)
	if err != nil || len(digits) < minPrefix || strings.Trim(digits, "0123456789abcdef") != "" {
		return plumbing.ZeroHash, unknown(digits)
	}
	ids, err := r.store.HashesWithPrefix(prefix)
	if err != nil {
		return plumbing.ZeroHash, fleet.Errorf(fleet.Internal, "gitrepo.resolve", digits, "%w", err)
	}
	ids = slices.DeleteFunc(ids, func(id plumbing.Hash) bool {
		if !strings.HasPrefix(id.String(), digits) {
			return true
		}
		_, err := r.store.EncodedObject(plumbing.CommitObject, id)
		return err != nil
	})
	switch len(ids) {
	case 0:
		return plumbing.ZeroHash, unknown(digits)
	case 1:
		return ids[0], nil
	}
	return plumbing.ZeroHash, &fleet.Error{Op: "gitrepo.resolve", Object: digits, Kind: fleet.Invalid,
		Err: errors.New("is the beginning of several commits' ids"), Hint: "give more digits"}
}

// peel follows annotated tags to the commit.
func (r *Repo) peel(id plumbing.Hash, name string) (plumbing.Hash, error) {
	for range 8 {
		o, err := r.store.EncodedObject(plumbing.AnyObject, id)
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			return id, unknown(name)
		}
		if err != nil {
			return id, fleet.Errorf(fleet.Internal, "gitrepo.resolve", name, "%w", err)
		}
		switch o.Type() {
		case plumbing.CommitObject:
			return id, nil
		case plumbing.TagObject:
			tag, err := object.DecodeTag(r.store, o)
			if err != nil {
				return id, fleet.Errorf(fleet.Invalid, "gitrepo.resolve", name, "tag is malformed: %w", err)
			}
			id = tag.Target
		default:
			return id, fleet.Errorf(fleet.Invalid, "gitrepo.resolve", name, "is a %s, not a commit", o.Type())
		}
	}
	return id, fleet.Errorf(fleet.Invalid, "gitrepo.resolve", name, "is a tag of a tag of a tag, without end")
}

// Main is the commit that says what is desired: origin/main when there is a
// remote (Fetch first), else main.
func (r *Repo) Main() (string, error) {
	name := "refs/heads/" + mainBranch
	hint := "make a first commit on " + mainBranch
	if r.HasRemote() {
		name = "refs/remotes/" + remoteName + "/" + mainBranch
		hint = "git fetch " + remoteName + ", or push " + mainBranch + " if the remote is empty"
	}
	id, err := r.Ref(name)
	if err == nil && id == "" && r.HasRemote() {
		id, err = r.refAtRest(name)
	}
	if err == nil && id == "" {
		err = &fleet.Error{Op: "gitrepo.main", Object: name, Kind: fleet.Invalid, Err: errors.New("there is no such branch"), Hint: hint}
	}
	return id, err
}

// refAtRest reads a ref of the remote while nobody fetches: another process that
// fetches into this clone drops refs and puts back what must not be gone.
func (r *Repo) refAtRest(name string) (string, error) {
	unlock, err := r.lockFile(context.Background(), fetchLock)
	if err != nil {
		return "", nil // a clone that nobody may write to rests
	}
	defer unlock()
	return r.Ref(name)
}

// Ref is the commit a full ref name points at, "" when there is none.
func (r *Repo) Ref(name string) (string, error) {
	ref, err := storer.ResolveReference(r.store, plumbing.ReferenceName(name))
	if errors.Is(err, plumbing.ErrReferenceNotFound) {
		return "", nil
	}
	if err != nil {
		return "", fleet.Errorf(fleet.Internal, "gitrepo.ref", name, "%w", err)
	}
	return ref.Hash().String(), nil
}

// Refs lists the refs whose full names begin with prefix, with the objects
// they point at: Refs("refs/heads/bump/").
func (r *Repo) Refs(prefix string) (map[string]string, error) {
	iter, err := r.store.IterReferences()
	if err != nil {
		return nil, fleet.Errorf(fleet.Internal, "gitrepo.refs", prefix, "%w", err)
	}
	defer iter.Close()
	out := map[string]string{}
	err = iter.ForEach(func(ref *plumbing.Reference) error {
		name := ref.Name().String()
		if ref.Type() == plumbing.HashReference && strings.HasPrefix(name, prefix) {
			out[name] = ref.Hash().String()
		}
		return nil
	})
	if err != nil {
		return nil, fleet.Errorf(fleet.Internal, "gitrepo.refs", prefix, "%w", err)
	}
	return out, nil
}
