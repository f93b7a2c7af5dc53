package factory

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// retryLine is the first line of a comment that wants a declined version proposed
// again: "packmill retry igor-pavlov/7-zip: the add-in works now". Which version
// is said by the newest look.
var retryLine = regexp.MustCompile(`^packmill +retry +([a-z0-9./-]+) *: *(\S.*)$`)

// tickedBox is a box of the issue of all packages that somebody ticked.
var tickedBox = regexp.MustCompile(`^- \[[xX]\] .*<!-- packmill:retry ([a-z0-9./-]+) ([0-9]{1,9}) -->\s*$`)

// retryRound is what the forge and git say now of declined pull requests.
func (f *Factory) retryRound(ctx context.Context, look Look) (*round, error) {
	if err := f.Git.Fetch(ctx); err != nil { // a group's branch tells its versions
		return nil, err
	}
	pulls, err := f.Forge.Pulls(ctx, "all")
	if err != nil {
		return nil, err
	}
	return f.round(look, pulls)
}

// declinedAs is the number of the declined pull request of a command's version,
// 0 when none was declined. all are the commands so far.
func (f *Factory) declinedAs(ctx context.Context, look Look, all []fleet.Command, c fleet.Command) (int, error) {
	look.Said = Said(all)
	round, err := f.retryRound(ctx, look)
	if err != nil {
		return 0, err
	}
	return f.declined(ctx, round, c.Package, c.Version)
}

// takeBoxes records which boxes of the issue are ticked, and gives all commands.
// Nobody can tell who ticked one: so it does nothing but have a declined version
// proposed again, to people. The issue is written anew at the end of the run,
// without the tick.
func (f *Factory) takeBoxes(ctx context.Context, look Look, issue fleet.Issue, all []fleet.Command) ([]fleet.Command, error) {
	var round *round
	for line := range strings.Lines(issue.Body) {
		m := tickedBox.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
		if m == nil {
			continue
		}
		number, err := strconv.Atoi(m[2])
		if err != nil {
			continue
		}
		c := fleet.Command{What: fleet.CommandRetry, Package: fleet.PackageID(m[1]), Pull: number, Reason: "its box was ticked", At: f.Clock.Now()}
		c.Version = newestDetection(look.Record, c.Package).Found
		taken := slices.ContainsFunc(all, func(have fleet.Command) bool {
			return have.What == c.What && have.Package == c.Package && have.Pull == c.Pull
		})
		if taken || c.Version == "" {
			continue
		}
		if round == nil {
			if round, err = f.retryRound(ctx, look); err != nil {
				return nil, err
			}
		}
		round.look.Said = Said(all)
		declined, err := f.declined(ctx, round, c.Package, c.Version)
		if err != nil {
			return nil, err
		}
		if declined != number {
			continue // the text is out of date, or somebody wrote another number into it
		}
		if err := f.recordCommand(ctx, look, c); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}
