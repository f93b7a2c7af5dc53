package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/sim/world"
	"github.com/packmill/packmill/internal/view"
)

// found makes the operator's repository: one first commit, pushed before main
// is protected. A clone that an interrupted demo left is made anew: it may be
// half of one.
func (d *demo) found(ctx context.Context, s demoStep) error {
	files, err := d.world.Files()
	if err != nil {
		return err
	}
	if err := os.RemoveAll(d.work()); err != nil {
		return err
	}
	repo, err := gitrepo.Init(d.work(), false)
	if err != nil {
		return err
	}
	commit, err := repo.Commit(ctx, gitrepo.CommitSpec{
		Files: files, Message: "Begin with what the fleet has", Author: fleet.Identity{Name: "Ines Lind", Email: "ines@example-msp.example"}, When: s.at,
	})
	if err != nil {
		return err
	}
	if err := repo.SetRemote(d.world.RemoteURL()); err != nil {
		return err
	}
	repo = repo.WithAuth(gitrepo.Auth{User: "x-access-token", Token: world.Token(world.Ines)})
	if err := repo.Fetch(ctx); err != nil {
		return err
	}
	if main, err := repo.Main(); err != nil || main != commit {
		if err := repo.Push(ctx, []string{commit + ":refs/heads/main"}, false); err != nil {
			return err
		}
	}
	if err := repo.Fetch(ctx); err != nil {
		return err
	}
	d.tell(s, "A repository for 12 tenants with 600 devices: 6 packages, and rules for who gets what, when.")
	d.tell(s, "From here on main changes by merged pull requests alone.")
	return d.keepModel()
}

// mill runs what is due and tells it.
func (d *demo) mill(ctx context.Context, s demoStep) error {
	report, err := d.runChild(ctx, s, false)
	if err != nil {
		return err
	}
	return d.story(ctx, s, report)
}

// killed runs what is due and kills the runner in the middle of it.
func (d *demo) killAndTell(ctx context.Context, s demoStep) error {
	if d.journal.KillAt == neverKill || d.journal.Killed {
		return d.mill(ctx, s)
	}
	report, err := d.runChild(ctx, s, true)
	if err == nil {
		return d.story(ctx, s, report)
	}
	if !errors.Is(err, errKilled) {
		return err
	}
	if err := d.story(ctx, s, runReport{}); err != nil {
		return err
	}
	d.journal.Killed = true
	d.add(view.Killed(s.at, s.name, d.journal.KillAt.words()))
	return nil
}

// people lets the release managers review and merge the pull requests of the
// step's branches, after the check that a workflow would run. A step that was
// interrupted finds some of them merged.
func (d *demo) people(ctx context.Context, s demoStep) error {
	repo, err := d.clone(ctx)
	if err != nil {
		return err
	}
	bot, err := d.account(world.Bot)
	if err != nil {
		return err
	}
	pulls, err := bot.Pulls(ctx, "all")
	if err != nil {
		return err
	}
	merged := 0
	for _, p := range pulls {
		if !strings.HasPrefix(p.Branch, s.branch) {
			continue
		}
		if p.State == "open" {
			if err := d.reviewAndMerge(ctx, s, repo, p); err != nil {
				return err
			}
		}
		d.add(view.Merged(s.at, s.name, oskar, ines, p.Number, p.Title))
		merged++
	}
	if merged == 0 {
		return fmt.Errorf("no pull request of a branch %s… is open", s.branch)
	}
	return nil
}

// The release managers' names in the story.
const (
	oskar = "Oskar"
	ines  = "Ines"
)

func (d *demo) reviewAndMerge(ctx context.Context, s demoStep, repo *gitrepo.Repo, p fleet.Pull) error {
	if _, err := repo.Resolve(p.Head); err != nil {
		return err
	}
	if _, err := d.child(ctx, s.at, false, "validate", "--rev", p.Head); err != nil {
		return err
	}
	bot, err := d.account(world.Bot)
	if err != nil {
		return err
	}
	if err := bot.SetCheck(ctx, p.Head, "validate", "success", "every file and cross reference holds"); err != nil {
		return err
	}
	approver, err := d.account(world.Oskar)
	if err != nil {
		return err
	}
	if err := approver.Approve(ctx, p.Number, p.Head); err != nil {
		return err
	}
	manager, err := d.account(world.Ines)
	if err != nil {
		return err
	}
	_, err = manager.Merge(ctx, p.Number, p.Head)
	return err
}

// report writes the pages.
func (d *demo) report(ctx context.Context, s demoStep) error {
	if _, err := d.child(ctx, s.at, false, "report", "--out", filepath.Join(d.dir, "page")); err != nil {
		return err
	}
	d.tell(s, "The pages of the week are written.")
	return nil
}

// audit clones the repository as an auditor would and audits the clone, with
// no access to anything else.
func (d *demo) audit(ctx context.Context, s demoStep) error {
	dir := filepath.Join(d.dir, "audited")
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if _, err := gitrepo.Clone(ctx, d.world.GitDir(), dir, gitrepo.Auth{}); err != nil {
		return err
	}
	if _, err := d.child(ctx, s.at, false, "audit", "-C", dir); err != nil {
		return err
	}
	d.tell(s, "An auditor clones the repository: every change on every tenant has its merge, approvers, tests, signature and receipt.")
	return nil
}
