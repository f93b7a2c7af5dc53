package evidence

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/gitrepo"
)

// Bounds of an append.
const (
	maxRowsBytes = 64 << 20 // what a forge takes as one file without complaint
	maxAttempts  = 20
)

// Append writes rows, a slice of the row type of dir, as one batch. See
// AppendIf.
func (l *Ledger) Append(ctx context.Context, branch, dir string, rows any) error {
	return l.AppendIf(ctx, branch, dir, rows, nil)
}

// AppendIf writes rows as one batch and returns when the branch, and the
// remote's where there is one, holds it. If another writer was first it
// fetches and appends after that writer's batches, but asks still before: an
// error of still ends the append and is returned.
//
// Rows that dir already holds as a batch are not written again, so that a run
// after a crash may repeat what it did. No rows, no batch. Rows with fields
// that tell of a person, rows of another type and rows of tenants of another
// shard are refused; what looks like a mail address is replaced by "(address)".
func (l *Ledger) AppendIf(ctx context.Context, branch, dir string, rows any, still func(context.Context) error) error {
	payload, err := l.payload(branch, dir, rows)
	if err != nil || len(payload) == 0 {
		return err
	}
	for attempt := range maxAttempts {
		if attempt > 0 {
			if err := l.again(ctx, branch, still); err != nil {
				return err
			}
		}
		err := l.appendOnce(ctx, branch, dir, payload)
		if !errors.Is(err, errMoved) {
			return err
		}
	}
	e := fleet.Errorf(fleet.Internal, "evidence.append", branch, "others wrote first %d times in a row", maxAttempts)
	e.Hint = "run it again; only one job may own a shard"
	return e
}

// payload checks rows and gives the bytes of their batch.
func (l *Ledger) payload(branch, dir string, rows any) ([]byte, error) {
	refuse := func(format string, args ...any) ([]byte, error) {
		return nil, fleet.Errorf(fleet.Refused, "evidence.append", branch+":"+dir, format, args...)
	}
	if l.signer == nil {
		return refuse("the ledger was opened without a key to sign with")
	}
	k, _, known := kindOf(l.kinds, dir)
	v := reflect.ValueOf(rows)
	switch {
	case !known || !validPlace(dir):
		return refuse("no facts are kept in this folder")
	case v.Kind() != reflect.Slice || v.Type().Elem() != k.row:
		return refuse("rows of type %T do not belong here, but []%s", rows, k.row)
	case k.control != (branch == Control):
		return refuse("these facts belong to another branch")
	}
	if k.tenants != nil {
		for _, t := range k.tenants(rows) {
			if Shard(t) != branch {
				return refuse("a row of tenant %s belongs to %s", t, Shard(t))
			}
		}
	}
	payload, err := encodeRows(v)
	if err != nil {
		return refuse("%w", err)
	}
	if len(payload) > maxRowsBytes {
		return refuse("%d rows are %d bytes, more than the %d of one batch: append them in parts", v.Len(), len(payload), maxRowsBytes)
	}
	payload = scrub(payload)
	if err := refusePersonal(payload); err != nil {
		return refuse("%w", err)
	}
	return payload, nil
}

// again prepares another attempt after someone else wrote first.
func (l *Ledger) again(ctx context.Context, branch string, still func(context.Context) error) error {
	if err := l.git.Fetch(ctx, branch); err != nil {
		return l.broken(branch, "", err)
	}
	if still == nil {
		return nil
	}
	return still(ctx)
}

