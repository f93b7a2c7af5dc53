package evidence

import (
	"context"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// Read decodes all evidence there is, of the local branches or the remote's,
// whichever is further. Anything that does not verify is an error of kind
// Refused that names branch and path; then there is no record at all.
func (l *Ledger) Read(ctx context.Context) (*fleet.Record, error) {
	r, tips, err := l.read(ctx, func(c *chain) ([]batch, error) { return c.batches, nil })
	if err == nil {
		l.haveRead(tips)
	}
	return r, err
}

// ReadAt decodes the evidence up to recorded chain heads, as a plan names
// them: what the plan was computed from. A branch without a head is read as
// empty; a head that the chain does not have is an error of kind Refused.
func (l *Ledger) ReadAt(ctx context.Context, heads map[string]string) (*fleet.Record, error) {
	for _, branch := range slices.Sorted(maps.Keys(heads)) {
		if !slices.Contains(Branches(), branch) {
			return nil, fleet.Errorf(fleet.Invalid, "evidence.readAt", branch, "is no evidence branch")
		}
	}
	r, _, err := l.read(ctx, func(c *chain) ([]batch, error) { return c.prefix(heads[c.branch]) })
	return r, err
}

// ReadAsOf decodes the evidence as it was at an instant: every branch up to its
// last batch that was signed by then. That is what Read gave at the instant: a
// batch carries the time it was appended at, in whole seconds and signed, a
// chain's times never run backwards, and batches are only ever added behind
// those that are there. The times of rows would not do: the record of a merge
// tells when the merge was made, and counts from when it was recorded.
func (l *Ledger) ReadAsOf(ctx context.Context, at time.Time) (*fleet.Record, error) {
	r, _, err := l.read(ctx, func(c *chain) ([]batch, error) { return c.until(at), nil })
	return r, err
}

// read also gives the commit at which each branch was read.
func (l *Ledger) read(ctx context.Context, part func(*chain) ([]batch, error)) (*fleet.Record, map[string]string, error) {
	branches := Branches()
	parts := make([]branchPart, len(branches))
	var next atomic.Int32
	var group sync.WaitGroup
	for range min(len(branches), runtime.GOMAXPROCS(0)) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(branches); i = int(next.Add(1)) - 1 {
				parts[i] = l.branchPart(ctx, branches[i], part)
			}
		})
	}
	group.Wait()
	r := &fleet.Record{Heads: map[string]string{}, PlanRows: map[fleet.Digest][]fleet.PlanRow{}}
	tips := map[string]string{}
	var wrong fleet.Errors
	for i, branch := range branches {
		p := &parts[i]
		if p.err != nil {
			return nil, nil, p.err
		}
		tips[branch] = p.chain.tip
		r.Heads[branch] = ""
		for n, b := range p.batches {
			l.add(r, b, p.rows[n])
			r.Heads[branch] = b.Head
		}
		if list, ok := p.chain.refused().(fleet.Errors); ok {
			wrong = append(wrong, list...)
		}
	}
	if len(wrong) > 0 {
		return nil, nil, wrong
	}
	return r, tips, nil
}

// A branchPart is what was read of one branch: batches, and the rows of each,
// nil for those of a kind that this version does not know or that are wrong.
type branchPart struct {
	chain   *chain
	batches []batch
	rows    []any
	err     error
}

func (l *Ledger) branchPart(ctx context.Context, branch string, part func(*chain) ([]batch, error)) (p branchPart) {
	if p.chain, p.err = l.current(ctx, branch); p.err != nil {
		return p
	}
	if p.batches, p.err = part(p.chain); p.err != nil {
		return p
	}
	p.rows = make([]any, len(p.batches))
	for n, b := range p.batches {
		var err error
		if p.rows[n], err = l.rowsOf(b); err != nil {
			p.chain.find(b.Path, "%v", err)
		}
	}
	return p
}

// current loads a branch as it is now.
func (l *Ledger) current(ctx context.Context, branch string) (*chain, error) {
	tip, err := l.tip(branch)
	if err != nil {
		return nil, err
	}
	return l.load(ctx, branch, tip)
}

// rowsOf are a batch's rows, a slice of its kind's type, nil for a kind that is
// not known. They were decoded when the batch was verified, and are shared:
// nobody writes to a row. What could not be decoded says why once more.
func (l *Ledger) rowsOf(b batch) (any, error) {
	k, _, ok := kindOf(l.kinds, b.dir())
	if !ok {
		return nil, nil
	}
	if rows, ok := l.verified.rowsAt(b.Head); ok {
		return rows, nil
	}
	payload, err := l.payloadOf(b)
	if err != nil {
		return nil, err
	}
	return k.decode(payload)
}

// add adds a batch's rows to a record.
func (l *Ledger) add(r *fleet.Record, b batch, rows any) {
	k, names, ok := kindOf(l.kinds, b.dir())
	if !ok {
		r.Unknown = append(r.Unknown, b.Branch+":"+b.Path)
		return
	}
	if rows == nil {
		return // wrong, and told so
	}
	known := len(r.Merges)
	k.add(r, names, rows)
	for i := range r.Merges[known:] {
		r.Merges[known+i].Key = b.Key
	}
}

// Heads are the chain heads as they are now, "" for an empty branch: what a
// plan records as its inputs. Only the newest batch of each branch is read.
func (l *Ledger) Heads(ctx context.Context) (map[string]string, error) {
	heads := map[string]string{}
	for _, branch := range Branches() {
		tip, err := l.tip(branch)
		if err != nil {
			return nil, err
		}
		heads[branch] = ""
		if tip == "" {
			continue
		}
		s, err := l.lastStatement(ctx, branch, tip)
		if err != nil {
			return nil, err
		}
		heads[branch] = s.Head
	}
	return heads, nil
}

// Checkpoint writes the heads of all shards that moved since the last
// checkpoint to the control branch, so that the loss of a shard's newest
// batches shows. Only the job that owns control calls it.
func (l *Ledger) Checkpoint(ctx context.Context) error {
	c, err := l.current(ctx, Control)
	if err != nil {
		return err
	}
	if err := c.refused(); err != nil {
		return err
	}
	told, err := l.checkpoints(c)
	if err != nil {
		return err
	}
	heads, err := l.Heads(ctx)
	if err != nil {
		return err
	}
	var rows []Checkpoint
	for _, branch := range Branches()[1:] {
		if head := heads[branch]; head != "" && (len(told[branch]) == 0 || told[branch][len(told[branch])-1] != head) {
			rows = append(rows, Checkpoint{Branch: branch, Head: head, At: l.clock.Now().UTC()})
		}
	}
	return l.Append(ctx, Control, HeadsDir, rows)
}

// checkpoints are the heads that control tells of each shard, oldest first.
func (l *Ledger) checkpoints(control *chain) (map[string][]string, error) {
	told := map[string][]string{}
	for _, b := range control.batches {
		if b.dir() != HeadsDir {
			continue
		}
		rows, err := l.rowsOf(b)
		if err != nil {
			return nil, fleet.Errorf(fleet.Refused, "evidence.read", Control+":"+b.Path, "%w", err)
		}
		for _, row := range rows.([]Checkpoint) {
			told[row.Branch] = append(told[row.Branch], row.Head)
		}
	}
	return told, nil
}
