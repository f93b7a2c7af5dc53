package factory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// A LaneAsked is a cycle outside the week that a person asks for.
type LaneAsked struct {
	Lane     string   // cve, oob, new
	Packages []string // all that are ready and belong there when none is named
	Freezes  []string // that it passes
	Reason   string   // why it passes them
}

// Lane is the cycle that a person asks for, cut off at now to the minute, and
// the id it would have. It is Invalid when the lane has no waves or something is
// named that is not on main, and Refused when a package is not ready.
func Lane(facts rollout.Facts, asked LaneAsked, now time.Time) (fleet.CycleID, fleet.Cycle, error) {
	if len(fleet.WavesIn(facts.Repo.Waves, asked.Lane)) == 0 {
		return "", fleet.Cycle{}, &fleet.Error{Op: "factory.lane", Object: "schedules/waves.cue", Kind: fleet.Invalid,
			Err:  fmt.Errorf("no wave takes part in the lane %q", asked.Lane),
			Hint: fmt.Sprintf(`give the waves that do a field lanes: %s: {after: "2h", soak: "4h", looks: ["4h"]}`, asked.Lane)}
	}
	overrides, err := passing(facts.Repo, asked)
	if err != nil {
		return "", fleet.Cycle{}, err
	}
	cutOff := now.UTC().Truncate(time.Minute)
	only, err := ready(facts, asked, cutOff)
	if err != nil {
		return "", fleet.Cycle{}, err
	}
	id := rollout.NextLane(facts.Repo, asked.Lane, cutOff)
	cycle := rollout.NewCycle(facts.Repo, facts.Record, id, cutOff, only)
	cycle.Overrides = overrides
	if len(cycle.Entries) == 0 {
		return "", fleet.Cycle{}, &fleet.Error{Op: "factory.lane", Object: string(id), Kind: fleet.Refused, Err: fmt.Errorf("no release is ready for the lane %q", asked.Lane),
			Hint: "packmill cycle open --lane " + asked.Lane + " PACKAGE  says what a package lacks"}
	}
	return id, cycle, nil
}

// ready are the named packages, if each of them can travel; otherwise the error
// says what each of the others lacks.
func ready(facts rollout.Facts, asked LaneAsked, cutOff time.Time) ([]fleet.PackageID, error) {
	var only []fleet.PackageID
	var faults []error
	for _, name := range asked.Packages {
		id, err := known("package", name, facts.Repo.PackageIDs())
		if err != nil {
			return nil, err
		}
		only = append(only, id)
		if why := rollout.Unready(facts.Repo, facts.Record, asked.Lane, id, cutOff); why != "" {
			faults = append(faults, &fleet.Error{Op: "factory.lane", Object: name, Kind: fleet.Refused, Err: errors.New(why), Hint: "packmill run  builds and tests what is merged; packmill cycle status CYCLE  tells how far a cycle is"})
		}
	}
	return only, errors.Join(faults...)
}

// passing are the freezes that a cycle is to pass: by people's word, and in the
// lane of fixes alone.
func passing(repo *fleet.Repository, asked LaneAsked) (*fleet.Overrides, error) {
	fault := func(object, hint, format string, args ...any) error {
		return &fleet.Error{Op: "factory.lane", Object: object, Kind: fleet.Invalid, Err: fmt.Errorf(format, args...), Hint: hint}
	}
	switch {
	case len(asked.Freezes) == 0:
		return nil, nil
	case asked.Lane != fleet.LaneSecurity:
		return nil, fault(asked.Lane, "wait for the freeze to end, or end it by a merge", "only a cycle of the lane %q may pass a freeze", fleet.LaneSecurity)
	case strings.TrimSpace(asked.Reason) == "":
		return nil, fault(asked.Freezes[0], "say why with --reason", "to pass a freeze takes a reason, for the two persons who approve it")
	}
	names := slices.Sorted(maps.Keys(repo.Freezes))
	for _, name := range asked.Freezes {
		if _, ok := repo.Freezes[name]; !ok {
			return nil, fault(name, "git ls-tree --name-only main schedules/freezes/  lists what there is", "there is no such freeze on main%s", desired.Suggest(name, names))
		}
	}
	freezes := slices.Clone(asked.Freezes)
	slices.Sort(freezes)
	return &fleet.Overrides{Freezes: slices.Compact(freezes), Reason: asked.Reason}, nil
}

