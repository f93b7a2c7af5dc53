package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/view"
)

// tenantsReport is what tenants check prints as JSON.
type tenantsReport struct {
	Tenants  []fleet.Readiness `json:"tenants"`
	Recorded bool              `json:"recorded"` // in evidence
}

func newTenantsCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tenants",
		Short: "Look at the tenants themselves",
	}
	cmd.AddCommand(newTenantsCheckCmd(a))
	return cmd
}

func newTenantsCheckCmd(a *app) *cobra.Command {
	var record bool
	cmd := &cobra.Command{
		Use:   "check [TENANT...]",
		Short: "Say whether tenants can be worked in, and with what",
		Long: `check signs in to tenants and reads, side by side and without changing anything:
whether each can be reached and how fast it answers, which permissions it granted
and which are missing, which features of Intune have reached it, what its licences
cover, whether the clocks agree, which devices Configuration Manager serves, which
enrolment status pages wait for packmill's apps, and which changes wait for a
second person (Multi Admin Approval). Without a TENANT it looks at all that have a
connection; one that does not answer keeps no other waiting.

With --record it keeps what it found in evidence, where apply looks up what a
tenant can do; run does the same once a day, unless --now tells it the time.

Exit codes: 0 all tenants are ready, 1 one could not be reached, 3 one lets
packmill in not at all or to too little, 4 a person must act in one.`,
		Example: `  packmill tenants check
  packmill tenants check nordic/birch --format json
  packmill tenants check --record`,
	}
	f := formatFlag(cmd, formatTable, formatJSON, formatCSV, formatMarkdown)
	cmd.Flags().BoolVar(&record, "record", false, "keep what was found in evidence")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		mill, _, err := a.factory(cmd.Context())
		if err != nil {
			return err
		}
		repo, err := onMain(cmd.Context(), mill)
		if err != nil {
			return err
		}
		chosen, err := connected(repo, args)
		if err != nil {
			return err
		}
		list, err := mill.CheckTenants(cmd.Context(), chosen)
		if err != nil {
			return err
		}
		if record {
			if err := mill.RecordReadiness(cmd.Context(), list); err != nil {
				return err
			}
		}
		if err := a.write(*f, tenantsResult(list, record)); err != nil {
			return err
		}
		return readyCode(list)
	}
	return cmd
}

// refresh records once a day what tenants can do. What goes wrong with it keeps
// no run back: apply then goes by what was known before.
func (a *app) refresh(ctx context.Context, mill *factory.Factory) {
	repo, err := onMain(ctx, mill)
	if err == nil {
		err = mill.RefreshReadiness(ctx, repo)
	}
	if err != nil {
		mill.Log.WarnContext(ctx, "tenants were not looked at", "error", err)
	}
}

// onMain is the repository as main has it.
func onMain(ctx context.Context, mill *factory.Factory) (*fleet.Repository, error) {
	main, err := mill.Git.Main()
	if err != nil {
		return nil, err
	}
	return mill.Desired(ctx, main)
}

// connected are the tenants of that name, or all that have a connection.
func connected(repo *fleet.Repository, names []string) ([]fleet.Tenant, error) {
	var out []fleet.Tenant
	if len(names) == 0 {
		for _, id := range repo.TenantIDs() {
			if t := repo.Tenants[id]; t.Intune != nil {
				out = append(out, t)
			}
		}
		return out, nil
	}
	for _, name := range names {
		t, ok := repo.Tenants[fleet.TenantID(name)]
		if !ok {
			return nil, &fleet.Error{Op: "cli.tenants", Object: name, Kind: fleet.Invalid, Err: fmt.Errorf("is no tenant of this repository"), Hint: "a tenant is named PARTNER/TENANT, as its folder below tenants/"}
		}
		out = append(out, t)
	}
	return out, nil
}

// readyCode is the exit code for what was found; everything was told already.
func readyCode(list []fleet.Readiness) error {
	code := exitDone
	for _, state := range []struct {
		name string
		code int
	}{{fleet.ReadyStalled, exitStalled}, {fleet.ReadyRefused, exitRefused}, {fleet.ReadyUnreachable, exitInternal}} {
		if slices.ContainsFunc(list, func(r fleet.Readiness) bool { return r.State == state.name }) {
			code = state.code
		}
	}
	if code == exitDone {
		return nil
	}
	return errTold{code}
}

func tenantsResult(list []fleet.Readiness, recorded bool) result {
	tenants := view.Table{Columns: view.Cols("tenant", "state", "answers in", "permissions", "features", "licences", "devices", "apps", "held"), Empty: "no tenant has a connection"}
	findings := view.Table{Columns: view.Cols("tenant", "finding", "what", "next")}
	for _, r := range list {
		if r.State == fleet.ReadyUnreachable || r.State == fleet.ReadyRefused && len(r.Features) == 0 {
			tenants.Add(string(r.Tenant), r.State, "", "", "", "", "", "", "")
		} else {
			tenants.Add(string(r.Tenant), r.State, fmt.Sprintf("%d ms", r.Millis), permissionsWord(r), featuresWord(r), licencesWord(r), devicesWord(r.Devices),
				fmt.Sprintf("%d, %d ours", r.Apps, r.Ours), heldWord(r))
		}
		for _, f := range r.Findings {
			findings.Add(string(r.Tenant), f.Kind, f.What, f.Next)
		}
	}
	out := result{name: "tenants", value: tenantsReport{Tenants: list, Recorded: recorded}, table: tenants}
	if len(findings.Rows) > 0 {
		out.also = []view.Table{findings}
	}
	return out
}

func permissionsWord(r fleet.Readiness) string {
	needed := 0
	for _, l := range r.Lacks {
		if l.Needed {
			needed++
		}
	}
	switch {
	case len(r.Lacks) == 0:
		return "all"
	case needed == 0:
		return fmt.Sprintf("%d optional missing", len(r.Lacks))
	}
	return fmt.Sprintf("%d missing", len(r.Lacks))
}

func featuresWord(r fleet.Readiness) string {
	yes, absent := 0, 0
	for _, known := range r.Features {
		switch known {
		case fleet.FeatureYes:
			yes++
		case fleet.FeatureNo:
			absent++
		}
	}
	text := fmt.Sprintf("%d of %d", yes, len(r.Features))
	if absent > 0 {
		text += fmt.Sprintf(", %d not there yet", absent)
	}
	return text
}

func licencesWord(r fleet.Readiness) string {
	var have []string
	for use, ok := range r.Licences {
		if ok {
			have = append(have, use)
		}
	}
	slices.Sort(have)
	if len(have) == 0 {
		return "unknown"
	}
	return strings.Join(have, " ")
}

func devicesWord(c fleet.DeviceCounts) string {
	if c.CoManaged == 0 {
		return fmt.Sprint(c.All)
	}
	return fmt.Sprintf("%d, %d co-managed", c.All, c.CoManaged)
}

func heldWord(r fleet.Readiness) string {
	switch {
	case len(r.Pending) > 0:
		return fmt.Sprintf("%d wait", len(r.Pending))
	case len(r.Approvals) > 0:
		return strings.Join(r.Approvals, " ")
	}
	return "nothing"
}
