package evidence

import (
	"context"
	"errors"
	"path"
	"reflect"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
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
// after a crash may repeat what it did. No rows, no batch. Rows with personal
// data, rows of another type and rows of tenants of another shard are refused.
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
		if !errors.Is(err, ErrMoved) {
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
		if errors.Is(err, ErrMoved) || ctx.Err() != nil {
			return err
		}
		return l.broken(branch, "", err)
	}
	local, remote, err := l.refs(ctx, branch)
	if err != nil {
		return err
	}
	tip, err := l.longer(ctx, branch, local, remote)
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
	pushed := remote == commit
	if !pushed {
		if pushed, err = l.git.Push(ctx, branch, commit); err != nil {
			return fail(err)
		}
	}
	if local == commit {
		return nil
	}
	err = l.git.SetBranch(ctx, branch, local, commit)
	if pushed && errors.Is(err, ErrMoved) {
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
	var before Commit
	var last statement
	if tip != "" {
		var err error
		if before, err = l.git.Commit(ctx, tip); err != nil {
			return "", err
		}
		if last, err = l.lastStatement(ctx, branch, before); err != nil {
			return "", err
		}
	}
	rowsID, err := l.git.PutBlob(ctx, payload)
	if err != nil {
		return "", err
	}
	if said, err := l.said(ctx, before.Tree, dir, rowsID); err != nil || said {
		return "", err
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
	sealedID, err := l.git.PutBlob(ctx, sealed)
	if err != nil {
		return "", err
	}
	name := strings.TrimSuffix(path.Base(s.Path), rowsSuffix)
	root, err := add(ctx, l.git, before.Tree, strings.Split(dir, "/"), []Entry{
		{Name: name + rowsSuffix, Mode: fileMode, ID: rowsID},
		{Name: name + envelopeSuffix, Mode: fileMode, ID: sealedID},
	})
	if err != nil {
		return "", err
	}
	c := Commit{Tree: root, Author: l.author, At: s.At, Message: s.message()}
	if tip != "" {
		c.Parents = []string{tip}
	}
	return l.git.PutCommit(ctx, c)
}

// said reports whether a folder holds a batch of exactly these rows: a fact is
// told once.
func (l *Ledger) said(ctx context.Context, root, dir, rowsID string) (bool, error) {
	entries, err := folder(ctx, l.git, root, dir)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if e.ID == rowsID && strings.HasSuffix(e.Name, rowsSuffix) {
			return true, nil
		}
	}
	return false, nil
}

// lastStatement is the verified statement of the batch a commit added: the
// difference to its parent is one batch, so the ledger's length is no cost.
func (l *Ledger) lastStatement(ctx context.Context, branch string, c Commit) (statement, error) {
	rows, sealed, err := l.added(ctx, branch, c)
	if err != nil {
		return statement{}, err
	}
	b, at, err := l.openBatch(ctx, branch, rows.Name, rows.ID, sealed.ID)
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
