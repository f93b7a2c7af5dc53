package evidence

import (
	"context"
	"errors"
	"sync"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/gitrepo"
)

// A Ledger reads and appends the evidence of one repository. It is safe for
// concurrent use.
type Ledger struct {
	git      git
	signer   fleet.Signer // nil: read only
	verifier fleet.Verifier
	clock    fleet.Clock
	author   fleet.Identity
	kinds    []kind
	verified verifiedBatches

	mu    sync.Mutex
	known map[string]string // commit of each branch up to which Read or an append knew it
}

// Open is the ledger of a repository. The verifier trusts the keys whose use
// is "evidence"; signer, clock and author are needed to append only, and the
// signer may be nil otherwise.
func Open(repo *gitrepo.Repo, signer fleet.Signer, verifier fleet.Verifier, clock fleet.Clock, author fleet.Identity) *Ledger {
	return over(repository{repo}, signer, verifier, clock, author)
}

func over(git git, signer fleet.Signer, verifier fleet.Verifier, clock fleet.Clock, author fleet.Identity) *Ledger {
	return &Ledger{git: git, signer: signer, verifier: verifier, clock: clock, author: author, kinds: kinds()}
}

// refs are where a branch stands in this clone and where it was last seen on
// the remote, "" for nowhere.
func (l *Ledger) refs(branch string) (local, remote string, err error) {
	if local, err = l.git.Ref("refs/heads/" + branch); err != nil {
		return "", "", l.broken(branch, "", err)
	}
	if remote, err = l.git.Ref("refs/remotes/origin/" + branch); err != nil {
		return "", "", l.broken(branch, "", err)
	}
	return local, remote, nil
}

// tip is the commit of a branch, "" when there is none: of the local one and
// the remote's, that which contains the other.
func (l *Ledger) tip(branch string) (string, error) {
	local, remote, err := l.refs(branch)
	if err != nil {
		return "", err
	}
	return l.longer(branch, local, remote)
}

// longer is that of two commits whose line of parents holds the other.
func (l *Ledger) longer(branch, a, b string) (string, error) {
	switch {
	case b == "" || a == b:
		return a, nil
	case a == "":
		return b, nil
	}
	// Both lines are walked in step, so that the cost is the distance between
	// the two and not the length of the ledger.
	seenA, seenB := a, b
	for seenA != "" || seenB != "" {
		var err error
		if seenA, err = l.parent(branch, seenA); err != nil {
			return "", err
		}
		if seenB, err = l.parent(branch, seenB); err != nil {
			return "", err
		}
		if seenA == b {
			return a, nil
		}
		if seenB == a {
			return b, nil
		}
	}
	e := fleet.Errorf(fleet.Refused, "evidence.read", branch,
		"the local branch (%s) and the remote's (%s) have parted: one of them was rewritten", short(a), short(b))
	e.Hint = "git log --oneline --graph " + branch + " origin/" + branch
	return "", e
}

// parent is the first parent of a commit, "" at the end of the line.
func (l *Ledger) parent(branch, id string) (string, error) {
	if id == "" {
		return "", nil
	}
	c, err := l.git.CommitInfo(id)
	if err != nil {
		return "", l.broken(branch, id, err)
	}
	if len(c.Parents) == 0 {
		return "", nil
	}
	return c.Parents[0], nil
}

// broken gives an error of git a kind and a place, if it has none.
func (l *Ledger) broken(branch, commit string, err error) error {
	var known *fleet.Error
	if errors.As(err, &known) {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	object := branch
	if commit != "" {
		object += " at " + short(commit)
	}
	return &fleet.Error{Op: "evidence.read", Object: object, Kind: fleet.Internal, Err: err, Hint: "git fsck"}
}

// verifiedBatches are what this process has verified: by names that bind the
// content, so that it need not look again.
type verifiedBatches struct {
	mu    sync.Mutex
	all   map[verifiedKey]batch
	rows  map[string]any        // decoded, by chain head: which binds rows and place
	clean map[string]bool       // chain heads whose rows hold no personal data
	added map[string]addedFiles // commits that add one batch and nothing else
}

// addedFiles are the two files of a batch.
type addedFiles struct{ rows, sealed gitrepo.Change }

type verifiedKey struct{ branch, file, rows, sealed string }

func (v *verifiedBatches) get(k verifiedKey) (batch, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	b, ok := v.all[k]
	return b, ok
}

func (v *verifiedBatches) rowsAt(head string) (any, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	rows, ok := v.rows[head]
	return rows, ok
}

func (v *verifiedBatches) setRows(head string, rows any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.rows == nil {
		v.rows = map[string]any{}
	}
	v.rows[head] = rows
}

func (v *verifiedBatches) isClean(head string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.clean[head]
}

func (v *verifiedBatches) setClean(head string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.clean == nil {
		v.clean = map[string]bool{}
	}
	v.clean[head] = true
}

func (v *verifiedBatches) addedBy(commit string) (addedFiles, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	files, ok := v.added[commit]
	return files, ok
}

func (v *verifiedBatches) setAdded(commit string, files addedFiles) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.added == nil {
		v.added = map[string]addedFiles{}
	}
	v.added[commit] = files
}

func (v *verifiedBatches) put(k verifiedKey, b batch) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.all == nil {
		v.all = map[verifiedKey]batch{}
	}
	v.all[k] = b
}