// appendOnce tries to put the batch after what is there now. The remote comes
// first: a commit that only this clone has would have to be taken back when
// the remote refuses it.
func (l *Ledger) appendOnce(ctx context.Context, branch, dir string, payload []byte) error {
	fail := func(err error) error {
		if errors.Is(err, errMoved) || ctx.Err() != nil {
			return err
		}
		return l.broken(branch, "", err)
	}
	local, remote, err := l.refs(branch)
	if err != nil {
		return err
	}
	tip, err := l.longer(branch, local, remote)
	if err != nil {
		return err
	}
	commit, err := l.extend(ctx, branch, tip, dir, payload)
	if err != nil {
		return fail(err)
	}
	if commit == "" {
		commit = tip // the rows are there; a run before this one may not have got further
	}
	if l.git.HasRemote() && remote != commit {
		if err := l.git.Push(ctx, map[string]string{branch: commit}); err != nil {
			return fail(err)
		}
	}
	l.appended(branch, tip, commit)
	if local == commit {
		return nil
	}
	err = l.git.SetBranch(branch, local, commit)
	if l.git.HasRemote() && errors.Is(err, errMoved) {
		return nil // another process of this clone moved it; the remote has the batch
	}
	if err != nil {
		return fail(err)
	}
	return nil
}

// extend makes the commit that adds the batch after tip, "" if tip holds the
// rows already.
func (l *Ledger) extend(ctx context.Context, branch, tip, dir string, payload []byte) (string, error) {
	var last statement
	if tip != "" {
		var err error
		if last, err = l.lastStatement(ctx, branch, tip); err != nil {
			return "", err
		}
		if said, err := l.said(ctx, tip, dir, payload); err != nil || said {
			return "", err
		}
	}
	s := statement{
		Branch: branch, Rows: fleet.DigestOf(payload), Previous: last.Head, Parent: tip,
		Author: l.author.Name + " <" + l.author.Email + ">", Key: l.signer.KeyID(), At: later(l.clock.Now(), last.At),
	}
	s.Path = batchPath(branch, dir, s.Previous, s.Rows)
	s.Head = nextHead(s.Previous, s.Path, payload)
	sealed, err := seal(ctx, l.signer, s)
	if err != nil {
		return "", &fleet.Error{Op: "evidence.sign", Object: branch + ":" + s.Path, Kind: fleet.Internal, Err: err}
	}
	spec := gitrepo.CommitSpec{Author: l.author, When: s.At, Message: s.message(), Files: map[string][]byte{
		s.Path: payload,
		strings.TrimSuffix(s.Path, rowsSuffix) + envelopeSuffix: sealed,
	}}
	if tip != "" {
		spec.Parents = []string{tip}
	}
	return l.git.Commit(ctx, spec)
}

// said reports whether a folder holds a batch of exactly these rows: a fact is
// told once.
func (l *Ledger) said(ctx context.Context, commit, dir string, payload []byte) (bool, error) {
	id, err := l.git.WriteBlob(payload)
	if err != nil {
		return false, err
	}
	files, err := l.git.Files(ctx, commit, folderOf(dir, fleet.DigestOf(payload)))
	return slices.ContainsFunc(files, func(f gitrepo.File) bool {
		return f.Blob == id && dirOf(f.Path) == dir && strings.HasSuffix(f.Path, rowsSuffix)
	}), err
}

// lastStatement is the verified statement of the batch a commit added: the
// difference to its parent is one batch, so the ledger's length is no cost.
func (l *Ledger) lastStatement(ctx context.Context, branch, commit string) (statement, error) {
	info, err := l.git.CommitInfo(commit)
	if err != nil {
		return statement{}, l.broken(branch, commit, err)
	}
	rows, sealed, err := l.added(ctx, branch, info)
	if err != nil {
		return statement{}, l.broken(branch, commit, err)
	}
	b, at, err := l.openBatch(branch, rows.Path, rows.New, sealed.New)
	if err != nil {
		return statement{}, fleet.Errorf(fleet.Refused, "evidence.append", branch+":"+at, "%w", err)
	}
	return b.statement, nil
}

// later is now in whole seconds, but not before the batch before: a chain's
// times never run backwards, however the clocks of its writers differ.
func later(now, last time.Time) time.Time {
	now = now.UTC().Truncate(time.Second)
	if now.Before(last) {
		return last
	}
	return now
}
