package factory

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/edge/upstream"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/rules/bump"
	"github.com/packmill/packmill/internal/rules/calendar"
	"github.com/packmill/packmill/internal/view"
)

// commandLine is the first line of a comment that commands:
// "packmill ignore igor-pavlov/7-zip 24.09: it breaks our add-in".
var commandLine = regexp.MustCompile(`^packmill +(ignore|unhold) +([a-z0-9./-]+) +([^\s:](?:[^\s]*[^\s:])?) *: *(\S.*)$`)

// Said looks up the commands of evidence about a version.
func Said(commands []fleet.Command) func(id fleet.PackageID, version string) []fleet.Command {
	return func(id fleet.PackageID, version string) []fleet.Command {
		return slices.DeleteFunc(slices.Clone(commands), func(c fleet.Command) bool { return c.Package != id || c.Version != version })
	}
}

// lifted are the holds that commands let a version pass, with what they said.
func lifted(look Look, id fleet.PackageID, version string) map[string]string {
	out := map[string]string{}
	if look.Said != nil {
		for _, c := range look.Said(id, version) {
			if c.What == fleet.CommandUnhold {
				out[c.Hold] = c.Why
			}
		}
	}
	return out
}

func (r *round) lifted(f Finding) map[string]string { return lifted(r.look, f.Package, f.Found) }

// judged is the finding on what was seen, with what people said of the version:
// ignored, it is held; what they lifted does not hold it.
func judged(look Look, p fleet.Package, seen bump.Seen, found upstream.Found, now time.Time) Finding {
	seen.Lifted = lifted(look, p.ID, seen.Version)
	f := Finding{Detection: bump.Judge(p, seen, now), Upstream: found}
	if found.Newest != f.Found {
		f.Newest = found.Newest
	}
	if look.Said == nil || f.State != fleet.StateNew {
		return f
	}
	for _, c := range look.Said(p.ID, seen.Version) {
		switch c.What {
		case fleet.CommandIgnore:
			f.State, f.Hold, f.Why = fleet.StateHeld, fleet.HoldIgnored, "ignored by "+c.By+": "+c.Reason
		case fleet.CommandUnhold:
			f.Unheld = &c
		}
	}
	return f
}

// takeCommands reads what people wrote below the issue of all packages since the
// last run, records what counts, answers each once, and gives all commands. Only
// what approvers wrote is read: others get no answer, so that nobody can make a
// run write. A comment counts when policy names its author an approver at the time
// it was sent, and it is what its author sent.
func (f *Factory) takeCommands(ctx context.Context, look Look) (func(fleet.PackageID, string) []fleet.Command, error) {
	if look.Record == nil || f.Ledger == nil {
		return look.Said, nil
	}
	all := slices.Clone(look.Record.Commands)
	issue, found, err := f.Forge.Issue(ctx, dashboardMarker)
	if kind := fleet.KindOf(err); err != nil && (kind == fleet.Refused || kind == fleet.Invalid) {
		f.Log.Warn("the issue of all packages cannot be read", "error", err)
		return Said(all), nil
	}
	if err != nil || !found || !issue.Open {
		return Said(all), err
	}
	comments, err := f.Forge.Comments(ctx, issue.Number)
	if err != nil {
		return nil, err
	}
	if all, err = f.takeBoxes(ctx, look, issue, all); err != nil {
		return nil, err
	}
	answered := map[string]bool{}
	for _, c := range comments {
		if marker, _, ok := strings.Cut(c.Body, "\n"); ok && c.Own {
			answered[marker] = true
		}
	}
	for _, c := range comments {
		line, _, _ := strings.Cut(c.Body, "\n")
		marker := fmt.Sprintf("answer-%d", c.ID)
		if c.Own || c.Bot || !strings.HasPrefix(line, "packmill ") || !look.Repo.Approver(c.Author, c.At) || answered["<!-- packmill:"+marker+" -->"] {
			continue
		}
		known := slices.ContainsFunc(all, func(have fleet.Command) bool { return have.Comment == c.ID })
		answer := "Recorded."
		if !known {
			command, why := commandOf(look, c, strings.TrimSpace(line))
			if why == "" && command.What == fleet.CommandRetry {
				if command.Pull, err = f.declinedAs(ctx, look, all, command); err != nil {
					return nil, err
				}
				if command.Pull == 0 {
					why = "not done: nobody closed a pull request of " + view.Code(command.Version) + ", the version that was last found."
				}
			}
			if answer = why; why == "" {
				if err := f.recordCommand(ctx, look, command); err != nil {
					return nil, err
				}
				all, answer = append(all, command), "Recorded."
			}
		}
		if err := f.Forge.Comment(ctx, issue.Number, marker, "To "+view.Code(c.Author)+": "+answer); err != nil {
			return nil, err
		}
	}
	return Said(all), nil
}

func (f *Factory) recordCommand(ctx context.Context, look Look, c fleet.Command) error {
	cycle, err := calendar.CycleAt(look.Repo.Week, f.Clock.Now())
	if err != nil {
		return err
	}
	return f.Ledger.Append(ctx, evidence.Control, evidence.CommandsDir(cycle), []fleet.Command{c})
}

// commandOf reads a command, or says (in Markdown) why it does not count.
func commandOf(look Look, c fleet.Comment, line string) (fleet.Command, string) {
	out := fleet.Command{By: c.Author, Comment: c.ID, At: c.At}
	if m := retryLine.FindStringSubmatch(line); m != nil {
		out.What, out.Package, out.Reason = fleet.CommandRetry, fleet.PackageID(m[1]), strings.TrimSpace(m[2])
		out.Version = newestDetection(look.Record, out.Package).Found
	} else if m := commandLine.FindStringSubmatch(line); m != nil {
		out.What, out.Package, out.Version, out.Reason = m[1], fleet.PackageID(m[2]), m[3], strings.TrimSpace(m[4])
	} else {
		return out, "not understood. Write `packmill ignore <package> <version>: <reason>`, `packmill unhold <package> <version>: <reason>` or `packmill retry <package>: <reason>`."
	}
	newest := newestDetection(look.Record, out.Package)
	switch {
	case c.Edited:
		return out, "not done: the comment was changed after it was sent, and by whom cannot be told. Write it anew."
	case reasonable(out.Reason) != nil:
		return out, "not done: " + reasonable(out.Reason).Error() + "."
	case newest.Found != out.Version || out.Version == "":
		return out, "not done: that is not the version that was last found for a package of that name."
	case out.What == fleet.CommandIgnore || out.What == fleet.CommandRetry:
		return out, ""
	case newest.Hold == fleet.HoldSigner:
		return out, "not done: a new signer is let in by a pull request that names it in `publisher.cue`, which shows who else it lets in."
	case newest.Hold != fleet.HoldChangedHash && newest.Hold != fleet.HoldTooYoung:
		return out, "not done: only versions that are held as `changed-hash` or `too-young` can be let pass."
	}
	out.Hold, out.Why = newest.Hold, newest.Why
	return out, ""
}

// newestDetection is the newest look at a package in evidence.
func newestDetection(rec *fleet.Record, id fleet.PackageID) fleet.Detection {
	var out fleet.Detection
	for _, d := range rec.Detections {
		if d.Package == id && !d.At.Before(out.At) {
			out = d
		}
	}
	return out
}
