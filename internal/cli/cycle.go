package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/view"
)

func newCycleCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cycle",
		Short: "Open, follow, advance and close cycles",
		Long: `A cycle is one turn of the mill: the releases that travel together through the
waves. Opening it, letting each wave begin and closing it are pull requests that
these commands propose; merging them is the approval.`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(
		newCycleStatusCmd(a),
		newCycleOpenCmd(a),
		newProposeCmdOf(a, "advance", "Judge what is due and propose the next gate", rollout.RecordMerge, rollout.Judge, rollout.Withdraw, rollout.ProposeRevoke, rollout.ProposeApproval, rollout.ProposeTenantApprovals, rollout.AutoMerge),
		newProposeCmdOf(a, "close", "Propose to close cycles whose entries all have their last word", rollout.RecordMerge, rollout.Promote, rollout.ProposeClose),
		newCycleObjectCmd(a),
		newCycleSignoffCmd(a),
	)
	return cmd
}

// newProposeCmdOf is a command that does what is due of some kinds of action.
func newProposeCmdOf(a *app, use, short string, kinds ...string) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs}
	f := formatFlag(cmd, formatTable, formatJSON, formatMarkdown)
	a.yesFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		only := factory.Only{Kinds: map[string]bool{}}
		for _, k := range kinds {
			only.Kinds[k] = true
		}
		return a.execute(cmd, *f, only)
	}
	return cmd
}

func newCycleStatusCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [CYCLE]",
		Short: "Tell how far a cycle has come",
		Long: `status derives from main and evidence how far a cycle has come: nothing derived
is ever stored. With --at it takes main and evidence as they were at an instant,
and so tells what was told then.

CYCLE is the newest one when it is not named.`,
		Example: `  packmill cycle status
  packmill cycle status 2026-W47 --at 2026-11-19T13:00:00Z
  packmill cycle status --at 2026-11-19`,
		Args: cobra.MaximumNArgs(1),
	}
	at := atFlag(cmd)
	f := formatFlag(cmd, formatTable, formatJSON, formatCSV, formatMarkdown)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		mill, ledger, err := a.looking(cmd.Context())
		if err != nil {
			return err
		}
		facts, now, err := a.factsAt(cmd.Context(), mill, ledger, *at)
		if err != nil {
			return err
		}
		id, err := chosenCycle(facts, args)
		if err != nil {
			return err
		}
		cycle, err := factory.Board(facts, id, now)
		if err != nil {
			return err
		}
		cycle.Version = buildVersion()
		board := view.BoardOf(cycle)
		return a.write(*f, result{name: "cycle", value: board, table: view.StatusTable(board), also: []view.Table{view.WavesTable(board)}})
	}
	return cmd
}

func newRevokeCmd(a *app) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "revoke PACKAGE@VERSION",
		Short: "Propose to take a release back",
		Long: `revoke proposes a revocation: a file under schedules/holds. Merging it takes the
release back from every tenant that was told to have it, the way the package
declares. Stopping needs no merge: a failed gate halts by itself.`,
		Args: cobra.ExactArgs(1),
	}
	f := formatFlag(cmd, formatText, formatJSON)
	a.yesFlag(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the people who approve and audit")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if reason == "" {
			return usageErrorf("a revocation needs --reason")
		}
		mill, _, err := a.factory(cmd.Context())
		if err != nil {
			return err
		}
		facts, err := mill.Observe(cmd.Context())
		if err != nil {
			return err
		}
		action, err := factory.Revocation(facts, args[0], reason)
		if err != nil {
			return err
		}
		if !a.yes {
			p := pullReport{Title: "Revoke " + string(action.Packages[0]) + " " + action.Version}
			return a.write(*f, result{name: "pull", value: p, text: fmt.Sprintf("would propose to revoke %s; --yes does it\n", args[0])})
		}
		pull, _, err := mill.ProposeRevocation(cmd.Context(), facts, action)
		if err != nil {
			return err
		}
		p := pullReport{Number: pull.Number, Title: pull.Title, Branch: pull.Branch}
		return a.write(*f, result{name: "pull", value: p, text: fmt.Sprintf("pull request %d: %s\n", p.Number, p.Title)})
	}
	return cmd
}

// pullReport is a pull request as JSON.
type pullReport struct {
	Number int    `json:"number"` // 0: it was not proposed, for lack of --yes
	Title  string `json:"title"`
	Branch string `json:"branch"`
}
