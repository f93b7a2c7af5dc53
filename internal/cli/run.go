package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/view"
)

// runReport is what run and apply print as JSON.
type runReport struct {
	Done    []factory.Outcome      `json:"done"`
	Waits   []rollout.Wait         `json:"waits"`
	Tenants []factory.TenantResult `json:"tenants"` // where changes were to be made
}

func newRunCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Do whatever is due now",
		Long: `run looks at main and at evidence, decides what is due at this instant, does it,
records it, and looks again until nothing is left. It is what the week's
workflow calls; being called twice, late, or after a crash does no harm.

Effects leave this machine, so it asks for --yes outside CI.`,
		Args: cobra.NoArgs,
	}
	f := formatFlag(cmd, formatTable, formatJSON, formatMarkdown, formatGitHub)
	a.yesFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.execute(cmd, *f, factory.Only{})
	}
	return cmd
}

func newApplyCmd(a *app) *cobra.Command {
	var plan, shard string
	cmd := &cobra.Command{
		Use:   "apply",
		Short: "Carry out merged approvals on tenants",
		Long: `apply starts approved waves and carries out their plans: intents first, then the
tenants, then receipts. It recomputes every plan and refuses one that differs
from what was approved. Interrupted, it goes on where it stopped. Before a
cycle's last wave it reads the devices again: those that came since join it.

With --shard I/N one of N jobs does the tenants of its share.`,
		Args: cobra.NoArgs,
	}
	f := formatFlag(cmd, formatTable, formatJSON, formatMarkdown, formatGitHub)
	a.yesFlag(cmd)
	cmd.Flags().StringVar(&plan, "plan", "", "refuse unless a wave with this plan digest is approved")
	cmd.Flags().StringVar(&shard, "shard", "", "the part of the tenants this job does: I/N, I from 0")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		only := factory.Only{Plan: fleet.Digest(plan), Kinds: map[string]bool{
			rollout.RecordMerge: true, rollout.TakeInventory: true, rollout.StartWave: true, rollout.Deploy: true, rollout.Withdraw: true, rollout.RollBack: true, rollout.Promote: true,
			rollout.Uninstall: true, rollout.Reinstate: true, rollout.Remove: true, rollout.Restore: true,
		}}
		var err error
		if only.Shard, err = parseShard(shard); err != nil {
			return err
		}
		return a.execute(cmd, *f, only)
	}
	return cmd
}

func parseShard(s string) (factory.Shard, error) {
	if s == "" {
		return factory.Shard{}, nil
	}
	i, n, ok := strings.Cut(s, "/")
	part, err1 := strconv.Atoi(i)
	parts, err2 := strconv.Atoi(n)
	if !ok || err1 != nil || err2 != nil || parts < 1 || parts > 16 || part < 0 || part >= parts {
		return factory.Shard{}, usageErrorf("--shard %q is not I/N with 0 ≤ I < N ≤ 16", s)
	}
	return factory.Shard{I: part, N: parts}, nil
}

// yesFlag adds --yes to a command whose effects leave this machine.
func (a *app) yesFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&a.yes, "yes", a.getenv("CI") != "", "act outside this machine (the default in CI)")
}

// execute runs what is due of some kinds, or lists it where it may not act.
func (a *app) execute(cmd *cobra.Command, f format, only factory.Only) error {
	mill, _, err := a.factory(cmd.Context())
	if err != nil {
		return err
	}
	if !a.yes {
		return a.listDue(cmd, mill, f, only)
	}
	if err := a.lasting(mill); err != nil {
		return err
	}
	release, err := a.alone(cmd.Context(), mill.Git)
	if err != nil {
		return err
	}
	defer release()
	if only.Kinds == nil && a.now == "" {
		a.refresh(cmd.Context(), mill)
	}
	r, err := mill.Run(cmd.Context(), only, nil)
	if printed := a.write(f, runResult(r, "nothing was due")); printed != nil {
		return printed
	}
	if err == nil && f == formatTable {
		return a.stalled(r.Waits)
	}
	return tenantsFailed(r.Tenants, err)
}

// tenantsFailed is the error of a run in which tenants failed: exit code 4 where
// a person must act, 1 where any tenant failed in another way, whatever kind its
// error is of.
func tenantsFailed(tenants []factory.TenantResult, err error) error {
	failed := slices.ContainsFunc(tenants, func(t factory.TenantResult) bool { return t.Failed > 0 })
	if kind := fleet.KindOf(err); err == nil || !failed || kind == fleet.Stalled || kind == fleet.Waiting {
		return err
	}
	return failedTenants{err}
}

