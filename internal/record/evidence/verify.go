package evidence

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/gitrepo"
)

// Verify audits the whole ledger from what the clone holds: every commit of
// every branch adds one batch and nothing else, every batch carries exactly
// one signature by a key trusted at that instant, the chain is unbroken and
// runs parallel to the commits, rows have the form of their kind and hold no
// personal data, and every head that is known from elsewhere is there: from
// control's checkpoints, and from known, the inputs that plans on main record.
//
// An empty answer, notes aside, means that the ledger is whole. An error means
// that it could not be looked at.
func (l *Ledger) Verify(ctx context.Context, known ...map[string]string) ([]Finding, error) {
	var out []Finding
	chains := map[string]*chain{}
	for _, branch := range Branches() {
		tip, err := l.tip(branch)
		if fleet.KindOf(err) == fleet.Refused && err != nil {
			out = append(out, Finding{Branch: branch, What: err.Error()})
			continue
		}
		if err != nil {
			return nil, err
		}
		c, err := l.load(ctx, branch, tip)
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			out = append(out, Finding{Branch: branch, Commit: tip, What: err.Error()})
			continue
		}
		l.verifyRows(c)
		if err := l.verifyHistory(ctx, c); err != nil {
			return nil, err
		}
		chains[branch] = c
		out = append(out, c.findings...)
	}
	return append(out, l.verifyHeads(chains, known)...), nil
}

// verifyRows decodes every batch and looks for what rows may not hold.
func (l *Ledger) verifyRows(c *chain) {
	for _, b := range c.batches {
		if !l.verified.isClean(b.Head) {
			payload, err := l.payloadOf(b)
			if err == nil {
				err = refusePersonal(payload)
			}
			if err != nil {
				c.find(b.Path, "%v", err)
			} else {
				l.verified.setClean(b.Head)
			}
		}
		k, _, ok := kindOf(l.kinds, b.dir())
		if !ok {
			c.findings = append(c.findings, Finding{Branch: c.branch, Path: b.Path, What: "is of a kind this version does not know", Note: true})
			continue
		}
		rows, err := l.rowsOf(b)
		if err != nil {
			c.find(b.Path, "%v", err)
			continue
		}
		if k.control != (c.branch == Control) {
			c.find(b.Path, "holds facts that belong to another branch")
			continue
		}
		if k.tenants == nil {
			continue
		}
		for _, t := range k.tenants(rows) {
			if Shard(t) != c.branch {
				c.find(b.Path, "holds a fact of tenant %s, which belongs to %s", t, Shard(t))
				break
			}
		}
	}
}

// verifyHistory walks the commits from the tip to the first, and the chain
// with them.
func (l *Ledger) verifyHistory(ctx context.Context, c *chain) error {
	at := map[string]batch{}
	for _, b := range c.batches {
		at[b.Path] = b
	}
	next := len(c.batches) - 1
	for id := c.tip; id != ""; next-- {
		if err := ctx.Err(); err != nil {
			return err
		}
		info, err := l.git.CommitInfo(id)
		if err != nil {
			c.findAt(id, "", "cannot be read: %v", err)
			return nil
		}
		if len(info.Parents) > 1 {
			c.findAt(id, "", "is a merge: the ledger is one line of commits")
		}
		parent := ""
		if len(info.Parents) > 0 {
			parent = info.Parents[0]
		}
		rows, _, err := l.added(ctx, c.branch, info)
		switch b, ok := at[rows.Path]; {
		case err != nil:
			c.findAt(id, "", "%v", err)
		case !ok:
			c.findAt(id, rows.Path, "was added, but is no part of the chain now")
		case next < 0 || c.batches[next].Path != rows.Path:
			c.findAt(id, rows.Path, "stands elsewhere in the chain than in history")
		default:
			c.compare(id, parent, info, b)
		}
		id = parent
	}
	if next >= 0 {
		c.find("", "history has %d commits less than the chain has batches", next+1)
	}
	return nil
}

