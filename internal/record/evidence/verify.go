package evidence

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
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
		tip, err := l.tip(ctx, branch)
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
	return append(out, verifyHeads(chains, known)...), nil
}

// verifyRows decodes every batch and looks for what rows may not hold.
func (l *Ledger) verifyRows(c *chain) {
	for _, b := range c.batches {
		if err := refusePersonal(b.rows); err != nil {
			c.find(b.Path, "%v", err)
		}
		k, _, ok := kindOf(l.kinds, b.dir())
		if !ok {
			c.findings = append(c.findings, Finding{Branch: c.branch, Path: b.Path, What: "is of a kind this version does not know", Note: true})
			continue
		}
		rows, err := k.decode(b.rows)
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
		commit, err := l.git.Commit(ctx, id)
		if err != nil {
			c.findAt(id, "", "cannot be read: %v", err)
			return nil
		}
		if len(commit.Parents) > 1 {
			c.findAt(id, "", "is a merge: the ledger is one line of commits")
		}
		parent := ""
		if len(commit.Parents) > 0 {
			parent = commit.Parents[0]
		}
		rows, _, err := l.added(ctx, c.branch, commit)
		switch b, ok := at[rows.Name]; {
		case err != nil:
			c.findAt(id, "", "%v", err)
		case !ok:
			c.findAt(id, rows.Name, "was added, but is no part of the chain now")
		case next < 0 || c.batches[next].Path != rows.Name:
			c.findAt(id, rows.Name, "stands elsewhere in the chain than in history")
		default:
			c.compare(id, parent, commit, b)
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
func (c *chain) compare(id, parent string, commit Commit, b batch) {
	switch {
	case b.Parent != parent:
		c.findAt(id, b.Path, "was signed on top of commit %s, not %s: history was rewritten", short(b.Parent), short(parent))
	case !commit.At.Equal(b.At):
		c.findAt(id, b.Path, "its commit is dated %s, but it was signed for %s", commit.At.UTC().Format(timeLayout), b.At.Format(timeLayout))
	case commit.Message != b.message():
		c.findAt(id, b.Path, "its commit has another message: %.80q", commit.Message)
	case commit.Author.Name+" <"+commit.Author.Email+">" != b.Author:
		c.findAt(id, b.Path, "its commit names another author than was signed")
	case commit.Strange || id != commitID(commit):
		c.findAt(id, b.Path, "its commit holds what packmill does not write")
	}
}

func (c *chain) findAt(commit, file, format string, args ...any) {
	c.findings = append(c.findings, Finding{Branch: c.branch, Path: file, Commit: commit, What: fmt.Sprintf(format, args...)})
}

// added gives the two files that a commit adds to its parent, by their paths,
// or an error about what else it does.
func (l *Ledger) added(ctx context.Context, branch string, c Commit) (rows, sealed Entry, err error) {
	before := ""
	if len(c.Parents) > 0 {
		parent, err := l.git.Commit(ctx, c.Parents[0])
		if err != nil {
			return rows, sealed, l.broken(branch, c.Parents[0], err)
		}
		before = parent.Tree
	}
	var wrong []string
	files := map[string]Entry{}
	err = differ(ctx, l.git, before, c.Tree, "", func(file string, was, is Entry) {
		switch {
		case is.ID == "":
			wrong = append(wrong, "removes "+file)
		case was.ID != "":
			wrong = append(wrong, "changes "+file)
		default:
			files[file] = is
		}
	})
	if err != nil {
		return rows, sealed, err
	}
	if len(wrong) > 0 {
		slices.Sort(wrong)
		return rows, sealed, fleet.Errorf(fleet.Refused, "evidence.history", branch, "the commit %s: evidence is only added", strings.Join(wrong, ", "))
	}
	names := slices.Sorted(maps.Keys(files)) // the envelope sorts before the rows
	if len(names) == 2 {
		name, suffix, ok := batchName(names[1])
		if ok && suffix == rowsSuffix && names[0] == name+envelopeSuffix {
			return Entry{names[1], files[names[1]].Mode, files[names[1]].ID}, Entry{names[0], files[names[0]].Mode, files[names[0]].ID}, nil
		}
	}
	return rows, sealed, fleet.Errorf(fleet.Refused, "evidence.history", branch, "the commit adds %d files, which are not the two of one batch", len(names))
}

// verifyHeads looks for every head that something else recorded, and for its
// order: a later record never names an earlier head.
func verifyHeads(chains map[string]*chain, known []map[string]string) []Finding {
	var out []Finding
	position := func(branch, head string) int {
		c := chains[branch]
		if c == nil {
			return -1
		}
		return slices.IndexFunc(c.batches, func(b batch) bool { return b.Head == head })
	}
	if control := chains[Control]; control != nil {
		told, err := checkpoints(control)
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