// failedTenants is an error that is told as it is, and whose exit code is 1.
type failedTenants struct{ error }

func (e failedTenants) Unwrap() error { return e.error }

// lasting refuses to act in CI with a store on the runner's own disk: what is
// built on Wednesday must be there on Monday.
func (a *app) lasting(mill *factory.Factory) error {
	if a.getenv("CI") == "" || a.getenv("PACKMILL_STORE") != "" || mill.Store == nil || !filepath.IsAbs(mill.Store.Where()) {
		return nil
	}
	return &fleet.Error{Op: "cli.run", Object: mill.Store.Where(), Kind: fleet.Invalid, Err: errors.New("artifacts kept on a CI runner are gone with it"),
		Hint: "state operator: store: registry in tenants/operator.cue, or set PACKMILL_STORE to a registry or a folder that stays"}
}

// listDue prints what run would do first.
func (a *app) listDue(cmd *cobra.Command, mill *factory.Factory, f format, only factory.Only) error {
	actions, waits, err := mill.Due(cmd.Context(), only)
	if err != nil {
		return err
	}
	r := factory.RunResult{Waits: waits}
	for _, action := range actions {
		r.Done = append(r.Done, factory.Outcome{Action: action, Note: "not done"})
	}
	if err := a.write(f, runResult(r, "nothing is due")); err != nil {
		return err
	}
	if len(r.Done) > 0 && f == formatTable {
		fmt.Fprintln(a.stderr, "packmill: nothing was done; --yes does it")
	}
	return nil
}

// stalled tells what waits for a person; it is no failure of the run.
func (a *app) stalled(waits []rollout.Wait) error {
	for _, w := range waits {
		if w.Kind == fleet.Stalled {
			fmt.Fprintf(a.stderr, "packmill: %s %s: %s\n", w.Cycle, w.Wave, w.Why)
		}
	}
	return nil
}

func runResult(r factory.RunResult, empty string) result {
	t := view.Table{Columns: view.Cols("action", "cycle", "wave", "tenant", "packages", "outcome"), Empty: empty}
	for _, o := range r.Done {
		outcome := o.Note
		if o.Err != "" {
			outcome = "failed: " + o.Err
		}
		ids := make([]string, len(o.Packages))
		for i, id := range o.Packages {
			ids[i] = string(id)
		}
		t.Add(o.Kind, string(o.Cycle), o.Wave, string(o.Tenant), strings.Join(ids, " "), outcome)
	}
	waits := view.Table{Columns: view.Cols("waits", "wave", "for", "until")}
	for _, w := range r.Waits {
		until := ""
		if !w.Until.IsZero() {
			until = w.Until.UTC().Format("2006-01-02 15:04Z")
		}
		waits.Add(string(w.Cycle), w.Wave, w.Why, until)
	}
	out := result{name: "run", value: runReport{Done: r.Done, Waits: r.Waits, Tenants: r.Tenants}, table: t}
	if tenants := tenantTable(r.Tenants); len(r.Tenants) > 0 {
		out.also = append(out.also, tenants)
	}
	if len(r.Waits) > 0 {
		out.also = append(out.also, waits)
	}
	return out
}

// tenantTable lists the tenants that were not simply done, after a line for all.
func tenantTable(tenants []factory.TenantResult) view.Table {
	t := view.Table{Columns: view.Cols("tenant", "done", "failed", "waiting", "skipped", "why")}
	var sum factory.TenantResult
	for _, r := range tenants {
		sum.Done, sum.Failed, sum.Waiting, sum.Skipped = sum.Done+r.Done, sum.Failed+r.Failed, sum.Waiting+r.Waiting, sum.Skipped+r.Skipped
	}
	row := func(name string, r factory.TenantResult) {
		t.Add(name, strconv.Itoa(r.Done), strconv.Itoa(r.Failed), strconv.Itoa(r.Waiting), strconv.Itoa(r.Skipped), r.Why)
	}
	row(fmt.Sprintf("all %d", len(tenants)), sum)
	for _, r := range tenants {
		if r.Failed+r.Waiting+r.Skipped > 0 {
			row(string(r.Tenant), r)
		}
	}
	return t
}