// compare holds a commit against the statement of the batch it added. The
// statement binds the parent's id, and so all of history before it; the
// commit's own text is bound by being derived.
func (c *chain) compare(id, parent string, info gitrepo.CommitInfo, b batch) {
	switch {
	case b.Parent != parent:
		c.findAt(id, b.Path, "was signed on top of commit %s, not %s: history was rewritten", short(b.Parent), short(parent))
	case !info.When.Equal(b.At):
		c.findAt(id, b.Path, "its commit is dated %s, but it was signed for %s", info.When.UTC().Format(timeLayout), b.At.Format(timeLayout))
	case info.Message != b.message():
		c.findAt(id, b.Path, "its commit has another message: %.80q", info.Message)
	case info.Author.Name+" <"+info.Author.Email+">" != b.Author:
		c.findAt(id, b.Path, "its commit names another author than was signed")
	case id != commitID(info.Tree, parent, info.Author, b.At, b.message()):
		c.findAt(id, b.Path, "its commit object holds what packmill does not write")
	}
}

func (c *chain) findAt(commit, file, format string, args ...any) {
	c.findings = append(c.findings, Finding{Branch: c.branch, Path: file, Commit: commit, What: fmt.Sprintf(format, args...)})
}

// added gives the two files that a commit adds to its parent, or an error
// about what else it does.
func (l *Ledger) added(ctx context.Context, branch string, info gitrepo.CommitInfo) (rows, sealed gitrepo.Change, err error) {
	if files, ok := l.verified.addedBy(info.ID); ok {
		return files.rows, files.sealed, nil
	}
	parent := ""
	if len(info.Parents) > 0 {
		parent = info.Parents[0]
	}
	changes, err := l.git.Changed(ctx, parent, info.ID)
	if err != nil {
		return rows, sealed, err
	}
	var wrong []string
	for _, c := range changes {
		switch {
		case c.New == "":
			wrong = append(wrong, "removes "+c.Path)
		case c.Old != "":
			wrong = append(wrong, "changes "+c.Path)
		}
	}
	if len(wrong) > 0 {
		return rows, sealed, fleet.Errorf(fleet.Refused, "evidence.history", branch, "the commit %s: evidence is only added", strings.Join(wrong, ", "))
	}
	if len(changes) == 2 { // sorted: the envelope comes before the rows
		name, suffix, ok := batchName(changes[1].Path)
		if ok && suffix == rowsSuffix && changes[0].Path == name+envelopeSuffix {
			l.verified.setAdded(info.ID, addedFiles{changes[1], changes[0]})
			return changes[1], changes[0], nil
		}
	}
	return rows, sealed, fleet.Errorf(fleet.Refused, "evidence.history", branch, "the commit adds %d files, which are not the two of one batch", len(changes))
}

// verifyHeads looks for every head that something else recorded, and for its
// order: a later record never names an earlier head.
func (l *Ledger) verifyHeads(chains map[string]*chain, known []map[string]string) []Finding {
	var out []Finding
	position := func(branch, head string) int {
		c := chains[branch]
		if c == nil {
			return -1
		}
		return slices.IndexFunc(c.batches, func(b batch) bool { return b.Head == head })
	}
	if control := chains[Control]; control != nil {
		told, err := l.checkpoints(control)
		if err != nil {
			out = append(out, Finding{Branch: Control, What: err.Error()})
		}
		for _, branch := range slices.Sorted(maps.Keys(told)) {
			last := -1
			for _, head := range told[branch] {
				i := position(branch, head)
				switch {
				case i < 0:
					out = append(out, Finding{Branch: branch, What: "the chain head " + short(head) + " that control recorded is not there: batches are missing"})
				case i < last:
					out = append(out, Finding{Branch: branch, What: "control recorded the chain head " + short(head) + " after a later one"})
				}
				last = max(last, i)
			}
		}
	}
	for _, heads := range known {
		for _, branch := range slices.Sorted(maps.Keys(heads)) {
			if head := heads[branch]; head != "" && position(branch, head) < 0 {
				out = append(out, Finding{Branch: branch, What: "the chain head " + short(head) + " that a plan recorded is not there: batches are missing"})
			}
		}
	}
	return out
}
