package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/view"
)

func newCycleOpenCmd(a *app) *cobra.Command {
	cmd := newProposeCmdOf(a, "open [PACKAGE…]", "Propose the cycle of the latest cut-off, or one in a lane", rollout.RecordMerge, rollout.TakeInventory, rollout.OpenCycle)
	cmd.Long = `open proposes the cycle of the latest cut-off, with all releases that are ready.

With --lane it proposes a cycle outside the week at once, cut off now: in the
lane cve for fixes of vulnerabilities, oob for repairs that cannot wait, new for
packages that tenants did not have before. It goes through the waves that have
the lane in schedules/waves.cue, each a time after the cut-off. Without PACKAGE
all that is ready and belongs there travels. A PACKAGE that is not ready is
refused, and what it lacks said.

A cycle of the lane cve may go on through freezes, --override FREEZE each, if two
persons approve it. The plan counts devices as they were last read: packmill
inventory reads them again.`
	cmd.Example = `  packmill cycle open --yes
  packmill cycle open --lane cve northwind/browser --yes
  packmill cycle open --lane cve --override year-end --reason 'exploited since Monday'`
	cmd.Args = cobra.ArbitraryArgs
	var asked factory.LaneAsked
	cmd.Flags().StringVar(&asked.Lane, "lane", "", "propose a cycle outside the week: "+strings.Join(lanes(), ", "))
	cmd.Flags().StringArrayVar(&asked.Freezes, "override", nil, "a freeze that the cycle goes on through (lane cve only)")
	cmd.Flags().StringVar(&asked.Reason, "reason", "", "why it goes on through freezes")
	week := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		asked.Packages = args
		switch {
		case asked.Lane == "" && len(args) == 0 && len(asked.Freezes) == 0 && asked.Reason == "":
			return week(cmd, args)
		case asked.Lane == "":
			return usageErrorf("packages, --override and --reason are for a cycle outside the week: --lane is one of %s", strings.Join(lanes(), ", "))
		case !slices.Contains(lanes(), asked.Lane):
			return usageErrorf("--lane %q is not one of %s%s", asked.Lane, strings.Join(lanes(), ", "), desired.Suggest(asked.Lane, lanes()))
		}
		return a.openLane(cmd, asked)
	}
	return cmd
}

func lanes() []string { return []string{fleet.LaneSecurity, fleet.LaneOut, fleet.LaneNew} }

// openLane proposes a cycle in a lane, or tells what it would propose.
func (a *app) openLane(cmd *cobra.Command, asked factory.LaneAsked) error {
	mill, _, err := a.factory(cmd.Context())
	if err != nil {
		return err
	}
	facts, err := mill.Observe(cmd.Context())
	if err != nil {
		return err
	}
	id, cycle, err := factory.Lane(facts, asked, mill.Clock.Now())
	if err != nil {
		return err
	}
	if id, cycle, err = mill.Beside(cmd.Context(), facts, id, cycle); err != nil {
		return err
	}
	opening, err := rollout.Opening(facts, id, cycle)
	if err != nil {
		return err
	}
	p := pullReport{Title: view.Title(facts.Repo, opening)}
	t := laneTable(cycle)
	head := "would propose cycle " + string(id)
	if a.yes {
		pull, _, err := mill.OpenCycle(cmd.Context(), facts, id, cycle)
		if err != nil {
			return err
		}
		p = pullReport{Number: pull.Number, Title: pull.Title, Branch: pull.Branch}
		head = fmt.Sprintf("pull request %d: %s", p.Number, p.Title)
	}
	if o := cycle.Overrides; o != nil {
		head += ", on through " + strings.Join(o.Freezes, ", ") + ": two persons approve it"
	}
	if !a.yes {
		head += "; --yes does it"
	}
	t.Title = head
	f := format(cmd.Flags().Lookup("format").Value.String())
	return a.write(f, result{name: "pull", value: p, table: t, also: []view.Table{reachTable(opening.Previews)}})
}

func laneTable(cycle fleet.Cycle) view.Table {
	t := view.Table{Columns: view.Cols("package", "release", "artifact")}
	for _, id := range slices.Sorted(maps.Keys(cycle.Entries)) {
		t.Add(string(id), cycle.Entries[id].Release, cycle.Entries[id].Artifact.Short())
	}
	return t
}

// reachTable is whom the waves of a cycle reach, as devices were last read.
func reachTable(plans []fleet.Plan) view.Table {
	t := view.Table{Columns: view.Cols("wave", "tenants>", "devices>", "first")}
	for _, p := range plans {
		s, first := p.Summary(), ""
		for _, row := range p.Rows {
			if at := row.NotBefore.UTC().Format("2006-01-02 15:04Z"); first == "" || at < first {
				first = at
			}
		}
		t.Add(p.Gate, fmt.Sprint(s.Tenants), fmt.Sprint(s.Devices), first)
	}
	return t
}
