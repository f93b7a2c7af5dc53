package factory

import (
	"context"
	"fmt"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
)

// declined is the number of the pull request that proposed the version, alone or
// with others of its group, and that a person closed; 0 when there is none, or
// somebody wants it tried again. The branch of a group tells which versions it
// proposed: without it nobody knows.
func (f *Factory) declined(ctx context.Context, round *round, id fleet.PackageID, version string) (int, error) {
	again := map[int]bool{}
	if round.look.Said != nil {
		for _, c := range round.look.Said(id, version) {
			again[c.Pull] = again[c.Pull] || c.What == fleet.CommandRetry
		}
	}
	number, err := f.declinedOn(ctx, round, BumpBranch(id, version))
	if err != nil || number > 0 && !again[number] {
		return number, err
	}
	asked := map[string]bool{}
	for _, p := range round.pulls {
		if p.State != "closed" || groupOfBranch(p.Branch) == "" || asked[p.Branch] {
			continue
		}
		asked[p.Branch] = true
		files, err := f.addedBy(ctx, round.look.Repo.Commit, p.Branch)
		if err != nil {
			return 0, err
		}
		if !files[desired.ReleasePath(id, version)] {
			continue
		}
		if number, err := f.declinedOn(ctx, round, p.Branch); err != nil || number > 0 && !again[number] {
			return number, err
		}
	}
	return 0, nil
}

// declinedWords say what a person closed, "" for nothing.
func declinedWords(number int, id fleet.PackageID) string {
	if number == 0 {
		return ""
	}
	return fmt.Sprintf("declined: pull request %d was closed; reopen it to take the version up again, or write packmill retry %s: and why", number, id)
}

// declinedOn is the newest pull request of a branch that was not merged, if a
// person closed it; 0 when there is none, or one is open.
func (f *Factory) declinedOn(ctx context.Context, round *round, branch string) (int, error) {
	if _, open := round.openOn(branch); open {
		return 0, nil
	}
	number := 0
	for _, p := range round.pulls {
		if p.Branch == branch && p.State == "closed" && p.Number > number {
			number = p.Number
		}
	}
	if number == 0 {
		return 0, nil
	}
	if own, err := f.closedForAnother(ctx, round, number); err != nil || own {
		return 0, err
	}
	return number, nil
}

// closedForAnother reports whether packmill closed a pull request because another
// one replaced it.
func (f *Factory) closedForAnother(ctx context.Context, round *round, number int) (bool, error) {
	if own, known := round.closedAs[number]; known {
		return own, nil
	}
	comments, err := f.Forge.Comments(ctx, number)
	if err != nil {
		return false, err
	}
	own := false
	for _, c := range comments {
		own = own || c.Own && strings.HasPrefix(c.Body, "<!-- packmill:closed -->\n"+superseded)
	}
	round.closedAs[number] = own
	return own, nil
}
