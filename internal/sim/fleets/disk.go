package fleets

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/packmill/packmill/internal/edge/signing"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/record/gitrepo"
)

// A disk is a repository that a fleet is written to.
type disk struct {
	git    *gitrepo.Repo
	ledger *evidence.Ledger
	clock  *fleet.ManualClock
	author fleet.Identity
}

// Write makes a git repository in the new folder dir, bare, that holds a fleet:
// main with its merges, and the evidence branches. It gives the fleet as it is
// in memory. The key that signs its evidence lies beside it, at KeyFile; a
// fleet whose keys and signatures are made anew has other object ids each time,
// and the same facts.
func Write(ctx context.Context, dir string, s Size) (*Fleet, error) {
	git, err := gitrepo.Init(dir, true)
	if err != nil {
		return nil, err
	}
	defer git.Close()
	key, err := signing.GenerateFile(KeyFile(dir), nil)
	if err != nil {
		return nil, err
	}
	trust := fleet.Trust{Keys: map[string]fleet.TrustedKey{"mill": {PEM: key.PublicPEM(), Uses: []string{signing.UseEvidence}, From: "2026-01-01"}}}
	verifier, err := signing.NewVerifier(trust, signing.UseEvidence)
	if err != nil {
		return nil, err
	}
	d := &disk{git: git, clock: fleet.NewManualClock(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)), author: fleet.Identity{Name: "packmill", Email: "packmill@operator.example"}}
	d.ledger = evidence.Open(git, key, verifier, d.clock, d.author)
	m, err := newMill(ctx, s, key.PublicPEM(), d)
	if err != nil {
		return nil, err
	}
	root, err := git.Commit(ctx, gitrepo.CommitSpec{Files: s.files(key.PublicPEM()), Message: "Begin", Author: d.author, When: d.clock.Now()})
	if err != nil {
		return nil, err
	}
	if err := git.SetBranch("main", "", root); err != nil {
		return nil, err
	}
	m.repo.Commit = root
	if err := m.weeks(ctx); err != nil {
		return nil, err
	}
	return &Fleet{Size: s, Repo: m.repo, Record: m.rec, Now: Soaking()}, pack(ctx, dir)
}

// pack lets git put a repository's objects into one pack, as a clone has them.
func pack(ctx context.Context, dir string) error {
	out, err := exec.CommandContext(ctx, "git", "-C", dir, "-c", "safe.directory=*", "repack", "-adq").CombinedOutput()
	if err != nil {
		return fmt.Errorf("git repack: %w: %s", err, out)
	}
	return nil
}

// KeyFile is where Write puts the key of the repository at dir.
func KeyFile(dir string) string {
	return filepath.Join(filepath.Dir(dir), filepath.Base(dir)+".keys", "mill.key")
}

// merge puts files on main by a merge commit, and fills in its ids.
func (d *disk) merge(ctx context.Context, row *fleet.Merge, at time.Time, files map[string][]byte) error {
	var err error
	row.Head, err = d.git.Commit(ctx, gitrepo.CommitSpec{Parents: []string{row.Base}, Files: files, Message: row.Title, Author: d.author, When: at})
	if err != nil {
		return err
	}
	row.Commit, err = d.git.Commit(ctx, gitrepo.CommitSpec{
		Parents: []string{row.Base, row.Head}, Base: row.Head, Message: fmt.Sprintf("Merge pull request #%d", row.PR), Author: d.author, When: at,
	})
	if err != nil {
		return err
	}
	tree, err := d.git.Tree(row.Commit)
	if err != nil {
		return err
	}
	row.Tree = tree.ID()
	return d.git.SetBranch("main", row.Base, row.Commit)
}
