package evidence

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/gitrepo"
)

// A Finding is something that is wrong with the ledger, or, as a Note, only
// worth telling.
type Finding struct {
	Branch string `json:"branch"`
	Path   string `json:"path,omitempty"`   // file or batch, "" for the branch as a whole
	Commit string `json:"commit,omitempty"` // where history is concerned
	What   string `json:"what"`
	Note   bool   `json:"note,omitempty"`
}

// String is "branch:path: what".
func (f Finding) String() string {
	at := f.Branch
	if f.Path != "" {
		at += ":" + f.Path
	}
	if f.Commit != "" {
		at += " at " + f.Commit[:min(len(f.Commit), 12)]
	}
	return at + ": " + f.What
}

// A batch is one verified batch.
type batch struct {
	statement
	blob string // id of the rows
}

// A chain is what one branch holds, in the order it was appended.
type chain struct {
	branch   string
	tip      string // commit, "" when there is no such branch
	batches  []batch
	findings []Finding
}

// head is the chain head, "" when the chain is empty.
func (c *chain) head() string {
	if len(c.batches) == 0 {
		return ""
	}
	return c.batches[len(c.batches)-1].Head
}

func (c *chain) find(file, format string, args ...any) {
	c.findings = append(c.findings, Finding{Branch: c.branch, Path: file, What: fmt.Sprintf(format, args...)})
}

// refused is the chain's findings as an error, nil when there are none.
func (c *chain) refused() error {
	var list fleet.Errors
	for _, f := range c.findings {
		e := fleet.Errorf(fleet.Refused, "evidence.read", f.Branch+":"+f.Path, "%s", f.What)
		e.Hint = "packmill audit"
		list = append(list, e)
	}
	if len(list) == 0 {
		return nil
	}
	return list
}

// load reads the branch at a commit: every file accounted for, every signature
// verified, the batches put in the order of the chain.
func (l *Ledger) load(ctx context.Context, branch, tip string) (*chain, error) {
	c := &chain{branch: branch, tip: tip}
	if tip == "" {
		return c, nil
	}
	listed, err := l.git.Files(ctx, tip, "")
	if err != nil {
		return nil, l.broken(branch, tip, err)
	}
	files := make(map[string]gitrepo.File, len(listed))
	for _, f := range listed {
		files[f.Path] = f
	}
	c.order(l.open(c, files))
	return c, nil
}

// open reads and verifies the batches that the files make up.
func (l *Ledger) open(c *chain, files map[string]gitrepo.File) []batch {
	var out []batch
	for _, file := range slices.Sorted(maps.Keys(files)) {
		name, suffix, ok := batchName(file)
		switch {
		case !ok:
			c.find(file, "is no part of a batch")
			continue
		case files[file].Mode != fileMode:
			c.find(file, "has mode %s, not that of a plain file", files[file].Mode)
			continue
		case suffix == envelopeSuffix:
			if _, ok := files[name+rowsSuffix]; !ok {
				c.find(file, "signs rows that are missing: %s", name+rowsSuffix)
			}
			continue
		}
		sealed, ok := files[name+envelopeSuffix]
		if !ok {
			c.find(file, "has no signature: %s is missing", name+envelopeSuffix)
			continue
		}
		b, at, err := l.openBatch(c.branch, file, files[file].Blob, sealed.Blob)
		if err != nil {
			c.find(at, "%v", err)
			continue
		}
		out = append(out, b)
	}
	return out
}

// openBatch reads one batch; at is the file an error is about. What was
// verified once in this process is not verified again: blob ids name content.
func (l *Ledger) openBatch(branch, file, rowsID, sealedID string) (b batch, at string, err error) {
	key := verifiedKey{branch, file, rowsID, sealedID}
	if b, ok := l.verified.get(key); ok {
		return b, "", nil
	}
	envelopeFile := strings.TrimSuffix(file, rowsSuffix) + envelopeSuffix
	sealed, err := l.git.ReadBlob(sealedID)
	if err != nil {
		return b, envelopeFile, err
	}
	if b.statement, err = unseal(l.verifier, sealed); err != nil {
		return b, envelopeFile, err
	}
	b.blob = rowsID
	rows, err := l.git.ReadBlob(rowsID)
	if err != nil {
		return b, file, err
	}
	if err := b.check(branch, file, rows); err != nil {
		return b, file, err
	}
	l.verified.put(key, b)
	if k, _, ok := kindOf(l.kinds, b.dir()); ok {
		if decoded, err := k.decode(rows); err == nil {
			l.verified.setRows(b.Head, decoded)
		}
	}
	return b, "", nil
}

// payloadOf are the bytes of a verified batch's rows. They are not kept, so they
// are compared with what was signed once more.
func (l *Ledger) payloadOf(b batch) ([]byte, error) {
	rows, err := l.git.ReadBlob(b.blob)
	if err == nil && fleet.DigestOf(rows) != b.Rows {
		err = fmt.Errorf("its rows are not those that were signed: %s, not %s", fleet.DigestOf(rows).Short(), b.Rows.Short())
	}
	return rows, err
}

// order puts batches in the order of the chain, and finds what is not on it.
func (c *chain) order(batches []batch) {
	after := map[string][]batch{}
	for _, b := range batches {
		after[b.Previous] = append(after[b.Previous], b)
	}
	placed := map[string]bool{}
	for head := ""; len(after[head]) > 0; head = c.head() {
		b := after[head][0]
		for _, rival := range after[head][1:] {
			c.find(rival.Path, "follows the same batch as %s: one of them is no part of the chain", b.Path)
			placed[rival.Path] = true
		}
		if n := len(c.batches); n > 0 && b.At.Before(c.batches[n-1].At) {
			c.find(b.Path, "was signed for %s, before %s that it follows", b.At.Format(timeLayout), c.batches[n-1].Path)
		}
		placed[b.Path] = true
		c.batches = append(c.batches, b)
	}
	for _, b := range batches {
		if !placed[b.Path] {
			c.find(b.Path, "follows a batch that is missing: chain head %s", short(b.Previous))
		}
	}
}

// prefix is the chain up to a recorded head.
func (c *chain) prefix(head string) ([]batch, error) {
	if head == "" {
		return nil, nil
	}
	i := slices.IndexFunc(c.batches, func(b batch) bool { return b.Head == head })
	if i < 0 {
		e := fleet.Errorf(fleet.Refused, "evidence.readAt", c.branch, "the chain has no head %s, which is recorded elsewhere: batches are missing at its end", short(head))
		e.Hint = "git fetch, then packmill audit"
		return nil, e
	}
	return c.batches[:i+1], nil
}

// until is the chain as it was at an instant.
func (c *chain) until(at time.Time) []batch {
	n := slices.IndexFunc(c.batches, func(b batch) bool { return b.At.After(at) })
	if n < 0 {
		return c.batches
	}
	return c.batches[:n]
}

// dir is the folder of the batch.
func (b batch) dir() string { return dirOf(b.Path) }

// timeLayout is how findings tell an instant.
const timeLayout = "2006-01-02T15:04:05Z"

// short is the beginning of a hex id, enough for a person to find it.
func short(id string) string {
	if id == "" {
		return "(none)"
	}
	return id[:min(len(id), 12)]
}
