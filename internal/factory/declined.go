package factory

import (
	"context"
	"fmt"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
)

// declined says that a person closed a pull request that proposed the version,
// alone or with others of its group; "" when none did. The branch of a group
// tells which versions it proposed: without it nobody knows.
func (f *Factory) declined(ctx context.Context, round *round, id fleet.PackageID, version string) (string, error) {
	why, err := f.declinedOn(ctx, round, BumpBranch(id, version))
	if why != "" || err != nil {
		return why, err
	}
	asked := map[string]bool{}
	for _, p := range round.pulls {
		if p.State != "closed" || groupOfBranch(p.Branch) == "" || asked[p.Branch] {
			continue
		}
		asked[p.Branch] = true
		files, err := f.addedBy(ctx, round.look.Repo.Commit, p.Branch)
		if err != nil {
			return "", err
		}
		if !files[desired.ReleasePath(id, version)] {
			continue
		}
		if why, err := f.declinedOn(ctx, round, p.Branch); err != nil || why != "" {
			return why, err
		}
	}
	return "", nil
}

// declinedOn says that a person closed the newest pull request of a branch that
// was not merged, "" when none is or one is open.
func (f *Factory) declinedOn(ctx context.Context, round *round, branch string) (string, error) {
	if _, open := round.openOn(branch); open {
		return "", nil
	}
	number := 0
	for _, p := range round.pulls {
		if p.Branch == branch && p.State == "closed" && p.Number > number {
			number = p.Number
		}
	}
	if number == 0 {
		return "", nil
	}
	if own, err := f.closedForAnother(ctx, round, number); err != nil || own {
		return "", err
	}
	return fmt.Sprintf("declined: pull request %d was closed; reopen it to take the version up again", number), nil
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
