package cli

import (
	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/record/desired"
)

// policyChildName is the hidden command that the policy lane's child runs.
const policyChildName = "policy-eval"

func newPolicyEvalCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:    policyChildName,
		Short:  "Evaluate schedules and tenants handed over on standard input",
		Long:   "policy-eval is the child process in which packmill evaluates CUE that may be hostile. It reads files from standard input, limits itself, and writes JSON lines.",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if code := desired.PolicyChild(a.stdin, a.stdout); code != 0 {
				return errTold{code}
			}
			return nil
		},
	}
}
