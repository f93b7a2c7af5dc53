package cli

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/view"
)

// planReport is what plan prints as JSON.
type planReport struct {
	Digest   fleet.Digest `json:"digest"`
	Recorded fleet.Digest `json:"recorded"` // digest that plan.cue names, "" for a cycle that is not opened yet
	Plan     fleet.Plan   `json:"plan"`
	// Leaves are the packages that main takes from tenants: no gate's, the next
	// run's.
	Leaves []rollout.Leaving `json:"leaves,omitempty"`
}

func newPlanCmd(a *app) *cobra.Command {
	var gate string
	var d driftFlags
	cmd := &cobra.Command{
		Use:   "plan [CYCLE]",
		Short: "Print what opening a gate will do, and its digest",
		Long: `plan recomputes what a wave of a cycle will do: a row for every tenant and
package, with the versions, the wave, the dates and why. Its digest is what an
approval names; apply recomputes it and refuses a difference.

Packages that tenants' files take from tenants are listed with it: they are no
gate's, and the next run or apply carries that out.

Without CYCLE it is the newest open one, without --gate its next wave.

With --drift it reads the tenants instead, and compares three versions of every
object of packmill's there: what main wants, what was last applied, and what the
tenant has. Whom an object is assigned to is compared with whom packmill left it
for. It changes nothing there. --adopt writes what the tenant has into
the work tree, for review; what it says of the other way, to restore, is a merge
too. It exits with 1 when a tenant could not be read, and with --exit-code with
5 when something differs.`,
		Example: `  packmill plan
  packmill plan --drift --tenant nordic/acme --exit-code
  packmill plan --drift --tenant nordic/acme --adopt acme/baseline`,
		Args: cobra.MaximumNArgs(1),
	}
	f := formatFlag(cmd, formatTable, formatJSON, formatCSV, formatMarkdown)
	cmd.Flags().StringVar(&gate, "gate", "", "the wave to plan")
	cmd.Flags().BoolVar(&d.on, "drift", false, "compare what tenants hold with main and with what was last applied")
	cmd.Flags().StringVar(&d.tenant, "tenant", "", "with --drift: this tenant alone")
	cmd.Flags().StringVar(&d.adopt, "adopt", "", "with --drift: write what the tenant has of this package into the work tree")
	cmd.Flags().BoolVar(&d.exitCode, "exit-code", false, "with --drift: exit with 5 when something differs")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case d.on && (gate != "" || len(args) > 0):
			return usageErrorf("--drift compares tenants: it takes no cycle and no gate")
		case d.on:
			return a.drift(cmd.Context(), *f, d)
		case d.tenant != "" || d.adopt != "" || d.exitCode:
			return usageErrorf("--tenant, --adopt and --exit-code go with --drift")
		}
		return a.plan(cmd.Context(), *f, args, gate)
	}
	return cmd
}

// plan prints what opening a gate will do.
func (a *app) plan(ctx context.Context, f format, args []string, gate string) error {
	mill, _, err := a.factory(ctx)
	if err != nil {
		return err
	}
	facts, err := mill.Observe(ctx)
	if err != nil {
		return err
	}
	id, err := chosenCycle(facts, args)
	if err != nil {
		return err
	}
	if gate == "" {
		gate = nextGate(facts, id)
	}
	plan, err := mill.PlanOf(ctx, facts.Repo, id, gate)
	if err != nil {
		return err
	}
	table := view.PlanTable(plan)
	skipped := view.SkippedTable(plan)
	leaves := rollout.Leavings(facts, mill.Clock.Now())
	r := result{name: "plan", value: planReport{Digest: plan.Digest(), Recorded: facts.Repo.Plans[id][gate].Digest, Plan: plan, Leaves: leaves}, table: table, also: []view.Table{view.GroupTable(plan), skipped, digestTable(plan)}}
	if len(leaves) > 0 {
		r.also = append(r.also, view.LeavesTable(leaves))
	}
	return a.write(f, r)
}

func digestTable(p fleet.Plan) view.Table {
	t := view.Table{Columns: view.Cols("cycle", "gate", "digest")}
	t.Add(string(p.Cycle), p.Gate, string(p.Digest()))
	return t
}

// chosenCycle is the cycle that was named, or the newest one on main.
func chosenCycle(facts rollout.Facts, args []string) (fleet.CycleID, error) {
	ids := facts.Repo.CycleIDs()
	if len(args) > 0 {
		id := fleet.CycleID(args[0])
		if !slices.Contains(ids, id) {
			return "", &fleet.Error{Op: "cli.cycle", Object: args[0], Kind: fleet.Invalid, Err: errors.New("no such cycle on main"), Hint: "packmill cycle status"}
		}
		return id, nil
	}
	if len(ids) == 0 {
		return "", &fleet.Error{Op: "cli.cycle", Kind: fleet.Invalid, Err: errors.New("no cycle was ever opened"), Hint: "packmill cycle open"}
	}
	return ids[len(ids)-1], nil
}

// nextGate is the first wave of a cycle that has not started, or its last.
func nextGate(facts rollout.Facts, id fleet.CycleID) string {
	waves := facts.Repo.Cycles[id].Waves
	for _, name := range waves {
		if !slices.ContainsFunc(facts.Record.Starts, func(s fleet.WaveStart) bool { return s.Cycle == id && s.Wave == name }) {
			return name
		}
	}
	if len(waves) == 0 {
		return slices.Sorted(maps.Keys(facts.Repo.Plans[id]))[0]
	}
	return waves[len(waves)-1]
}