// Beside is the id that a cycle which a person asked for (Lane) is proposed
// under: one that no open pull request brings. Asked for the same again, it is
// the cycle that is under proposal already.
func (f *Factory) Beside(ctx context.Context, facts rollout.Facts, id fleet.CycleID, cycle fleet.Cycle) (fleet.CycleID, fleet.Cycle, error) {
	open, err := f.underProposal(ctx)
	if err != nil {
		return "", fleet.Cycle{}, err
	}
	for c, taken := open[id]; taken; c, taken = open[id] {
		if maps.Equal(c.Entries, cycle.Entries) && reflect.DeepEqual(c.Overrides, cycle.Overrides) {
			return id, c, nil
		}
		id = beside(facts.Repo, id)
	}
	return id, cycle, nil
}

// openCycle proposes a cycle that is due. In a lane, what people proposed to pass
// freezes with is left to them: the run adds a cycle of what that lacks. What
// they asked for without that keeps its cut-off, and so its reviews.
func (f *Factory) openCycle(ctx context.Context, facts rollout.Facts, a rollout.Action) (string, error) {
	id, packages, cutOff := a.Cycle, a.Packages, a.CutOff
	if id.Lane() != fleet.LaneWeek {
		open, err := f.underProposal(ctx)
		if err != nil {
			return "", err
		}
		for c, taken := open[id]; taken && c.Overrides != nil; c, taken = open[id] {
			packages = slices.DeleteFunc(slices.Clone(packages), func(p fleet.PackageID) bool { _, in := c.Entries[p]; return in })
			if len(packages) == 0 {
				return "people proposed it, through freezes", nil
			}
			id = beside(facts.Repo, id)
		}
		if c, taken := open[id]; taken && slices.Equal(slices.Sorted(maps.Keys(c.Entries)), packages) {
			cutOff = c.CutOff
		}
	}
	pull, _, err := f.OpenCycle(ctx, facts, id, rollout.NewCycle(facts.Repo, facts.Record, id, cutOff, packages))
	return pullNote(pull), err
}

// beside is the next id of a cycle's lane.
func beside(repo *fleet.Repository, id fleet.CycleID) fleet.CycleID {
	for n := 1; ; n++ {
		next := fleet.CycleID(fmt.Sprintf("%s-%s-%02d", id.Week(), id.Lane(), n))
		if _, used := repo.Cycles[next]; next > id && !used {
			return next
		}
	}
}

// underProposal are the cycles that open pull requests would bring.
func (f *Factory) underProposal(ctx context.Context) (map[fleet.CycleID]fleet.Cycle, error) {
	if f.Forge == nil {
		return nil, nil // OpenCycle says so
	}
	pulls, err := f.Forge.Pulls(ctx, "open")
	if err != nil {
		return nil, err
	}
	out := map[fleet.CycleID]fleet.Cycle{}
	for _, p := range pulls {
		name, is := strings.CutPrefix(p.Branch, rollout.BranchCycle)
		if !is {
			continue
		}
		head, err := f.remoteBranch(p.Branch)
		if err != nil {
			return nil, err
		}
		if head == "" {
			continue
		}
		repo, err := f.Desired(ctx, head)
		if isContent(err) {
			continue // somebody broke it; proposing again mends it
		}
		if err != nil {
			return nil, err
		}
		if c, ok := repo.Cycles[fleet.CycleID(name)]; ok {
			out[fleet.CycleID(name)] = c
		}
	}
	return out, nil
}
