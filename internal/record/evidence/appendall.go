package evidence

import (
	"context"
	"errors"
)

// A Batch is rows for one folder of one branch.
type Batch struct {
	Branch string
	Dir    string
	Rows   any // as Append takes them
}

// AppendAll writes batches, of which several may be for one branch, and sends
// them to the remote in one push instead of one each. It is not all or nothing:
// if someone else wrote to one of the branches first, the batches are appended
// one by one, and those that are there already are not written again.
func (l *Ledger) AppendAll(ctx context.Context, batches []Batch) error {
	err := l.appendTogether(ctx, batches, false)
	if !errors.Is(err, errMoved) {
		return err
	}
	for _, b := range batches {
		if err := l.again(ctx, b.Branch, nil); err != nil {
			return err
		}
		if err := l.Append(ctx, b.Branch, b.Dir, b.Rows); err != nil {
			return err
		}
	}
	return nil
}

// ErrOvertaken says that another writer appended to a branch since it was read.
var ErrOvertaken = errors.New("another writer has appended since evidence was read")

// AppendNext writes batches as AppendAll does, but only to branches that hold
// what the last Read gave and what this ledger appended since. Otherwise it is
// ErrOvertaken: what the batches say was decided without knowing what another
// writer says. Branches on which nobody else wrote may have theirs by then.
func (l *Ledger) AppendNext(ctx context.Context, batches []Batch) error {
	err := l.appendTogether(ctx, batches, true)
	if errors.Is(err, errMoved) {
		return ErrOvertaken
	}
	return err
}

// appendTogether makes all commits, pushes them at once, and moves the local
// branches. next asks that nobody else wrote to them since they were read.
func (l *Ledger) appendTogether(ctx context.Context, batches []Batch, next bool) error {
	local, remote, commits, before := map[string]string{}, map[string]string{}, map[string]string{}, map[string]string{}
	var branches []string
	for _, b := range batches {
		payload, err := l.payload(b.Branch, b.Dir, b.Rows)
		if err != nil {
			return err
		}
		if len(payload) == 0 {
			continue
		}
		if _, seen := commits[b.Branch]; !seen {
			if local[b.Branch], remote[b.Branch], err = l.refs(b.Branch); err != nil {
				return err
			}
			if commits[b.Branch], err = l.longer(b.Branch, local[b.Branch], remote[b.Branch]); err != nil {
				return err
			}
			if next && !l.knows(b.Branch, commits[b.Branch]) {
				return errMoved
			}
			before[b.Branch] = commits[b.Branch]
			branches = append(branches, b.Branch)
		}
		commit, err := l.extend(ctx, b.Branch, commits[b.Branch], b.Dir, payload)
		if err != nil {
			return l.broken(b.Branch, "", err)
		}
		if commit != "" {
			commits[b.Branch] = commit
		}
	}
	push := map[string]string{}
	for _, branch := range branches {
		if remote[branch] != commits[branch] {
			push[branch] = commits[branch]
		}
	}
	if l.git.HasRemote() && len(push) > 0 {
		if err := l.git.Push(ctx, push); err != nil {
			return l.moved(ctx, err)
		}
	}
	for _, branch := range branches {
		l.appended(branch, before[branch], commits[branch])
		if local[branch] == commits[branch] {
			continue
		}
		err := l.git.SetBranch(branch, local[branch], commits[branch])
		if err != nil && !(l.git.HasRemote() && errors.Is(err, errMoved)) {
			return l.moved(ctx, err)
		}
	}
	return nil
}

// moved passes on what AppendAll acts on, and names the ledger in the rest.
func (l *Ledger) moved(ctx context.Context, err error) error {
	if errors.Is(err, errMoved) || ctx.Err() != nil {
		return err
	}
	return l.broken("evidence", "", err)
}

// haveRead notes up to which commit branches were read.
func (l *Ledger) haveRead(tips map[string]string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known = tips
}

// knows reports whether a branch is where it was read or appended to last.
func (l *Ledger) knows(branch, tip string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known == nil || l.known[branch] == tip
}

// appended notes an append, if nothing unknown came before it.
func (l *Ledger) appended(branch, before, after string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known != nil && l.known[branch] == before {
		l.known[branch] = after
	}
}
