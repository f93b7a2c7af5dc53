package view

import (
	"fmt"

	"github.com/packmill/packmill/internal/rules/rollout"
)

// Title is the title of the pull request that makes a proposal.
func Title(p rollout.Proposal) string {
	switch {
	case p.Opens != "":
		return "Open cycle " + Plain(string(p.Opens))
	case p.Hold != nil:
		return Plain(fmt.Sprintf("Revoke %s %s", p.Hold.Package, p.Hold.Release))
	case p.Approval == nil:
		return ""
	case p.Approval.Gate == rollout.CloseGate:
		return "Close cycle " + Plain(string(p.Approval.Cycle))
	default:
		return Plain(fmt.Sprintf("Approve %s of %s", p.Approval.Gate, p.Approval.Cycle))
	}
}
